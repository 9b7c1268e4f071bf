/** What the native API works with. app.ts fills it. */
import type { FunctionReads } from "../../domain/execution.ts";
import type { ListReads } from "../../domain/reads.ts";
import type { Admit } from "../../runtime/admit.ts";
import type { Advance } from "../../runtime/advance.ts";
import type { Breakers } from "../../runtime/breakers.ts";
import type { Bulks } from "../../runtime/bulks.ts";
import type { Clock } from "../../runtime/clock.ts";
import type { Commands } from "../../runtime/commands.ts";
import type { Directory } from "../../runtime/directory.ts";
import type { Feed } from "../../runtime/feed.ts";
import type { Functions } from "../../runtime/functions.ts";
import type { LaneOverview } from "../../runtime/lanes.ts";
import type { Log } from "../../runtime/log.ts";
import type { Metrics } from "../../runtime/metrics.ts";
import type { Objects } from "../../runtime/objects.ts";
import type { Publisher } from "../../runtime/publisher.ts";
import type { Random } from "../../runtime/random.ts";
import type { ResultEndpoints } from "../../runtime/result-endpoints.ts";
import type { Schedules } from "../../runtime/schedules.ts";
import type { Timers } from "../../runtime/timers.ts";
import type { BodyReader } from "../body.ts";
import type { StoreHealth } from "../health.ts";

export interface ApiDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly bodies: BodyReader;
  readonly directory: Directory;
  readonly commands: Commands;
  readonly objects: Objects;
  readonly results: ResultEndpoints;
  readonly publisher: Publisher;
  readonly bulks: Bulks;
  readonly feed: Feed;
  readonly admit: Admit;
  readonly schedules: Schedules;
  readonly timers: Timers;
  readonly functions: Functions;
  readonly functionReads: FunctionReads;
  readonly metrics: Pick<Metrics, "sources">;
  readonly breakers: Breakers;
  readonly lanes: { overview(lane: number): LaneOverview };
  readonly slots: { readonly used: number; readonly total: number };
  /** Counts that are not in the store yet. */
  readonly rollups: { flush(): Promise<void> };
  readonly reads: ListReads;
  readonly store: {
    readonly health: StoreHealth;
    readonly durability: "fsync" | "relaxed";
    counts(): { readonly waiting: number; readonly usedBytes: number };
  };
  readonly random: Pick<Random, "bytes">;
  /** Of endpoints that say nothing else. */
  readonly endpointTimeoutMs: number;
  /** The limit of what a payload may bring; other bodies have a smaller one. */
  readonly bodyBytesMax: number;
  /** Without a trailing slash; ingest URLs are shown below it. */
  readonly publicUrl: string;
  /** Without a trailing slash; where this API is reached. */
  readonly apiUrl: string;
  readonly build: { readonly version: string; readonly commit: string };
  /** Epoch milliseconds of the machine. */
  readonly startedAt: number;
  readonly reload: () => Promise<ReloadResult>;
  /** Moves the clock when it is a virtual one; null when it is the system's. */
  readonly advance: Pick<Advance, "to"> | null;
  /** Null: make a key, which needs a key file. AppError: conflict, invalid_request. */
  readonly rotateMasterKey: (newKey: string | null) => Promise<MasterKeyRotated>;
}

/** What a change of the master key did. */
export interface MasterKeyRotated {
  readonly resealed: number;
  readonly isKeyFileReplaced: boolean;
}

interface ConfigFault {
  /** 1-based; 0 when the file as a whole is at fault. */
  readonly line: number;
  readonly column: number;
  readonly key: string;
  readonly message: string;
}

/** What a reload did, each object as "kind name", or everything that is wrong with the file. */
export type ReloadResult =
  | {
      readonly ok: true;
      readonly created: readonly string[];
      readonly updated: readonly string[];
      readonly retired: readonly string[];
      /** Keys that changed in the file and take effect only with a new start. */
      readonly restartFor: readonly string[];
    }
  | { readonly ok: false; readonly errors: readonly ConfigFault[] };
