/** Ids are hex in code and 16-byte BLOBs in the file. */
import type { Id } from "../domain/id.ts";

export function idBytes(id: Id): Buffer {
  return Buffer.from(id, "hex");
}

export function idText(bytes: Uint8Array): Id {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("hex");
}
