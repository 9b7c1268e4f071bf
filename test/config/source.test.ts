import { describe, expect, test } from "bun:test";
import { MINUTE } from "../../src/domain/duration.ts";
import { configOf, errorsOf, warningsOf } from "./parse-text.ts";

const KEYED = '[[project]]\nid = "default"\napi_keys = ["0123456789abcdef"]\n';
const ENDPOINT = '[[endpoint]]\nname = "app"\nurl = "https://app.example/"\n';
const GITHUB = 'verify = { scheme = "github", secret = "s" }\nto = ["app"]';
const source = (...lines: string[]) =>
  `${KEYED}${ENDPOINT}[[source]]\nname = "in"\n${[GITHUB, ...lines].join("\n")}`;
/** The line of the first of `lines` above. */
const LINE = 11;

const only = (text: string) => configOf(text).sources[0];
const verified = (rule: string, server = "") =>
  `${KEYED}${server}${ENDPOINT}[[source]]\nname = "in"\nto = ["app"]\nverify = { ${rule} }`;

const TIMED = ["stripe", "slack", "paddle", "linear", "zoom", "hookbridge", "posthook", "standard", "svix"];
const UNTIMED = ["github", "gitlab", "shopify", "pyfly"];
const ED25519 = {
  discord: "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
  "standard-ed25519": "whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
};

describe("Presets", () => {
  test.each(TIMED)("%s takes a tolerance, five minutes by default", (scheme) => {
    const secrets = [{ value: "c2VjcmV0" }];
    const rule = `scheme = "${scheme}", secret = "c2VjcmV0"`;
    expect(only(verified(rule))?.verify).toEqual([{ scheme, secrets, toleranceMs: 5 * MINUTE } as never]);
    const short = only(verified(`${rule}, tolerance = "1m"`))?.verify;
    expect(short).toEqual([{ scheme, secrets, toleranceMs: MINUTE } as never]);
  });

  test.each(UNTIMED)("%s has no time to be tolerant about", (scheme) => {
    const rule = `scheme = "${scheme}", secrets = ["a", "b"]`;
    const secrets = [{ value: "a" }, { value: "b" }];
    expect(only(verified(rule))?.verify).toEqual([{ scheme, secrets } as never]);
    expect(errorsOf(verified(`${rule}, tolerance = "1m"`))).toEqual([
      "config.toml:10: source[0].verify.tolerance: is not a known key, " +
        "expected one of scheme, secret, secrets",
    ]);
  });

  test.each(Object.entries(ED25519))("%s takes public keys", (scheme, key) => {
    expect(only(verified(`scheme = "${scheme}", secret = "${key}"`))?.verify).toEqual([
      { scheme, secrets: [{ value: key }], toleranceMs: 5 * MINUTE } as never,
    ]);
  });

  test.each(["twilio", "square"])("%s covers the URL, which follows the server's unless given", (scheme) => {
    const rule = `scheme = "${scheme}", secret = "s"`;
    const secrets = [{ value: "s" }];
    const server = '[server]\npublic_url = "https://hooks.example/base/"\n';
    const url = "https://called.example/x";
    expect(only(verified(rule, server))?.verify).toEqual([
      { scheme, secrets, publicUrl: "https://hooks.example/base/in/in" } as never,
    ]);
    expect(only(verified(`${rule}, public_url = "${url}"`))?.verify).toEqual([
      { scheme, secrets, publicUrl: url } as never,
    ]);
    const at = "config.toml:10: source[0].verify";
    const advice = "set public_url here or in [server] to the address that the sender calls";
    expect(warningsOf(verified(rule))).toEqual([
      `${at}: covers the URL, which follows \`listen\` for now: ${advice}`,
    ]);
    expect(warningsOf(verified(rule, server))).toEqual([]);
    expect(warningsOf(verified(`${rule}, public_url = "${url}"`))).toEqual([]);
  });

  test("hookbridge-inbound names its headers; without one for the time there is no tolerance", () => {
    const rule = 'scheme = "hookbridge-inbound", header = "X-S", secrets = ["a", "b"]';
    const secrets = [{ value: "a" }, { value: "b" }];
    const spec = { scheme: "hookbridge-inbound", header: "X-S", secrets } as const;
    expect(only(verified(rule))?.verify).toEqual([spec]);
    expect(only(verified(`${rule}, timestamp_header = "X-T"`))?.verify).toEqual([
      { ...spec, timestampHeader: "X-T", toleranceMs: 5 * MINUTE },
    ]);
    expect(only(verified(`${rule}, timestamp_header = "X-T", tolerance = "1m"`))?.verify).toEqual([
      { ...spec, timestampHeader: "X-T", toleranceMs: MINUTE },
    ]);
    expect(errorsOf(verified('scheme = "hookbridge-inbound", secret = "a"'))[0]).toContain("verify.header");
  });

  test("hmac knows separators, optional prefixes and the URL", () => {
    const rule =
      'scheme = "hmac", header = "X-S", secret = "s", encoding = "base64url", prefix = "v1=", ' +
      'prefix_optional = true, separator = " ", template = "{url}{body}", public_url = "https://x.example/y"';
    expect(only(verified(rule))?.verify[0]).toMatchObject({
      encoding: "base64url",
      prefix: "v1=",
      prefixOptional: true,
      separator: " ",
      template: "{url}{body}",
      publicUrl: "https://x.example/y",
    });
  });
});

describe("What the schemes themselves would refuse is an error with its line", () => {
  const at = "config.toml:10: source[0].verify";
  test.each([
    ['scheme = "discord", secret = "abcd"', `${at}: An Ed25519 public key has 32 bytes, not 2.`],
    [
      'scheme = "standard-ed25519", secret = "whpk_YWJj"',
      `${at}: An Ed25519 public key has 32 bytes, not 3.`,
    ],
  ])("%s", (rule, expected) => {
    expect(errorsOf(verified(rule))).toEqual([expected]);
  });

  test("also in a list of rules, by its place", () => {
    const list = '[{ scheme = "github", secret = "s" },\n { scheme = "discord", secret = "ab" }]';
    const text = `${KEYED}${ENDPOINT}[[source]]\nname = "in"\nto = ["app"]\nverify = ${list}`;
    expect(errorsOf(text)).toEqual([
      "config.toml:11: source[0].verify[1]: An Ed25519 public key has 32 bytes, not 1.",
    ]);
  });

  test("beside the errors of other sources", () => {
    const bad = '[[source]]\nname = "two"\nto = ["app"]\nverify = { scheme = "discord", secret = "ab" }\n';
    const worse = '[[source]]\nname = "three"\nto = ["app"]\nverify = { scheme = "github" }';
    expect(errorsOf(`${KEYED}${ENDPOINT}${bad}${worse}`)).toHaveLength(2);
  });
});

describe("A source reads", () => {
  test.each([
    ["", {}],
    ['allow_cidrs = ["10.0.0.0/8", "2001:db8::1"]', { allowCidrs: ["10.0.0.0/8", "2001:db8::1/128"] }],
    ["rate = { per_second = 2.5 }", { rate: { perSecond: 2.5, burst: 3 } }],
    ["rate = { per_second = 5, burst = 50 }", { rate: { perSecond: 5, burst: 50 } }],
    ['pause = "accept"', { whilePaused: "accept" }],
    ['mode = "forward"', { mode: "forward" }],
    [
      'respond = { status = 200, headers = { Content-Type = "text/xml" }, body = "<R/>" }',
      { respond: { status: 200, headers: { "Content-Type": "text/xml" }, body: "<R/>" } },
    ],
    [
      'dedupe.by = ["query:id", ["header:X-A", "body"]]',
      {
        dedupe: {
          selectors: [[{ kind: "query", name: "id" }], [{ kind: "header", name: "x-a" }, { kind: "body" }]],
          windowMs: 1_440 * MINUTE,
        },
      },
    ],
    [
      'challenge = { scheme = "meta", verify_token = "t" }',
      { challenge: { kind: "meta", secrets: [{ value: "t" }] } },
    ],
    [
      'challenge = { scheme = "x", secrets = ["a", "b"] }',
      { challenge: { kind: "x", secrets: [{ value: "a" }, { value: "b" }] } },
    ],
  ])("%s", (line, expected) => {
    const defaults = {
      allowCidrs: [],
      rate: null,
      dedupe: null,
      mode: "forward",
      to: [{ kind: "endpoint", name: "app", when: null }],
      whilePaused: "refuse",
      respond: { status: 202, headers: {}, body: null },
      challenge: null,
    };
    expect(only(source(line))).toMatchObject({ ...defaults, ...expected } as never);
    expect(warningsOf(source(line))).toEqual([]);
  });

  test("targets with conditions as they are written", () => {
    const when = '{ type = ["a.*", "b"], "json:n" = { gte = 1.5, not = { in = [2, true] } } }';
    const text = source().replace('to = ["app"]', `to = [{ endpoint = "app", when = ${when} }]`);
    expect(only(text)?.to).toEqual([
      {
        kind: "endpoint",
        name: "app",
        when: { type: ["a.*", "b"], "json:n": { gte: 1.5, not: { in: [2, true] } } },
      },
    ]);
  });

  test("a missing `to` as pull mode, with a warning unless it is said", () => {
    const text = source().replace('to = ["app"]', "");
    expect(only(text)?.mode).toBe("pull");
    expect(warningsOf(text)).toEqual([
      'config.toml:7: source[0]: has no `to`: its events wait to be fetched; say so with mode = "pull"',
    ]);
    expect(warningsOf(text.concat('\nmode = "pull"'))).toEqual([]);
  });

  test("an empty `to` as events that are only stored", () => {
    const text = source().replace('to = ["app"]', "to = []");
    expect(only(text)).toMatchObject({ mode: "forward", to: [] });
    expect(warningsOf(text)).toEqual([
      "config.toml:7: source[0]: has no target in `to`: its events are stored and go nowhere",
    ]);
  });
});

describe("A source is refused for", () => {
  const targets = (list: string) => source().replace('to = ["app"]', `to = [${list}]`);
  const CONDITIONS = 'type, all, any, not or "json:path.to.field"';
  test.each([
    [
      source('allow_cidrs = ["10.0.0.0/33"]'),
      `${LINE}: source[0].allow_cidrs[0]: got "10.0.0.0/33", ` +
        'expected an address range such as "10.0.0.0/8" or "::1"',
    ],
    [
      source("rate = { burst = 5 }"),
      `${LINE}: source[0].rate.per_second: is missing, expected a number above 0 and up to 1000000`,
    ],
    [source('pause = "wait"'), `${LINE}: source[0].pause: got "wait", expected one of "refuse", "accept"`],
    [source('mode = "push"'), `${LINE}: source[0].mode: got "push", expected one of "forward", "pull"`],
    [
      source('mode = "pull"'),
      '10: source[0].to: cannot stand beside mode = "pull": its events wait to be fetched',
    ],
    [
      source('challenge = { scheme = "slack" }'),
      `${LINE}: source[0].challenge.scheme: got "slack", expected one of "meta", "x"`,
    ],
    [
      source('challenge = { scheme = "meta", verify_token = "" }'),
      `${LINE}: source[0].challenge.verify_token: got (secret), expected a non-empty secret`,
    ],
    [
      source('respond = { status = 204, body = "x" }'),
      `${LINE}: source[0].respond.body: got a body, expected no body, because the status is 204 or 205`,
    ],
    [
      source('respond.headers = { Content-Length = "1" }'),
      `${LINE}: source[0].respond.headers.Content-Length: got "Content-Length", ` +
        "expected a header name that is not about the connection (Host, Content-Length, ...)",
    ],
    [targets('"app", "ap"'), '10: source[0].to[1]: there is no endpoint "ap", did you mean app?'],
    [targets('"app", { endpoint = "app", when = { type = "a" } }'), '10: source[0].to[1]: repeats "app"'],
    [
      targets('{ endpoint = "gone", when = { type = "a" } }'),
      '10: source[0].to[0]: there is no endpoint "gone", expected the name of a declared endpoint',
    ],
    [targets('"function:a", "function:a"'), '10: source[0].to[1]: repeats "a"'],
    [
      targets('"events:acme", { events = "globex", when = { type = "a" } }'),
      "10: source[0].to[1]: is a second tenant, but an event belongs to one; expected one tenant at most",
    ],
    [
      targets('{ endpoint = "app", events = "acme", when = { type = "a" } }'),
      "10: source[0].to[0].events: cannot stand beside endpoint, " +
        "expected either endpoint or events or function",
    ],
    [
      targets('"queue:x"'),
      '10: source[0].to[0]: got "queue:x", ' +
        'expected the name of an endpoint, "function:<name>", or "events:<tenant>"',
    ],
    [
      targets('{ endpoint = "app", when = { kind = "a" } }'),
      `10: source[0].to[0].when.kind: is no key of a filter, expected ${CONDITIONS}`,
    ],
    [
      targets('{ endpoint = "app", when = { any = [{ type = "a" },\n { "json:n" = { over = 5 } }] } }'),
      '11: source[0].to[0].when.any[1]."json:n".over: is no operator, expected one of ' +
        "equals, in, prefix, exists, gt, gte, lt, lte, not",
    ],
    [
      targets('{ endpoint = "app", when = "a" }'),
      "10: source[0].to[0].when: got a string, expected a table of conditions",
    ],
    [targets('{ endpoint = "app" }'), "10: source[0].to[0].when: is missing, expected a table of conditions"],
  ])("%#", (text, expected) => {
    expect(errorsOf(text)).toEqual([`config.toml:${expected}`]);
  });
});

test("A condition may take its values from the environment", () => {
  const when = `{ "header:X-Env" = "\${STAGE}" }`;
  const text = source().replace('to = ["app"]', `to = [{ endpoint = "app", when = ${when} }]`);
  const [target] = configOf(text, { env: { STAGE: "live" } }).sources[0]?.to ?? [];
  expect(target?.when).toEqual({ "header:X-Env": "live" });
  expect(errorsOf(text)).toHaveLength(1);
});
