/** What the numbers were measured on, and what a process holds in memory. */
import { Database } from "bun:sqlite";
import { closeSync, fsyncSync, openSync, readFileSync, statfsSync, writeSync } from "node:fs";
import { availableParallelism, cpus, release, totalmem, type } from "node:os";
import { join } from "node:path";
import { median } from "./statistics.ts";

const MEBIBYTE = 1_048_576;
const FSYNC_COUNT = 50;
const FSYNC_BYTES = 4_096;
/** The numbers by which statfs(2) calls the usual file systems. */
const FILE_SYSTEMS: Readonly<Record<number, string>> = {
  16914836: "tmpfs",
  61267: "ext4",
  1481003842: "xfs",
  2435016766: "btrfs",
  2035054128: "overlayfs",
  801189825: "zfs",
};

export interface Machine {
  readonly cores: number;
  readonly cpu: string;
  readonly memoryMiB: number;
  readonly system: string;
  readonly bun: string;
  readonly sqlite: string;
  /** Where the files of this run were. */
  readonly fileSystem: string;
  readonly fsyncMs: number;
}

export function describeMachine(folder: string): Machine {
  const db = new Database(":memory:");
  const row = db.query<{ version: string }, []>("SELECT sqlite_version() AS version").get();
  db.close();
  const number = statfsSync(folder).type;
  return {
    cores: availableParallelism(),
    cpu: cpus()[0]?.model.trim() ?? "unknown",
    memoryMiB: Math.round(totalmem() / MEBIBYTE),
    system: `${type()} ${release()}`,
    bun: Bun.version,
    sqlite: row?.version ?? "unknown",
    fileSystem: FILE_SYSTEMS[number] ?? `type 0x${number.toString(16)}`,
    fsyncMs: measureFsync(folder),
  };
}

export interface ProcessorTimes {
  readonly busyMs: number;
  readonly totalMs: number;
}

/** Returns what all processors together have done since the machine started. */
export function processorTimes(): ProcessorTimes {
  let busyMs = 0;
  let idleMs = 0;
  for (const { times } of cpus()) {
    busyMs += times.user + times.nice + times.sys + times.irq;
    idleMs += times.idle;
  }
  return { busyMs, totalMs: busyMs + idleMs };
}

/** Returns the median of appending 4 KiB and syncing: what a commit costs at least. */
function measureFsync(folder: string): number {
  const file = openSync(join(folder, "fsync-probe"), "w");
  const page = Buffer.alloc(FSYNC_BYTES, 1);
  const durationsMs: number[] = [];
  for (let count = 0; count < FSYNC_COUNT; count += 1) {
    const startMs = performance.now();
    writeSync(file, page);
    fsyncSync(file);
    durationsMs.push(performance.now() - startMs);
  }
  closeSync(file);
  return median(durationsMs);
}

/** Returns the resident memory of a process in MiB, as the system counts it. */
export function residentMiB(pid: number): number {
  if (process.platform === "linux") {
    const status = readFileSync(`/proc/${pid}/status`, "utf8");
    return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? Number.NaN) / 1_024;
  }
  const listed = Bun.spawnSync(["ps", "-o", "rss=", "-p", String(pid)]);
  return Number(listed.stdout.toString().trim()) / 1_024;
}
