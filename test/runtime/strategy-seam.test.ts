import { describe, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Id } from "../../src/domain/id.ts";
import { NATIVE_PROFILE } from "../../src/domain/native-profile.ts";
import { type RetryRule, standardPolicy } from "../../src/domain/policy.ts";
import type { Profile } from "../../src/domain/strategy.ts";
import { type EngineSetup, receiverUrl, startEngine, type TestEngine } from "../support/engine.ts";
import { PIGEON, pigeonWords, QUICK_MS, SLOW_MS, signPigeon } from "../support/pigeon-dialect.ts";
import { withFolder } from "../support/store.ts";

const COOP = receiverUrl("coop");
const ENDPOINTS = [
  { name: "coop", profile: "pigeon", breaker: { failures: 0, recoveryMs: 1 } },
  { name: "nest", profile: "pigeon" },
];
const TO_COOP = [{ to: ["coop"] }];

function start(setup: EngineSetup = {}): Promise<TestEngine> {
  const profiles = [NATIVE_PROFILE, PIGEON];
  return startEngine({ profiles, endpoints: ENDPOINTS, sources: TO_COOP, ...setup });
}

interface Body {
  readonly id: Id;
  readonly attempt: number;
  readonly sentAt: string;
  readonly data: unknown;
}

const bodies = (run: TestEngine, url = COOP) =>
  run.receiver.to(url).map((sent) => JSON.parse(sent.text) as Body);

describe("The envelope", () => {
  test("makes a new body for every attempt and signs it afresh", async () => {
    await using run = await start();
    run.receiver.next(COOP, 500, 500);
    await run.accept({ body: '{"n":1}' });
    await run.advance(QUICK_MS);
    await run.advance(QUICK_MS);
    expect(bodies(run).map(({ attempt, data }) => [attempt, data])).toEqual([
      [1, { n: 1 }],
      [2, { n: 1 }],
      [3, { n: 1 }],
    ]);
    expect(new Set(bodies(run).map(({ id }) => id)).size).toBe(1);
    for (const { headers, text } of run.receiver.sent) {
      const timestamp = headers.get("pigeon-timestamp") ?? "";
      expect(headers.get("pigeon-signature")).toBe(signPigeon(timestamp, text));
    }
    expect(new Set(run.receiver.sent.map(({ headers }) => headers.get("pigeon-signature"))).size).toBe(3);
  });
});

describe("The interpreter", () => {
  test("may read failure inside a 200", async () => {
    await using run = await start();
    run.receiver.next(COOP, { status: 200, body: '{"status":"error","error":"wing hurts"}' });
    await run.accept();
    expect(await run.delivery()).toMatchObject({
      state: "retrying",
      lastError: "HTTP 200: wing hurts",
      attempts: [{ outcome: "failed", failure: "answer", status: 200 }],
    });
  });

  test("reads more of an answer than is kept, and keeps what it found", async () => {
    await using run = await start();
    const body = JSON.stringify({ padding: "x".repeat(5_000), log: "saw a hawk" });
    run.receiver.next(COOP, { status: 200, body });
    await run.accept();
    const [attempt] = (await run.delivery()).attempts;
    expect(attempt?.detail).toBe('{"log":"saw a hawk"}');
    expect(attempt?.excerpt?.byteLength).toBe(32);
  });

  test("that throws makes a failed attempt", async () => {
    const broken: Profile = {
      ...PIGEON,
      interpreter: {
        ...PIGEON.interpreter,
        interpret: () => {
          throw new Error("a mistake");
        },
      },
    };
    await using run = await start({ profiles: [NATIVE_PROFILE, broken] });
    await run.accept();
    expect(await run.delivery()).toMatchObject({
      state: "retrying",
      lastError: "the answer could not be read",
    });
  });
});

function hatch(run: TestEngine, chicks: readonly object[] = [{ data: 1 }, { data: 2 }], status = "ok") {
  const to = run.endpoint("nest").id;
  const body = JSON.stringify({ status, chicks: chicks.map((chick) => ({ to, ...chick })) });
  run.receiver.next(COOP, { status: 200, body });
}

describe("Follow-ups", () => {
  test("come into being with the outcome and are delivered", async () => {
    await using run = await start();
    hatch(run);
    await run.accept();
    expect(bodies(run, receiverUrl("nest")).map(({ data }) => data)).toEqual([1, 2]);
    expect(await run.states()).toEqual(["succeeded", "succeeded", "succeeded"]);
    const [, child] = await run.deliveries();
    expect(await run.delivery(child?.id)).toMatchObject({ spec: '{"hatched":true}', eventId: null });
  });

  test("may be due later", async () => {
    await using run = await start();
    hatch(run, [{ data: 1, delayMs: 5_000 }]);
    await run.accept();
    expect(await run.states()).toEqual(["succeeded", "queued"]);
    await run.advance(5_000);
    expect(await run.states()).toEqual(["succeeded", "succeeded"]);
  });

  test("of a failed attempt are ignored, so that a retry does not double them", async () => {
    await using run = await start();
    hatch(run, [{ data: 1 }], "error");
    hatch(run, [{ data: 1 }]);
    await run.accept();
    await run.advance(QUICK_MS);
    expect(await run.states()).toEqual(["succeeded", "succeeded"]);
  });

  test("to an endpoint that does not exist are left out, the others stay", async () => {
    await using run = await start();
    hatch(run, [{ to: "0".repeat(32), data: 1 }, { data: 2 }]);
    await run.accept();
    expect(await run.states()).toEqual(["succeeded", "succeeded"]);
    expect(run.logged.filter(({ event }) => event === "follow_up.skipped")).toHaveLength(1);
  });

  test("that break a rule of the store leave neither outcome nor children: the attempt fails", async () => {
    await using run = await start();
    hatch(run, [{ data: 1 }, { data: 2, delayMs: 0.5 }]);
    await run.accept();
    const delivery = await run.delivery();
    expect(delivery).toMatchObject({ state: "retrying", lastError: "the outcome could not be stored" });
    expect(delivery.attempts).toHaveLength(1);
    expect(await run.states()).toEqual(["retrying"]);
    await run.advance(QUICK_MS);
    expect(await run.states()).toEqual(["succeeded"]);
  });

  test("are neither lost nor doubled when the process dies before the commit", async () => {
    await withFolder(async (folder) => {
      const path = join(folder, "postern.db");
      let isDead = false;
      const before = await start({ path, defer: (fire) => void setImmediate(() => !isDead && fire()) });
      before.receiver.next(COOP, "hang");
      const answer = {
        status: 200,
        body: JSON.stringify({ chicks: [{ to: before.endpoint("nest").id, data: 1 }] }),
      };
      await before.accept();
      isDead = true;
      before.receiver.letGo(answer);
      await new Promise(setImmediate);
      await using after = await reopenCopy(before, path);
      expect(await after.states()).toEqual(["succeeded"]);
      expect(bodies(after)).toMatchObject([{ attempt: 1 }]);
      isDead = false;
    });
  });

  test("are neither lost nor doubled when the process dies after the commit", async () => {
    await withFolder(async (folder) => {
      const path = join(folder, "postern.db");
      const before = await start({ path });
      before.receiver.always(receiverUrl("nest"), "hang");
      hatch(before, [{ data: 1 }]);
      await before.accept();
      await using after = await reopenCopy(before, path);
      expect(await after.states()).toEqual(["succeeded", "succeeded"]);
      expect(bodies(after, receiverUrl("nest"))).toMatchObject([{ attempt: 1, data: 1 }]);
    });
  });
});

/** Opens the file as it is now: what a process that was killed leaves behind. */
async function reopenCopy(before: TestEngine, path: string): Promise<TestEngine> {
  const copy = `${path}.copy`;
  for (const part of ["", "-wal"]) await Bun.write(copy + part, Bun.file(path + part));
  const after = await start({ path: copy });
  // The dead process's own file is of no interest any more.
  void before.close();
  return after;
}

describe("Awaiting an acknowledgement", () => {
  const accepted = { status: 202, headers: { "pigeon-wait": "300" } };
  const ack = { attempt: 1, isAck: true, text: null };
  const nack = { attempt: 1, isAck: false, text: "no corn" };

  async function await202(run: TestEngine): Promise<Id> {
    run.receiver.next(COOP, accepted);
    await run.accept();
    const { id, state } = await run.delivery();
    expect(state).toBe("awaiting");
    return id;
  }

  test("holds no slot and ends with the acknowledgement", async () => {
    await using run = await start();
    const id = await await202(run);
    expect(run.engine.slots.used).toBe(0);
    await run.advance(2_500);
    expect(await run.engine.commands.acknowledge(id, ack)).toBe(true);
    expect(await run.delivery()).toMatchObject({
      state: "succeeded",
      attempts: [{ number: 1, outcome: "succeeded", durationMs: 2_500 }],
    });
  });

  test("a refusal fails the attempt, and it is retried", async () => {
    await using run = await start();
    const id = await await202(run);
    expect(await run.engine.commands.acknowledge(id, nack)).toBe(true);
    expect(await run.delivery()).toMatchObject({
      state: "retrying",
      lastError: "no corn",
      attempts: [{ number: 1, outcome: "failed", failure: "nack" }],
    });
    await run.advance(QUICK_MS);
    expect(bodies(run).map(({ attempt }) => attempt)).toEqual([1, 2]);
  });

  test("the deadline fails the attempt, and it is retried", async () => {
    await using run = await start();
    await await202(run);
    await run.advance(299_999);
    expect(await run.states()).toEqual(["awaiting"]);
    await run.advance(1);
    expect(await run.delivery()).toMatchObject({
      state: "retrying",
      attempts: [{ number: 1, outcome: "failed", failure: "deadline" }],
    });
    await run.advance(QUICK_MS);
    expect(bodies(run).map(({ attempt }) => attempt)).toEqual([1, 2]);
  });

  test("many deadlines at once all expire", async () => {
    await using run = await start();
    run.receiver.always(COOP, accepted);
    await run.acceptMany(250);
    run.receiver.always(COOP, 200);
    await run.advance(300_000);
    await run.advance(QUICK_MS);
    expect(new Set(await run.states())).toEqual(new Set(["succeeded"]));
    expect(run.receiver.sent).toHaveLength(500);
  });

  test("a deadline survives a restart", async () => {
    await withFolder(async (folder) => {
      const path = join(folder, "postern.db");
      const before = await start({ path });
      await await202(before);
      const { clock } = before;
      await before.close();
      await using after = await start({ path, clock });
      await after.advance(300_000);
      expect(await after.states()).toEqual(["retrying"]);
    });
  });

  test("an acknowledgement after the deadline is refused", async () => {
    await using run = await start();
    const id = await await202(run);
    run.clock.step(300_000);
    expect(await run.engine.commands.acknowledge(id, ack)).toBe(false);
    await run.advance(0);
    expect(await run.engine.commands.acknowledge(id, ack)).toBe(false);
    expect(await run.states()).toEqual(["retrying"]);
  });

  test("a second acknowledgement is refused", async () => {
    await using run = await start();
    const id = await await202(run);
    const both = [run.engine.commands.acknowledge(id, ack), run.engine.commands.acknowledge(id, nack)];
    expect(await Promise.all(both)).toEqual([true, false]);
    expect(await run.states()).toEqual(["succeeded"]);
  });

  test("an acknowledgement of an older attempt is refused", async () => {
    await using run = await start();
    const id = await await202(run);
    await run.engine.commands.acknowledge(id, nack);
    run.receiver.next(COOP, accepted);
    await run.advance(QUICK_MS);
    expect(await run.engine.commands.acknowledge(id, ack)).toBe(false);
    expect(await run.engine.commands.acknowledge(id, { ...ack, attempt: 2 })).toBe(true);
  });

  test.each([
    ["an acknowledgement before the promise to send one counts", ack, accepted, "succeeded"],
    ["a refusal before the promise of a report counts", nack, accepted, "retrying"],
    ["an acknowledgement counts although the answer is lost", ack, { failure: "reset" }, "succeeded"],
    ["a refusal before a plain 200 does not count", nack, 200, "succeeded"],
    ["a refusal before a plain 500 changes nothing", nack, 500, "retrying"],
  ] as const)("%s", async (_, report, answer, state) => {
    await using run = await start();
    run.receiver.next(COOP, "hang");
    await run.accept();
    const { id } = await run.delivery();
    expect(await run.engine.commands.acknowledge(id, report)).toBe(true);
    run.receiver.letGo(answer);
    await run.settle();
    expect(await run.states()).toEqual([state]);
  });

  test("an acknowledgement between the answer and its commit waits for the commit", async () => {
    await using run = await start();
    run.receiver.next(COOP, "hang");
    await run.accept();
    const { id } = await run.delivery();
    run.receiver.letGo(accepted);
    // The slot is free as soon as the answer has been judged.
    while (run.engine.slots.used > 0) await Promise.resolve();
    expect(run.store.counts().waiting).toBe(1);
    expect(await run.engine.commands.acknowledge(id, ack)).toBe(true);
    await run.settle();
    expect(await run.states()).toEqual(["succeeded"]);
  });

  test("an awaiting delivery can be cancelled and then takes no acknowledgement", async () => {
    await using run = await start();
    const id = await await202(run);
    await run.engine.commands.cancel("default", id);
    expect(await run.engine.commands.acknowledge(id, ack)).toBe(false);
    await run.advance(300_000);
    expect(await run.states()).toEqual(["cancelled"]);
  });
});

describe("The policy", () => {
  test("keeps what it wants to remember between attempts, over restarts too", async () => {
    await withFolder(async (folder) => {
      const path = join(folder, "postern.db");
      const before = await start({ path });
      before.receiver.always(COOP, 500);
      await before.accept();
      const startedAt = before.clock.now();
      await before.advance(QUICK_MS);
      const { clock } = before;
      await before.close();
      await using after = await start({ path, clock });
      after.receiver.always(COOP, 500);
      await after.advance(QUICK_MS);
      await after.advance(SLOW_MS);
      await after.advance(SLOW_MS);
      expect(await after.states()).toEqual(["dead"]);
      const { attempts } = await after.delivery();
      const [quick, slow] = [QUICK_MS, SLOW_MS];
      const expected = [0, quick, 2 * quick, 2 * quick + slow, 2 * quick + 2 * slow];
      expect(attempts.map((attempt) => attempt.startedAt - startedAt)).toEqual(expected);
    });
  });

  test("decides what is final", async () => {
    await using run = await start();
    run.receiver.next(COOP, 404);
    await run.accept();
    expect(await run.states()).toEqual(["dead"]);
  });

  test("that throws leaves a dead letter, where somebody will see it", async () => {
    const broken: Profile = {
      ...PIGEON,
      policy: () => {
        throw new Error("a mistake");
      },
    };
    await using run = await start({ profiles: [NATIVE_PROFILE, broken] });
    run.receiver.next(COOP, 500);
    await run.accept();
    expect(await run.states()).toEqual(["dead"]);
  });
});

describe("The pressure", () => {
  const breaker = { failures: 2, recoveryMs: 30_000 };
  const endpoints = [
    { name: "coop", profile: "pigeon", breaker },
    { name: "nest", profile: "pigeon", breaker },
    { name: "far", profile: "pigeon", breaker, url: "http://elsewhere.test/" },
  ];

  test("an origin with an open breaker spends attempts of all its endpoints, and of no other", async () => {
    const sources = [
      { name: "coop", to: ["coop"] },
      { name: "nest", to: ["nest"] },
      { name: "far", to: ["far"] },
    ];
    await using run = await start({ endpoints, sources });
    run.receiver.next(COOP, { failure: "connect" }, { failure: "connect" });
    await run.accept({ source: "coop" });
    await run.accept({ source: "coop" });
    await run.accept({ source: "nest" });
    await run.accept({ source: "far" });
    expect(run.receiver.to(receiverUrl("nest"))).toEqual([]);
    expect((await run.deliveries()).map(({ state, lastError }) => [state, lastError])).toEqual([
      ["retrying", "scripted connect"],
      ["retrying", "scripted connect"],
      ["retrying", "the circuit breaker is open"],
      ["succeeded", null],
    ]);
  });

  test("an open breaker that spends uses attempts up without another connection, until the end", async () => {
    const retry: RetryRule = { kind: "ladder", delaysMs: [1_000, 1_000, 1_000], jitter: 0 };
    const dead = { ...PIGEON, policy: standardPolicy };
    const profiles = [NATIVE_PROFILE, dead];
    await using run = await start({
      profiles,
      endpoints: endpoints.map((one) => ({ ...one, retry })),
      sources: TO_COOP,
    });
    run.receiver.always(COOP, { failure: "connect" });
    await run.accept();
    await run.advanceStepwise(10_000);
    expect(run.receiver.to(COOP)).toHaveLength(2);
    const { state, attemptCount, lastError } = await run.delivery();
    expect([state, attemptCount, lastError]).toEqual(["dead", 4, "the circuit breaker is open"]);
  });

  test("a breaker's rule may say whose it is: one for all of a profile in a project", async () => {
    const global = endpoints.map((one) => ({ ...one, breaker: { ...breaker, scope: "global" as const } }));
    const sources = [
      { name: "coop", to: ["coop"] },
      { name: "far", to: ["far"] },
    ];
    await using run = await start({ endpoints: global, sources });
    run.receiver.next(COOP, { failure: "connect" }, { failure: "connect" });
    await run.accept({ source: "coop" });
    await run.accept({ source: "coop" });
    await run.accept({ source: "far" });
    expect((await run.deliveries()).at(-1)).toMatchObject({ lastError: "the circuit breaker is open" });
  });

  test("is the endpoint's, also for a delivery that was made under another profile", async () => {
    await using run = await start({ endpoints: [{ name: "coop" }] });
    run.receiver.always(COOP, { failure: "connect" });
    await run.accept();
    await run.declare({ endpoints, sources: TO_COOP });
    await run.accept();
    await run.accept();
    expect(run.engine.breakers.state(run.endpoint("coop")).kind).toBe("open");
    const [native] = await run.deliveries();
    await run.engine.commands.retryNow("default", native?.id ?? "");
    await run.settle();
    expect(await run.delivery(native?.id)).toMatchObject({
      profile: "native",
      attemptCount: 2,
      lastError: "the circuit breaker is open",
    });
  });

  test("any HTTP answer counts as a living target", async () => {
    await using run = await start({ endpoints });
    run.receiver.always(COOP, 500);
    await run.acceptMany(5);
    expect(run.engine.breakers.state(run.endpoint("coop")).kind).toBe("closed");
  });

  test("after the recovery time one attempt is the probe, and an answer closes the breaker", async () => {
    await using run = await start({ endpoints });
    run.receiver.next(COOP, { failure: "connect" }, { failure: "connect" });
    await run.accept();
    await run.accept();
    run.clock.step(30_000);
    run.receiver.next(COOP, "hang");
    await run.advance(0);
    expect(run.engine.breakers.state(run.endpoint("coop")).kind).toBe("half_open");
    expect(run.receiver.sent).toHaveLength(3);
    run.receiver.letGo(200);
    await run.settle();
    expect(run.engine.breakers.state(run.endpoint("coop")).kind).toBe("closed");
    await run.advance(QUICK_MS);
    expect(await run.states()).toEqual(["succeeded", "succeeded"]);
  });
});

test("the words are the dialect's own", async () => {
  await using run = await start();
  await run.accept();
  const delivery = await run.delivery();
  expect(pigeonWords(delivery)).toEqual({ pigeon: delivery.id, mood: "home", flights: 1 });
});

test("the engine knows no dialect by name", () => {
  const root = join(import.meta.dir, "../../src");
  const named = ["runtime", "domain"].flatMap((layer) =>
    readdirSync(join(root, layer))
      .filter((file) => file.endsWith(".ts"))
      .filter((file) => {
        const code = readFileSync(join(root, layer, file), "utf8").replace(/\/\*[\s\S]*?\*\/|\/\/.*/g, "");
        return /["'`](hookbridge|posthook|pingback|pyfly)["'`]|\bdialects?\b/i.test(code);
      }),
  );
  expect(named).toEqual([]);
});
