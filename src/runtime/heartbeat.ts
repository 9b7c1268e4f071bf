/**
 * Says every few seconds that this process is alive: a lease is worth no more than its owner's last
 * heartbeat.
 */
import { SECOND } from "../domain/duration.ts";
import type { Clock, Timer } from "./clock.ts";
import type { Log } from "./log.ts";

/** Leases expire after 15 s without a heartbeat; three may be missed. */
const HEARTBEAT_EVERY_MS = 4 * SECOND;

export interface HeartbeatOptions {
  readonly clock: Clock;
  readonly store: { heartbeat(now: number): Promise<void> };
  readonly log: Log;
}

export class Heartbeat {
  readonly #options: HeartbeatOptions;
  #timer: Timer | null = null;
  #beat: Promise<void> = Promise.resolve();

  constructor(options: HeartbeatOptions) {
    this.#options = options;
  }

  start(): void {
    const { clock, store, log } = this.#options;
    this.#timer = clock.setWallTimer(HEARTBEAT_EVERY_MS, () => {
      this.#beat = store
        .heartbeat(clock.wallNow())
        .catch((error: unknown) => log.debug("heartbeat.missed", { error: String(error) }))
        .then(() => {
          if (this.#timer !== null) this.start();
        });
    });
  }

  async stop(): Promise<void> {
    this.#timer?.cancel();
    this.#timer = null;
    await this.#beat;
  }
}
