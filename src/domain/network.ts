/**
 * Ranges of addresses, for sources that only some networks may call. Both families, and both spellings of an
 * IPv4 address: behind a dual-stack socket 192.0.2.1 arrives as ::ffff:192.0.2.1 (RFC 4291 section 2.5.5.2).
 */
import ipaddr from "ipaddr.js";
import { AppError } from "./errors.ts";

/** Whether an address lies in any of the ranges. What is no address lies in none; it never throws. */
export type NetworkMatcher = (address: string | null) => boolean;

type Address = ipaddr.IPv4 | ipaddr.IPv6;

interface Network {
  readonly address: Address;
  readonly bits: number;
}

/** The bits of ::ffff:0:0/96, behind which the IPv4 addresses lie. */
const MAPPED_BITS = 96;

/**
 * Prepares the ranges of a list such as ["10.0.0.0/8", "2001:db8::/32", "192.0.2.7"]. An empty list contains
 * no address: that it lets everybody in is for the caller to say. Throws `invalid_request` for any other
 * text.
 */
export function parseCidrs(texts: readonly string[]): NetworkMatcher {
  const networks = texts.map((text) => {
    const network = readNetwork(text);
    if (network === null) throw new AppError("invalid_request", `"${text}" is no address range.`);
    return network;
  });
  return (text) => {
    const address = text === null ? null : readAddress(text);
    return address !== null && networks.some((network) => isWithin(address, network));
  };
}

function readNetwork(text: string): Network | null {
  const slash = text.indexOf("/");
  const written = slash === -1 ? text : text.slice(0, slash);
  // A zone names an interface of one machine, which a range cannot mean.
  if (!isWritten(written) || written.includes("%")) return null;
  const address = ipaddr.parse(written);
  const bitsMax = address.kind() === "ipv4" ? 32 : 128;
  const bits = slash === -1 ? bitsMax : readBits(text.slice(slash + 1));
  if (bits > bitsMax) return null;
  if (address instanceof ipaddr.IPv6 && address.isIPv4MappedAddress() && bits >= MAPPED_BITS) {
    return { address: address.toIPv4Address(), bits: bits - MAPPED_BITS };
  }
  return { address, bits };
}

function readBits(text: string): number {
  return /^\d{1,3}$/.test(text) ? Number(text) : Number.POSITIVE_INFINITY;
}

/** An IPv4-mapped address becomes the IPv4 address. */
function readAddress(text: string): Address | null {
  return isWritten(text) ? ipaddr.process(text) : null;
}

function isWritten(text: string): boolean {
  const colon = text.lastIndexOf(":");
  const tail = text.slice(colon + 1);
  // The library also reads "1", "0x7f.1" and octal digits, which other programs read differently.
  if ((colon === -1 || tail.includes(".")) && !ipaddr.IPv4.isValidFourPartDecimal(tail)) return false;
  // "::192.0.2.1", of the deprecated IPv4-compatible addresses, would be taken for ::ffff:192.0.2.1.
  if (tail.includes(".") && text === `::${tail}`) return false;
  return colon === -1 || ipaddr.IPv6.isValid(text);
}

function isWithin(address: Address, network: Network): boolean {
  return address.kind() === network.address.kind() && address.match(network.address, network.bits);
}

/**
 * Whether a host of a URL is written as an address that no stranger could reach, or names this machine. Names
 * are not looked up; that is for whoever connects.
 */
export function isPrivateHost(host: string): boolean {
  const name = host
    .replace(/^\[|\]$/g, "")
    .replace(/\.$/, "")
    .toLowerCase();
  if (name === "localhost" || name.endsWith(".localhost")) return true;
  const address = readAddress(name);
  return address !== null && address.range() !== "unicast";
}
