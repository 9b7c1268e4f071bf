/** The reads about functions behind one name, so that each may run on either thread. */
import type { Database } from "bun:sqlite";
import type { FunctionReads } from "../domain/execution.ts";
import {
  executionHistogram,
  executionTree,
  getExecution,
  isBoundedExecutionList,
  listExecutions,
  pageExecutions,
} from "./list-executions.ts";
import { isBoundedLogList, listLogs, logBounds, logHistogram, pageLogs } from "./list-logs.ts";
import { pageBounds } from "./page.ts";

type Inputs = { readonly [Verb in keyof FunctionReads]: Parameters<FunctionReads[Verb]>[0] };

export type FunctionQuery = {
  readonly [Verb in keyof Inputs]: { readonly verb: Verb; readonly input: Inputs[Verb] };
}[keyof Inputs];

export function runFunctionQuery(db: Database, query: FunctionQuery): unknown {
  switch (query.verb) {
    case "listExecutions":
      return listExecutions(db, query.input);
    case "pageExecutions":
      return pageExecutions(db, query.input);
    case "getExecution":
      return getExecution(db, query.input);
    case "executionTree":
      return executionTree(db, query.input);
    case "executionHistogram":
      return executionHistogram(db, query.input);
    case "listLogs":
      return listLogs(db, query.input);
    case "pageLogs":
      return pageLogs(db, query.input);
    case "logHistogram":
      return logHistogram(db, query.input);
    default:
      return query satisfies never;
  }
}

export function isBoundedFunctionQuery(query: FunctionQuery, isOnlyProject: boolean): boolean {
  switch (query.verb) {
    case "getExecution":
      return true;
    case "listExecutions":
      return isBoundedExecutionList(query.input);
    case "listLogs":
      return isBoundedLogList(query.input, isOnlyProject);
    default:
      return false;
  }
}

type Run = <Result>(query: { readonly name: "functions"; readonly query: FunctionQuery }) => Promise<Result>;

export function createFunctionReads(run: Run): FunctionReads {
  const ask = <Result>(query: FunctionQuery) => run<Result>({ name: "functions", query });
  return {
    async listExecutions(input) {
      // Checked here, so that a bad cursor or limit never travels.
      pageBounds(input);
      return ask({ verb: "listExecutions", input });
    },
    pageExecutions: (input) => ask({ verb: "pageExecutions", input }),
    getExecution: (input) => ask({ verb: "getExecution", input }),
    executionTree: (input) => ask({ verb: "executionTree", input }),
    executionHistogram: (input) => ask({ verb: "executionHistogram", input }),
    async listLogs(input) {
      logBounds(input);
      return ask({ verb: "listLogs", input });
    },
    pageLogs: (input) => ask({ verb: "pageLogs", input }),
    logHistogram: (input) => ask({ verb: "logHistogram", input }),
  };
}
