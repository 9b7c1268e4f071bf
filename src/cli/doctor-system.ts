/** The doctor on this machine: clock, SQLite, the place of the store, and who may read the files. */
import {
  accessSync,
  closeSync,
  constants,
  fdatasyncSync,
  openSync,
  statfsSync,
  statSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import type { Config } from "../config/config.ts";
import type { Clock } from "../runtime/clock.ts";
import { requireSqlite, sqliteVersion } from "../storage/database.ts";
import { type Finding, fail, ok, warn } from "./finding.ts";
import { reasonOf } from "./terminal.ts";

/** The program is younger than that, so an earlier clock has lost its battery. */
const YEAR_MIN = 2025;
const YEAR_MAX = 2100;
const CLOCK_PROBE_MS = 20;
/** How far the two clocks may drift apart while probing; timers are that coarse under load. */
const CLOCK_DRIFT_MS = 200;

const GIB = 1_073_741_824;
/** Below this a burst of events fills the disk before anybody looks. */
const FREE_BYTES_WARN = GIB;
/** The write-ahead log alone takes this much under load. */
const FREE_BYTES_FAIL = 64 * 1_048_576;

const SYNC_COUNT = 50;
const SYNC_BYTES = 4_096;
/** Group commit hides slow disks well, but at this pace an acknowledgement takes its time. */
const SYNC_SLOW_MS = 20;

const OTHERS_MASK = 0o077;

export async function checkClock(clock: Clock): Promise<Finding[]> {
  const [wall, ticks] = [clock.wallNow(), clock.monotonicMs()];
  await new Promise<void>((resolve) => void clock.setWallTimer(CLOCK_PROBE_MS, resolve));
  const wallMs = clock.wallNow() - wall;
  const ticksMs = clock.monotonicMs() - ticks;
  const year = new Date(wall).getUTCFullYear();
  const now = new Date(wall).toISOString();
  if (year < YEAR_MIN || year > YEAR_MAX) return [fail("clock", `${now} cannot be right`)];
  if (ticksMs <= 0) return [fail("clock", "the monotonic clock stands still")];
  if (Math.abs(wallMs - ticksMs) > CLOCK_DRIFT_MS) {
    return [warn("clock", `the wall clock jumped by ${Math.round(wallMs - ticksMs)} ms while examined`)];
  }
  return [ok("clock", `${now}, steady`)];
}

export function checkSqlite(): Finding[] {
  const version = sqliteVersion();
  try {
    requireSqlite(version);
    return [ok("sqlite", version)];
  } catch (error) {
    return [fail("sqlite", reasonOf(error))];
  }
}

/** Free space and the speed of a durable write, both where the store is. */
export function checkStorePlace(config: Config, clock: Clock): Finding[] {
  const folder = dirname(config.store.path);
  try {
    return [checkFree(folder, config.store.maxDiskBytes), checkSync(folder, clock)];
  } catch (error) {
    return [fail("disk", `${folder}: ${reasonOf(error)}`)];
  }
}

function checkFree(folder: string, maxDiskBytes: number): Finding {
  const { bavail, bsize } = statfsSync(folder);
  const freeBytes = bavail * bsize;
  const text = `${showGib(freeBytes)} free at ${folder}`;
  if (freeBytes < FREE_BYTES_FAIL) return fail("disk", text);
  if (freeBytes < FREE_BYTES_WARN) return warn("disk", text);
  if (freeBytes < maxDiskBytes)
    return warn("disk", `${text}, less than store.max_disk ${showGib(maxDiskBytes)}`);
  return ok("disk", text);
}

function showGib(bytes: number): string {
  return `${(bytes / GIB).toFixed(1)} GiB`;
}

/** Writes and syncs a few pages in a file of its own; the median tells what one commit costs at least. */
function checkSync(folder: string, clock: Clock): Finding {
  const path = join(folder, `.postern-doctor-${process.pid}`);
  const page = new Uint8Array(SYNC_BYTES);
  const durationsMs: number[] = [];
  const file = openSync(path, "wx", 0o600);
  try {
    for (let round = 0; round < SYNC_COUNT; round++) {
      const startedAt = clock.monotonicMs();
      writeSync(file, page);
      fdatasyncSync(file);
      durationsMs.push(clock.monotonicMs() - startedAt);
    }
  } finally {
    closeSync(file);
    unlinkSync(path);
  }
  durationsMs.sort((a, b) => a - b);
  const medianMs = durationsMs[SYNC_COUNT / 2] ?? 0;
  const worstMs = durationsMs.at(-1) ?? 0;
  const text = `${medianMs.toFixed(2)} ms median, ${worstMs.toFixed(2)} ms worst of ${SYNC_COUNT}`;
  return medianMs > SYNC_SLOW_MS ? warn("fsync", `${text}: a slow disk`) : ok("fsync", text);
}

export function checkPermissions(config: Config): Finding[] {
  const { store } = config;
  const findings = [checkSecrecy("config", config.path)];
  if (store.masterKey.kind === "file") findings.push(checkSecrecy("master key", store.masterKey.path));
  findings.push(checkSecrecy("store", store.path), checkWritable(store.path));
  return findings.filter((finding) => finding !== null);
}

/** Returns null for a file that does not exist yet; it will be made with the right permissions. */
function checkSecrecy(what: string, path: string): Finding | null {
  const mode = statSync(path, { throwIfNoEntry: false })?.mode;
  if (mode === undefined) return null;
  const name = `${what} file ${basename(path)}`;
  const octal = (mode & 0o777).toString(8);
  if ((mode & OTHERS_MASK) === 0) return ok("permissions", `${name} is for its owner only (${octal})`);
  return warn("permissions", `${name} can be read by others (${octal}); chmod 600 ${path}`);
}

function checkWritable(storePath: string): Finding {
  const isThere = statSync(storePath, { throwIfNoEntry: false }) !== undefined;
  try {
    // SQLite also makes files beside the store.
    accessSync(dirname(storePath), constants.W_OK | constants.X_OK);
    if (isThere) accessSync(storePath, constants.R_OK | constants.W_OK);
    return ok("permissions", `${storePath} can be written`);
  } catch (error) {
    return fail("permissions", `${storePath} cannot be written: ${reasonOf(error)}`);
  }
}
