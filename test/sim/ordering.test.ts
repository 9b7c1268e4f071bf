/**
 * Lines against a model: a random walk of events, answers, commands and restarts, and beside it what a line
 * is, in twenty lines of arrays. Whatever is sent must be what the model says is in front.
 * POSTERN_SIM_SEED=17 POSTERN_SIM_STEPS=5000 bun test test/sim/ordering.test.ts
 */
import { expect, test } from "bun:test";
import { SECOND } from "../../src/domain/duration.ts";
import { AppError } from "../../src/domain/errors.ts";
import type { Id } from "../../src/domain/id.ts";
import type { Poison } from "../../src/domain/pacing.ts";
import { receiverUrl, startEngine, type TestEngine } from "../support/engine.ts";
import { FakeRandom } from "../support/fake-random.ts";
import { withFolder } from "../support/store.ts";

const STEPS = Number(process.env.POSTERN_SIM_STEPS ?? 80);
const SEEDS = process.env.POSTERN_SIM_SEED ? [Number(process.env.POSTERN_SIM_SEED)] : [1, 2, 3];
const TIMEOUT_MS = 10_000 + STEPS * 100;
const APP = receiverUrl("app");
const KEYS = ["a", "b", "c"] as const;
/** The ladder below makes so many attempts. */
const ATTEMPTS_MAX = 3;

interface Word {
  readonly key: string;
  readonly number: number;
  id: Id;
  failures: number;
  state: "waiting" | "out" | "dead" | "parked" | "ended";
}

/** What a line is. The head is the one whose turn it is; it need not be the oldest, after a replay. */
class Model {
  readonly words: Word[] = [];
  readonly #lines = new Map<string, { head: Word; rest: Word[] }>();
  readonly #poison: Poison;

  constructor(poison: Poison) {
    this.#poison = poison;
  }

  headOf(key: string): Word | undefined {
    return this.#lines.get(key)?.head;
  }

  enter(word: Word): void {
    const line = this.#lines.get(word.key);
    word.state = "waiting";
    if (!line) this.#lines.set(word.key, { head: word, rest: [] });
    else if (line.head !== word) line.rest = [...line.rest, word].sort((x, y) => x.number - y.number);
  }

  leave(word: Word, state: Word["state"]): void {
    word.state = state;
    const line = this.#lines.get(word.key);
    if (line?.head !== word) {
      if (line) line.rest = line.rest.filter((one) => one !== word);
      return;
    }
    const [next, ...rest] = line.rest;
    if (next) this.#lines.set(word.key, { head: next, rest });
    else this.#lines.delete(word.key);
  }

  answered(word: Word, status: number): void {
    if (status === 200) {
      this.leave(word, "ended");
      return;
    }
    word.failures += 1;
    word.state = "waiting";
    const limit = this.#poison.kind === "skip" ? (this.#poison.after ?? ATTEMPTS_MAX) : ATTEMPTS_MAX;
    if (word.failures < limit) return;
    if (this.#poison.kind === "block") word.state = "dead";
    else this.leave(word, this.#poison.kind === "park" ? "parked" : "dead");
  }
}

class Walk {
  readonly model: Model;
  readonly random: FakeRandom;
  readonly #path: string;
  readonly #poison: Poison;
  run!: TestEngine;
  mood: "fine" | "mixed" | "down" = "mixed";

  constructor(path: string, seed: number, poison: Poison) {
    this.#path = path;
    this.random = new FakeRandom(seed);
    this.#poison = poison;
    this.model = new Model(poison);
  }

  async open(clock?: TestEngine["clock"]): Promise<void> {
    const pacing = { ordering: "key", poison: this.#poison } as const;
    const retry = { kind: "ladder", delaysMs: [SECOND, SECOND], jitter: 0 } as const;
    const breaker = { failures: 0, recoveryMs: 1 };
    this.run = await startEngine({
      path: this.#path,
      endpoints: [{ name: "app", retry, breaker, pacing, concurrency: 4, timeoutMs: 3_600_000 }],
      sources: [{ orderingKey: { kind: "json", path: ["key"] } }],
      isStarted: false,
      ...(clock ? { clock } : {}),
    });
    this.run.receiver.always(APP, ({ text }) => this.#answer(JSON.parse(text)));
    await this.run.engine.start();
    await this.run.settle();
  }

  #answer({ key, number }: { key: string; number: number }) {
    const word = this.model.words[number];
    if (!word) throw new Error(`never accepted: ${key}${number}`);
    // What was parked and asked for stands in no line any more.
    if (word.state !== "parked") expect(word).toBe(this.model.headOf(key) as Word);
    const roll = this.random.below(10);
    if (this.mood === "mixed" && roll < 3) {
      word.state = word.state === "parked" ? "parked" : "out";
      return "hang" as const;
    }
    const status = this.mood === "fine" || (this.mood === "mixed" && roll < 7) ? 200 : 500;
    this.model.answered(word, status);
    return status;
  }

  changeMood(): void {
    this.mood = this.random.pick(["fine", "mixed", "mixed", "down"] as const);
  }

  async accept(): Promise<void> {
    const number = this.model.words.length;
    const key = this.random.pick(KEYS);
    const word: Word = { key, number, id: "", failures: 0, state: "waiting" };
    this.model.words.push(word);
    this.model.enter(word);
    const event = await this.run.accept({ body: JSON.stringify({ key, number }) });
    const detail = await this.run.store.getEvent({ project: "default", id: event });
    word.id = detail?.deliveries[0]?.id ?? "";
  }

  async letGo(): Promise<void> {
    const status = this.random.below(2) === 0 ? 200 : 500;
    const isOut = new Set((await this.run.deliveries({ state: "sending" })).map(({ id }) => id));
    for (const word of this.model.words) if (isOut.has(word.id)) this.model.answered(word, status);
    this.run.receiver.letGo(status);
    await this.run.settle();
  }

  /** Asks for something; the model follows if it was granted. */
  async command(verb: "replay" | "discard" | "cancel" | "retryNow"): Promise<void> {
    const word = this.random.pick(this.model.words);
    const { state } = word;
    const before = this.run.receiver.sent.length;
    if (verb === "retryNow" && state === "parked") word.failures = ATTEMPTS_MAX;
    try {
      if (verb === "replay" && (state === "ended" || state === "dead")) {
        word.failures = 0;
        this.model.enter(word);
      } else if (verb === "replay") return;
      if (verb === "discard" && state !== "dead") return;
      if (verb === "cancel" && (state === "out" || state === "dead" || state === "ended")) return;
      if (verb === "cancel" || verb === "discard") this.model.leave(word, "ended");
      await this.run.engine.commands[verb]("default", word.id);
    } catch (error) {
      // Refused: it was discarded or cancelled before, or an attempt is out. Nothing may have been sent.
      if (!(error instanceof AppError) || error.code !== "invalid_state") throw error;
      expect(this.run.receiver.sent.length).toBe(before);
      if (verb === "replay") this.model.leave(word, "ended");
      if (verb === "cancel" && state === "parked") word.state = "parked";
    }
    await this.run.settle();
  }

  async restart(): Promise<void> {
    for (const word of this.model.words) if (word.state === "out") word.state = "waiting";
    const { clock } = this.run;
    await this.run.close();
    await this.open(clock);
  }

  async check(): Promise<void> {
    const out = (await this.run.deliveries({ state: "sending" })).map(({ orderingKey }) => orderingKey);
    const inLine = out.filter((_, index) => out.indexOf(out[index] as string) !== index);
    const parkedOut = this.model.words.filter(({ state }) => state === "parked").length;
    expect(inLine.length).toBeLessThanOrEqual(parkedOut);
  }
}

const ACTIONS: readonly (readonly [number, (walk: Walk) => unknown])[] = [
  [30, (walk) => walk.accept()],
  [15, (walk) => walk.run.advance(walk.random.below(3 * SECOND))],
  [10, (walk) => walk.letGo()],
  [5, (walk) => walk.changeMood()],
  [10, (walk) => walk.command("replay")],
  [5, (walk) => walk.command("discard")],
  [4, (walk) => walk.command("cancel")],
  [6, (walk) => walk.command("retryNow")],
  [3, (walk) => walk.run.engine.commands.pauseEndpoint(walk.run.endpoint()).then(() => walk.run.settle())],
  [6, (walk) => walk.run.engine.commands.resumeEndpoint(walk.run.endpoint()).then(() => walk.run.settle())],
  [3, (walk) => walk.restart()],
];

function pickAction(random: FakeRandom) {
  let roll = random.below(ACTIONS.reduce((sum, [weight]) => sum + weight, 0));
  for (const [weight, action] of ACTIONS) {
    roll -= weight;
    if (roll < 0) return action;
  }
  throw new Error("the weights do not add up");
}

/** All that blocks is discarded, all that is parked stays so, and everything else must have ended. */
async function finish(walk: Walk): Promise<void> {
  walk.mood = "fine";
  await walk.run.engine.commands.resumeEndpoint(walk.run.endpoint());
  await walk.run.settle();
  for (let round = 0; round <= walk.model.words.length; round += 1) {
    await walk.letGo();
    await walk.run.advance(2 * SECOND);
    const blocking = KEYS.flatMap((key) => walk.model.headOf(key) ?? []);
    if (blocking.length === 0) break;
    for (const word of blocking.filter(({ state }) => state === "dead")) {
      walk.model.leave(word, "ended");
      await walk.run.engine.commands.discard("default", word.id);
    }
    await walk.run.settle();
  }
  expect(KEYS.flatMap((key) => walk.model.headOf(key) ?? [])).toEqual([]);
  const left = (await walk.run.deliveries()).filter(({ finishedAt }) => finishedAt === null);
  expect(left.filter(({ waitsFor }) => waitsFor !== "request")).toEqual([]);
}

const POISONS: readonly Poison[] = [{ kind: "block" }, { kind: "park" }, { kind: "skip", after: 2 }];

for (const poison of POISONS) {
  test.each(SEEDS)(
    `lines that ${poison.kind} poison do as the model says, seed %p`,
    async (seed) => {
      await withFolder(async (folder) => {
        const walk = new Walk(`${folder}/store.db`, seed, poison);
        await walk.open();
        await walk.accept();
        for (let step = 0; step < STEPS; step += 1) {
          await pickAction(walk.random)(walk);
          await walk.check();
        }
        await finish(walk);
        expect(walk.run.logged.filter(({ level }) => level === "error")).toEqual([]);
        await walk.run.close();
      });
    },
    TIMEOUT_MS,
  );
}
