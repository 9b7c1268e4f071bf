/**
 * Runs the lists and details: what an index bounds on the reader connection of this thread, everything else
 * on the read thread. A store in memory has no second connection to open, so all of it runs here.
 */
import type { Database } from "bun:sqlite";
import type { CallbackReads } from "../domain/callback.ts";
import type { DatedReads } from "../domain/dated.ts";
import { AppError } from "../domain/errors.ts";
import type { FunctionReads } from "../domain/execution.ts";
import type { HistoryReads } from "../domain/history.ts";
import type { ListReads } from "../domain/reads.ts";
import type { StoreClock } from "./contract.ts";
import { createFunctionReads } from "./function-reads.ts";
import { pageBounds } from "./page.ts";
import { isBounded, isList, type Query, runQuery } from "./queries.ts";
import { ReadThread } from "./read-thread.ts";

export interface Reader {
  readonly lists: ListReads &
    FunctionReads &
    CallbackReads &
    DatedReads &
    Pick<HistoryReads, "listHistory" | "countHistory">;
  close(): void;
}

export interface ReaderOptions {
  readonly db: Database;
  /** Null: no read thread. */
  readonly path: string | null;
  readonly clock: Pick<StoreClock, "setWallTimer">;
}

export function createReader({ db, path, clock }: ReaderOptions): Reader {
  const thread = path === null ? null : new ReadThread({ path, clock });
  // The table of projects is short, and one that has no row owns nothing.
  const projects = db.query<{ count: number }, []>("SELECT count(*) AS count FROM project");
  const isOnlyProject = () => (projects.get()?.count ?? 0) <= 1;

  let isClosed = false;

  async function run<Result>(query: Query): Promise<Result> {
    if (isClosed) throw new AppError("shutting_down", "the server is stopping");
    // Checked here, so that a bad cursor or limit never travels.
    if (isList(query)) pageBounds(query.input);
    if (thread === null || isBounded(query, isOnlyProject())) return runQuery(db, query) as Result;
    return thread.run<Result>(query);
  }

  return {
    lists: {
      ...createFunctionReads(run),
      listEvents: (input) => run({ name: "listEvents", input }),
      getEvent: (input) => run({ name: "getEvent", input }),
      listDeliveries: (input) => run({ name: "listDeliveries", input }),
      getDelivery: (input) => run({ name: "getDelivery", input }),
      listRejections: (input) => run({ name: "listRejections", input }),
      getRejection: (input) => run({ name: "getRejection", input }),
      listCallbackExecutions: (filter) => run({ name: "listCallbackExecutions", filter }),
      getCallbackExecution: (input) => run({ name: "getCallbackExecution", input }),
      listHistory: (input) => run({ name: "listHistory", input }),
      countHistory: (input) => run({ name: "countHistory", input }),
      listDated: (input) => run({ name: "listDated", input }),
      getDated: (input) => run({ name: "getDated", input }),
      countDeliveries: () => run({ name: "countDeliveries" }),
      searchDeliveries: (input) => run({ name: "searchDeliveries", input }),
      searchEvents: (input) => run({ name: "searchEvents", input }),
      deliveriesOfSeqs: (input) => run({ name: "deliveriesOfSeqs", input }),
      countMatches: (input) => run({ name: "countMatches", input }),
      listBulks: (input) => run({ name: "listBulks", input }),
      getBulk: (input) => run({ name: "getBulk", input }),
      readRollups: (input) => run({ name: "readRollups", input }),
      countBacklog: (lane) => run({ name: "countBacklog", input: lane }),
    },
    close() {
      isClosed = true;
      thread?.close();
    },
  };
}
