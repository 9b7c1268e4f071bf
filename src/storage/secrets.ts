/** Keys of the store's own: made once per file, sealed, never shown. */
import type { Database } from "bun:sqlite";
import { ownerOf } from "./sealed-columns.ts";
import type { Sealing } from "./sealing.ts";

/** What tokens are signed with: callbacks, tickets, downloads. */
const TOKEN_KEY = "tokens";
const KEY_BYTES = 32;

/** Returns the key that signs tokens; makes it in a new store. */
export function tokenKey(
  db: Database,
  sealing: Sealing,
  randomBytes: (length: number) => Uint8Array,
): Uint8Array {
  const find = db.query<{ sealed: Uint8Array }, [string]>("SELECT sealed FROM secret WHERE name = ?");
  const row = find.get(TOKEN_KEY);
  if (row) return Buffer.from(String(sealing.open(ownerOf("secret", TOKEN_KEY), row.sealed)), "base64");
  const key = randomBytes(KEY_BYTES);
  const sealed = sealing.seal(ownerOf("secret", TOKEN_KEY), Buffer.from(key).toString("base64"));
  db.query("INSERT INTO secret (name, sealed) VALUES (?, ?)").run(TOKEN_KEY, sealed);
  return key;
}
