/**
 * Schedules on the executable. The kill test ends it with SIGKILL around the instants at which hundreds of
 * runs are due at once, so that kills fall between "due" and "stored", and in the middle of a page of runs.
 * The ledger is on this side: what the plan says must have run, and what the receiver saw.
 *
 *   POSTERN_SCHEDULE_KILLS   how often to kill; 10 unless said otherwise
 *   POSTERN_SEED             the seed of an earlier run: it chooses the moments
 */
import { afterAll, expect, test } from "bun:test";
import { startReceiver } from "../support/receiver.ts";
import {
  BINARY,
  configFor,
  createFolder,
  type Postern,
  pause,
  removeFolders,
  runPostern,
  seeded,
  startPostern,
  until,
} from "./support.ts";

afterAll(removeFolders);

const KILLS = Number(process.env.POSTERN_SCHEDULE_KILLS ?? 10);
const SEED = Number(process.env.POSTERN_SEED ?? Math.floor(Math.random() * 1_000_000));
const SCHEDULES = 200;
const PERIOD_MS = 1_000;
/** Storing all that is due takes about this long, so a kill within it finds some stored and some not. */
const WINDOW_MS = 40;
const EARLY_MS = 5;
const LIMIT_MS = 60_000 + KILLS * 8_000;

const scheduleTables = Array.from({ length: SCHEDULES }, (_, number) =>
  [
    "[[schedule]]",
    `name = "s${number}"`,
    'every = "1s"',
    // Every run counts: none may be given up, however long a start takes on a busy machine.
    'missed = { policy = "all", max = 1000, max_age = "1h" }',
    'overlap = "allow"',
    'endpoint = "app"',
  ].join("\n"),
).join("\n\n");

interface RunView {
  readonly id: string;
  readonly scheduledAt: string;
  readonly createdAt: string;
  readonly state: string;
}

interface ScheduleView {
  readonly nextRunAt: string | null;
  readonly lastRunAt: string | null;
  readonly runCount: number;
  readonly skippedCount: number;
}

/** Occurrence to the ids of the deliveries that the receiver saw for it, per schedule. */
class Seen {
  readonly #ids = new Map<string, Map<string, Set<string>>>();

  note(headers: Headers): void {
    const schedule = headers.get("postern-schedule") ?? "";
    const occurrence = headers.get("postern-occurrence") ?? "";
    const occurrences = this.#ids.get(schedule) ?? new Map<string, Set<string>>();
    this.#ids.set(schedule, occurrences);
    const ids = occurrences.get(occurrence) ?? new Set();
    occurrences.set(occurrence, ids.add(headers.get("webhook-id") ?? ""));
  }

  /** Oldest first, with how many deliveries each had. */
  of(schedule: string): [occurrence: string, count: number][] {
    const occurrences = [...(this.#ids.get(schedule) ?? [])];
    return occurrences.map(([at, ids]): [string, number] => [at, ids.size]).sort();
  }
}

/** Waits for the next instant at which runs are due, more or less; then kills. */
async function killAround(postern: Postern, anchorAt: number, offsetMs: number): Promise<void> {
  const now = Date.now();
  const sinceAnchorMs = (now + PERIOD_MS / 4 - anchorAt) % PERIOD_MS;
  await pause(PERIOD_MS / 4 + PERIOD_MS - sinceAnchorMs + offsetMs);
  postern.signal("SIGKILL");
  await postern.ended();
}

async function runsOf(postern: Postern, schedule: string): Promise<RunView[]> {
  const runs: RunView[] = [];
  let cursor: string | null = null;
  do {
    const from: string = cursor === null ? "" : `&cursor=${encodeURIComponent(cursor)}`;
    const path = `/schedules/${schedule}/deliveries?limit=500${from}`;
    const page: { data: RunView[]; nextCursor: string | null } = await postern.api(path);
    runs.push(...page.data);
    cursor = page.nextCursor;
  } while (cursor !== null);
  return runs;
}

/** Resolves when all are delivered. */
function finishedRunsOf(postern: Postern, schedule: string): Promise<RunView[]> {
  return until(async () => {
    const all = await runsOf(postern, schedule);
    return all.every(({ state }) => state === "succeeded") ? all : null;
  });
}

/** Every occurrence from the first to the last, each once. */
function plannedRuns(firstAt: number, lastAt: number): [string, number][] {
  const count = Math.round((lastAt - firstAt) / PERIOD_MS) + 1;
  return Array.from({ length: count }, (_, index) => [
    new Date(firstAt + index * PERIOD_MS).toISOString(),
    1,
  ]);
}

/** Returns when each schedule was made, which its runs are counted from. */
async function readAnchors(postern: Postern): Promise<Map<string, number>> {
  const anchors = new Map<string, number>();
  for (let number = 0; number < SCHEDULES; number += 1) {
    const { createdAt } = await postern.api<{ createdAt: string }>(`/schedules/s${number}`);
    anchors.set(`s${number}`, Date.parse(createdAt));
  }
  return anchors;
}

/** Lets all runs be made that were due, then makes no more. A run that is due when paused is not made. */
async function comeToRest(postern: Postern, names: readonly string[], readyAt: number): Promise<void> {
  for (const name of names) {
    await until(async () => {
      const { nextRunAt } = await postern.api<ScheduleView>(`/schedules/${name}`);
      return Date.parse(nextRunAt ?? "") > readyAt ? true : null;
    });
  }
  await Promise.all(names.map((name) => postern.api(`/schedules/${name}/pause`, { method: "POST" })));
}

/** How many runs of each kill were stored only by the next process. */
class MadeUpFor {
  readonly #killedAts: readonly number[];
  readonly #counts: number[];

  constructor(killedAts: readonly number[]) {
    this.#killedAts = killedAts;
    this.#counts = killedAts.map(() => 0);
  }

  note(runs: readonly RunView[]): void {
    for (const [kill, killedAt] of this.#killedAts.entries()) {
      const isIt = ({ scheduledAt, createdAt }: RunView) =>
        Date.parse(scheduledAt) < killedAt && Date.parse(createdAt) > killedAt;
      if (runs.some(isIt)) this.#counts[kill] = (this.#counts[kill] ?? 0) + 1;
    }
  }

  /** Of all kills, and how many kills found some runs of one instant stored and the others not. */
  facts() {
    return {
      madeUpFor: this.#counts.reduce((sum, count) => sum + count, 0),
      cutInTwo: this.#counts.filter((count) => count > 0 && count < SCHEDULES).length,
    };
  }
}

test(
  `${KILLS} kills while ${SCHEDULES} runs are due lose none and double none (POSTERN_SEED=${SEED})`,
  async () => {
    const random = seeded(SEED);
    const seen = new Seen();
    await using receiver = startReceiver(({ headers }) => {
      seen.note(headers);
      return 200;
    });
    const config = configFor(receiver.url, { more: scheduleTables });
    const { folder } = createFolder(config);
    const anchors = new Map<string, number>();
    const killedAts: number[] = [];
    for (let kill = 0; kill < KILLS; kill += 1) {
      await using postern = await startPostern({ config, folder });
      if (kill === 0) for (const [name, at] of await readAnchors(postern)) anchors.set(name, at);
      const offsetMs = random() * (WINDOW_MS + EARLY_MS) - EARLY_MS;
      await killAround(postern, anchors.get("s0") ?? 0, offsetMs);
      killedAts.push(Date.now());
    }
    await using postern = await startPostern({ config, folder });
    const readyAt = Date.now();
    await comeToRest(postern, [...anchors.keys()], readyAt);
    const madeUpFor = new MadeUpFor(killedAts);
    let runCount = 0;
    for (const [name, anchorAt] of anchors) {
      const shown = await postern.api<ScheduleView>(`/schedules/${name}`);
      const lastRunAt = Date.parse(shown.lastRunAt ?? "");
      const planned = plannedRuns(anchorAt + PERIOD_MS, lastRunAt);
      const runs = await finishedRunsOf(postern, name);
      expect(runs.map(({ scheduledAt }) => [scheduledAt, 1]).sort()).toEqual(planned);
      expect(seen.of(name)).toEqual(planned);
      expect([shown.runCount, shown.skippedCount]).toEqual([planned.length, 0]);
      expect(lastRunAt).toBeGreaterThanOrEqual(readyAt - PERIOD_MS);
      runCount += runs.length;
      madeUpFor.note(runs);
    }
    const facts = { kills: KILLS, runs: runCount, ...madeUpFor.facts() };
    process.stdout.write(`${JSON.stringify(facts)}\n`);
    expect(runCount).toBeGreaterThanOrEqual(KILLS * SCHEDULES);
    expect(facts.madeUpFor).toBeGreaterThan(0);
  },
  LIMIT_MS,
);

/** As in the manual, word for word. */
const NIGHTLY = `[[schedule]]
name = "nightly"
cron = "0 3 * * *"
timezone = "Europe/Berlin"
missed = "once"
overlap = "skip"
endpoint = "app"
body = { kind = "nightly" }
`;

test("a declared schedule sends its body at its local time, on a clock that the caller moves", async () => {
  await using receiver = startReceiver();
  const config = configFor(receiver.url, { more: NIGHTLY });
  const command = [BINARY, "serve", "--clock", "virtual", "--clock-start", "2026-03-28T12:00:00Z"];
  await using postern = await startPostern({ config, command });
  await postern.api("/clock/advance", { method: "POST", body: JSON.stringify({ by: "2d" }) });
  const sent = receiver.requests.map(({ text, headers }) => [
    headers.get("postern-occurrence"),
    headers.get("content-type"),
    text,
  ]);
  expect(sent).toEqual([
    ["2026-03-29T01:00:00.000Z", "application/json", '{"kind":"nightly"}'],
    ["2026-03-30T01:00:00.000Z", "application/json", '{"kind":"nightly"}'],
  ]);
});

test("the command line previews what daylight saving does", async () => {
  const { folder } = createFolder("");
  const words = ["0 2 * * *", "--tz", "Europe/Berlin", "--from", "2026-03-28", "--count", "5", "--json"];
  const { exitCode, stdout } = await runPostern(["schedules", "preview", ...words], folder);
  expect(exitCode).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({
    timezone: "Europe/Berlin",
    runs: [
      { local: "2026-03-28T02:00:00", offset: "+01:00", note: null },
      { local: "2026-03-29T03:00:00", offset: "+02:00", note: "gap: moved from 02:00" },
      { local: "2026-03-30T02:00:00", offset: "+02:00" },
      { local: "2026-03-31T02:00:00" },
      { local: "2026-04-01T02:00:00" },
    ],
  });
});
