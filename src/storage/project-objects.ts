/** What stands in a project beside what the directory knows: names, for whoever wants to remove it. */
import type { Database } from "bun:sqlite";
import type { ProjectObject } from "../domain/access.ts";

/** Enough to see what is meant. */
const NAMED_MAX = 20;

/** Schedules along schedule_list; callback configs are few. */
export function listProjectObjects(db: Database, project: string): ProjectObject[] {
  return db
    .query<ProjectObject, [string, number]>(
      `SELECT 'schedule' AS kind, name FROM schedule WHERE project = ?1 AND deleted_at IS NULL
       UNION ALL SELECT 'callback config', spec ->> '$.name' FROM callback_config
         WHERE project = ?1 AND deleted_at IS NULL
       LIMIT ?2`,
    )
    .all(project, NAMED_MAX);
}
