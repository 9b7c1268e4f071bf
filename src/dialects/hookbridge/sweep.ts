/**
 * The retention that a pull endpoint sets for itself: events older than that lose their body and end. The
 * engine's own retention removes their rows later.
 */
import { DAY, MINUTE } from "../../domain/duration.ts";
import type { Settling } from "../../runtime/advance.ts";
import type { Timer } from "../../runtime/clock.ts";
import { DOOR, readSourceExtra } from "./objects.ts";
import { INBOUND, PULL } from "./profiles.ts";
import { laneOf } from "./receiving.ts";
import type { Service } from "./service.ts";

/** Retention is counted in days. */
const EVERY_MS = 30 * MINUTE;
const STEP = 100;
/** Far beyond the minute after which the tunnel itself would have. */
const STALE_MS = 10 * MINUTE;

export class Sweep implements Settling {
  readonly #service: Service;
  #timer: Timer | null = null;
  #running: Promise<void> | null = null;
  #isStopped = false;

  constructor(service: Service) {
    this.#service = service;
  }

  start(): void {
    const { clock } = this.#service.context;
    this.#timer = clock.setTimer(clock.now() + EVERY_MS, () => this.#run());
  }

  isSettled(): boolean {
    return this.#running === null;
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#timer?.cancel();
    await this.#running;
  }

  #run(): void {
    const { log } = this.#service.context;
    this.#running = this.#sweep()
      .catch((error: unknown) => log.warn("pull.sweep_failed", { error: String(error) }))
      .finally(() => {
        this.#running = null;
        if (!this.#isStopped) this.start();
      });
  }

  async #expireExports(): Promise<void> {
    const { exports, clock } = this.#service.context;
    for (const record of await exports.exportsOf(null)) {
      const { state, expiresAt } = record;
      if (state !== "completed" || expiresAt === null || expiresAt > clock.now()) continue;
      await exports.putExport({ ...record, state: "expired" });
    }
  }

  /** What the CLI got from a process that is no more, and never told about: it was handed over. */
  async #confirmStale(): Promise<void> {
    const { directory, commands, history, clock } = this.#service.context;
    for (const source of directory.sources()) {
      if (source.door !== DOOR || readSourceExtra(source).mode !== "cli") continue;
      const fetched = await history.listHistory({
        ...{ project: source.project, profile: INBOUND, states: ["fetched"], limit: STEP },
        lane: laneOf(this.#service, source),
        isLivingOnly: true,
      });
      const stale = fetched.rows.filter(({ fetchedAt }) => (fetchedAt ?? 0) < clock.now() - STALE_MS);
      await commands.confirmFetched(
        source,
        stale.map(({ id }) => id),
      );
    }
  }

  async #sweep(): Promise<void> {
    await this.#expireExports();
    await this.#confirmStale();
    const { directory, clock, history, sends } = this.#service.context;
    for (const source of directory.sources()) {
      if (source.door !== DOOR) continue;
      const { retentionDays } = readSourceExtra(source);
      if (retentionDays === null) continue;
      const lane = laneOf(this.#service, source);
      const until = clock.now() - retentionDays * DAY;
      const { project } = source;
      const filter = { project, profile: PULL, lane, until, limit: STEP } as const;
      let isMore = true;
      while (isMore && !this.#isStopped) {
        const page = await history.listHistory({ ...filter, isOldestFirst: true, isLivingOnly: true });
        for (const { id } of page.rows) await sends.erase(project, id);
        isMore = page.next !== null;
      }
    }
  }
}
