/**
 * Every key of the configuration file, with its type and default, in the file's own words. The types of
 * what comes out are derived with Static; config.ts holds the shape that the rest of the program sees and
 * convert.ts leads there.
 *
 * Two annotations go beyond JSON Schema, and decode.ts reads both: `exactlyOne` lists keys of which one
 * must stand, `expected` replaces the description that error messages would otherwise make of a type.
 */

import { type Static, type TSchema, Type } from "@sinclair/typebox";
import { Hookbridge } from "./dialect-schema.ts";
import { EGRESS_KEYS, ProjectEgress } from "./egress-schema.ts";
import { PACING_KEYS } from "./pacing-schema.ts";
import { Posthook } from "./posthook.ts";
import { CallbackConfig, Pyfly } from "./pyfly-schema.ts";
import { count, ONE_SECRET, oneOf, Rate, secretKeys, secretOf } from "./schema-parts.ts";
import { SignRule } from "./sign-schema.ts";
import {
  anyTable,
  anyText,
  baseUrl,
  cidr,
  dedupeSelector,
  duration,
  extraHeaderName,
  filePath,
  headerValue,
  hostOrCidr,
  httpUrl,
  listen,
  moment,
  name,
  nameOrUrl,
  nonEmpty,
  proxyUrl,
  SECRET,
  secretFile,
  secretText,
  selector,
  size,
  targetName,
  tenant,
  timeZone,
  typePattern,
} from "./values.ts";
import { VerifyRule } from "./verify-schema.ts";

/** The request size at which the server itself gives up, before any of our own limits is asked. */
const BODY_MAX = "16MiB";
const Server = Type.Object(
  {
    listen: listen({ default: "127.0.0.1:8420" }),
    ingest_listen: Type.Optional(listen()),
    metrics_listen: Type.Optional(listen()),
    tls: Type.Optional(Type.Object({ listen: listen(), cert: filePath(), key: filePath() })),
    public_url: Type.Optional(baseUrl()),
    api_url: Type.Optional(baseUrl()),
    trusted_proxies: Type.Array(cidr(), { default: ["127.0.0.1/32"] }),
    max_body: size({ default: "1MiB", max: BODY_MAX }),
    read_timeout: duration({ default: "10s" }),
    drain_timeout: duration({ default: "10s", minMs: 0 }),
  },
  { default: {} },
);

const Retention = Type.Object(
  {
    events: duration({ default: "7d" }),
    delivered: duration({ default: "7d" }),
    dead: duration({ default: "30d" }),
    rejections: duration({ default: "7d" }),
    logs: duration({ default: "14d" }),
    metrics: duration({ default: "31d" }),
  },
  { default: {} },
);

const MasterKey = Type.Union([secretText(SECRET.masterKey), Type.Object({ file: filePath() })]);

const Store = Type.Object(
  {
    path: filePath({ default: "postern.db" }),
    durability: oneOf(["fsync", "relaxed"], { default: "fsync" }),
    master_key: { ...MasterKey, default: { file: "postern.key" } },
    master_key_old: Type.Optional(MasterKey),
    retention: Retention,
    max_disk: size({ default: "10GiB", min: "1MiB" }),
  },
  { default: {} },
);

const Egress = Type.Object(
  {
    allow_private: Type.Array(hostOrCidr(), { default: ["localhost", "127.0.0.0/8", "::1"] }),
    timeout: duration({ default: "30s" }),
    // Bun has at most 65,535 requests in flight; the rest is room for lookups and for what else may fetch.
    max_in_flight: Type.Integer({ minimum: 1, maximum: 60_000, default: 1_024 }),
    proxy: proxyUrl({ default: "" }),
  },
  { default: {} },
);

const LogLevel = oneOf(["debug", "info", "warn", "error"], { default: "info" });
const Log = Type.Object({ level: LogLevel }, { default: {} });
const Dev = Type.Object({ echo: Type.Boolean({ default: false }) }, { default: {} });

const Scope = oneOf(["ingest", "read", "admin"], { default: "admin" });
const ApiKey = Type.Object(
  {
    key: Type.Optional(secretText(SECRET.apiKey)),
    file: Type.Optional(secretFile(SECRET.apiKey)),
    label: Type.Optional(nonEmpty("a non-empty label")),
    scope: Scope,
  },
  { exactlyOne: [["key", "file"]] },
);

const Pingback = Type.Object({
  endpoint_url: Type.Optional(httpUrl()),
  pin_endpoint: Type.Boolean({ default: false }),
  cron_secret: Type.Optional(secretText(SECRET.any)),
  timezone: timeZone({ default: "UTC" }),
  max_timeout: duration({ default: "1h" }),
});

const DeadLetters = Type.Object(
  { count: Type.Integer({ minimum: 1, maximum: 10_000, default: 100 }), window: duration({ default: "1h" }) },
  { default: {} },
);

const Project = Type.Object({
  id: name(),
  api_keys: Type.Array(Type.Union([secretText(SECRET.apiKey), ApiKey]), { default: [] }),
  dead_letters: DeadLetters,
  pyfly: Type.Optional(Pyfly),
  hookbridge: Type.Optional(Hookbridge),
  posthook: Type.Optional(Posthook),
  egress: Type.Optional(ProjectEgress),
  pingback: Type.Optional(Pingback),
});

const Dedupe = Type.Object({
  by: Type.Array(Type.Union([dedupeSelector(), Type.Array(dedupeSelector(), { minItems: 1 })]), {
    minItems: 1,
    expected: 'a list such as ["header:Idempotency-Key", "json:id"]',
  }),
  window: duration({ default: "24h" }),
});

/** Those of slack, zoom and discord follow from their scheme. */
const Challenge = Type.Union([
  Type.Object({ scheme: Type.Literal("meta"), verify_token: secretOf(SECRET.any) }),
  Type.Object({ scheme: Type.Literal("x"), ...secretKeys(SECRET.any) }, ONE_SECRET),
]);

const Respond = Type.Object(
  {
    status: Type.Integer({ minimum: 200, maximum: 299, default: 202 }),
    headers: Type.Record(Type.String(), headerValue(), { keys: extraHeaderName(), default: {} }),
    body: Type.Optional(anyText({})),
  },
  { default: {} },
);

const FilteredTarget = Type.Object(
  {
    endpoint: Type.Optional(name()),
    events: Type.Optional(tenant()),
    function: Type.Optional(nonEmpty("the name of a function")),
    when: anyTable("a table of conditions"),
  },
  { exactlyOne: [["endpoint", "events", "function"]] },
);

const Source = Type.Object({
  project: name({ default: "default" }),
  name: name(),
  verify: Type.Union([VerifyRule, Type.Array(VerifyRule, { minItems: 1 })], {
    expected: 'a table such as { scheme = "hmac", ... }, a list of them, or { scheme = "none" }',
  }),
  challenge: Type.Optional(Challenge),
  allow_cidrs: Type.Array(cidr(), { default: [] }),
  rate: Type.Optional(Rate),
  dedupe: Type.Optional(Dedupe),
  event_type: Type.Optional(selector()),
  ordering_key: Type.Optional(selector()),
  mode: Type.Optional(oneOf(["forward", "pull"])),
  to: Type.Optional(Type.Array(Type.Union([targetName(), FilteredTarget]))),
  pause: oneOf(["refuse", "accept"], { default: "refuse" }),
  respond: Respond,
  methods: Type.Array(oneOf(["GET", "POST", "PUT", "PATCH", "DELETE"]), { minItems: 1, default: ["POST"] }),
  max_body: Type.Optional(size({ max: BODY_MAX })),
});

const RetryRule = Type.Union(
  [
    Type.Object({ policy: Type.Literal("standard") }),
    Type.Object({
      policy: Type.Literal("fixed"),
      delay: duration({ default: "30s", minMs: 0 }),
      max_attempts: count(10),
    }),
    Type.Object({
      policy: Type.Literal("exponential"),
      delay: duration({ default: "5s" }),
      factor: Type.Number({ minimum: 1, maximum: 100, default: 2 }),
      max_delay: duration({ default: "1h" }),
      max_attempts: count(10),
      max_age: Type.Optional(duration()),
      jitter: Type.Number({ minimum: 0, maximum: 1, default: 0.2 }),
    }),
    Type.Object({ delays: Type.Array(duration({ minMs: 0 })) }),
  ],
  {
    default: { policy: "standard" },
    expected: 'a table such as { policy = "standard" } or { delays = ["5s", "5m"] }',
  },
);

const Ack = Type.Object({
  deadline: duration({ default: "5m" }),
  max_deadline: duration({ default: "24h" }),
});

const Endpoint = Type.Object({
  project: name({ default: "default" }),
  name: name(),
  url: httpUrl(),
  sign: Type.Array(SignRule, { default: [] }),
  headers: Type.Record(Type.String(), headerValue(), { keys: extraHeaderName(), default: {} }),
  retry: RetryRule,
  concurrency: count(16),
  rate: Type.Optional(Rate),
  timeout: Type.Optional(duration()),
  ack: Type.Optional(Ack),
  result_to: Type.Optional(nameOrUrl()),
  ...EGRESS_KEYS,
  ...PACING_KEYS,
});

const Subscription = Type.Object({
  project: name({ default: "default" }),
  name: name(),
  event_types: Type.Array(typePattern(), { minItems: 1, expected: 'a list such as ["invoice.*"]' }),
  tenant: tenant({ default: "" }),
  endpoint: name(),
});

const ALERT_TYPES = [
  "endpoint.opened",
  "endpoint.recovered",
  "endpoint.disabled",
  "dead_letters.threshold",
] as const;

const Alert = Type.Object({
  project: name({ default: "default" }),
  name: name(),
  on: Type.Array(oneOf(ALERT_TYPES), { minItems: 1, default: [...ALERT_TYPES] }),
  endpoint: name(),
});

const Missed = Type.Union(
  [
    oneOf(["skip", "once", "all"]),
    Type.Object({
      policy: Type.Literal("all"),
      max: Type.Integer({ minimum: 1, maximum: 1_000, default: 100 }),
      max_age: duration({ default: "7d" }),
    }),
  ],
  { default: "once", expected: '"skip", "once", "all", or { policy = "all", max = 100, max_age = "7d" }' },
);

const Schedule = Type.Object({
  project: name({ default: "default" }),
  name: name(),
  cron: Type.Optional(nonEmpty('a cron expression such as "0 3 * * *"')),
  every: Type.Optional(nonEmpty('a duration such as "15m"')),
  at: Type.Optional(moment()),
  timezone: Type.Optional(nonEmpty("an IANA time zone such as Europe/Berlin")),
  start: Type.Optional(moment()),
  end: Type.Optional(moment()),
  jitter: Type.Optional(nonEmpty('a duration such as "5m"')),
  missed: Missed,
  overlap: Type.Optional(oneOf(["skip", "queue", "allow"])),
  concurrency: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000 })),
  endpoint: name(),
  body: Type.Optional(Type.Union([anyText({}), anyTable("a text, or a table that is sent as JSON")])),
  headers: Type.Record(Type.String(), headerValue(), { keys: extraHeaderName(), default: {} }),
});

function tables<T extends TSchema>(item: T, header: string) {
  return Type.Array(item, { default: [], expected: `one or more [[${header}]] tables` });
}

export const ConfigSchema = Type.Object({
  server: Server,
  store: Store,
  egress: Egress,
  log: Log,
  dev: Dev,
  project: tables(Project, "project"),
  source: tables(Source, "source"),
  endpoint: tables(Endpoint, "endpoint"),
  subscription: tables(Subscription, "subscription"),
  alert: tables(Alert, "alert"),
  callback_config: tables(CallbackConfig, "callback_config"),
  schedule: tables(Schedule, "schedule"),
});

/**
 * The file's own shape after every text was read and every default filled in. Only convert.ts and checks.ts
 * see it.
 */
export type Declared = Static<typeof ConfigSchema>;
export type DeclaredSecret = Static<ReturnType<typeof secretOf>>;
export type DeclaredRetry = Static<typeof RetryRule>;

export type ApiKeyScope = Static<typeof Scope>;
export type Durability = Declared["store"]["durability"];
export type LogConfig = Readonly<Static<typeof Log>>;
