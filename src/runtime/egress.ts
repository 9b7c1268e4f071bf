/**
 * Which addresses may be called. A host is resolved once, every address of the answer is checked, and the
 * caller connects to a checked address: a second resolution between the check and the connection could give
 * another answer (DNS rebinding), so there is none.
 *
 * Public means "globally routable unicast"; everything else (loopback, RFC 1918, link-local with the cloud
 * metadata address, RFC 6598, unique local, multicast, IPv4 inside IPv6, documentation, reserved) is private.
 * One private address blocks the whole answer. Trusted targets, which the operator wrote into the config
 * file, may be private; targets that an API made need a rule in `allow_private`.
 */
import { isIP } from "node:net";
import ipaddr from "ipaddr.js";
import { AppError } from "../domain/errors.ts";
import type { Clock } from "./clock.ts";

export interface LookedUpAddress {
  address: string;
  family: 4 | 6;
}

/** Every address of a host name, in the order to try them. Rejects when there is none. */
export type Lookup = (hostname: string) => Promise<readonly LookedUpAddress[]>;

type Resolution =
  | {
      ok: true;
      /**
       * The checked address to connect to; null for `localhost`, which is left to the system's own loopback.
       */
      address: string | null;
      family: 4 | 6 | null;
      /** Further checked addresses of the same answer, for when the first one cannot be reached. */
      others: readonly string[];
    }
  | { ok: false; reason: "dns" | "blocked"; text: string };

export interface Egress {
  /**
   * Resolves the URL's host once, checks every address, and returns one checked address or why not. Never
   * rejects. Answers are cached for a few seconds; concurrent calls for one name share one lookup.
   * `allowPrivate` stands in place of the general rule for this call.
   */
  resolve(url: URL, isTrusted: boolean, allowPrivate?: readonly string[] | null): Promise<Resolution>;
}

interface EgressOptions {
  /** Host names, addresses or CIDRs that may be reached although private. */
  allowPrivate: readonly string[];
  lookup?: Lookup;
  clock: Clock;
}

/**
 * Short enough that a DNS change is followed at once in human terms, long enough that a hot endpoint is not
 * slowed.
 */
const CACHE_TTL_MS = 5_000;
/** About 200 bytes each. More names than this in five seconds cost a lookup per attempt, nothing else. */
const CACHED_NAMES_MAX = 4_096;

/**
 * The only block of IPv6 that IANA has allocated for global unicast; ipaddr.js also calls the unallocated
 * rest so.
 */
const GLOBAL_UNICAST_V6 = ipaddr.IPv6.parseCIDR("2000::/3");
/** Loopback has one address per family. A rule set must cover both, as `localhost` may mean either. */
const LOOPBACKS = ["127.0.0.1", "::1"] as const;

type Answer =
  | { ok: true; addresses: readonly LookedUpAddress[] /** By the general rule. */; isOpen: boolean }
  | { ok: false; text: string };

interface CachedAnswer {
  answer: Promise<Answer>;
  expiresAt: number;
}

/**
 * Creates the address check. Throws `invalid_request` for a rule that is neither a CIDR, an address nor a
 * name.
 */
export function createEgress(options: EgressOptions): Egress {
  const { clock, lookup = lookUpWithSystem } = options;
  const rules = parseRules(options.allowPrivate);
  const rulesFor = createRuleBook(rules);
  const cache = new Map<string, CachedAnswer>();

  function answerFor(host: string): Promise<Answer> {
    const now = clock.monotonicMs();
    const cached = cache.get(host);
    if (cached && cached.expiresAt > now) return cached.answer;
    const entry: CachedAnswer = { answer: look(host), expiresAt: now + CACHE_TTL_MS };
    // Deleting first moves a renewed name to the end, so that the first key is always the oldest answer.
    cache.delete(host);
    cache.set(host, entry);
    if (cache.size > CACHED_NAMES_MAX) cache.delete(cache.keys().next().value!);
    // Failures are not kept: the retry policy already spaces the attempts, and a name that appears should
    // count.
    return entry.answer.then((answer) => {
      if (!answer.ok && cache.get(host) === entry) cache.delete(host);
      return answer;
    });
  }

  async function look(host: string): Promise<Answer> {
    try {
      const addresses = (await lookup(host)).filter(({ address }) => isIP(address) !== 0);
      if (addresses.length === 0) return { ok: false, text: `cannot resolve ${host} (no address)` };
      const isOpen = isOpenTo(host, addresses, rules);
      return { ok: true, addresses, isOpen };
    } catch (error) {
      return { ok: false, text: `cannot resolve ${host} (${errorCode(error)})` };
    }
  }

  return {
    async resolve(url, isTrusted, allowPrivate) {
      const own = rulesFor(allowPrivate);
      const host = hostOf(url);
      const family = isIP(host);
      if (family === 4 || family === 6) {
        if (!isTrusted && !isReachable(host, own)) return blocked(host);
        return { ok: true, address: host, family, others: [] };
      }
      if (host === "localhost") {
        const isOpen = isTrusted || own.names.has(host) || LOOPBACKS.every((one) => isReachable(one, own));
        return isOpen ? { ok: true, address: null, family: null, others: [] } : blocked(host);
      }
      const name = host.endsWith(".") ? host.slice(0, -1) : host;
      const answer = await answerFor(name);
      if (!answer.ok) return { ok: false, reason: "dns", text: answer.text };
      const isOpen = own === rules ? answer.isOpen : isOpenTo(name, answer.addresses, own);
      if (!isTrusted && !isOpen) return blocked(name);
      return resolvedTo(answer.addresses as [LookedUpAddress, ...LookedUpAddress[]]);
    },
  };
}

function resolvedTo([first, ...rest]: readonly [LookedUpAddress, ...LookedUpAddress[]]): Resolution {
  const { address, family } = first;
  return { ok: true, address, family, others: rest.map((one) => one.address) };
}

/** The host of a URL without the brackets of an IPv6 literal. */
export function hostOf(url: URL): string {
  const { hostname } = url;
  return hostname.startsWith("[") ? hostname.slice(1, -1) : hostname;
}

/**
 * Says nothing about the addresses: the text reaches API users, and internal names are not theirs to resolve.
 */
function blocked(host: string): Resolution {
  return {
    ok: false,
    reason: "blocked",
    text: `${host} is a private address that egress.allow_private does not allow`,
  };
}

interface Rules {
  names: ReadonlySet<string>;
  ranges: readonly [ipaddr.IPv4 | ipaddr.IPv6, number][];
}

/** Lists of their own belong to definitions, and are read once as long as those do not change. */
function createRuleBook(general: Rules) {
  const known = new WeakMap<readonly string[], Rules>();
  return (allowPrivate: readonly string[] | null | undefined): Rules => {
    if (!allowPrivate) return general;
    const rules = known.get(allowPrivate) ?? parseRules(allowPrivate);
    known.set(allowPrivate, rules);
    return rules;
  };
}

function parseRules(entries: readonly string[]): Rules {
  const names = new Set<string>();
  const ranges: [ipaddr.IPv4 | ipaddr.IPv6, number][] = [];
  for (const entry of entries) {
    const rule = entry.trim().toLowerCase().replace(/\.$/, "");
    if (ipaddr.isValidCIDR(rule)) ranges.push(ipaddr.parseCIDR(rule));
    else if (isIP(rule)) ranges.push([ipaddr.parse(rule), isIP(rule) === 4 ? 32 : 128]);
    else if (/^[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?$/.test(rule) && !/^[\d.]+$/.test(rule)) names.add(rule);
    // A mistyped rule must not pass for a host name that happens never to match.
    else throw new AppError("invalid_request", `not a host name, address or CIDR: ${JSON.stringify(entry)}`);
  }
  return { names, ranges };
}

function isOpenTo(host: string, addresses: readonly LookedUpAddress[], rules: Rules): boolean {
  return rules.names.has(host) || addresses.every(({ address }) => isReachable(address, rules));
}

function isReachable(address: string, rules: Rules): boolean {
  const parsed = ipaddr.parse(address);
  if (isPublic(parsed)) return true;
  // ::ffff:127.0.0.1 reaches 127.0.0.1, so the IPv4 rules speak for it.
  const effective = ipaddr.process(address);
  return rules.ranges.some(
    ([network, bits]) =>
      (network.kind() === effective.kind() && effective.match(network, bits)) ||
      (network.kind() === parsed.kind() && parsed.match(network, bits)),
  );
}

function isPublic(address: ipaddr.IPv4 | ipaddr.IPv6): boolean {
  if (address.range() !== "unicast") return false;
  return address.kind() === "ipv4" || address.match(GLOBAL_UNICAST_V6);
}

function lookUpWithSystem(hostname: string): Promise<LookedUpAddress[]> {
  return Bun.dns.lookup(hostname);
}

/**
 * Bun names c-ares errors DNS_ENOTFOUND, Node and getaddrinfo ENOTFOUND; one spelling keeps texts comparable.
 */
function errorCode(error: unknown): string {
  const code = error instanceof Error && "code" in error ? String(error.code) : "lookup failed";
  return code.replace(/^DNS_/, "");
}
