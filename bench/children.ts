/**
 * Every program that the measurements start. All are children of this process, known by their ids, and end
 * with it: at its exit, on SIGINT and SIGTERM, and when the time is up.
 */
import { HttpConnection, requestBytes } from "./http-connection.ts";

export interface Child {
  readonly pid: number;
  readonly exited: Promise<number>;
  /** Asks it to end, and ends it after `graceMs`; resolves when it is gone. */
  stop(graceMs: number): Promise<void>;
  /** What it wrote to stdout, when that was asked for. */
  output(): Promise<string>;
}

interface SpawnOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly isOutputKept?: boolean;
  /** Where stderr goes; without it, to ours. */
  readonly errorFile?: string;
}

const POLL_MS = 1;
const running = new Map<number, Bun.Subprocess>();
let isOver = false;
let spentMs = 0;

/** Starts a program with a nearly empty environment: no proxies, nothing that changes how Bun behaves. */
export function startChild(command: readonly string[], options: SpawnOptions = {}): Child {
  if (isOver) throw new Error("the time is up");
  const { PATH = "", HOME = "", TMPDIR } = process.env;
  const child = Bun.spawn([...command], {
    env: { PATH, HOME, ...(TMPDIR === undefined ? {} : { TMPDIR }), ...options.env },
    stdin: "ignore",
    stdout: options.isOutputKept ? "pipe" : "ignore",
    stderr: options.errorFile === undefined ? "inherit" : Bun.file(options.errorFile),
  });
  running.set(child.pid, child);
  void child.exited.then(() => {
    running.delete(child.pid);
    // In microseconds, and a bigint.
    spentMs += Number(child.resourceUsage()?.cpuTime.total ?? 0) / 1_000;
  });
  return {
    pid: child.pid,
    exited: child.exited,
    stop: async (graceMs) => {
      if (graceMs > 0) child.kill("SIGTERM");
      const isGone = await Promise.race([child.exited, Bun.sleep(graceMs).then(() => "late" as const)]);
      if (isGone === "late") child.kill("SIGKILL");
      await child.exited;
    },
    output: () => (child.stdout instanceof ReadableStream ? child.stdout.text() : Promise.resolve("")),
  };
}

/** Returns the processor time of this process and of all children that have ended. */
export function spentProcessorMs(): number {
  const { user, system } = process.cpuUsage();
  return spentMs + (user + system) / 1_000;
}

export function isTimeUp(): boolean {
  return isOver;
}

/** Ends every child at once and lets no other begin: whatever is being measured fails now. */
export function endMeasuring(): void {
  isOver = true;
  for (const child of running.values()) child.kill("SIGKILL");
}

/** Returns a port of 127.0.0.1 that is free at this moment. */
export function freePort(): number {
  const listener = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data: () => {} } });
  const { port } = listener;
  listener.stop(true);
  return port;
}

/** Resolves when the URL answers 200. Rejects when the child ends before, or after `limitMs`. */
export async function waitUntilUp(child: Child, url: string, limitMs: number): Promise<void> {
  const target = new URL(url);
  const untilMs = performance.now() + limitMs;
  let exitCode: number | null = null;
  void child.exited.then((code) => {
    exitCode = code;
  });
  while (performance.now() < untilMs) {
    if (await isUp(target)) return;
    if (exitCode !== null) throw new Error(`the program that should answer at ${url} ended with ${exitCode}`);
    await Bun.sleep(POLL_MS);
  }
  throw new Error(`nothing answered at ${url} within ${limitMs} ms`);
}

async function isUp(url: URL): Promise<boolean> {
  let connection: HttpConnection | null = null;
  try {
    connection = await HttpConnection.open(url);
    return (await connection.send(requestBytes("GET", url))).status === 200;
  } catch {
    return false;
  } finally {
    connection?.close();
  }
}
