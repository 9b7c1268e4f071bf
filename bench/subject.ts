/**
 * What is put under load: the product or a program beside it, started, with a way to ask what it has
 * delivered.
 */
import { join } from "node:path";
import { type Child, freePort, startChild, waitUntilUp } from "./children.ts";
import { get } from "./http-connection.ts";

export interface Counts {
  readonly delivered: number;
  /** Accepted and not yet delivered. */
  readonly backlog: number;
}

export interface Subject {
  readonly pid: number;
  /** False: it has nothing to deliver. */
  readonly isForwarding: boolean;
  /** Where requests go. */
  readonly url: string;
  counts(): Promise<Counts>;
  /** Ends it without ado; its files are of no more use. */
  kill(): Promise<void>;
}

export type Mode = "ingest" | "path";

export const CEILING_PROGRAM = Bun.fileURLToPath(import.meta.resolve("./ceiling.ts"));
const SINK_PROGRAM = Bun.fileURLToPath(import.meta.resolve("./sink.ts"));
const START_LIMIT_MS = 10_000;

/** Starts a ceiling: any program that takes PORT, DB, MODE and SINK and answers /healthz and /stat. */
export async function startCeiling(
  program: string,
  options: { readonly mode: Mode; readonly folder: string; readonly sinkUrl: string; readonly name: string },
): Promise<Subject> {
  const { child, base } = await startProgram(program, {
    DB: join(options.folder, `${options.name}.db`),
    MODE: options.mode,
    SINK: options.sinkUrl,
  });
  return {
    pid: child.pid,
    isForwarding: options.mode === "path",
    url: `${base}/`,
    counts: async () => JSON.parse((await get(`${base}/stat`)).body.toString()) as Counts,
    kill: () => child.stop(0),
  };
}

export interface Sink {
  readonly url: string;
  received(): Promise<number>;
  kill(): Promise<void>;
}

export async function startSink(): Promise<Sink> {
  const { child, base } = await startProgram(SINK_PROGRAM, {});
  return {
    url: `${base}/`,
    received: async () => {
      const stat = JSON.parse((await get(`${base}/stat`)).body.toString()) as { received: number };
      return stat.received;
    },
    kill: () => child.stop(0),
  };
}

async function startProgram(
  program: string,
  env: Readonly<Record<string, string>>,
): Promise<{ readonly child: Child; readonly base: string }> {
  const port = freePort();
  const base = `http://127.0.0.1:${port}`;
  const child = startChild([process.execPath, program], { env: { ...env, PORT: String(port) } });
  await waitUntilUp(child, `${base}/healthz`, START_LIMIT_MS);
  return { child, base };
}
