import { describe, expect, test } from "bun:test";
import { createClientAddress, isLoopback, normalizeAddress } from "../../src/http/client-address.ts";

interface Case {
  readonly name: string;
  readonly peer?: string;
  readonly listed?: string;
  readonly forwarded?: string;
  readonly expected: string;
}

const PROXY = "10.0.0.1";
const read = createClientAddress(["10.0.0.0/8", "2001:db8:1::/48", "192.0.2.200"]);

const CASES: readonly Case[] = [
  { name: "no header: the socket's other end", expected: PROXY },
  { name: "a trusted proxy is believed", listed: "203.0.113.9", expected: "203.0.113.9" },
  {
    name: "a socket that is no trusted proxy is not believed",
    peer: "198.51.100.1",
    listed: "203.0.113.9",
    expected: "198.51.100.1",
  },
  {
    name: "what the client wrote itself, left of its own address, is ignored",
    listed: "127.0.0.1, 203.0.113.9",
    expected: "203.0.113.9",
  },
  {
    name: "a chain of trusted proxies is followed to the first that is none",
    listed: "203.0.113.9, 10.1.1.1, 192.0.2.200",
    expected: "203.0.113.9",
  },
  {
    name: "a chain of nothing but proxies ends at its left",
    listed: "10.9.9.9, 10.1.1.1",
    expected: "10.9.9.9",
  },
  { name: "an entry that is no address ends the walk", listed: "203.0.113.9, unknown", expected: PROXY },
  {
    name: "a private entry behind an unreadable one is not reached",
    listed: "203.0.113.9, garbage, 10.1.1.1",
    expected: "10.1.1.1",
  },
  { name: "a port is cut off", listed: "203.0.113.9:4711", expected: "203.0.113.9" },
  { name: "IPv6 in brackets with a port", listed: "[2001:db8::7]:4711", expected: "2001:db8::7" },
  { name: "IPv6 without brackets", listed: "2001:db8::7", expected: "2001:db8::7" },
  { name: "an IPv4-mapped address counts as IPv4", listed: "::ffff:203.0.113.9", expected: "203.0.113.9" },
  { name: "a number is no address", listed: "3405803785", expected: PROXY },
  { name: "Forwarded is read", forwarded: "for=203.0.113.9;proto=https", expected: "203.0.113.9" },
  {
    name: "Forwarded from the right, quoted, with a port and mixed case",
    forwarded: 'for=192.0.2.1, proto=http;For="[2001:db8::7]:4711"',
    expected: "2001:db8::7",
  },
  {
    name: "a Forwarded element without for= ends the walk",
    forwarded: "for=203.0.113.9, by=_x",
    expected: PROXY,
  },
  {
    name: "both headers that agree are believed",
    listed: "203.0.113.9",
    forwarded: "for=203.0.113.9",
    expected: "203.0.113.9",
  },
  {
    name: "of two headers that disagree neither is believed",
    listed: "203.0.113.9",
    forwarded: "for=192.0.2.1",
    expected: PROXY,
  },
];

describe("the client's address", () => {
  test.each(CASES.map((entry) => [entry.name, entry] as const))("%s", (_name, entry) => {
    const headers = new Headers();
    if (entry.listed !== undefined) headers.set("x-forwarded-for", entry.listed);
    if (entry.forwarded !== undefined) headers.set("forwarded", entry.forwarded);
    expect(read(entry.peer ?? PROXY, headers)).toBe(entry.expected);
  });

  test("without trusted proxies no header counts", () => {
    const nobody = createClientAddress([]);
    expect(nobody("127.0.0.1", new Headers({ "x-forwarded-for": "203.0.113.9" }))).toBe("127.0.0.1");
  });

  test("a trusted proxy over IPv6 is recognised by its range", () => {
    const headers = new Headers({ "x-forwarded-for": "203.0.113.9" });
    expect(read("2001:db8:1::5", headers)).toBe("203.0.113.9");
    expect(read("2001:db8:2::5", headers)).toBe("2001:db8:2::5");
  });

  test("a range that is none is refused when it is prepared", () => {
    expect(() => createClientAddress(["10.0.0.0/99"])).toThrow();
    expect(() => createClientAddress(["proxy.example"])).toThrow();
  });
});

test("loopback is recognised in every spelling", () => {
  for (const address of ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"]) {
    expect(isLoopback(address)).toBe(true);
  }
  for (const address of ["10.0.0.1", "::", "localhost", ""]) expect(isLoopback(address)).toBe(false);
});

test("addresses are shown in their shortest form", () => {
  expect(normalizeAddress("2001:0db8:0:0:0:0:0:1")).toBe("2001:db8::1");
  expect(normalizeAddress("::ffff:192.0.2.1")).toBe("192.0.2.1");
  expect(normalizeAddress("nonsense")).toBeNull();
});
