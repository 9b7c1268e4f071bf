import { describe, expect, test } from "bun:test";
import { PINGBACK } from "../../src/dialects/pingback/dialect.ts";
import { secretName } from "../../src/domain/signature/signing-keys.ts";
import { KEYS, startTestApp, type TestApp } from "../support/test-app.ts";

const OPTIONS = {
  endpoints: [{ name: "app", retry: { kind: "ladder", delaysMs: [], jitter: 0 } }],
  sources: [
    { name: "orders", to: ["app"] },
    { name: "pulled", mode: "pull" },
  ],
  subscriptions: [{ name: "all-orders" }],
} as const;

interface Operation {
  readonly operationId: string;
  readonly summary: string;
  readonly tags: readonly string[];
  readonly parameters: readonly { readonly name: string; readonly in: string; readonly schema: object }[];
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema: object }>> };
  readonly responses: Readonly<
    Record<string, { description: string; content: Record<string, { schema: object }> }>
  >;
}

interface Schema {
  readonly properties: Readonly<Record<string, { readonly anyOf?: readonly { readonly type: string }[] }>>;
}

interface Document {
  readonly tags: readonly { readonly name: string }[];
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, Schema>> };
}

async function readDocument(app: TestApp): Promise<Document> {
  const response = await app.request("/_/api/openapi.json", { key: KEYS.read });
  return (await response.json()) as Document;
}

function operations(document: Document): { path: string; method: string; operation: Operation }[] {
  return Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
  );
}

/** Every member of every object in the document, with its key. */
function* members(value: unknown): Generator<[string, unknown]> {
  if (typeof value !== "object" || value === null) return;
  for (const [key, inner] of Object.entries(value)) {
    yield [key, inner];
    yield* members(inner);
  }
}

/** What a path of keys leads to; undefined when it leads nowhere. */
function follow(value: unknown, steps: readonly string[]): unknown {
  return steps.reduce<unknown>(
    (at, step) => (at as Readonly<Record<string, unknown>> | undefined)?.[step],
    value,
  );
}

describe("the OpenAPI document", () => {
  test("is 3.1 and says how to authenticate", async () => {
    await using app = await startTestApp(OPTIONS);
    const document = await readDocument(app);
    expect(document).toMatchObject({
      openapi: "3.1.0",
      info: { title: "Postern", version: "1.2.3" },
      servers: [{ url: "http://api.example" }],
      security: [{ bearer: [] }, { apiKey: [] }],
    });
  });

  test("holds every route and nothing else", async () => {
    await using app = await startTestApp(OPTIONS);
    const documented = operations(await readDocument(app)).map(({ path, method }) => `${method} ${path}`);
    const mounted = app.routes.map(
      ({ method, path }) => `${method.toLowerCase()} /_/api${path.replace(":id", "{id}")}`,
    );
    expect(documented.sort()).toEqual(mounted.sort());
    expect(documented.length).toBeGreaterThan(40);
  });

  test("describes every operation completely", async () => {
    await using app = await startTestApp(OPTIONS);
    const document = await readDocument(app);
    const all = operations(document);
    for (const { path, operation } of all) {
      expect(operation.summary).toBeTruthy();
      expect(document.tags.map(({ name }) => name)).toContain(operation.tags[0] ?? "");
      const named = operation.parameters.filter((parameter) => parameter.in === "path");
      expect(named.map(({ name }) => `{${name}}`)).toEqual(path.match(/\{\w+\}/g) ?? []);
      for (const parameter of operation.parameters) expect(parameter.schema).toBeObject();
      if (operation.requestBody) {
        expect(operation.requestBody.content["application/json"]?.schema).toBeObject();
      }
      for (const status of ["200", "400", "401", "403", "500"]) {
        expect(operation.responses[status]?.content["application/json"]?.schema).toBeObject();
        expect(operation.responses[status]?.description).toBeTruthy();
      }
    }
    const ids = all.map(({ operation }) => operation.operationId);
    expect(new Set(ids).size).toBe(ids.length);
  });

  test("refers only to what it holds, and holds no trace of how it was made", async () => {
    await using app = await startTestApp(OPTIONS);
    const document = await readDocument(app);
    for (const [key, value] of members(document)) {
      expect(key).not.toBe("$id");
      if (key !== "$ref") continue;
      const [root, ...steps] = (value as string).split("/");
      expect(root).toBe("#");
      expect(follow(document, steps)).toBeObject();
    }
  });

  test("writes closed sets as enums and instants as date-time", async () => {
    await using app = await startTestApp(OPTIONS);
    const { components } = await readDocument(app);
    const { state, createdAt, dueAt } = components.schemas.Delivery?.properties ?? {};
    expect(state).toMatchObject({ type: "string", enum: expect.arrayContaining(["queued", "dead"]) });
    expect(createdAt).toMatchObject({ type: "string", format: "date-time" });
    expect(dueAt?.anyOf?.map(({ type }) => type)).toEqual(["string", "null"]);
  });
});

const schedule = (name: string) => JSON.stringify({ name, endpoint: "app", every: "1h" });
const SECRET = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
const endpoint = (name: string) =>
  JSON.stringify({
    ...{ name, url: "https://receiver.test/" },
    sign: [{ scheme: "standard", secrets: [{ value: SECRET }] }],
  });
const BODIES: Readonly<Record<string, string>> = {
  fetchStored: '{"limit":5}',
  publishEvent: '{"type":"a","data":1}',
  createEndpoint: endpoint("made"),
  updateEndpoint: '{"concurrency":2}',
  addSigningSecret: '{"scheme":"standard-ed25519"}',
  rotateSigningSecret: "{}",
  removeSigningSecret: JSON.stringify({ id: secretName({ value: SECRET }) }),
  createSubscription: '{"name":"made","eventTypes":["a.*"],"endpoint":"app"}',
  updateSubscription: '{"tenant":"acme"}',
  createProject: '{"name":"made"}',
  createKey: "{}",
  advanceClock: '{"by":"1s"}',
  createBulk: '{"action":"discard","filter":{"type":"none"}}',
  createDelivery: '{"endpoint":"app","delay":"1h"}',
  rescheduleDelivery: '{"delay":"2h"}',
  createSchedule: schedule("beat"),
  updateSchedule: '{"every":"2h"}',
  previewScheduleOfBody: '{"every":"1h"}',
};
const QUERIES: Readonly<Record<string, string>> = { previewSchedule: "?every=1h", tail: "?wait=no" };

/** There from the start, or made by the routes that come before these. */
const KNOWN = {
  getSubscription: "all-orders",
  peekStored: "pulled",
  fetchStored: "pulled",
  acknowledgeFetched: "pulled",
  deleteSchedule: "gone",
  updateEndpoint: "made",
  deleteEndpoint: "gone",
  listSigningSecrets: "made",
  addSigningSecret: "made",
  rotateSigningSecret: "made",
  removeSigningSecret: "made",
  updateSubscription: "made",
  deleteSubscription: "made",
  deleteProject: "made",
};

/** Makes what other routes take away. */
async function prepare(app: TestApp) {
  await app.api("/schedules", { method: "POST", body: schedule("gone") });
  await app.api("/endpoints", { method: "POST", body: endpoint("gone") });
  const call = (path: string, body: object) =>
    app.request(`/api/v1/${path}`, { method: "POST", body: JSON.stringify(body), key: KEYS.admin });
  await call("register", {
    functions: [{ name: "resize", type: "task" }],
    endpoint_url: "https://app.test/",
  });
  const trigger = async () => {
    const answer = await (await call("trigger", { task: "resize", delay: "1h" })).json();
    return (answer as { executionId: string }).executionId;
  };
  return {
    revokeKey: (await app.api("/keys", { method: "POST", body: "{}" })).json.id,
    getExecution: await trigger(),
    getExecutionTree: await trigger(),
    retryExecution: await trigger(),
  };
}

test("what every route really answers is what the document says", async () => {
  await using app = await startTestApp({ ...OPTIONS, canAdvance: true, dialects: [PINGBACK] });
  const post = (path: string) => app.api(path, { method: "POST" });
  const held = async () => {
    const { json } = await app.api(`/deliveries?event=${await app.ingest("orders")}`);
    return json.data[0]?.id ?? "";
  };
  const ended = app.probe.next("attempt.settled");
  const event = await app.ingest("orders");
  await ended;
  await app.request("/in/orders", { method: "PUT" });
  await app.flush();
  const { json: deliveries } = await app.api("/deliveries");
  const { json: rejections } = await app.api("/rejections");
  const [orders, ...sources] = OPTIONS.sources;
  await app.declare({ sources: [{ ...orders, methods: ["POST", "PUT"] }, ...sources] });
  await app.ingest("pulled");
  const { json: pulled } = await app.api("/sources/pulled/stored");
  await post("/endpoints/app/pause");
  await held();
  await held();
  const slow = JSON.stringify({ action: "retry", filter: { state: "held" }, rate: 0.01 });
  const { json: bulk } = await app.api("/bulk", { method: "POST", body: slow });
  const [waiting, discarded] = [await held(), await held()];
  await post(`/deliveries/${discarded}/cancel`);
  const ids: Readonly<Record<string, string>> = {
    getEvent: event,
    getBulk: bulk.id,
    pauseBulk: bulk.id,
    resumeBulk: bulk.id,
    cancelBulk: bulk.id,
    getDelivery: deliveries.data[0]?.id ?? "",
    getRejection: rejections.data[0]?.id ?? "",
    admitRejection: rejections.data[0]?.id ?? "",
    retryDelivery: waiting,
    cancelDelivery: waiting,
    replayDelivery: waiting,
    discardDelivery: discarded,
    ...KNOWN,
    ...(await prepare(app)),
    rescheduleDelivery: waiting,
  };
  const bodies: Readonly<Record<string, string>> = {
    ...BODIES,
    acknowledgeFetched: JSON.stringify({ ids: [pulled.data[0]?.id] }),
  };
  await visit(app, { ids, bodies });
});

interface Visit {
  readonly ids: Readonly<Record<string, string>>;
  readonly bodies: Readonly<Record<string, string>>;
}

/** Calls every route once. */
async function visit(app: TestApp, { ids, bodies }: Visit): Promise<void> {
  // These first, in an order in which each state allows the next; among the others none is in the way of
  // another.
  const first = ["createSchedule", "rescheduleDelivery", "retryDelivery", "cancelDelivery", "replayDelivery"];
  const rank = (operationId: string) =>
    first.includes(operationId) ? first.indexOf(operationId) : first.length;
  const routes = app.routes.toSorted((a, b) => rank(a.operationId) - rank(b.operationId));
  for (const { operationId, method, path, tag } of routes) {
    const named = { endpoints: "app", metrics: "app", schedules: "beat", functions: "resize" };
    const id = ids[operationId] ?? named[tag as keyof typeof named] ?? "orders";
    // api() throws when the answer is not what the schema says.
    const body = bodies[operationId];
    const { status } = await app.api(path.replace(":id", id) + (QUERIES[operationId] ?? ""), {
      method,
      ...(body ? { body } : {}),
    });
    expect({ operationId, status }).toEqual({ operationId, status: 200 });
  }
}
