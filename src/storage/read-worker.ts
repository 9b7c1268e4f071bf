/**
 * The read thread: answers queries on a connection of its own. An entry point of the build; see
 * read-thread.ts.
 */
import type { Database } from "bun:sqlite";
import { openReader } from "./database.ts";
import { runQuery } from "./queries.ts";
import type { ReadAnswer, ReadRequest } from "./read-thread.ts";

declare const self: Worker;

let db: Database | null = null;

self.onmessage = ({ data }: MessageEvent<ReadRequest>) => {
  const { id, path, query } = data;
  let answer: ReadAnswer;
  try {
    db ??= openReader(path);
    answer = { id, isOk: true, result: runQuery(db, query) };
  } catch (error) {
    answer = { id, isOk: false, reason: error instanceof Error ? error.message : String(error) };
  }
  self.postMessage(answer);
};
