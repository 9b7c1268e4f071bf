import { describe, expect, test } from "bun:test";
import { AppError } from "../../src/domain/errors.ts";
import { declareEndpoint, declareSchedule, startEngine, type TestEngine } from "../support/engine.ts";

const URL_TEXT = "https://receiver.test/hook";

async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
  } catch (error) {
    if (error instanceof AppError) return error.code;
    throw error;
  }
  return "fine";
}

function create(test: TestEngine, name = "shop", change: Parameters<typeof declareEndpoint>[0] = {}) {
  return test.engine.objects.createEndpoint("pigeon", declareEndpoint({ name, url: URL_TEXT, ...change }));
}

const order = { project: "default", name: "orders", tenant: "acme", eventTypes: ["order.*"] } as const;

describe("An endpoint made at run time", () => {
  test("is sent to at once, under its maker's door", async () => {
    await using engine = await startEngine();
    const made = await create(engine);
    expect(made).toMatchObject({ name: "shop", door: "pigeon", url: URL_TEXT, deletedAt: null });
    expect(engine.engine.directory.endpointNamed("default", "shop")).toEqual(made);
    const payload = { headers: "{}", body: Buffer.from("{}") };
    await engine.engine.timers.create(made, { payload, dueAt: engine.clock.now() });
    await engine.settle();
    expect(engine.receiver.sent.map(({ url, isTrusted }) => [url, isTrusted])).toEqual([[URL_TEXT, false]]);
  });

  test("is there after a start, while what the file declares comes and goes", async () => {
    await using engine = await startEngine();
    const made = await create(engine);
    await engine.declare({ endpoints: [{ name: "other" }] });
    expect(engine.engine.directory.endpoint(made.id)).toEqual(made);
    expect((await engine.store.loadDefinitions()).endpoints).toContainEqual(made);
  });

  test("cannot take a name that is in use, whoever has it", async () => {
    await using engine = await startEngine();
    await create(engine);
    expect(await codeOf(create(engine))).toBe("conflict");
    expect(await codeOf(create(engine, "app"))).toBe("conflict");
  });

  test("is changed by edits that see each other", async () => {
    await using engine = await startEngine();
    const { id } = await create(engine);
    const { objects } = engine.engine;
    const [, last] = await Promise.all([
      objects.updateEndpoint(id, () => ({ concurrency: 3 })),
      objects.updateEndpoint(id, ({ concurrency }) => ({ timeoutMs: concurrency * 1_000 })),
    ]);
    expect(last).toMatchObject({ concurrency: 3, timeoutMs: 3_000, name: "shop" });
    expect(engine.engine.directory.endpoint(id)).toEqual(last);
  });

  test("keeps its pause through an edit", async () => {
    await using engine = await startEngine();
    const made = await create(engine);
    await engine.engine.commands.pauseEndpoint(made);
    const edited = await engine.engine.objects.updateEndpoint(made.id, () => ({ concurrency: 2 }));
    expect(edited.pausedAt).toBe(engine.clock.now());
  });

  test("gives its name back when it is retired, and still sends what it has", async () => {
    await using engine = await startEngine();
    const made = await create(engine);
    const payload = { headers: "{}", body: Buffer.from("{}") };
    await engine.engine.timers.create(made, { payload, dueAt: engine.clock.now() + 60_000 });
    await engine.engine.objects.retireEndpoint(made.id);
    expect(await codeOf(engine.engine.objects.updateEndpoint(made.id, () => ({})))).toBe("gone");
    expect(await codeOf(create(engine))).toBe("fine");
    await engine.advance(60_000);
    expect(engine.receiver.sent).toHaveLength(1);
  });

  test("is not changed through an API when the file declares it", async () => {
    await using engine = await startEngine();
    const { id } = engine.endpoint();
    const { objects } = engine.engine;
    expect(await codeOf(objects.updateEndpoint(id, () => ({ concurrency: 1 })))).toBe("declared_in_config");
    expect(await codeOf(objects.retireEndpoint(id))).toBe("declared_in_config");
    expect(engine.endpoint()).toMatchObject({ concurrency: 16, deletedAt: null });
  });

  test.each([
    ["a scheme that is not HTTP", { url: "ftp://receiver.test/" }],
    ["credentials in the URL", { url: "https://me:you@receiver.test/" }],
    ["a signature that cannot be made", { sign: [{ scheme: "standard", secrets: [] } as const] }],
    ["a header that frames the request", { headers: { Host: "elsewhere" } }],
    ["a header that cannot be sent", { headers: { "X-Line": "a\nb" } }],
    ["a project that is not there", { project: "nobody" }],
  ])("is refused with %s", async (_name, change) => {
    await using engine = await startEngine();
    expect(await codeOf(create(engine, "shop", change))).toBe("invalid_request");
    expect(engine.engine.directory.endpointNamed("default", "shop")).toBeUndefined();
  });
});

describe("A private target", () => {
  test.each([
    ["http://10.0.0.1/", "target_blocked"],
    ["http://169.254.169.254/latest/meta-data", "target_blocked"],
    ["http://[fd00::1]/", "target_blocked"],
    ["http://[::ffff:10.0.0.1]/", "target_blocked"],
    ["http://0x0a000001/", "target_blocked"],
    ["http://private.test/", "target_blocked"],
    ["http://private.test./", "target_blocked"],
    ["http://localhost:3000/", "fine"],
    ["http://127.0.0.1:3000/", "fine"],
    ["http://nowhere.test/", "fine"],
  ])("%s: %s", async (url, expected) => {
    await using engine = await startEngine();
    expect(await codeOf(create(engine, "shop", { url }))).toBe(expected);
  });

  test("is refused in an edit, too, which changes nothing then", async () => {
    await using engine = await startEngine();
    const made = await create(engine);
    const edit = engine.engine.objects.updateEndpoint(made.id, () => ({ url: "http://private.test/" }));
    expect(await codeOf(edit)).toBe("target_blocked");
    expect(engine.engine.directory.endpoint(made.id)).toEqual(made);
  });

  test("is not waited for: a name that does not resolve in time is left to the attempts", async () => {
    await using engine = await startEngine();
    const creating = create(engine, "shop", { url: "http://slow.test/" });
    await engine.advance(2_000);
    expect(await codeOf(creating)).toBe("fine");
  });
});

describe("A subscription made at run time", () => {
  test("needs an endpoint and readable patterns", async () => {
    await using engine = await startEngine();
    const { objects } = engine.engine;
    const base = { ...order, endpoint: "app" };
    expect(await codeOf(objects.createSubscription("native", { ...base, endpoint: "no" }))).toBe(
      "invalid_request",
    );
    for (const eventTypes of [[], ["a.*.b"], [""]]) {
      expect(await codeOf(objects.createSubscription("native", { ...base, eventTypes }))).toBe(
        "invalid_request",
      );
    }
  });

  test("moves from tenant to tenant without staying behind", async () => {
    await using engine = await startEngine();
    const { objects, directory } = engine.engine;
    const made = await objects.createSubscription("native", { ...order, endpoint: "app" });
    const moved = await objects.updateSubscription(made.id, () => ({ tenant: "globex" }));
    expect(directory.subscriptionsOf("default", "acme")).toEqual([]);
    expect(directory.subscriptionsOf("default", "globex")).toEqual([moved]);
    await objects.retireSubscription(made.id);
    expect(directory.subscriptionsOf("default", "globex")).toEqual([]);
    expect(directory.subscriptionNamed("default", "orders")).toBeUndefined();
    expect(directory.subscription(made.id)?.deletedAt).toBe(engine.clock.now());
  });

  test("keeps its endpoint in service, unless it goes along", async () => {
    await using engine = await startEngine();
    const { objects, directory } = engine.engine;
    const endpoint = await create(engine);
    await objects.createSubscription("native", { ...order, endpoint: "shop" });
    expect(await codeOf(objects.retireEndpoint(endpoint.id))).toBe("conflict");
    await objects.retireEndpoint(endpoint.id, { withSubscriptions: true });
    expect(directory.subscriptions()).toEqual([]);
  });
});

describe("Projects and keys made at run time", () => {
  test("a key opens its project until it is revoked, and only its hash is kept", async () => {
    await using engine = await startEngine();
    const { objects, directory } = engine.engine;
    await objects.createProject("native", "shop");
    const { key, text } = await objects.createKey("native", { project: "shop", label: "ci", scope: "read" });
    expect(text).toMatch(/^psk_[0-9a-f]{48}$/);
    const hash = new Bun.CryptoHasher("sha256").update(text).digest("hex");
    expect(directory.keyByHash(hash)).toEqual(key);
    expect(JSON.stringify(await engine.store.loadDefinitions())).not.toContain(text);
    await objects.revokeKey(key.id);
    expect(directory.keyByHash(hash)).toBeUndefined();
    expect(await codeOf(objects.revokeKey(key.id))).toBe("not_found");
  });

  test("a project goes when nothing is left in it, and its keys with it", async () => {
    await using engine = await startEngine();
    const { objects, directory } = engine.engine;
    await objects.createProject("native", "shop");
    expect(await codeOf(objects.createProject("native", "shop"))).toBe("conflict");
    const { key } = await objects.createKey("native", { project: "shop", label: null, scope: "admin" });
    const { id } = await create(engine, "till", { project: "shop" });
    expect(await codeOf(objects.retireProject("shop"))).toBe("conflict");
    const definition = { ...declareSchedule({ name: "beat" }), project: "shop", endpoint: "till" };
    const schedule = await engine.engine.schedules.create(definition);
    await objects.retireEndpoint(id);
    const refused = await objects.retireProject("shop").catch((error: AppError) => error);
    expect(refused).toMatchObject({
      code: "conflict",
      message: "the project shop still has schedule beat",
      details: { objects: [{ kind: "schedule", name: "beat" }] },
    });
    await engine.engine.schedules.remove(schedule);
    await objects.retireProject("shop");
    expect([directory.hasProject("shop"), directory.key(key.id)]).toEqual([false, undefined]);
    expect(await codeOf(objects.retireProject("default"))).toBe("declared_in_config");
  });
});
