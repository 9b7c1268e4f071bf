import { describe, expect, test } from "bun:test";
import { AppError } from "../../src/domain/errors.ts";
import { createEgress, type Egress, type LookedUpAddress, type Lookup } from "../../src/runtime/egress.ts";
import { FakeClock } from "../support/fake-clock.ts";

function addresses(...list: string[]): LookedUpAddress[] {
  return list.map((address) => ({ address, family: address.includes(":") ? 6 : 4 }));
}

/** An egress whose names resolve as the table says, and the log of what it looked up. */
function setup(options: { names?: Record<string, string[]>; allowPrivate?: string[] } = {}) {
  const clock = new FakeClock();
  const lookedUp: string[] = [];
  const names = options.names ?? {};
  const lookup: Lookup = async (hostname) => {
    lookedUp.push(hostname);
    const found = names[hostname];
    if (!found) throw Object.assign(new Error("no such name"), { code: "DNS_ENOTFOUND" });
    return addresses(...found);
  };
  const egress = createEgress({ allowPrivate: options.allowPrivate ?? [], lookup, clock });
  return { egress, clock, lookedUp, names };
}

const neverLookup: Lookup = () => Promise.reject(new Error("looked up"));

async function verdict(egress: Egress, url: string, isTrusted = false): Promise<string> {
  const resolution = await egress.resolve(new URL(url), isTrusted);
  return resolution.ok ? "ok" : resolution.reason;
}

describe("addresses that are not public", () => {
  const PRIVATE = [
    ["0.0.0.0", "this host"],
    ["0.1.2.3", "this network"],
    ["10.0.0.1", "RFC 1918"],
    ["100.64.0.1", "carrier-grade NAT"],
    ["127.0.0.1", "loopback"],
    ["127.255.255.254", "all of 127/8"],
    ["169.254.169.254", "cloud metadata"],
    ["172.16.0.1", "RFC 1918"],
    ["172.31.255.255", "RFC 1918"],
    ["192.0.0.8", "IETF assignments"],
    ["192.0.2.1", "documentation"],
    ["192.168.1.1", "RFC 1918"],
    ["198.18.0.1", "benchmarking"],
    ["224.0.0.1", "multicast"],
    ["240.0.0.1", "reserved"],
    ["255.255.255.255", "broadcast"],
    ["[::]", "unspecified"],
    ["[::1]", "loopback"],
    ["[::127.0.0.1]", "IPv4-compatible"],
    ["[::ffff:127.0.0.1]", "IPv4-mapped loopback"],
    ["[::ffff:8.8.8.8]", "IPv4-mapped public"],
    ["[64:ff9b::7f00:1]", "NAT64"],
    ["[2002:7f00:1::]", "6to4"],
    ["[2001::1]", "Teredo"],
    ["[2001:db8::1]", "documentation"],
    ["[fc00::1]", "unique local"],
    ["[fd12:3456::1]", "unique local"],
    ["[fe80::1]", "link-local"],
    ["[fec0::1]", "site-local"],
    ["[ff02::1]", "multicast"],
    ["[4000::1]", "not allocated"],
    ["0x7f.1", "hexadecimal spelling of 127.0.0.1"],
    ["2130706433", "decimal spelling of 127.0.0.1"],
    ["0177.0.0.1", "octal spelling of 127.0.0.1"],
  ] as const;

  test.each(PRIVATE)("%s (%s) is blocked for an untrusted target and open to a trusted one", async (host) => {
    const egress = createEgress({ allowPrivate: [], lookup: neverLookup, clock: new FakeClock() });
    expect(await verdict(egress, `http://${host}/`)).toBe("blocked");
    expect(await verdict(egress, `http://${host}/`, true)).toBe("ok");
  });

  test.each(PRIVATE)("a name that resolves to %s (%s) is blocked", async (host) => {
    const { hostname } = new URL(`http://${host}/`);
    const { egress } = setup({ names: { "a.test": [hostname.replace(/[[\]]/g, "")] } });
    expect(await verdict(egress, "http://a.test/")).toBe("blocked");
  });
});

describe("public addresses", () => {
  test.each([
    "8.8.8.8",
    "172.32.0.1",
    "100.128.0.1",
    "[2606:4700::1111]",
    "[2a00:1450::1]",
  ])("%s is open without a lookup", async (host) => {
    const egress = createEgress({ allowPrivate: [], lookup: neverLookup, clock: new FakeClock() });
    expect(await verdict(egress, `https://${host}/`)).toBe("ok");
  });

  test("a literal is returned without brackets, with its family", async () => {
    const { egress } = setup();
    const resolution = await egress.resolve(new URL("https://[2606:4700::1111]/"), false);
    expect(resolution).toEqual({ ok: true, address: "2606:4700::1111", family: 6, others: [] });
  });

  test("a name gives its first address and keeps the others for later", async () => {
    const { egress } = setup({ names: { "a.test": ["2606:4700::1111", "8.8.8.8"] } });
    const resolution = await egress.resolve(new URL("http://a.test/"), false);
    expect(resolution).toEqual({ ok: true, address: "2606:4700::1111", family: 6, others: ["8.8.8.8"] });
  });
});

describe("answers with several addresses", () => {
  test.each([
    [["8.8.8.8", "10.0.0.1"]],
    [["10.0.0.1", "8.8.8.8"]],
    [["2606:4700::1111", "::1"]],
  ])("%j is blocked because one address is private", async (list) => {
    const { egress } = setup({ names: { "a.test": list } });
    expect(await verdict(egress, "http://a.test/")).toBe("blocked");
  });

  test("a rule must cover every private address of the answer", async () => {
    const { egress } = setup({
      names: { "half.test": ["10.0.0.1", "192.168.0.1"], "whole.test": ["10.0.0.1", "8.8.8.8"] },
      allowPrivate: ["10.0.0.0/8"],
    });
    expect(await verdict(egress, "http://half.test/")).toBe("blocked");
    expect(await verdict(egress, "http://whole.test/")).toBe("ok");
  });
});

describe("allow_private", () => {
  test.each([
    ["127.0.0.0/8", "http://127.0.0.1/", "ok"],
    ["127.0.0.0/8", "http://[::ffff:127.0.0.1]/", "ok"],
    ["127.0.0.0/8", "http://10.0.0.1/", "blocked"],
    ["::1", "http://[::1]/", "ok"],
    ["::1", "http://[::2]/", "blocked"],
    ["10.1.2.3", "http://10.1.2.3/", "ok"],
    ["10.1.2.3", "http://10.1.2.4/", "blocked"],
    ["fd00::/8", "http://[fd00::5]/", "ok"],
    ["64:ff9b::/96", "http://[64:ff9b::808:808]/", "ok"],
    ["db.test", "http://db.test/", "ok"],
    ["DB.Test.", "http://db.test/", "ok"],
    ["db.test", "http://db.test./", "ok"],
    ["other.test", "http://db.test/", "blocked"],
    ["192.168.0.0/16", "http://db.test/", "ok"],
  ])("%s lets %s be %s", async (rule, url, expected) => {
    const { egress } = setup({ names: { "db.test": ["192.168.7.7"] }, allowPrivate: [rule] });
    expect(await verdict(egress, url)).toBe(expected);
  });

  test.each([
    "",
    "10.0.0.0/33",
    "10.0.0",
    "1.2.3.4.5",
    "http://localhost",
    "a b",
    "*.internal",
  ])("%j is refused as a rule", (rule) => {
    const create = () => createEgress({ allowPrivate: [rule], clock: new FakeClock() });
    expect(create).toThrow(AppError);
  });
});

describe("localhost", () => {
  test.each([
    [[], false, "blocked"],
    [[], true, "ok"],
    [["localhost"], false, "ok"],
    [["127.0.0.0/8"], false, "blocked"],
    [["127.0.0.0/8", "::1"], false, "ok"],
  ] as const)("with rules %j and trusted %p it is %s, without a lookup", async (rules, trusted, expected) => {
    const egress = createEgress({ allowPrivate: rules, lookup: neverLookup, clock: new FakeClock() });
    expect(await verdict(egress, "http://localhost:3000/", trusted)).toBe(expected);
  });

  test("it has no address, so that the system's loopback of either family is used", async () => {
    const { egress } = setup();
    const resolution = await egress.resolve(new URL("http://localhost/"), true);
    expect(resolution).toEqual({ ok: true, address: null, family: null, others: [] });
  });

  test("a name below it is looked up and checked like any other", async () => {
    const { egress, lookedUp } = setup({
      names: { "a.localhost": ["127.0.0.1"] },
      allowPrivate: ["localhost"],
    });
    expect(await verdict(egress, "http://a.localhost/")).toBe("blocked");
    expect(lookedUp).toEqual(["a.localhost"]);
  });
});

describe("lookups", () => {
  test("a name that does not exist is a dns failure with a stable text", async () => {
    const { egress } = setup();
    expect(await egress.resolve(new URL("http://missing.test/"), true)).toEqual({
      ok: false,
      reason: "dns",
      text: "cannot resolve missing.test (ENOTFOUND)",
    });
  });

  test.each([[[]], [["not an address"]]])("the answer %j counts as none", async (list) => {
    const { egress } = setup({ names: { "a.test": list } });
    expect(await verdict(egress, "http://a.test/", true)).toBe("dns");
  });

  test("the text of a blocked name does not tell what it resolves to", async () => {
    const { egress } = setup({ names: { "db.test": ["10.9.8.7"] } });
    const resolution = await egress.resolve(new URL("http://db.test/"), false);
    expect(JSON.stringify(resolution)).not.toContain("10.9.8.7");
  });

  test("an answer is kept for five seconds and then asked for again", async () => {
    const { egress, clock, lookedUp } = setup({ names: { "a.test": ["8.8.8.8"] } });
    await verdict(egress, "http://a.test/1");
    clock.advance(4_999);
    await verdict(egress, "https://A.test:8443/2");
    expect(lookedUp).toEqual(["a.test"]);
    clock.advance(1);
    await verdict(egress, "http://a.test/3");
    expect(lookedUp).toEqual(["a.test", "a.test"]);
  });

  test("a cached answer is checked for each caller by its own trust", async () => {
    const { egress, lookedUp } = setup({ names: { "a.test": ["10.0.0.1"] } });
    expect(await verdict(egress, "http://a.test/", true)).toBe("ok");
    expect(await verdict(egress, "http://a.test/", false)).toBe("blocked");
    expect(lookedUp).toEqual(["a.test"]);
  });

  test("concurrent calls for one name share one lookup", async () => {
    const { egress, lookedUp } = setup({ names: { "a.test": ["8.8.8.8"] } });
    await Promise.all(Array.from({ length: 20 }, () => verdict(egress, "http://a.test/")));
    expect(lookedUp).toEqual(["a.test"]);
  });

  test("a failed lookup is not kept", async () => {
    const { egress, names } = setup();
    expect(await verdict(egress, "http://late.test/")).toBe("dns");
    names["late.test"] = ["8.8.8.8"];
    expect(await verdict(egress, "http://late.test/")).toBe("ok");
  });

  test("the cache is bounded and drops the oldest name", async () => {
    const names: Record<string, string[]> = {};
    for (let index = 0; index <= 4_096; index++) names[`n${index}.test`] = ["8.8.8.8"];
    const { egress, lookedUp } = setup({ names });
    for (const name of Object.keys(names)) await verdict(egress, `http://${name}/`);
    lookedUp.length = 0;
    await verdict(egress, "http://n4096.test/");
    await verdict(egress, "http://n1.test/");
    expect(lookedUp).toEqual([]);
    await verdict(egress, "http://n0.test/");
    expect(lookedUp).toEqual(["n0.test"]);
  });
});
