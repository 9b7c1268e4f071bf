import { expect, test } from "bun:test";
import fc from "fast-check";
import { parseCidrs } from "../../src/domain/network.ts";

test.each<[string, string, boolean]>([
  ["192.0.2.0/24", "192.0.2.255", true],
  ["192.0.2.0/24", "192.0.3.0", false],
  ["192.0.2.77/24", "192.0.2.1", true],
  ["192.0.2.7", "192.0.2.7", true],
  ["192.0.2.7", "192.0.2.8", false],
  ["192.0.2.7/32", "192.0.2.7", true],
  ["10.0.0.0/9", "10.127.255.255", true],
  ["10.0.0.0/9", "10.128.0.0", false],
  ["0.0.0.0/0", "203.0.113.9", true],
  ["0.0.0.0/0", "2001:db8::1", false],
  ["2001:db8::/32", "2001:db8:ffff::1", true],
  ["2001:db8::/32", "2001:db9::1", false],
  ["2001:db8::1", "2001:0db8:0:0::1", true],
  ["2001:DB8::1/128", "2001:db8::1", true],
  ["2001:db8::1/128", "2001:db8::2", false],
  ["::/0", "2001:db8::1", true],
  ["fe80::/10", "fe80::1%eth0", true],
])("%s and %s: %p", (range, address, expected) => {
  expect(parseCidrs([range])(address)).toBe(expected);
});

test.each<[string, string, boolean]>([
  ["192.0.2.0/24", "::ffff:192.0.2.1", true],
  ["192.0.2.0/24", "::ffff:c000:0201", true],
  ["192.0.2.0/24", "::192.0.2.1", false],
  ["10.0.0.0/8", "::ffff:012.0.0.1", false],
  ["64:ff9b::/96", "64:ff9b::192.0.2.1", true],
  ["::ffff:192.0.2.0/120", "192.0.2.1", true],
  ["::ffff:192.0.2.0/120", "::ffff:192.0.2.1", true],
  ["::ffff:192.0.2.0/120", "192.0.3.1", false],
  ["::ffff:192.0.2.7", "192.0.2.7", true],
  ["::/0", "::ffff:192.0.2.1", false],
])("an IPv4-mapped address is the IPv4 address: %s and %s: %p", (range, address, expected) => {
  expect(parseCidrs([range])(address)).toBe(expected);
});

test("any range of a list is enough", () => {
  const isWithin = parseCidrs(["192.0.2.0/24", "2001:db8::/32", "198.51.100.7"]);
  expect(["192.0.2.9", "2001:db8::9", "198.51.100.7"].every(isWithin)).toBe(true);
  expect(isWithin("203.0.113.1")).toBe(false);
});

test("an empty list contains nobody", () => {
  expect(parseCidrs([])("127.0.0.1")).toBe(false);
});

test.each([
  "",
  "localhost",
  "10.0.0",
  "10",
  "10.0.0.0/",
  "10.0.0.0/33",
  "10.0.0.0/-1",
  "10.0.0.0/8/8",
  "10.0.0.0/255.0.0.0",
  "010.0.0.1",
  "0x7f.0.0.1",
  "10.0.0.256",
  "::/129",
  "fe80::1%eth0/64",
  "[::1]",
  " 10.0.0.0/8",
])("a range written %p is refused", (text) => {
  expect(() => parseCidrs([text])).toThrow(expect.objectContaining({ code: "invalid_request" }));
});

test.each([
  null,
  "",
  "unknown",
  "10.1",
  "1",
  "0x0a.0.0.1",
  "010.0.0.1",
  "10.0.0.1:80",
  "[::1]",
  "::1::",
])("%p is no address and lies nowhere", (text) => {
  expect(parseCidrs(["0.0.0.0/0", "::/0"])(text)).toBe(false);
});

test("no text makes the matcher throw", () => {
  const isWithin = parseCidrs(["10.0.0.0/8", "2001:db8::/32"]);
  const piece = fc.constantFrom("10", ".", ":", "::", "ffff", "%", "/", "0x", "e", "256");
  const text = fc.oneof(
    fc.string(),
    fc.array(piece, { maxLength: 12 }).map((parts) => parts.join("")),
  );
  fc.assert(
    fc.property(text, (given) => {
      expect(typeof isWithin(given)).toBe("boolean");
    }),
    { seed: 20_260_501, numRuns: 1_000 },
  );
});

test("an address lies in exactly the ranges that share its leading bits", () => {
  const address = fc.nat({ max: 0xff_ff_ff_ff });
  const show = (number: number) => [24, 16, 8, 0].map((shift) => (number >>> shift) & 255).join(".");
  fc.assert(
    fc.property(address, address, fc.nat({ max: 32 }), (one, other, bits) => {
      const shared = bits === 0 || one >>> (32 - bits) === other >>> (32 - bits);
      expect(parseCidrs([`${show(one)}/${bits}`])(show(other))).toBe(shared);
      expect(parseCidrs([`${show(one)}/${bits}`])(show(one))).toBe(true);
    }),
    { seed: 20_260_501 },
  );
});
