/**
 * Requests that nobody means, to every route of every door: never a 5xx, never another door's envelope, and
 * nothing stored by what is refused. POSTERN_FUZZ_RUNS says how many; POSTERN_FUZZ_SEED searches elsewhere.
 */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { fill, keyHeaders, type ServedRoute, servedBy, startAllDoors } from "../support/all-doors.ts";
import { KEYS, type TestApp } from "../support/test-app.ts";

const RUNS = Number(process.env.POSTERN_FUZZ_RUNS ?? 20_000);
const SEED = Number(process.env.POSTERN_FUZZ_SEED ?? 20_261_101);
const LIMIT_MS = 600_000;

/** These move time or seal everything anew, and are tested elsewhere. */
const LEFT_OUT = /\/clock\/advance|\/master-key|\/reload|\/tail/;
/** Polling answers when there is something. */
const WAITING = /\/listen$/;

const DEEP = 200_000;
/** Of what was made so far, the newest. */
const IDS_MAX = 200;
const WORDS = [
  "id",
  "name",
  "url",
  "type",
  "data",
  "endpoint_id",
  "payload",
  "headers",
  "path",
  "postAt",
  "postIn",
  "data",
  "functions",
  "task",
  "schedule",
  "cron",
  "every",
  "at",
  "endpoint",
  "event_type",
  "tenant_id",
  "subscriptions",
  "target_url",
  "ids",
  "filter",
  "retryOverride",
  "idempotency_key",
  "delay",
  "timezone",
  "body",
  "secret",
  "scheme",
  "mode",
  "limit",
  "message_ids",
  "start_time",
  "end_time",
  "since",
  "until",
  "retries",
  "options",
  "concurrency",
  "sign",
  "retry",
  "rate",
  "eventTypes",
  "scope",
  "project",
  "label",
  "config",
  "enabled",
  "tenant",
  "states",
  "action",
  "actions",
  "description",
  "hmac_header_name",
  "static_token",
  "signature",
  "response_code",
  "__proto__",
  "constructor",
  "toString",
  "endpointUrl",
  "domain",
  "trigger",
  "threshold",
] as const;
const TEXTS = [
  "",
  " ",
  "\u0000",
  "\ud800",
  "a".repeat(5_000),
  "https://receiver.example/x",
  "http://169.254.169.254/",
  "http://[::1]/",
  "1e999",
  "2026-01-01T00:00:00Z",
  "9999999-01-01",
  "P1D",
  "10s",
  "-1s",
  "99999999999d",
  "* * * * *",
  "0 0 31 2 *",
  "Europe/Berlin",
  "../../etc/passwd",
  "order.*",
  "*",
  "default",
  "app",
  "native",
  "standard",
  "outbound",
  "%00",
  "%ff",
  "https://us%ffer:x@receiver.example",
  "https://receiver.example:99999",
  "javascript:alert(1)",
  "once",
  "all",
] as const;
const NUMBERS = [
  0,
  -1,
  1,
  1.5,
  1e308,
  2 ** 53,
  -(2 ** 53),
  8.64e15,
  8.65e15,
  1e21,
  Number.MIN_VALUE,
] as const;
const ODD_TEXTS = [
  "",
  "{",
  "}",
  "null",
  "[]",
  "[[[[",
  '{"a":1,"a":2}',
  '{"__proto__":{"x":1}}',
  "\ufeff{}",
  "{}{}",
  "NaN",
  '"text"',
  "1",
  "-",
  '{"a":1e999}',
  "[".repeat(DEEP),
  `${"[".repeat(DEEP)}${"]".repeat(DEEP)}`,
  `${'{"payload":'.repeat(60_000)}1${"}".repeat(60_000)}`,
  `{"payload":${"[".repeat(120)}${"]".repeat(120)}}`,
  `{"n":${"9".repeat(10_000)}}`,
  "x".repeat(70_000),
  "\u0000",
  " ".repeat(70_000),
] as const;
const SEGMENTS = [
  "app",
  "default",
  "x",
  "%",
  "%2F",
  "%00",
  "%ff",
  "a".repeat(3_000),
  "__proto__",
  "constructor",
  "null",
  "0197a1b2-0000-7000-8000-00000000abcd",
  "0197a1b200007000800000000000abcd",
  "ep_0197a1b200007000800000000000abcd",
  "dlv_0197a1b200007000800000000000abcd",
  "evt_0197a1b200007000800000000000abcd",
  "-1",
  "9".repeat(40),
  "é",
  "a b",
  "'",
] as const;
const QUERIES = [
  "",
  "?",
  "?limit=0",
  "?limit=-1",
  "?limit=1e9",
  "?limit=99999999999999999999",
  "?cursor=x",
  "?cursor=%ff",
  "?after=x",
  "?offset=1000000",
  "?since=x",
  "?since=9999999999999",
  "?limit=1&limit=2",
  "?__proto__=1",
  "?q=%25%5f%27%22",
  "?q=a",
  "?page=0",
  "?page=1000000&limit=500",
  "?hours=99999&buckets=1000",
  "?status=toString",
  "?state=constructor",
  "?sortBy=__proto__",
  "?start_time=x&end_time=y",
  "?dateFrom=275760-09-13&dateTo=-271821-04-20",
  "?%=%&&==",
  "?interval=x",
  "?dateTo=%2B275760-09-13T00:00:00.000Z",
  "?postAtBefore=9999-12-31T23:59:59Z",
  `?${"a=1&".repeat(2_000)}`,
  "?type=*",
] as const;
const METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"] as const;

const value: fc.Arbitrary<unknown> = fc.letrec((tie) => ({
  value: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    fc.constantFrom(...TEXTS),
    fc.constantFrom(...NUMBERS),
    fc.constantFrom(true, false, null),
    fc.array(tie("value"), { maxLength: 3 }),
    fc.dictionary(fc.constantFrom(...WORDS), tie("value"), { maxKeys: 4 }),
  ),
})).value;

const BODY = fc.oneof(
  { weight: 1, arbitrary: fc.constantFrom(...ODD_TEXTS).map((text) => Buffer.from(text)) },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)) },
  {
    weight: 4,
    arbitrary: fc
      .dictionary(fc.constantFrom(...WORDS), value, { minKeys: 1, maxKeys: 8 })
      .map((members) => Buffer.from(JSON.stringify(members))),
  },
);

/** What each of these routes takes; the fuzz changes a member or two. */
const VALID: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  "POST /_/api/events": { type: "order.paid", data: { n: 1 }, tenant: "acme", id: "x", orderingKey: "k" },
  "POST /_/api/endpoints": { name: "made", url: "https://receiver.example/x", headers: { "X-A": "b" } },
  "PATCH /_/api/endpoints/:id": { url: "https://receiver.example/y", concurrency: 4, timeoutMs: 1_000 },
  "POST /_/api/subscriptions": { name: "made", endpoint: "app", eventTypes: ["*"], tenant: "acme" },
  "POST /_/api/schedules": { name: "made", endpoint: "app", every: "1h", json: { n: 1 }, timezone: "UTC" },
  "POST /_/api/schedules/preview": { cron: "0 3 * * *", timezone: "Europe/Berlin", count: 3 },
  "POST /_/api/deliveries": { endpoint: "app", at: "2030-01-01T00:00:00Z", json: { n: 1 } },
  "POST /_/api/bulk": { action: "replay", filter: { state: "dead", endpoint: "app" }, dryRun: true },
  "POST /_/api/keys": { label: "made", scope: "read" },
  "POST /v1/endpoints": { url: "https://receiver.example/z", description: "d", rate_limit_per_minute: 60 },
  "POST /v1/webhooks/send": { endpoint_id: "ep_x", payload: { n: 1 }, idempotency_key: "k", headers: {} },
  "POST /v1/inbound-endpoints": { mode: "cli", name: "made", hmac_header_name: "X-S", hmac_secret: "abc" },
  "POST /v1/pull-endpoints": { name: "made" },
  "POST /v1/exports": {
    start_time: "2026-01-01T00:00:00Z",
    end_time: "2026-01-02T00:00:00Z",
    status: "failed",
  },
  "POST /v1/api-keys": { mode: "live", label: "made" },
  "POST /v1/projects": { name: "made" },
  "POST /v1/hooks": {
    path: "/x",
    postIn: "1h",
    data: { n: 1 },
    retryOverride: { minRetries: 1, delaySecs: 5 },
  },
  "POST /v1/hooks/bulk/cancel": { hookIDs: ["x"], startTime: "2026-01-01T00:00:00Z", limit: 5 },
  "POST /api/v1/register": {
    functions: [{ name: "f", type: "cron", schedule: "* * * * *", options: { retries: 1, timeout: "5m" } }],
    endpoint_url: "https://receiver.example/pingback",
  },
  "POST /api/v1/trigger": { task: "f", payload: { n: 1 }, delay: "5m" },
  "POST /api/v1/jobs": { name: "j", schedule: "0 3 * * *", retries: 1, timeoutSeconds: 5, concurrency: 1 },
  "POST /api/v1/projects": { name: "made", endpointUrl: "https://receiver.example/p", domain: "d" },
  "POST /api/v1/callbacks/configs": {
    tenant_id: "acme",
    subscriptions: [{ event_type: "*", target_url: "https://receiver.example/c", headers: { "X-A": "b" } }],
    authorized_domains: [{ domain: "receiver.example" }],
    backoff_ms: 5,
  },
  "POST /api/v1/callbacks/dispatch": { tenant_id: "acme", event_type: "OrderPlaced", payload: { n: 1 } },
};

interface Draft {
  /** How much of a valid body is changed. */
  readonly changes: Readonly<Record<string, unknown>>;
  readonly swap: readonly unknown[];
  /** Which of the ids seen so far stands in the path; null: the segment does. */
  readonly known: number | null;
  readonly route: number;
  readonly method: string | null;
  readonly segment: string;
  readonly twist: string;
  readonly query: string;
  readonly body: Buffer;
  readonly key: string;
}

const DRAFT: fc.Arbitrary<Draft> = fc.record({
  changes: fc.dictionary(fc.constantFrom(...WORDS), value, { maxKeys: 1 }),
  swap: fc.array(value, { maxLength: 2 }),
  known: fc.option(fc.nat(), { freq: 3 }),
  route: fc.nat(),
  method: fc.oneof(
    { weight: 8, arbitrary: fc.constant(null) },
    { weight: 1, arbitrary: fc.constantFrom(...METHODS) },
  ),
  segment: fc.constantFrom(...SEGMENTS),
  twist: fc.constantFrom("", "", "", "", "", "", "/", "//", "/x", "%20"),
  query: fc.constantFrom("", "", ...QUERIES),
  body: BODY,
  key: fc.constantFrom(KEYS.admin, KEYS.admin, KEYS.other, KEYS.read),
});

/** Whether a text is an error in the words of the door. */
const ENVELOPES: Readonly<Record<string, (json: Record<string, unknown>) => boolean>> = {
  "native API": isNative,
  "PyFly callbacks": isNative,
  HookBridge: ({ error, meta }) => isObject(error) && typeof error.code === "string" && isObject(meta),
  Pingback: ({ statusCode }) => typeof statusCode === "number",
  Posthook: ({ error }) => typeof error === "string",
};

function isNative({ error, requestId }: Record<string, unknown>): boolean {
  return isObject(error) && typeof error.code === "string" && typeof requestId === "string";
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

/** Every text under a name that ends in "id", wherever it stands in an answer. */
function idsIn(json: unknown): string[] {
  if (!isObject(json)) return [];
  return Object.entries(json).flatMap(([name, item]) =>
    typeof item === "string" && /id$/i.test(name) && !/request/.test(name) ? [item] : idsIn(item),
  );
}

/** A valid body with a member or two put in the place of others, or the odd one. */
function bodyOf({ method, path }: ServedRoute, { changes, swap, body }: Draft, ids: readonly string[]) {
  const valid = VALID[`${method} ${path}`];
  if (valid === undefined || swap.length === 2) return body;
  const members: Record<string, unknown> = { ...valid, ...changes };
  const names = Object.keys(members);
  if (swap.length === 1) members[names[body.length % names.length] ?? "x"] = swap[0];
  else if (body.length % 2 === 0) members.endpoint_id = ids.find((id) => id.startsWith("ep_"));
  return Buffer.from(JSON.stringify(members));
}

async function send(app: TestApp, route: ServedRoute, draft: Draft, ids: string[]) {
  const { door, method: usual, path } = route;
  const method = draft.method ?? usual;
  const known = draft.known === null ? undefined : ids[draft.known % ids.length];
  const url = `${fill(path, known ?? draft.segment)}${draft.twist}${draft.query}`;
  const hasBody = method !== "GET" && method !== "HEAD";
  const headers = { ...keyHeaders(door, draft.key), "content-type": "application/json" };
  const init = { method, headers, ...(hasBody ? { body: new Uint8Array(bodyOf(route, draft, ids)) } : {}) };
  const response = await app.request(url, init);
  const text = response.headers.get("content-type") === "application/x-ndjson" ? "" : await response.text();
  if (response.status < 300) ids.unshift(...idsIn(readJson(text)).slice(0, 3));
  ids.length = Math.min(ids.length, IDS_MAX);
  return { line: `${method} ${url.slice(0, 200)}`, status: response.status, text, method };
}

function readJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** What is wrong with an answer, or null. */
function faultOf(door: string, { status, text, method }: Awaited<ReturnType<typeof send>>): string | null {
  if (status >= 500) return `answered ${status}: ${text}`;
  if (status < 400 || method === "HEAD") return null;
  const json = readJson(text);
  if (isObject(json) && ENVELOPES[door]?.(json)) return null;
  return `answered ${status} in no envelope of ${door}: ${text.slice(0, 200)}`;
}

test(
  `${RUNS} requests that nobody means are refused in the right words, and change nothing (seed ${SEED})`,
  async () => {
    await using all = await startAllDoors();
    const { app } = all;
    const routes = servedBy(all.doors).filter(({ path }) => !LEFT_OUT.test(path) && !WAITING.test(path));
    const statuses = new Map<number, number>();
    const faults = new Map<string, string>();
    const ids: string[] = [];
    for (const draft of fc.sample(DRAFT, { numRuns: RUNS, seed: SEED })) {
      const route = routes[draft.route % routes.length] as ServedRoute;
      await app.settle();
      const before = app.store.counts().items;
      const answer = await send(app, route, draft, ids);
      statuses.set(answer.status, (statuses.get(answer.status) ?? 0) + 1);
      const fault = faultOf(route.door, answer);
      const wrote = app.store.counts().items - before;
      // A 404, 409 or 410 may be found out by the write itself.
      const isQuiet = ![400, 401, 403, 405, 413, 422].includes(answer.status) || wrote === 0;
      const words = fault ?? (isQuiet ? null : `answered ${answer.status} and wrote ${wrote}`);
      if (words === null) continue;
      const body = draft.body.toString().slice(0, 300);
      faults.set(`${route.method} ${route.path}`, `${answer.line} ${body}\n  ${words}`);
    }
    process.stdout.write(`${JSON.stringify(Object.fromEntries([...statuses].sort()))}\n`);
    expect([...faults.values(), ...app.logged.filter(({ event }) => event === "http.failed")]).toEqual([]);
    expect((await app.request("/healthz")).status).toBe(200);
  },
  LIMIT_MS,
);
