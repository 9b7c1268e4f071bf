/**
 * The texts that configuration values are made of. Each is a TypeBox string that also knows how to read
 * itself and what to call itself in an error message, so neither is repeated per key. `Static` of one is
 * the value it reads to.
 */

import { type TUnsafe, Type } from "@sinclair/typebox";
import ipaddr from "ipaddr.js";
import { DAY, parseBytes, parseDuration } from "../domain/duration.ts";

/** What the decoder looks for on a string schema besides JSON Schema's own keywords. */
export interface TextFormat {
  readonly expected: string;
  /** Returns the value, or null when the text is not of this format. */
  readonly parse: (text: string) => unknown;
  /** The text names a file beside the config file: "path" resolves the name, "content" reads the file. */
  readonly file?: "path" | "content";
  /** A TOML date is as good as a string. */
  readonly takesDates?: boolean;
}

interface Options {
  readonly default?: unknown;
}

function text<T>(
  format: TextFormat & { parse: (text: string) => T | null },
  options: Options = {},
): TUnsafe<T> {
  return Type.Unsafe<T>({ ...Type.String(), ...format, ...options });
}

export interface ListenAddress {
  /** Without brackets, also for IPv6. */
  readonly hostname: string;
  readonly port: number;
}

export type Selector =
  | { readonly kind: "header" /** Lower case. */; readonly name: string }
  | { readonly kind: "json"; readonly path: readonly string[] }
  | { readonly kind: "query"; readonly name: string }
  | { readonly kind: "body" };

/** What a source hands its events to. Functions do not exist yet; source-checks.ts refuses them. */
export type TargetName =
  | { readonly kind: "endpoint" | "function"; readonly name: string }
  | { readonly kind: "events"; readonly tenant: string };

/** Far beyond any sensible setting, and small enough that "now plus this" stays an exact integer. */
const DURATION_MAX_MS = 3_650 * DAY;

/** `minMs` is 1, so that nothing times out at once by mistake, or 0 where "at once" makes sense. */
export function duration(options: Options & { minMs?: 0 | 1 } = {}): TUnsafe<number> {
  const { minMs = 1, ...rest } = options;
  const range = `${minMs === 0 ? "" : "more than 0, "}at most ${DURATION_MAX_MS / DAY}d`;
  const parse = (given: string) => {
    const ms = parseDuration(given);
    return ms !== null && ms >= minMs && ms <= DURATION_MAX_MS ? ms : null;
  };
  return text({ expected: `a duration such as "30s" (${range})`, parse }, rest);
}

/** `min` and `max` are written as in the file. */
export function size(options: Options & { min?: string; max?: string } = {}): TUnsafe<number> {
  const { min = "1B", max, ...rest } = options;
  const expected = `a size such as "1MiB" (at least ${min}${max === undefined ? "" : `, at most ${max}`})`;
  const minBytes = parseBytes(min) ?? 1;
  const maxBytes = (max === undefined ? null : parseBytes(max)) ?? Number.MAX_SAFE_INTEGER;
  const parse = (given: string) => {
    const bytes = parseBytes(given);
    return bytes !== null && bytes >= minBytes && bytes <= maxBytes ? bytes : null;
  };
  return text({ expected, parse }, rest);
}

const HOSTNAME =
  /^(?=.{1,253}$)[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,62})(?:\.[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,62}))*$/;

function isAddress(given: string): boolean {
  // ipaddr.js alone would also take "127.1" and octal digits, which other programs read differently.
  return ipaddr.IPv4.isValidFourPartDecimal(given) || (given.includes(":") && ipaddr.IPv6.isValid(given));
}

function isHost(given: string): boolean {
  return isAddress(given) || (HOSTNAME.test(given) && !/^[\d.]+$/.test(given));
}

/** Returns whether only this machine can reach a listener or target of that name. */
export function isLoopback(hostname: string): boolean {
  const host = hostname.replace(/^\[|\]$/g, "").toLowerCase();
  if (host === "localhost" || host.endsWith(".localhost")) return true;
  return isAddress(host) && ipaddr.process(host).range() === "loopback";
}

export function listen(options: Options = {}): TUnsafe<ListenAddress> {
  const parse = (given: string) => {
    const match = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(given);
    const hostname = match?.[1] ?? match?.[2] ?? "";
    const port = Number(match?.[3]);
    const isValid = match?.[1] === undefined ? isHost(hostname) : ipaddr.IPv6.isValid(hostname);
    return match && isValid && port <= 65_535 ? { hostname, port } : null;
  };
  return text({ expected: 'host and port such as "127.0.0.1:8420" or "[::1]:8420"', parse }, options);
}

function parseHttpUrl(given: string): URL | null {
  if (!/^https?:\/\//i.test(given)) return null;
  return URL.canParse(given) ? new URL(given) : null;
}

const hasCredentials = (url: URL) => url.username !== "" || url.password !== "";

const TARGET = "an absolute http or https URL without credentials and fragment";

function parseTarget(given: string): string | null {
  const url = parseHttpUrl(given);
  return url && !hasCredentials(url) && url.hash === "" ? url.href : null;
}

/** An address to call: absolute, without credentials (they belong in `headers`) and without a fragment. */
export function httpUrl(): TUnsafe<string> {
  return text({ expected: TARGET, parse: parseTarget });
}

/** The name of something declared, or a URL in its place. */
export function nameOrUrl(): TUnsafe<string> {
  const parse = (given: string) => (NAME.test(given) ? given : parseTarget(given));
  return text({ expected: `a name, or ${TARGET}`, parse });
}

/** A base to which paths are appended: no query, and the trailing slash is taken off. */
export function baseUrl(): TUnsafe<string> {
  const parse = (given: string) => {
    const url = parseHttpUrl(given);
    if (!url || hasCredentials(url) || /[?#]/.test(given)) return null;
    return url.href.replace(/\/+$/, "");
  };
  return text({ expected: "an absolute http or https URL without credentials and query", parse });
}

/** Reads to null when empty: no proxy. */
export function proxyUrl(options: Options): TUnsafe<string> {
  const parse = (given: string) => (given === "" ? "" : (parseHttpUrl(given)?.href ?? null));
  return text({ expected: 'the http or https URL of a proxy, or "" for none', parse }, options);
}

function parseCidr(given: string): string | null {
  const [address = "", bits, ...more] = given.split("/");
  if (more.length > 0 || !isAddress(address)) return null;
  const isV4 = !address.includes(":");
  const prefix = bits ?? (isV4 ? "32" : "128");
  return /^\d{1,3}$/.test(prefix) && Number(prefix) <= (isV4 ? 32 : 128)
    ? `${address}/${Number(prefix)}`
    : null;
}

/** A single address reads as a range of one, so consumers see nothing but CIDR. */
export function cidr(): TUnsafe<string> {
  return text({ expected: 'an address range such as "10.0.0.0/8" or "::1"', parse: parseCidr });
}

/** Ranges contain a slash after reading, host names never do; host names become lower case. */
export function hostOrCidr(): TUnsafe<string> {
  const parse = (given: string) => parseCidr(given) ?? (isHost(given) ? given.toLowerCase() : null);
  return text({ expected: 'a host name or an address range such as "10.0.0.0/8"', parse });
}

const NAME = /^[A-Za-z0-9_-]{1,64}$/;

export function name(options: Options = {}): TUnsafe<string> {
  const parse = (given: string) => (NAME.test(given) ? given : null);
  return text({ expected: "1 to 64 letters, digits, _ or -", parse }, options);
}

/** RFC 9110, section 5.6.2: a field name is a token. */
const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

export function headerName(options: Options = {}): TUnsafe<string> {
  const parse = (given: string) => (HEADER_NAME.test(given) ? given : null);
  return text({ expected: 'a header name such as "X-Signature"', parse }, options);
}

/** Set by the connection or by the delivery itself; a fixed value would break framing or routing. */
const RESERVED_HEADERS: ReadonlySet<string> = new Set([
  "connection",
  "content-length",
  "host",
  "keep-alive",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

export function extraHeaderName(): TUnsafe<string> {
  const parse = (given: string) =>
    HEADER_NAME.test(given) && !RESERVED_HEADERS.has(given.toLowerCase()) ? given : null;
  return text({
    expected: "a header name that is not about the connection (Host, Content-Length, ...)",
    parse,
  });
}

export function headerValue(): TUnsafe<string> {
  const parse = (given: string) => (/^[\t\x20-\x7e\x80-\xff]*$/.test(given) ? given : null);
  return text({ expected: "header text without line breaks", parse });
}

function parseSelector(given: string): Selector | null {
  const [kind, rest = ""] = [given.slice(0, given.indexOf(":")), given.slice(given.indexOf(":") + 1)];
  if (kind === "header" && HEADER_NAME.test(rest)) return { kind, name: rest.toLowerCase() };
  const path = rest.split(".");
  return kind === "json" && path.every((step) => step !== "") ? { kind, path } : null;
}

/** A value that a request names itself by: an event's type. */
export function selector(): TUnsafe<Selector> {
  return text({ expected: '"header:Name" or "json:path.to.field"', parse: parseSelector });
}

/** What makes two requests the same one; "body" is the hash of all of it. */
export function dedupeSelector(): TUnsafe<Selector> {
  const parse = (given: string): Selector | null => {
    if (given === "body") return { kind: "body" };
    if (given.startsWith("query:") && given.length > 6) return { kind: "query", name: given.slice(6) };
    return parseSelector(given);
  };
  return text({ expected: '"header:Name", "json:path.to.field", "query:name" or "body"', parse });
}

/** "app" is an endpoint; a function, and a tenant whose subscriptions decide, stand behind their kind. */
export function targetName(): TUnsafe<TargetName> {
  const parse = (given: string): TargetName | null => {
    const [, kind = "endpoint", rest = given] = /^(function|events):(.*)$/s.exec(given) ?? [];
    if (kind === "events") return isTenant(rest) ? { kind, tenant: rest } : null;
    if (kind === "function") return rest === "" ? null : { kind, name: rest };
    return NAME.test(rest) ? { kind: "endpoint", name: rest } : null;
  };
  return text({ expected: 'the name of an endpoint, "function:<name>", or "events:<tenant>"', parse });
}

const TENANT_CHARS_MAX = 200;

function isTenant(given: string): boolean {
  return given.length <= TENANT_CHARS_MAX && !/\p{Cc}/u.test(given);
}

/** An opaque text; the empty one is the tenant of events that name none. */
export function tenant(options: Options = {}): TUnsafe<string> {
  const expected = `a tenant: at most ${TENANT_CHARS_MAX} characters without line breaks`;
  return text({ expected, parse: (given) => (isTenant(given) ? given : null) }, options);
}

export function timeZone(options: Options = {}): TUnsafe<string> {
  const parse = (given: string) => {
    try {
      return new Intl.DateTimeFormat("en", { timeZone: given }).resolvedOptions().timeZone && given;
    } catch {
      return null;
    }
  };
  return text({ expected: "an IANA time zone such as Europe/Berlin", parse }, options);
}

/** Which types of events: a star stands alone, or behind the last dot. */
export function typePattern(): TUnsafe<string> {
  const parse = (given: string) => (/^(?:\*|[^*]+|[^*]+\.\*)$/.test(given) ? given : null);
  return text({ expected: 'an event type, a prefix such as "invoice.*", or "*" for all', parse });
}

/** Any text that is there at all. */
export function nonEmpty(expected: string): TUnsafe<string> {
  return text({ expected, parse: (given) => (given === "" ? null : given) });
}

/** Some text, the empty one included. */
export function anyText(options: Options): TUnsafe<string> {
  return text({ expected: "a string", parse: (given) => given }, options);
}

/** A table that is read elsewhere: it comes out as the plain value that was written. */
export function anyTable(expected: string): TUnsafe<unknown> {
  return { ...Type.Unknown(), expected, isRaw: true };
}

/** The name of a file; reads to its absolute path. */
export function filePath(options: Options = {}): TUnsafe<string> {
  const parse = (given: string) => (given === "" ? null : given);
  return text({ expected: "the path of a file", parse, file: "path" }, options);
}

/** A secret in some format, written in place. */
export function secretText(format: SecretFormat): TUnsafe<string> {
  return text(format);
}

/** The same secret as the content of a file. */
export function secretFile(format: SecretFormat): TUnsafe<string> {
  return text({ ...format, expected: `the path of a file that holds ${format.expected}`, file: "content" });
}

export interface SecretFormat {
  readonly expected: string;
  readonly parse: (text: string) => string | null;
}

/** Padding may be missing; people lose it when they copy. */
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2,4}|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{2}==)$/;

export const SECRET = {
  any: { expected: "a non-empty secret", parse: (given) => (given === "" ? null : given) },
  /** Standard Webhooks: what follows "whsec_" is base64. Other texts are keys as they are. */
  standard: {
    expected: 'a non-empty secret, of base64 after "whsec_"',
    parse: (given) => {
      const isWrong = given === "" || (given.startsWith("whsec_") && !BASE64.test(given.slice(6)));
      return isWrong ? null : given;
    },
  },
  /** Standard Webhooks, asymmetric: what signs is the private half. */
  ed25519Private: {
    expected: 'an Ed25519 private key: "whsk_" and the base64 of 32 or 64 bytes',
    parse: (given) => {
      const key = given.replace(/^whsk_/, "");
      return BASE64.test(key) && [32, 64].includes(Buffer.from(key, "base64").length) ? given : null;
    },
  },
  pem: {
    expected: "a text in PEM form, which begins with -----BEGIN",
    parse: (given) => (given.includes("-----BEGIN ") ? given : null),
  },
  /** It has to survive an Authorization header. */
  apiKey: {
    expected: "visible ASCII characters without spaces",
    parse: (given) => (/^[\x21-\x7e]+$/.test(given) ? given : null),
  },
  masterKey: {
    expected: "32 random bytes as 64 hexadecimal digits or as base64",
    parse: (given) => (/^[0-9a-fA-F]{64}$/.test(given) || /^[A-Za-z0-9+/]{43}=$/.test(given) ? given : null),
  },
} satisfies Record<string, SecretFormat>;

/** RFC 7617, section 2: a user-id that contains a colon cannot be told from its password. */
export function basicUsername(): TUnsafe<string> {
  const parse = (given: string) => (given === "" || given.includes(":") ? null : given);
  return text({ expected: "a non-empty user name without a colon", parse });
}

/** Reads to epoch milliseconds. RFC 3339 with an offset, because a local time would depend on the machine. */
export function instant(): TUnsafe<number> {
  const pattern = /^\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(?:\.\d+)?(?:[Zz]|[+-]\d{2}:\d{2})$/;
  const parse = (given: string) => {
    const at = pattern.test(given) ? Date.parse(given.replace(" ", "T").toUpperCase()) : Number.NaN;
    return Number.isNaN(at) ? null : at;
  };
  const expected = "a date and time with offset such as 2026-12-01T00:00:00Z";
  return text({ expected, parse, takesDates: true });
}

/** A moment as written, with an offset or local to a zone that stands elsewhere; read by `checkSchedule`. */
export function moment(): TUnsafe<string> {
  const parse = (given: string) => (given === "" ? null : given.replace(/^(\d{4}-\d\d-\d\d) /, "$1T"));
  const expected = "a date and time such as 2026-12-01T09:00:00";
  return text({ expected, parse, takesDates: true });
}

const PLACEHOLDERS: readonly string[] = ["{timestamp}", "{id}", "{url}", "{body}"];

export function signatureTemplate(options: Options): TUnsafe<string> {
  return template(PLACEHOLDERS, options);
}

/** Of a signature that is sent: the receiver's own idea of its URL is not ours to know. */
export function sentTemplate(options: Options): TUnsafe<string> {
  return template(
    PLACEHOLDERS.filter((known) => known !== "{url}"),
    options,
  );
}

function template(known: readonly string[], options: Options): TUnsafe<string> {
  const parse = (given: string) => {
    const placeholders: string[] = given.match(/\{[^}]*\}?/g) ?? [];
    return placeholders.includes("{body}") && placeholders.every((found) => known.includes(found))
      ? given
      : null;
  };
  const expected = `text with {body} in it, and no placeholders but ${known.join(", ")}`;
  return text({ expected, parse }, options);
}
