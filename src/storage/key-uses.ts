/** When API keys were last used. */
import type { Database } from "bun:sqlite";
import type { Id } from "../domain/id.ts";
import { idBytes, idText } from "./ids.ts";

export function createKeyUseWrites(db: Database) {
  const note = db.query(
    `INSERT INTO key_use (key_id, used_at) VALUES (?, ?)
     ON CONFLICT (key_id) DO UPDATE SET used_at = excluded.used_at`,
  );
  return { noteKeyUse: (id: Id, usedAt: number): void => void note.run(idBytes(id), usedAt) };
}

export function loadKeyUses(db: Database): { id: Id; usedAt: number }[] {
  const rows = db.query<{ key_id: Uint8Array; used_at: number }, []>("SELECT key_id, used_at FROM key_use");
  return rows.all().map(({ key_id: id, used_at: usedAt }) => ({ id: idText(id), usedAt }));
}
