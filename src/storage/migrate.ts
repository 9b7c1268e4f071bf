/**
 * Embedded, numbered, forward-only migrations. `user_version` is the number of the last one applied; each
 * runs in one transaction with its number. A file newer than the program is refused: an older program cannot
 * know what it would break.
 */
import type { Database } from "bun:sqlite";
import { StoreOpenError } from "./database.ts";
import init from "./migrations/0001_init.sql" with { type: "text" };
import schedules from "./migrations/0002_schedules.sql" with { type: "text" };
import access from "./migrations/0003_access.sql" with { type: "text" };
import pacing from "./migrations/0004_pacing.sql" with { type: "text" };
import callbacks from "./migrations/0005_callbacks.sql" with { type: "text" };
import bulk from "./migrations/0006_bulk.sql" with { type: "text" };
import pyfly from "./migrations/0007_pyfly.sql" with { type: "text" };
import pingback from "./migrations/0008_pingback.sql" with { type: "text" };
import hookbridge from "./migrations/0009_hookbridge.sql" with { type: "text" };
import posthook from "./migrations/0010_posthook.sql" with { type: "text" };
import retired from "./migrations/0011_retired.sql" with { type: "text" };

export const MIGRATIONS: readonly string[] = [
  init,
  schedules,
  access,
  pacing,
  callbacks,
  bulk,
  pyfly,
  pingback,
  hookbridge,
  posthook,
  retired,
];

/**
 * Returns the version the file had before. Throws StoreOpenError when the file is newer than this program.
 */
export function migrate(db: Database, migrations: readonly string[] = MIGRATIONS): number {
  const row = db.query<{ user_version: number }, []>("PRAGMA user_version").get();
  const version = row?.user_version ?? 0;
  if (version > migrations.length) {
    throw new StoreOpenError(
      `the store has version ${version}, this program knows ${migrations.length}; run a newer Postern`,
    );
  }
  for (const [index, sql] of migrations.entries()) {
    if (index < version) continue;
    db.transaction(() => {
      db.run(sql);
      db.run(`PRAGMA user_version = ${index + 1}`);
    }).immediate();
  }
  return version;
}
