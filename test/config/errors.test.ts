import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { ConfigSchema } from "../../src/config/schema.ts";
import { errorsOf, parseText, warningsOf } from "./parse-text.ts";

const DURATION = 'a duration such as "30s" (more than 0, at most 3650d)';
const DURATION_OR_ZERO = 'a duration such as "30s" (at most 3650d)';
const NAME = "1 to 64 letters, digits, _ or -";
const SELECTOR = '"header:Name" or "json:path.to.field"';
const DEDUPE_SELECTOR = '"header:Name", "json:path.to.field", "query:name" or "body"';
const LISTEN = 'host and port such as "127.0.0.1:8420" or "[::1]:8420"';
const BASE_URL = "an absolute http or https URL without credentials and query";
const RANGE = 'an address range such as "10.0.0.0/8"';
const FREE_HEADER = "a header name that is not about the connection (Host, Content-Length, ...)";
const RETRY = 'a table such as { policy = "standard" } or { delays = ["5s", "5m"] }';
const VERIFY = 'a table such as { scheme = "hmac", ... }, a list of them, or { scheme = "none" }';
const SCHEMES = `one of ${[
  ...["none", "token", "basic", "hmac", "standard", "standard-ed25519", "stripe", "github", "gitlab"],
  ...["shopify", "slack", "twilio", "paddle", "linear", "discord", "zoom", "square", "svix"],
  ...["hookbridge", "posthook", "pyfly", "hookbridge-inbound"],
]
  .map((scheme) => `"${scheme}"`)
  .join(", ")}`;
const TEMPLATE = "text with {body} in it, and no placeholders but {timestamp}, {id}, {url}, {body}";
const BECAUSE_TEMPLATE = "expected a header name, because template uses";
const BY = 'a list such as ["header:Idempotency-Key", "json:id"]';
const INSTANT = "a date and time with offset such as 2026-12-01T00:00:00Z";
const TABLES =
  "one of server, store, egress, log, dev, project, source, endpoint, subscription, " +
  "alert, callback_config, schedule";
const ENDPOINT_KEYS = Object.keys(ConfigSchema.properties.endpoint.items.properties).join(", ");
const OWN_KEY = "a key of your own, because a listener is not on the loopback interface";
const URL_TEXT = "an absolute http or https URL without credentials and fragment";

const endpoint = (line: string) => `[[endpoint]]\nname = "app"\nurl = "https://example.com/"\n${line}`;
const source = (line: string) => `[[source]]\nname = "in"\n${line}`;
const verified = (line: string) => source(`verify = { scheme = "github", secret = "s" }\n${line}`);
const verify = (rule: string) => source(`verify = ${rule}`);

describe("A wrong value is reported with its line, key, value and what was expected", () => {
  test.each([
    ["[server]\nlisten = 8420", `2: server.listen: got 8420, expected ${LISTEN}`],
    ['[server]\nlisten = ":8420"', `2: server.listen: got ":8420", expected ${LISTEN}`],
    ['[server]\nlisten = "1.2.3:80"', `2: server.listen: got "1.2.3:80", expected ${LISTEN}`],
    ['[server]\nlisten = "localhost:70000"', `2: server.listen: got "localhost:70000", expected ${LISTEN}`],
    ['[server]\nlisten = "::1:80"', `2: server.listen: got "::1:80", expected ${LISTEN}`],
    [
      '[server]\n\nmax_body = "17MiB"',
      '3: server.max_body: got "17MiB", expected a size such as "1MiB" (at least 1B, at most 16MiB)',
    ],
    ['[server]\npublic_url = "http://h/?a"', `2: server.public_url: got "http://h/?a", expected ${BASE_URL}`],
    [
      '[server]\ntrusted_proxies = [\n  "10.0.0.0/8",\n  "10.0.0.0/33",\n]',
      `4: server.trusted_proxies[1]: got "10.0.0.0/33", expected ${RANGE} or "::1"`,
    ],
    [
      '[egress]\nallow_private = ["127.1"]',
      `2: egress.allow_private[0]: got "127.1", expected a host name or ${RANGE}`,
    ],
    [
      "[egress]\nmax_in_flight = 0",
      "2: egress.max_in_flight: got 0, expected a whole number from 1 to 60000",
    ],
    [
      "[egress]\nmax_in_flight = 1.5",
      "2: egress.max_in_flight: got 1.5, expected a whole number from 1 to 60000",
    ],
    ['[store]\ndurability = "sync"', '2: store.durability: got "sync", expected one of "fsync", "relaxed"'],
    [
      "[store]\nretention = 5",
      "2: store.retention: got 5, expected a table with events, delivered, dead, rejections, logs, metrics",
    ],
    ['[store]\nretention.dead = "0s"', `2: store.retention.dead: got "0s", expected ${DURATION}`],
    ['[log]\nlevel = "loud"', '2: log.level: got "loud", expected one of "debug", "info", "warn", "error"'],
    ['[dev]\necho = "yes"', "2: dev.echo: got a string, expected true or false"],
    ["[dev]\necho = 1979-05-27T07:32:00Z", '2: dev.echo: got "1979-05-27T07:32:00Z", expected true or false'],
    [
      '[[project]]\nid = "a b"\napi_keys = ["0123456789abcdef"]',
      `2: project[0].id: got "a b", expected ${NAME}`,
    ],
    ["[project]\nid = 1", "1: project: got a table, expected one or more [[project]] tables"],
    [endpoint('timeout = "soon"'), `4: endpoint[0].timeout: got "soon", expected ${DURATION}`],
    [
      endpoint("sign = {}"),
      "4: endpoint[0].sign: got a table, expected a list, each a table such as " +
        '{ scheme = "standard", secret = "whsec_..." }',
    ],
    [
      endpoint('headers = { "Webhook-Id" = "x" }'),
      "4: endpoint[0].headers.Webhook-Id: cannot be set: Postern sets it itself",
    ],
    [
      endpoint('sign = [{ scheme = "github", secret = "s" }]\nheaders = { x-hub-signature-256 = "x" }'),
      "5: endpoint[0].headers.x-hub-signature-256: cannot be set: it carries the github signature",
    ],
    [
      endpoint('sign = [{ scheme = "custom", header = "Host", secret = "s" }]'),
      "4: endpoint[0].sign[0]: cannot write its signature to Host, which Postern sets itself",
    ],
    [
      endpoint('sign = [{ scheme = "standard-ed25519", secret = "whsec_AAAA" }]'),
      '4: endpoint[0].sign[0].secret: got (secret), expected an Ed25519 private key: "whsk_" and ' +
        "the base64 of 32 or 64 bytes",
    ],
    [
      endpoint("concurrency = inf"),
      "4: endpoint[0].concurrency: got Infinity, expected a whole number from 1 to 1000000",
    ],
    [
      endpoint("rate.per_second = 0"),
      "4: endpoint[0].rate.per_second: got 0, expected a number above 0 and up to 1000000",
    ],
    [
      endpoint('headers = { Host = "x" }'),
      `4: endpoint[0].headers.Host: got "Host", expected ${FREE_HEADER}`,
    ],
    [
      endpoint('headers."X-A" = "a\\nb"'),
      "4: endpoint[0].headers.X-A: got (secret), expected header text without line breaks",
    ],
    [
      endpoint("retry = {}"),
      '4: endpoint[0].retry.policy: is missing, expected one of "standard", "fixed", "exponential"',
    ],
    [
      endpoint('retry.policy = "linear"'),
      '4: endpoint[0].retry.policy: got "linear", expected one of "standard", "fixed", "exponential"',
    ],
    [
      endpoint('retry.delays = ["5s", "x"]'),
      `4: endpoint[0].retry.delays[1]: got "x", expected ${DURATION_OR_ZERO}`,
    ],
    [endpoint('retry = "standard"'), `4: endpoint[0].retry: got a string, expected ${RETRY}`],
    ['[[endpoint]]\nname = "a"\nurl = "ftp://x"', `3: endpoint[0].url: got "ftp://x", expected ${URL_TEXT}`],
    ['[[endpoint]]\nname = "a"\nurl = "/in"', `3: endpoint[0].url: got "/in", expected ${URL_TEXT}`],
    ['[[endpoint]]\nname = "a"', `1: endpoint[0].url: is missing, expected ${URL_TEXT}`],
    [source("to = []"), `1: source[0].verify: is missing, expected ${VERIFY}`],
    [verify('{ scheme = "hmca" }'), `3: source[0].verify.scheme: got "hmca", expected ${SCHEMES}`],
    [
      verify('{ scheme = "github" }'),
      "3: source[0].verify.secret: is missing, expected either secret or secrets",
    ],
    [
      verify('{ scheme = "github", secret = "a", secrets = ["b"] }'),
      "3: source[0].verify.secrets: cannot stand beside secret, expected either secret or secrets",
    ],
    [
      verify('{ scheme = "token", secret = "a" }'),
      "3: source[0].verify.header: is missing, expected either header or query",
    ],
    [
      verify('{ scheme = "basic", username = "a:b", password = "c" }'),
      '3: source[0].verify.username: got "a:b", expected a non-empty user name without a colon',
    ],
    [
      verify('{ scheme = "hmac", header = "X", secret = "a", template = "{time}{body}" }'),
      `3: source[0].verify.template: got "{time}{body}", expected ${TEMPLATE}`,
    ],
    [
      verify('{ scheme = "hmac", header = "X", secret = "a", template = "{timestamp}.{body}" }'),
      `3: source[0].verify.timestamp_header: is missing, ${BECAUSE_TEMPLATE} {timestamp}`,
    ],
    [
      verify('{ scheme = "hmac", header = "X", secret = "a", template = "{id}.{body}" }'),
      `3: source[0].verify.id_header: is missing, ${BECAUSE_TEMPLATE} {id}`,
    ],
    [
      verify('{ scheme = "hmac", header = "X", secret = "a", tolerance = "1m" }'),
      "3: source[0].verify.timestamp_header: is missing, expected a header name, because tolerance is set",
    ],
    [
      verify('{ scheme = "hookbridge-inbound", header = "X", secret = "a", tolerance = "1m" }'),
      "3: source[0].verify.timestamp_header: is missing, expected a header name, because tolerance is set",
    ],
    [
      verify('[{ scheme = "github", secret = "a" }, { scheme = "none" }]'),
      '3: source[0].verify[1]: scheme "none" cannot stand beside other rules',
    ],
    [
      verify('{ scheme = "github", secret = { value = "a", until = 2026-12-01 } }'),
      `3: source[0].verify.secret.until: got "2026-12-01", expected ${INSTANT}`,
    ],
    [
      verified('dedupe = { by = ["id"] }'),
      `4: source[0].dedupe.by[0]: got "id", expected ${DEDUPE_SELECTOR}`,
    ],
    [
      verified('dedupe = { by = [["json:a", "json:a..b"]] }'),
      `4: source[0].dedupe.by[0][1]: got "json:a..b", expected ${DEDUPE_SELECTOR}`,
    ],
    [verified("dedupe = { by = [] }"), `4: source[0].dedupe.by: got an empty list, expected ${BY}`],
    [verified('event_type = "type"'), `4: source[0].event_type: got "type", expected ${SELECTOR}`],
    [
      verified("respond.status = 404"),
      "4: source[0].respond.status: got 404, expected a whole number from 200 to 299",
    ],
    [
      verified('methods = ["post"]'),
      '4: source[0].methods[0]: got "post", expected one of "GET", "POST", "PUT", "PATCH", "DELETE"',
    ],
  ])("%p", (text, expected) => {
    expect(errorsOf(text)).toEqual([`config.toml:${expected}`]);
  });
});

describe("An unknown key is an error", () => {
  test.each([
    ["[sever]", "1: sever: is not a known key, did you mean server?"],
    ["[[endpoints]]", "1: endpoints: is not a known key, did you mean endpoint?"],
    [endpoint('Timeout = "5s"'), "4: endpoint[0].Timeout: is not a known key, did you mean timeout?"],
    [
      endpoint("breaker = { failure = 3 }"),
      "4: endpoint[0].breaker.failure: is not a known key, did you mean failures?",
    ],
    [
      endpoint('__proto__ = "x"'),
      `4: endpoint[0].__proto__: is not a known key, expected one of ${ENDPOINT_KEYS}`,
    ],
    ["[dev]\nconstructor.x = 1", "2: dev.constructor: is not a known key, expected one of echo"],
    ["[[listener]]", `1: listener: is not a known key, expected ${TABLES}`],
    [
      endpoint('retry = { policy = "fixed", factor = 2 }'),
      "4: endpoint[0].retry.factor: is not a known key, expected one of policy, delay, max_attempts",
    ],
  ])("%p", (text, expected) => {
    expect(errorsOf(text)).toEqual([`config.toml:${expected}`]);
  });
});

describe("Tables that do not fit together are errors", () => {
  const twoSources = `${verified("")}\n${verified("")}`;
  test.each([
    [endpoint('result_to = "ap"'), '4: endpoint[0].result_to: there is no endpoint "ap", did you mean app?'],
    [
      endpoint('result_to = "https://user:secret@example.com/"'),
      '4: endpoint[0].result_to: got "https://***@example.com/", expected a name, or an absolute http or ' +
        "https URL without credentials and fragment",
    ],
    [endpoint('result_to = "app"'), "4: endpoint[0].result_to: names itself, expected another endpoint"],
    [
      verified('to = ["ap"]'),
      '4: source[0].to[0]: there is no endpoint "ap", expected the name of a declared endpoint',
    ],
    [
      `${verified('to = ["ap"]')}\n${endpoint("")}`,
      '4: source[0].to[0]: there is no endpoint "ap", did you mean app?',
    ],
    [`${verified('to = ["app", "app"]')}\n${endpoint("")}`, '4: source[0].to[1]: repeats "app"'],
    [
      endpoint('project = "defalt"'),
      '4: endpoint[0].project: there is no project "defalt", did you mean default?',
    ],
    [twoSources, '6: source[1].name: repeats "in", already used on line 2'],
    [`${endpoint("")}\n${endpoint("")}`, '6: endpoint[1].name: repeats "app", already used on line 2'],
    [
      '[[project]]\nid = "a"\napi_keys = ["0123456789abcdef"]\n[[project]]\nid = "a"',
      '5: project[1].id: repeats "a", already used on line 2',
    ],
    [
      '[[project]]\nid = "a"\napi_keys = ["0123456789abcdef", { key = "0123456789abcdef" }]',
      "3: project[0].api_keys[1]: repeats an API key; each key belongs to one project once",
    ],
    [
      '[server]\nlisten = "127.0.0.1:80"\ningest_listen = "0.0.0.0:80"',
      "3: server.ingest_listen: uses port 80 like server.listen, expected a port of its own",
    ],
    [
      '[server]\ningest_listen = "0.0.0.0:81"\n[[project]]\nid = "default"\napi_keys = ["dev-key-change-me"]',
      `5: project[0].api_keys[0]: is the development key, expected ${OWN_KEY}`,
    ],
  ])("%p", (text, expected) => {
    expect(errorsOf(text)).toEqual([`config.toml:${expected}`]);
  });

  test("An endpoint of another project is no target", () => {
    const text = `[[project]]\nid = "b"\n${endpoint('project = "b"')}\n${verified('to = ["app"]')}`;
    expect(errorsOf(text)).toHaveLength(1);
  });

  test("The same endpoint name in two projects is fine", () => {
    expect(errorsOf(`[[project]]\nid = "b"\n${endpoint("")}\n${endpoint('project = "b"')}`)).toEqual([]);
  });
});

describe("Text that is not TOML", () => {
  test.each([
    ["a = 1\na = 2", "2: is not valid TOML: Defining a key multiple times is invalid"],
    ["[server]\n[store]\n[server]", "3: is not valid TOML: Defining a key multiple times is invalid"],
    ['[server]\nlisten = "x', "2: is not valid TOML: Unterminated string constant"],
    ["[server]\nlisten == 1", "2: is not valid TOML: Unexpected token"],
    ["[[source]]\nverify = { a = 1", "2: is not valid TOML: Unterminated inline table"],
  ])("%p is reported with its line", (text, expected) => {
    expect(errorsOf(text)).toEqual([`config.toml:${expected}`]);
  });

  test("Nesting beyond all reason is reported, not thrown", () => {
    expect(errorsOf(`a = ${"[".repeat(200_000)}`)).toHaveLength(1);
  });

  test("Random text never throws", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 200 }), (text) => void parseText(text)),
      {
        numRuns: 300,
      },
    );
  });

  test("Random tables under the known names never throw, and errors lie inside the file", () => {
    const key = fc.constantFrom(
      "name",
      "verify",
      "scheme",
      "to",
      "secret",
      "secrets",
      "retry",
      "policy",
      "delays",
      "url",
      "by",
      "__proto__",
    );
    const { value } = fc.letrec<{ value: string }>((tie) => ({
      value: fc.oneof(
        { depthSize: "small" },
        fc.constantFrom('"hmac"', '"none"', '"5s"', `"\${X}"`, "1", "-0.5", "nan", "true", "2026-01-01"),
        fc.array(tie("value"), { maxLength: 3 }).map((items) => `[${items.join(", ")}]`),
        fc
          .uniqueArray(fc.tuple(key, tie("value")), { maxLength: 3, selector: ([name]) => name })
          .map((pairs) => `{ ${pairs.map(([name, item]) => `${name} = ${item}`).join(", ")} }`),
      ),
    }));
    const header = fc.constantFrom("[[source]]", "[[endpoint]]", "[[project]]", "[server]", "[store]");
    const lines = fc.uniqueArray(fc.tuple(key, value), { maxLength: 5, selector: ([name]) => name });
    const check = (table: string, pairs: [string, string][]) => {
      const text = [table, ...pairs.map(([name, item]) => `${name} = ${item}`)].join("\n");
      const loaded = parseText(text);
      const found = loaded.ok ? loaded.warnings : loaded.errors;
      for (const { line } of found) expect(line >= 1 && line <= pairs.length + 1).toBe(true);
    };
    fc.assert(fc.property(header, lines, check), { numRuns: 300 });
  });
});

test("All errors come at once, in the order of the file, each with its column", () => {
  const text = [
    "[server]",
    '  listn = "x"',
    '  max_body = "big"',
    "[[source]]",
    'name = "in"',
    'to = ["nowhere"]',
    "[[endpoint]]",
    `url = "\${TARGET}"`,
    'sign = [{ scheme = "standard", secret = { file = "gone" } }]',
  ].join("\n");
  const loaded = parseText(text);
  const places = loaded.ok ? [] : loaded.errors.map(({ line, column, key }) => [line, column, key]);
  expect(places).toEqual([
    [2, 3, "server.listn"],
    [3, 14, "server.max_body"],
    [4, 3, "source[0].verify"],
    [6, 7, "source[0].to[0]"],
    [7, 3, "endpoint[0].name"],
    [8, 7, "endpoint[0].url"],
    [9, 50, "endpoint[0].sign[0].secret.file"],
  ]);
});

describe("Risky settings load with a warning", () => {
  const UNENCRYPTED =
    "is reachable from other machines, and API keys travel unencrypted unless a proxy adds TLS";
  const keyed = '[[project]]\nid = "default"\napi_keys = ["0123456789abcdef"]\n';
  test.each([
    ["", "1: project: declares no API key, so nobody can use the API"],
    [
      '[[project]]\nid = "default"\napi_keys = ["dev-key-change-me"]',
      "3: project[0].api_keys[0]: is the development key, which everybody knows; fine on this machine only",
    ],
    [
      '[[project]]\nid = "default"\napi_keys = ["short"]',
      "3: project[0].api_keys[0]: is shorter than 16 characters and may be guessed",
    ],
    [
      `${keyed}[store]\ndurability = "relaxed"`,
      "5: store.durability: can lose events that were already acknowledged when the machine fails",
    ],
    [`${keyed}[server]\nlisten = "0.0.0.0:80"`, `5: server.listen: ${UNENCRYPTED}`],
    [
      `${keyed}[server]\nmetrics_listen = "0.0.0.0:80"`,
      "5: server.metrics_listen: serves metrics without a key to other machines",
    ],
    [
      `${keyed}[server]\nlisten = "0.0.0.0:80"\napi_url = "https://api.example.com"\n[dev]\necho = true`,
      "8: dev.echo: is meant for trying out, and the server is reachable from other machines",
    ],
    [
      `${keyed}[[endpoint]]\nname = "app"\nurl = "http://example.com/"`,
      "6: endpoint[0].url: sends events unencrypted to another machine",
    ],
    [
      `${keyed}[[endpoint]]\nname = "app"\nurl = "http://localhost/"\npoison = "park"`,
      '7: endpoint[0].poison: means nothing without ordering = "key" or "endpoint"',
    ],
    [
      `${keyed}[[endpoint]]\nname = "app"\nurl = "http://localhost/"\nkey_rate = { per_second = 1 }`,
      '7: endpoint[0].key_rate: means nothing without ordering = "key"',
    ],
    [
      `${keyed}${endpoint("")}\n[[source]]\nname = "a"\nto = ["app"]\nverify.scheme = "none"`,
      "11: source[0].verify: accepts requests from anybody, unverified",
    ],
    [
      `${keyed}${verified("")}`,
      '4: source[0]: has no `to`: its events wait to be fetched; say so with mode = "pull"',
    ],
  ])("%p", (text, expected) => {
    expect(errorsOf(text)).toEqual([]);
    expect(warningsOf(text)).toEqual([`config.toml:${expected}`]);
  });

  test.each([
    "http://127.0.0.1:3000/",
    "http://localhost/",
    "http://[::1]:3000/",
  ])("%s is no other machine", (url) => {
    expect(warningsOf(`${keyed}[[endpoint]]\nname = "app"\nurl = "${url}"`)).toEqual([]);
  });
});
