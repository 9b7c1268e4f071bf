/**
 * Kills the server with SIGKILL in the middle of a bulk replay, again and again: it goes on by itself after
 * each start, replays no dead letter twice and forgets none. A delivery's number of attempts is the witness:
 * one before the replay, one more after it, however often a kill cut an attempt off.
 *
 *   POSTERN_BULK_KILLS   how often to kill; 4 unless said otherwise
 *   POSTERN_SEED         the seed of an earlier run
 */
import { afterAll, expect, test } from "bun:test";
import { startReceiver } from "../support/receiver.ts";
import {
  API_KEY,
  configText,
  createFolder,
  freePort,
  listDeliveries,
  Postern,
  pause,
  removeFolders,
  seeded,
  sendSigned,
  until,
} from "./support.ts";

afterAll(removeFolders);

const KILLS = Number(process.env.POSTERN_BULK_KILLS ?? 4);
const SEED = Number(process.env.POSTERN_SEED ?? Math.floor(Math.random() * 1_000_000));
const LETTERS = 400;
/** Slow enough that every kill finds it under way. */
const RATE = 150;
const LIFE_MS_MAX = 400;
const ONE_TRY = 'retry = { policy = "fixed", delay = "1s", max_attempts = 1 }\nbreaker = { failures = 0 }';

interface BulkView {
  readonly id: string;
  readonly state: string;
  readonly changed: number;
  readonly skipped: number;
}

test(
  `${KILLS} kills during a bulk replay repeat no item and forget none (POSTERN_SEED=${SEED})`,
  async () => {
    const random = seeded(SEED);
    let isWell = false;
    await using receiver = startReceiver(() => (isWell ? 200 : 500));
    const port = await freePort();
    const endpoints = [{ name: "app", url: receiver.url, more: ONE_TRY }];
    const config = configText({ port, endpoints, sources: { orders: ["app"] } });
    const { folder } = createFolder(config);
    const id = await prepare({ config, folder, port });
    isWell = true;

    let cutOff = 0;
    for (let kill = 0; kill < KILLS; kill++) {
      await using postern = await new Postern({ config, folder }).ready();
      await pause(random() * LIFE_MS_MAX);
      if ((await postern.api<BulkView>(`/bulk/${id}`)).state === "running") cutOff += 1;
      postern.signal("SIGKILL");
      await postern.ended();
    }

    await using postern = await new Postern({ config, folder }).ready();
    const bulk = await until(async () => {
      const now = await postern.api<BulkView>(`/bulk/${id}`);
      return now.state === "done" ? now : null;
    });
    await until(async () =>
      (await listDeliveries(postern, "state=succeeded")).length === LETTERS ? true : null,
    );
    const attempts = (await listDeliveries(postern)).map(({ attemptCount }) => attemptCount);
    process.stdout.write(
      `${JSON.stringify({ kills: KILLS, cutOff, letters: LETTERS, seen: receiver.requests.length })}\n`,
    );
    expect(bulk).toMatchObject({ changed: LETTERS, skipped: 0 });
    expect(attempts.filter((count) => count !== 2)).toEqual([]);
    expect(attempts).toHaveLength(LETTERS);
    expect(cutOff).toBeGreaterThan(0);
  },
  60_000 + KILLS * 5_000,
);

/** Makes the dead letters, begins their replay, and kills the server at once. Returns the replay's id. */
async function prepare({ config, folder, port }: { config: string; folder: string; port: number }) {
  await using postern = await new Postern({ config, folder }).ready();
  const bodies = Array.from({ length: LETTERS }, (_, n) => JSON.stringify({ id: `event-${n}` }));
  await Promise.all(bodies.map((body) => sendSigned(`http://127.0.0.1:${port}`, "orders", body)));
  await until(async () => ((await listDeliveries(postern, "state=dead")).length === LETTERS ? true : null));
  const begun = await fetch(`http://127.0.0.1:${port}/_/api/bulk`, {
    method: "POST",
    headers: { authorization: `Bearer ${API_KEY}`, "content-type": "application/json" },
    body: JSON.stringify({ action: "replay", rate: RATE }),
  });
  const { id } = (await begun.json()) as BulkView;
  postern.signal("SIGKILL");
  await postern.ended();
  return id;
}
