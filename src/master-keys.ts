/** Where the master key comes from, and where a new one goes: part of the composition root. */
import type { Config } from "./config/config.ts";
import { AppError } from "./domain/errors.ts";
import { KeyRotation, type KeyRotationOptions } from "./runtime/key-rotation.ts";
import type { Log } from "./runtime/log.ts";
import type { Random } from "./runtime/random.ts";
import {
  discardStagedKey,
  loadMasterKeyFile,
  parseMasterKey,
  promoteStagedKey,
  readMasterKeyFile,
  readStagedKey,
  stageMasterKey,
} from "./storage/master-key.ts";
import { FIRST_RESEAL, type ResealCursor, type Store, type StoreOptions } from "./storage/store.ts";

type StoreConfig = Config["store"];
type Source = StoreConfig["masterKey"];

interface KeyMeans {
  readonly random: Random;
  readonly log: Pick<Log, "warn">;
}

interface Means {
  readonly random: Random;
  readonly log: Log;
}

/** Reads every key that the store may need. Throws StoreOpenError with what to do. */
export function readMasterKeys(
  { masterKey, masterKeyOld }: Pick<StoreConfig, "masterKey" | "masterKeyOld">,
  means: KeyMeans,
): Pick<StoreOptions, "masterKey" | "previousKey" | "stagedKey"> {
  return {
    masterKey: readKey(masterKey, means),
    previousKey: masterKeyOld === null ? undefined : readOldKey(masterKeyOld),
    stagedKey: (masterKey.kind === "file" ? readStagedKey(masterKey.path) : null) ?? undefined,
  };
}

function readKey(source: Source, { random, log }: KeyMeans): Uint8Array {
  if (source.kind === "text") return keyOfText(source.text);
  const { key, warning } = loadMasterKeyFile(source.path, (length) => random.bytes(length));
  if (warning !== null) log.warn("master_key.exposed", { warning });
  return key;
}

/** An old key is never made: the store was sealed under one that exists. */
function readOldKey(source: Source): Uint8Array {
  return source.kind === "text" ? keyOfText(source.text) : readMasterKeyFile(source.path);
}

function keyOfText(text: string): Uint8Array {
  const key = parseMasterKey(text);
  if (!key) throw new Error("the configuration let a bad master key pass");
  return key;
}

/** The key that a client of the API gives. AppError: invalid_request. */
export function readNewKey(text: string): Uint8Array {
  const key = parseMasterKey(text);
  if (key) return key;
  throw new AppError("invalid_request", "newKey must be 32 bytes as base64 or 64 hexadecimal digits");
}

export type MasterKeyRotation = KeyRotation<ResealCursor>;

/** Goes on with a change that the last process did not get to the end of, and makes the next one possible. */
export function startKeyRotation(store: Store, source: Source, means: Means): MasterKeyRotation {
  const keyFile = source.kind === "file" ? createKeyFile(store, source.path) : null;
  const rotation = new KeyRotation<ResealCursor>({ store, first: FIRST_RESEAL, keyFile, ...means });
  if (store.isKeyRotating) rotation.resume();
  // Killed behind the last step, or before the first: the waiting key is the key, or was never used.
  else keyFile?.promote();
  return rotation;
}

function createKeyFile(store: Store, path: string): NonNullable<KeyRotationOptions<ResealCursor>["keyFile"]> {
  return {
    stage: (key) => stageMasterKey(path, key),
    promote() {
      const staged = readStagedKey(path);
      if (staged === null) return;
      if (store.hasMasterKey(staged)) promoteStagedKey(path);
      else discardStagedKey(path);
    },
  };
}
