/**
 * Kills the server with SIGKILL at random moments under load, again and again, and compares what it did with
 * what it promised. The ledger of acknowledged ids and the receiver live in this process, outside the one
 * that dies.
 *
 *   POSTERN_KILLS   how often to kill; 5 unless said otherwise
 *   POSTERN_SEED    the seed of an earlier run: it chooses the moments, the machine what happens then
 */
import { afterAll, expect, test } from "bun:test";
import { mkdirSync } from "node:fs";
import { startReceiver } from "../support/receiver.ts";
import {
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

const KILLS = Number(process.env.POSTERN_KILLS ?? 5);
const SEED = Number(process.env.POSTERN_SEED ?? Math.floor(Math.random() * 1_000_000));
const SENDERS = 16;
/** The longest life of one process; short, so that kills also hit starts. */
const LIFE_MS_MAX = 600;
/** One of so many requests is refused by the receiver, so that retries are under way at every kill. */
const REFUSED_ONE_IN = 10;
const RETRY = 'retry = { policy = "fixed", delay = "100ms", max_attempts = 100 }\nbreaker = { failures = 0 }';
const LIMIT_MS = 60_000 + KILLS * 5_000;

/** What this side knows for certain: the ids that were acknowledged, and how often the receiver saw each. */
class Ledger {
  readonly acknowledged = new Set<string>();
  readonly seen = new Map<string, number>();
  isOver = false;
  #sentCount = 0;

  noteSeen(id: string): void {
    this.seen.set(id, (this.seen.get(id) ?? 0) + 1);
  }

  /**
   * Sends one event after the other until it is over. Most requests of a dead server fail, and are not
   * promised.
   */
  async send(url: string): Promise<void> {
    while (!this.isOver) {
      const body = JSON.stringify({ id: `event-${this.#sentCount++}`, filling: "x".repeat(500) });
      try {
        const response = await sendSigned(url, "orders", body);
        if (response.status !== 202) throw new Error(`answered ${response.status}`);
        this.acknowledged.add(((await response.json()) as { id: string }).id);
      } catch {
        // Nobody listens while the next process starts; asking without a break would starve it.
        await pause(5);
      }
    }
  }

  /** Acknowledged ids that the receiver has not seen. */
  missing(): string[] {
    return [...this.acknowledged].filter((id) => !this.seen.has(id));
  }
}

interface EventPage {
  readonly data: readonly { readonly id: string }[];
  readonly nextCursor: string | null;
}

async function listEventIds(postern: Postern): Promise<Set<string>> {
  const ids = new Set<string>();
  let cursor: string | null = null;
  do {
    const from: string = cursor === null ? "" : `&cursor=${encodeURIComponent(cursor)}`;
    const page: EventPage = await postern.api(`/events?limit=500${from}`);
    for (const { id } of page.data) ids.add(id);
    cursor = page.nextCursor;
  } while (cursor !== null);
  return ids;
}

test(
  `${KILLS} kills under load lose nothing that was acknowledged (POSTERN_SEED=${SEED})`,
  async () => {
    const random = seeded(SEED);
    const ledger = new Ledger();
    await using receiver = startReceiver(({ headers, order }) => {
      if (order % REFUSED_ONE_IN === 0) return 500;
      ledger.noteSeen(headers.get("webhook-id") ?? "");
      return 200;
    });
    const port = await freePort();
    const config = configText({
      port,
      endpoints: [
        {
          name: "app",
          url: receiver.url,
          more: RETRY,
        },
      ],
      sources: { orders: ["app"] },
    });
    const { folder } = createFolder(config);
    mkdirSync(folder, { recursive: true });
    const senders = Array.from({ length: SENDERS }, () => ledger.send(`http://127.0.0.1:${port}`));

    for (let kill = 0; kill < KILLS; kill++) {
      await using postern = new Postern({ config, folder });
      // Three kills of four hit a server at work, the fourth whatever it is doing by then.
      if (random() < 0.75) await postern.ready();
      await pause(random() * LIFE_MS_MAX);
      postern.signal("SIGKILL");
      await postern.ended();
    }

    await using postern = await new Postern({ config, folder }).ready();
    ledger.isOver = true;
    await Promise.all(senders);
    await until(async () => ((await countUnfinished(postern)) === 0 ? true : null));

    const stored = await listEventIds(postern);
    expect([...ledger.acknowledged].filter((id) => !stored.has(id))).toEqual([]);
    expect(ledger.missing()).toEqual([]);
    // What was stored but not acknowledged before a kill is delivered too.
    expect([...stored].filter((id) => !ledger.seen.has(id))).toEqual([]);
    expect((await listDeliveries(postern, "state=dead")).length).toBe(0);
    const twice = [...ledger.seen.values()].filter((count) => count > 1).length;
    const facts = {
      kills: KILLS,
      acknowledged: ledger.acknowledged.size,
      stored: stored.size,
      seenTwice: twice,
    };
    process.stdout.write(`${JSON.stringify(facts)}\n`);
    expect(ledger.acknowledged.size).toBeGreaterThan(KILLS);
  },
  LIMIT_MS,
);

const UNFINISHED = ["queued", "sending", "retrying", "held", "awaiting"];

async function countUnfinished(postern: Postern): Promise<number> {
  const { deliveries } = await postern.api<{ deliveries: Record<string, number> }>("/status");
  return UNFINISHED.reduce((sum, state) => sum + (deliveries[state] ?? 0), 0);
}
