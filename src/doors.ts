/** All doors of one app, wired to one engine and store. Part of the composition root, apart only for its length. */
import type { Config } from "./config/config.ts";
import type { ReloadResult } from "./http/api/deps.ts";
import { createApiDoor } from "./http/api/routes.ts";
import { BodyReader } from "./http/body.ts";
import type { Door } from "./http/door.ts";
import { createEchoDoor } from "./http/echo.ts";
import { createHealthDoor } from "./http/health.ts";
import { createIngestDoor } from "./http/ingest.ts";
import { createMetricsDoor } from "./http/metrics.ts";
import type { Clock } from "./runtime/clock.ts";
import type { Engine } from "./runtime/engine.ts";
import type { Log } from "./runtime/log.ts";
import { DURATION_BUCKETS_MS } from "./runtime/metrics.ts";
import type { Store } from "./storage/store.ts";

export interface DoorsInput {
  readonly config: Config;
  readonly store: Store;
  readonly engine: Engine;
  readonly clock: Clock;
  readonly log: Log;
  readonly version: { readonly version: string; readonly commit: string };
  readonly reload: () => Promise<ReloadResult>;
}

export function createDoors(input: DoorsInput): Door[] {
  const { config, store, engine, clock, log, version, reload } = input;
  const { directory, metrics, slots, commands, breakers, lanes } = engine;
  const startedAt = clock.wallNow();
  const bodies = new BodyReader({ clock, timeoutMs: config.server.readTimeoutMs });
  const doors = [
    createIngestDoor({
      ingest: engine.ingest,
      bodies,
      bodyBytesMax: config.server.maxBodyBytes,
      durability: store.durability,
    }),
    createHealthDoor({ store }),
    createMetricsDoor({
      metrics,
      durationBucketsMs: DURATION_BUCKETS_MS,
      slots,
      store,
      directory,
      build: version,
      startedAt,
    }),
    createApiDoor({
      clock,
      log,
      bodies,
      directory,
      commands,
      breakers,
      lanes,
      slots,
      reads: store,
      store,
      publicUrl: config.server.publicUrl,
      apiUrl: config.server.apiUrl,
      build: version,
      startedAt,
      reload,
    }),
  ];
  if (config.dev.echo) doors.push(createEchoDoor({ bodies }));
  return doors;
}
