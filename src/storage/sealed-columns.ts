/**
 * Every column that holds something sealed. The column is always named `sealed`, may be null, and what it
 * holds is sealed for `ownerOf` its table and key. A table that is missing here would be lost with the old
 * master key, so a test compares this list with the schema.
 */
interface SealedColumn {
  readonly table: string;
  /** The column that names the row: an id (BLOB) or a text. Unique. */
  readonly key: string;
}

export const SEALED_COLUMNS: readonly SealedColumn[] = [
  { table: "endpoint", key: "id" },
  { table: "source", key: "id" },
  { table: "secret", key: "name" },
  { table: "callback_config", key: "id" },
  { table: "function_host", key: "project" },
];

/** Returns what a row's sealed value belongs to: "endpoint:" and the id in hex, "secret:" and the name. */
export function ownerOf(table: string, key: Uint8Array | string): string {
  return `${table}:${typeof key === "string" ? key : Buffer.from(key).toString("hex")}`;
}
