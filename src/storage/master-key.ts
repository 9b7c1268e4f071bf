/**
 * The key that seals secrets: from a file that is made when absent, or from a value. Never stored in the
 * database.
 */
import {
  closeSync,
  fsyncSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import { dirname } from "node:path";
import { StoreOpenError } from "./database.ts";
import { MASTER_KEY_BYTES } from "./sealing.ts";

export interface MasterKey {
  readonly key: Uint8Array;
  readonly isNew: boolean;
  /** A sentence for the operator, or null. */
  readonly warning: string | null;
}

const OTHERS_MASK = 0o077;

/**
 * Reads the key file, or creates it (mode 0600) with 32 random bytes. Throws StoreOpenError with what to do.
 */
export function loadMasterKeyFile(path: string, randomBytes: (length: number) => Uint8Array): MasterKey {
  const text = readText(path) ?? createKeyFile(path, randomBytes);
  if (typeof text !== "string") return { key: text, isNew: true, warning: null };
  const key = parseMasterKey(text);
  if (key === null)
    throw new StoreOpenError(`${path} holds no master key (32 bytes as base64 or 64 hex digits)`);
  const mode = statSync(path).mode & 0o777;
  const warning =
    (mode & OTHERS_MASK) === 0
      ? null
      : `${path} can be read by others (mode ${mode.toString(8)}); run chmod 600 on it`;
  return { key, isNew: false, warning };
}

/** Reads a key file that must be there already. Throws StoreOpenError. */
export function readMasterKeyFile(path: string): Uint8Array {
  const text = readText(path);
  const key = text === null ? null : parseMasterKey(text);
  if (key === null) throw new StoreOpenError(`${path} holds no master key, or is not there`);
  return key;
}

/** Returns the 32 bytes behind base64 (either alphabet) or 64 hex digits; null when it is neither. */
export function parseMasterKey(text: string): Uint8Array | null {
  const trimmed = text.trim();
  if (/^[0-9a-fA-F]{64}$/.test(trimmed)) return new Uint8Array(Buffer.from(trimmed, "hex"));
  if (!/^[A-Za-z0-9+/_-]+={0,2}$/.test(trimmed)) return null;
  const bytes = new Uint8Array(Buffer.from(trimmed, "base64"));
  return bytes.byteLength === MASTER_KEY_BYTES ? bytes : null;
}

function readText(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (codeOf(error) === "ENOENT") return null;
    throw unusable("read", path, error);
  }
}

/** Returns the new key, or the text of the file when another process made it in the meantime. */
function createKeyFile(path: string, randomBytes: (length: number) => Uint8Array): Uint8Array | string {
  const key = randomBytes(MASTER_KEY_BYTES);
  try {
    writeKeyFile(path, key);
    return key;
  } catch (error) {
    const text = codeOf(error) === "EEXIST" ? readText(path) : null;
    if (text !== null) return text;
    throw unusable("create", path, error);
  }
}

function writeKeyFile(path: string, key: Uint8Array): void {
  const file = openSync(path, "wx", 0o600);
  try {
    writeSync(file, `${Buffer.from(key).toString("base64")}\n`);
    // What is sealed under a key that a power cut takes away is lost, so the key goes to disk first.
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

function unusable(verb: string, path: string, cause: unknown): StoreOpenError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new StoreOpenError(`cannot ${verb} the master key file ${path}: ${reason}`, { cause });
}

function codeOf(error: unknown): unknown {
  return typeof error === "object" && error !== null && "code" in error ? error.code : undefined;
}

/** Where a key waits that a running server is changing to. */
function stagedPath(path: string): string {
  return `${path}.next`;
}

/** Returns the key that waits beside the key file, or null. */
export function readStagedKey(path: string): Uint8Array | null {
  const text = readText(stagedPath(path));
  return text === null ? null : parseMasterKey(text);
}

/** Puts a key beside the key file, on disk before anything is sealed under it. Replaces an older one. */
export function stageMasterKey(path: string, key: Uint8Array): void {
  rmSync(stagedPath(path), { force: true });
  writeKeyFile(stagedPath(path), key);
  syncFolder(path);
}

/** Makes the waiting key the key. The rename is atomic: there is no instant without a whole key file. */
export function promoteStagedKey(path: string): void {
  renameSync(stagedPath(path), path);
  syncFolder(path);
}

/** For a key that waits in vain: nothing was ever sealed under it. */
export function discardStagedKey(path: string): void {
  rmSync(stagedPath(path), { force: true });
}

function syncFolder(path: string): void {
  const folder = openSync(dirname(path), "r");
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}
