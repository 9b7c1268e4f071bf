/**
 * The retention that a pull endpoint sets for itself: events older than that lose their body and end. The
 * engine's own retention removes their rows later.
 */
import { DAY, MINUTE } from "../../domain/duration.ts";
import type { Settling } from "../../runtime/advance.ts";
import type { Timer } from "../../runtime/clock.ts";
import { DOOR, readSourceExtra } from "./objects.ts";
import { PULL } from "./profiles.ts";
import { laneOf } from "./receiving.ts";
import type { Service } from "./service.ts";

/** Retention is counted in days. */
const EVERY_MS = 30 * MINUTE;
const STEP = 100;

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

  async #sweep(): Promise<void> {
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
