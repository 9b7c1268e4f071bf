/**
 * Who really sent a request. Forwarded (RFC 7239) and X-Forwarded-For are written by proxies, each appending
 * the address it saw, so only the entries that a trusted proxy wrote can be believed: reading starts at the
 * socket and walks from the right for as long as the address reached is a trusted proxy's.
 */
import ipaddr from "ipaddr.js";

export type ClientAddressReader = (peerAddress: string, headers: Headers) => string;

type Address = ipaddr.IPv4 | ipaddr.IPv6;

/** Verdicts on socket addresses that are remembered; proxies are few, so this only bounds a scan. */
const REMEMBERED_MAX = 1_024;

/** Prepares the reader. Throws for a text that is neither an address nor a CIDR range. */
export function createClientAddress(trustedProxies: readonly string[]): ClientAddressReader {
  const ranges = trustedProxies.map(readRange);
  const verdicts = new Map<string, boolean>();
  const isTrusted = (text: string) => {
    const known = verdicts.get(text);
    if (known !== undefined) return known;
    const address = readAddress(text);
    const verdict = address !== null && ranges.some((range) => isWithin(address, range));
    if (verdicts.size >= REMEMBERED_MAX) verdicts.clear();
    verdicts.set(text, verdict);
    return verdict;
  };
  return (peerAddress, headers) => {
    const listed = headers.get("x-forwarded-for");
    const forwarded = headers.get("forwarded");
    if (listed === null && forwarded === null) return peerAddress;
    if (ranges.length === 0 || !isTrusted(peerAddress)) return peerAddress;
    const found: string[] = [];
    if (listed !== null) found.push(walk(peerAddress, listed.split(","), isTrusted));
    if (forwarded !== null) found.push(walk(peerAddress, forwardedFor(forwarded), isTrusted));
    // A proxy writes one of the two and passes the other on as the client wrote it. When they disagree nobody
    // can tell which is which, and the proxy is the last one that is certain.
    return found.every((address) => address === found[0]) ? (found[0] as string) : peerAddress;
  };
}

/** Returns an address in its shortest form, an IPv4-mapped IPv6 address as IPv4; null when it is none. */
export function normalizeAddress(text: string): string | null {
  return readAddress(text)?.toString() ?? null;
}

export function isLoopback(text: string): boolean {
  return readAddress(text)?.range() === "loopback";
}

function walk(peer: string, entries: readonly string[], isTrusted: (address: string) => boolean): string {
  let reached = peer;
  for (let index = entries.length - 1; index >= 0 && isTrusted(reached); index -= 1) {
    const address = normalizeAddress(withoutPort(entries[index] ?? ""));
    // "unknown", a made-up name or garbage: what stands further left was not vouched for by anybody.
    if (address === null) return reached;
    reached = address;
  }
  return reached;
}

/** Returns the for= values of a Forwarded header, in order; an element without one yields an empty text. */
function forwardedFor(header: string): string[] {
  return header.split(",").map((element) => {
    const pair = /(?:^|;)\s*for=(?:"([^"]*)"|([^;\s]*))/i.exec(element);
    return pair?.[1] ?? pair?.[2] ?? "";
  });
}

/** RFC 7239 section 6 writes IPv6 in brackets, and either kind with an optional port. */
function withoutPort(entry: string): string {
  const text = entry.trim();
  const bracketed = /^\[([^\]]*)\](?::\w+)?$/.exec(text);
  if (bracketed) return bracketed[1] ?? "";
  return /^[\d.]+:\w+$/.test(text) ? text.slice(0, text.indexOf(":")) : text;
}

function readAddress(text: string): Address | null {
  // The library also reads "1" and "0x7f.1" as addresses; nobody who writes that means well.
  if (!text.includes(":") && !/^\d+\.\d+\.\d+\.\d+$/.test(text)) return null;
  return ipaddr.isValid(text) ? ipaddr.process(text) : null;
}

function readRange(text: string): readonly [Address, number] {
  if (text.includes("/")) {
    const [address, bits] = ipaddr.parseCIDR(text);
    return [address, bits];
  }
  const address = ipaddr.process(text);
  return [address, address.kind() === "ipv4" ? 32 : 128];
}

function isWithin(address: Address, [network, bits]: readonly [Address, number]): boolean {
  return address.kind() === network.kind() && address.match(network, bits);
}
