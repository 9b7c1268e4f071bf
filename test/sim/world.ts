/**
 * A world for the simulation: one engine after the other on one file, receivers with moods, and a ledger kept
 * outside of it all. A crash takes the file as it is at that instant and throws everything in memory away.
 */
import { copyFileSync, existsSync } from "node:fs";
import { join } from "node:path";
import { AppError } from "../../src/domain/errors.ts";
import type { Id } from "../../src/domain/id.ts";
import type { DeclaredEndpoint } from "../../src/runtime/reconcile.ts";
import { type EngineSetup, receiverUrl, startEngine, type TestEngine } from "../support/engine.ts";
import { FakeClock } from "../support/fake-clock.ts";
import type { FakeRandom } from "../support/fake-random.ts";
import { ScriptedSender, type Step } from "../support/scripted-sender.ts";

const LADDER = { kind: "ladder", delaysMs: [1_000, 10_000, 60_000, 600_000], jitter: 0.2 } as const;
const EXPONENTIAL = {
  kind: "exponential",
  delayMs: 500,
  factor: 3,
  delayMaxMs: 30_000,
  attemptsMax: 8,
  ageMaxMs: null,
  jitter: 0.5,
} as const;

/** Longer than any walk takes. */
const KEEP_MS = { delivered: 1e13, dead: 1e13, events: 1e13, rejections: 1e13, metrics: 1e13, logs: 1e13 };

export const ENDPOINTS = [
  { name: "single", concurrency: 1, retry: LADDER, breaker: { failures: 3, recoveryMs: 5_000 } },
  { name: "paced", concurrency: 4, retry: LADDER, rate: { perSecond: 5, burst: 20 } },
  { name: "wide", concurrency: 16, retry: EXPONENTIAL, timeoutMs: 5_000 },
  { name: "frail", concurrency: 3, retry: EXPONENTIAL, breaker: { failures: 2, recoveryMs: 1_000 } },
] as const satisfies readonly Partial<DeclaredEndpoint>[];

export const NAMES = ENDPOINTS.map(({ name }) => name);

/** What a receiver answers, picked anew for every request. */
const MOODS: Readonly<Record<string, readonly Step[]>> = {
  well: [200, 200, 200, { status: 204, afterMs: 30 }],
  moody: [200, 500, 429, { failure: "reset" }, { status: 200, afterMs: 700 }],
  ill: [500, { failure: "connect" }, "hang"],
  stuck: ["hang"],
  leaving: [200, 200, 410],
};

/** Minutes until everything must have ended. */
const ROUNDS_MAX = 3_000;

export class World {
  run!: TestEngine;
  /** Keys that were acknowledged, with the id that the producer was told. */
  readonly acknowledged = new Map<string, Id>();
  /** How often a receiver said that it took an event, by "endpoint event". */
  readonly taken = new Map<string, number>();
  readonly replays = new Map<Id, number>();
  readonly peaks = new Map<string, number>();
  keyCount = 0;
  crashCount = 0;
  restartCount = 0;
  readonly #random: FakeRandom;
  readonly #folder: string;
  readonly #moods = new Map<string, string>();
  readonly #dead: TestEngine[] = [];
  #fileCount = 0;

  constructor(random: FakeRandom, folder: string) {
    this.#random = random;
    this.#folder = folder;
  }

  async open(now?: number): Promise<void> {
    const clock = new FakeClock(now);
    const receiver = new ScriptedSender(clock);
    for (const name of NAMES) receiver.always(receiverUrl(name), (sent) => this.#answer(name, sent.headers));
    const setup: EngineSetup = {
      path: this.#path(),
      clock,
      receiver,
      seed: this.#random.below(2 ** 31),
      endpoints: ENDPOINTS,
      sources: [{ dedupe: { selectors: [[TYPE]], windowMs: 1e12 }, eventType: TYPE }],
      engine: { inFlightMax: 12, keepMs: KEEP_MS },
    };
    this.run = await startEngine(setup);
  }

  /** Sends one event. Whether it was acknowledged is known only if the answer comes before a crash. */
  produce(key: string): void {
    const { run, crashCount } = this;
    run.receive({ body: JSON.stringify({ type: key }) }).then(
      (result) => {
        // An answer after the crash is one that no producer ever saw.
        if (this.crashCount !== crashCount || result.kind !== "accepted") return;
        const known = this.acknowledged.get(key);
        if (known !== undefined && known !== result.id)
          throw new Error(`${key} was acknowledged under two ids`);
        this.acknowledged.set(key, result.id);
      },
      (error: unknown) => {
        if (!(error instanceof AppError)) throw error;
      },
    );
  }

  newKey(): string {
    this.keyCount += 1;
    return `key-${this.keyCount}`;
  }

  setMood(name: string, mood = this.#random.pick(Object.keys(MOODS))): void {
    this.#moods.set(name, mood);
  }

  /** Lets some of the hanging requests go. */
  letGo(): void {
    const name = this.#random.pick(NAMES);
    this.run.receiver.letGo(this.#random.pick([500, { failure: "reset" }] as const), receiverUrl(name));
  }

  async crash(): Promise<void> {
    this.crashCount += 1;
    const before = this.#path();
    this.#fileCount += 1;
    for (const part of ["", "-wal"]) {
      if (existsSync(before + part)) copyFileSync(before + part, this.#path() + part);
    }
    this.#notePeaks();
    const { run } = this;
    // Nobody hears from the dead: their receivers never answer again.
    for (const name of NAMES) run.receiver.always(receiverUrl(name), "hang");
    this.#dead.push(run);
    await this.open(run.clock.now());
  }

  async restart(): Promise<void> {
    this.restartCount += 1;
    this.#notePeaks();
    const { run } = this;
    await run.settle();
    await run.close();
    await this.open(run.clock.now());
  }

  async heal(): Promise<void> {
    for (const name of NAMES) this.setMood(name, "well");
    this.run.receiver.letGo(500);
    for (const name of NAMES) await this.run.engine.commands.resumeEndpoint(this.run.endpoint(name));
    await this.run.settle();
    // The clock may be far behind what it once was, and rates take their time.
    for (let round = 0; round < ROUNDS_MAX && (await this.#hasWork()); round += 1) {
      await this.run.advance(60_000);
    }
    this.#notePeaks();
  }

  async close(): Promise<void> {
    await this.run.close();
    for (const run of this.#dead) await run.close();
  }

  #answer(name: string, headers: Headers): Step {
    const step = this.#random.pick(MOODS[this.#moods.get(name) ?? "well"] ?? [200]);
    const status =
      typeof step === "number" ? step : typeof step === "object" && "status" in step ? step.status : 0;
    const key = `${name} ${headers.get("webhook-id")}`;
    // One that answers late may be aborted before; what counts here is that the receiver had it.
    this.taken.set(key, (this.taken.get(key) ?? 0) + (status >= 200 && status < 300 ? 1 : 0));
    return step;
  }

  #notePeaks(): void {
    for (const [url, peak] of this.run.receiver.peaks) {
      this.peaks.set(url, Math.max(this.peaks.get(url) ?? 0, peak));
    }
  }

  async #hasWork(): Promise<boolean> {
    const { store, engine } = this.run;
    return engine.slots.used > 0 || engine.lanes.windowBytes > 0 || (await store.laneHeads()).length > 0;
  }

  #path(): string {
    return join(this.#folder, `postern-${this.#fileCount}.db`);
  }
}

const TYPE = { kind: "json", path: ["type"] } as const;
