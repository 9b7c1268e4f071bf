import { describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadConfig } from "../../src/config/load.ts";
import { DAY, HOUR, MINUTE, SECOND } from "../../src/domain/duration.ts";
import { checkSigning } from "../../src/domain/header-rules.ts";
import { checkSchedule } from "../../src/domain/schedule-check.ts";
import { checkSource } from "../../src/domain/source-check.ts";
import { configOf } from "./parse-text.ts";

describe("Defaults", () => {
  test("An empty file gives every default", () => {
    expect(configOf("")).toEqual({
      path: "/etc/postern/config.toml",
      server: {
        listen: { hostname: "127.0.0.1", port: 8420 },
        ingestListen: null,
        metricsListen: null,
        tls: null,
        publicUrl: "http://127.0.0.1:8420",
        apiUrl: "http://127.0.0.1:8420",
        socketUrl: "ws://127.0.0.1:8420",
        trustedProxies: ["127.0.0.1/32"],
        maxBodyBytes: 1_048_576,
        readTimeoutMs: 10 * SECOND,
        drainTimeoutMs: 10 * SECOND,
      },
      store: {
        path: "/etc/postern/postern.db",
        durability: "fsync",
        masterKey: { kind: "file", path: "/etc/postern/postern.key" },
        masterKeyOld: null,
        retention: {
          eventsMs: 7 * DAY,
          deliveredMs: 7 * DAY,
          deadMs: 30 * DAY,
          rejectionsMs: 7 * DAY,
          logsMs: 14 * DAY,
          metricsMs: 31 * DAY,
        },
        maxDiskBytes: 10 * 1_024 ** 3,
      },
      egress: {
        allowPrivate: ["localhost", "127.0.0.0/8", "::1/128"],
        timeoutMs: 30 * SECOND,
        maxInFlight: 1_024,
        proxy: null,
      },
      log: { level: "info" },
      dev: { echo: false },
      projects: [
        {
          ...{ id: "default", apiKeys: [], pingback: null, pyfly: null, hookbridge: null, posthook: null },
          deadLetters: { count: 100, windowMs: HOUR },
          egress: null,
        },
      ],
      sources: [],
      endpoints: [],
      subscriptions: [],
      alerts: [],
      schedules: [],
      callbackConfigs: [],
    });
  });

  test("A source needs a name and a verification rule", () => {
    expect(configOf('[[source]]\nname = "in"\nverify.scheme = "none"').sources).toEqual([
      {
        project: "default",
        name: "in",
        verify: [{ scheme: "none" }],
        challenge: null,
        allowCidrs: [],
        rate: null,
        dedupe: null,
        eventType: null,
        orderingKey: null,
        mode: "pull",
        to: [],
        whilePaused: "refuse",
        respond: { status: 202, headers: {}, body: null },
        methods: ["POST"],
        maxBodyBytes: 1_048_576,
      },
    ]);
  });

  test("An endpoint needs a name and a URL", () => {
    expect(configOf('[[endpoint]]\nname = "app"\nurl = "https://example.com"').endpoints).toEqual([
      {
        project: "default",
        name: "app",
        url: "https://example.com/",
        sign: [],
        ack: null,
        allowPrivate: null,
        resultTo: null,
        proxy: null,
        tls: null,
        headers: {},
        retry: { kind: "standard" },
        concurrency: 16,
        rate: null,
        timeoutMs: 30 * SECOND,
        breaker: { failures: 10, recoveryMs: 30 * SECOND, recoveryMaxMs: 10 * MINUTE },
        pacing: {
          ordering: "none",
          poison: { kind: "block" },
          keyRate: null,
          slowStart: true,
          drainPerSecond: null,
          disableAfterMs: null,
        },
      },
    ]);
  });

  const pacedEndpoint = (line: string) =>
    configOf(`[[endpoint]]\nname = "app"\nurl = "https://example.com"\n${line}`).endpoints[0];

  test.each([
    [
      "breaker = { failures = 0, rate = { ratio = 0.5 } }",
      { rate: { ratio: 0.5, windowMs: MINUTE, samplesMin: 20 } },
    ],
    ['breaker = { recovery = "1h" }', { recoveryMs: 60 * MINUTE, recoveryMaxMs: 60 * MINUTE }],
    ['breaker = { recovery = "1s", max_recovery = "1s" }', { recoveryMs: SECOND, recoveryMaxMs: SECOND }],
  ])("Of a breaker: %s", (line, expected) => {
    expect(pacedEndpoint(line)?.breaker).toMatchObject(expected);
  });

  test.each([
    ['poison = "park"', { poison: { kind: "park" } }],
    ['poison = "skip"', { poison: { kind: "skip", after: null } }],
    ["poison = { skip_after = 5 }", { poison: { kind: "skip", after: 5 } }],
    [
      'ordering = "key"\nkey_rate = { per_second = 2 }',
      { ordering: "key", keyRate: { perSecond: 2, burst: 2 } },
    ],
    ["drain = { per_second = 0.5 }", { drainPerSecond: 0.5 }],
    ['disable_after = "5d"', { disableAfterMs: 5 * DAY }],
  ])("Of pacing: %s", (line, expected) => {
    expect(pacedEndpoint(line)?.pacing).toMatchObject(expected);
  });

  const HMAC = 'scheme = "hmac", header = "X-S", secret = "s"';
  const secrets = [{ value: "s" }];
  test.each([
    ['scheme = "token", header = "X-T", secret = "s"', { scheme: "token", header: "X-T", secrets }],
    ['scheme = "token", query = "t", secret = "s"', { scheme: "token", query: "t", secrets }],
    ['scheme = "basic", username = "u", password = "s"', { scheme: "basic", username: "u", secrets }],
    ['scheme = "basic", username = "u", secrets = ["s"]', { scheme: "basic", username: "u", secrets }],
    ['scheme = "stripe", secret = "s"', { scheme: "stripe", secrets, toleranceMs: 5 * MINUTE }],
    [
      'scheme = "standard", secret = "czE="',
      { scheme: "standard", secrets: [{ value: "czE=" }], toleranceMs: 5 * MINUTE },
    ],
    ['scheme = "github", secret = "s"', { scheme: "github", secrets }],
    [
      HMAC,
      {
        scheme: "hmac",
        header: "X-S",
        algorithm: "sha256",
        encoding: "hex",
        prefix: "",
        prefixOptional: false,
        template: "{body}",
        secrets,
      },
    ],
    [
      `${HMAC}, timestamp_header = "X-T", template = "{timestamp}{body}"`,
      {
        scheme: "hmac",
        header: "X-S",
        algorithm: "sha256",
        encoding: "hex",
        prefix: "",
        prefixOptional: false,
        template: "{timestamp}{body}",
        timestampHeader: "X-T",
        toleranceMs: 5 * MINUTE,
        secrets,
      },
    ],
  ])("The rule { %s } gets its defaults", (rule, expected) => {
    expect(configOf(`[[source]]\nname = "in"\nverify = { ${rule} }`).sources[0]?.verify).toEqual([
      expected as never,
    ]);
  });

  const exponential = { kind: "exponential", attemptsMax: 10, ageMaxMs: null };
  test.each([
    ['policy = "standard"', { kind: "standard" }],
    [
      'policy = "fixed"',
      { ...exponential, delayMs: 30 * SECOND, factor: 1, delayMaxMs: 30 * SECOND, jitter: 0 },
    ],
    [
      'policy = "exponential"',
      { ...exponential, delayMs: 5 * SECOND, factor: 2, delayMaxMs: HOUR, jitter: 0.2 },
    ],
    [
      'policy = "exponential", max_age = "3d", factor = 1.5',
      { ...exponential, delayMs: 5 * SECOND, factor: 1.5, delayMaxMs: HOUR, ageMaxMs: 3 * DAY, jitter: 0.2 },
    ],
    ['delays = ["5s", "5m"]', { kind: "ladder", delaysMs: [5 * SECOND, 5 * MINUTE], jitter: 0 }],
    ["delays = []", { kind: "ladder", delaysMs: [], jitter: 0 }],
  ])("retry = { %s } gets its defaults", (retry, expected) => {
    const text = `[[endpoint]]\nname = "app"\nurl = "https://x/"\nretry = { ${retry} }`;
    expect(configOf(text).endpoints[0]?.retry).toEqual(expected as never);
  });

  test("The window of dedupe is a day, and single selectors are lists of one", () => {
    const dedupe = 'dedupe.by = ["header:Idempotency-Key", ["json:a.b", "json:c"]]';
    expect(configOf(`[[source]]\nname = "in"\nverify.scheme = "none"\n${dedupe}`).sources[0]?.dedupe).toEqual(
      {
        selectors: [
          [{ kind: "header", name: "idempotency-key" }],
          [
            { kind: "json", path: ["a", "b"] },
            { kind: "json", path: ["c"] },
          ],
        ],
        windowMs: DAY,
      },
    );
  });
});

describe("Values that follow others", () => {
  test.each([
    ["", "ws://127.0.0.1:8420"],
    ['api_url = "https://hooks.example.com"', "wss://hooks.example.com"],
    ['tls = { listen = "0.0.0.0:8443", cert = "c.pem", key = "k.pem" }', "wss://127.0.0.1:8443"],
    [
      'api_url = "http://api.example.com"\ntls = { listen = "0.0.0.0:8443", cert = "c.pem", key = "k.pem" }',
      "wss://api.example.com:8443",
    ],
  ])("WebSockets are opened at the API's host, over TLS if there is any: %s", (keys, url) => {
    expect(
      configOf(`[server]\n${keys}\n[[project]]\nid = "default"\napi_keys = ["${"k".repeat(20)}"]`).server
        .socketUrl,
    ).toBe(url);
  });

  test.each([
    ["0.0.0.0:80", "http://127.0.0.1:80"],
    ["[::]:80", "http://[::1]:80"],
    ["[::1]:80", "http://[::1]:80"],
    ["localhost:80", "http://localhost:80"],
  ])("The URLs of a server on %s start with %s", (listen, url) => {
    const { publicUrl, apiUrl } = configOf(`[server]\nlisten = "${listen}"`).server;
    expect([publicUrl, apiUrl]).toEqual([url, url]);
  });

  test("A base URL loses its trailing slash and keeps its path", () => {
    expect(configOf('[server]\npublic_url = "https://h/base/"').server.publicUrl).toBe("https://h/base");
  });

  test("Sources and endpoints follow the limits of server and egress unless they set their own", () => {
    const { sources, endpoints } = configOf(`
      [server]
      max_body = "2KiB"
      [egress]
      timeout = "7s"
      [[source]]
      name = "a"
      verify.scheme = "none"
      [[source]]
      name = "b"
      verify.scheme = "none"
      max_body = "1KiB"
      [[endpoint]]
      name = "a"
      url = "https://x/"
      [[endpoint]]
      name = "b"
      url = "https://x/"
      timeout = "8s"
      rate.per_second = 0.5
    `);
    expect(sources.map(({ maxBodyBytes }) => maxBodyBytes)).toEqual([2_048, 1_024]);
    expect(endpoints.map(({ timeoutMs }) => timeoutMs)).toEqual([7 * SECOND, 8 * SECOND]);
    expect(endpoints[1]?.rate).toEqual({ perSecond: 0.5, burst: 1 });
  });

  test("Absolute paths stay, relative ones start at the config file", () => {
    const { path, masterKey } = configOf('[store]\npath = "../db"\nmaster_key.file = "/var/key"').store;
    expect([path, masterKey]).toEqual(["/etc/db", { kind: "file", path: "/var/key" }]);
  });
});

test("The configuration is frozen all the way down", () => {
  const config = configOf('[[endpoint]]\nname = "a"\nurl = "https://x/"\nheaders.X-A = "1"');
  const thawed: unknown[] = [];
  const visit = (value: unknown) => {
    if (typeof value !== "object" || value === null) return;
    if (!Object.isFrozen(value)) thawed.push(value);
    Object.values(value).forEach(visit);
  };
  visit(config);
  expect(thawed).toEqual([]);
});

describe("A file on disk", () => {
  test("is read, with secret files beside it", () => {
    const folder = mkdtempSync(join(tmpdir(), "postern-config-"));
    try {
      const path = join(folder, "config.toml");
      writeFileSync(path, '\ufeff[[project]]\r\nid = "default"\r\napi_keys = [{ file = "key" }]\r\n');
      writeFileSync(join(folder, "key"), "0123456789abcdef\n");
      const loaded = loadConfig({
        path,
        env: {},
        judgeSource: checkSource,
        judgeEndpoint: checkSigning,
        judgeSchedule: checkSchedule,
      });
      expect(loaded.ok && loaded.config.projects[0]?.apiKeys[0]?.key).toBe("0123456789abcdef");
      expect(loaded.ok && loaded.config.store.path).toBe(join(folder, "postern.db"));
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test("that is missing or no text is an error without a line", () => {
    const folder = mkdtempSync(join(tmpdir(), "postern-config-"));
    try {
      const path = join(folder, "config.toml");
      const message = () => {
        const loaded = loadConfig({
          path,
          env: {},
          judgeSource: checkSource,
          judgeEndpoint: checkSigning,
          judgeSchedule: checkSchedule,
        });
        return loaded.ok ? [] : loaded.errors.map((issue) => [issue.line, issue.message]);
      };
      expect(message()).toEqual([[0, "cannot be read (ENOENT)"]]);
      writeFileSync(path, new Uint8Array([0xff, 0xfe, 0x00]));
      expect(message()).toEqual([[0, "cannot be read (not UTF-8 text)"]]);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
