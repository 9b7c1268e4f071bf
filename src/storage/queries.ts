/**
 * The reads that may run on either thread, by name, with the rule for which of them the main thread can
 * afford.
 */
import type { Database } from "bun:sqlite";
import type { MatchCountInput } from "../domain/bulk.ts";
import type { CallbackFilter, CallbackLookup } from "../domain/callback.ts";
import type { DatedFilter, DatedLookup } from "../domain/dated.ts";
import type { HistoryFilter } from "../domain/history.ts";
import type {
  BulkFilter,
  DeliveryFilter,
  DeliverySearch,
  EventFilter,
  EventSearch,
  Lookup,
  RejectionFilter,
} from "../domain/reads.ts";
import type { RollupFilter } from "../domain/rollup.ts";
import { getBulk, listBulks } from "./bulks.ts";
import { getDated, isBoundedDatedList, listDated } from "./dated-deliveries.ts";
import { countMatches } from "./delivery-match.ts";
import { type FunctionQuery, isBoundedFunctionQuery, runFunctionQuery } from "./function-reads.ts";
import { countHistory, isBoundedHistory, listHistory } from "./history.ts";
import { getCallbackExecution, listCallbackExecutions } from "./list-callbacks.ts";
import {
  countDeliveries,
  deliveriesOfSeqs,
  getDelivery,
  isBoundedDeliveryList,
  listDeliveries,
} from "./list-deliveries.ts";
import { getEvent, isBoundedEventList, listEvents } from "./list-events.ts";
import { getRejection, isBoundedRejectionList, listRejections } from "./list-rejections.ts";
import { countBacklog, readRollups } from "./rollups.ts";
import { searchDeliveries, searchEvents } from "./search.ts";

/** Inputs and results are plain values: they cross the border between threads as they are. */
export type Query =
  | { readonly name: "listEvents"; readonly input: EventFilter }
  | { readonly name: "listDeliveries"; readonly input: DeliveryFilter }
  | { readonly name: "listRejections"; readonly input: RejectionFilter }
  | { readonly name: "getEvent"; readonly input: Lookup }
  | { readonly name: "getDelivery"; readonly input: Lookup }
  | { readonly name: "getRejection"; readonly input: Lookup }
  | { readonly name: "listCallbackExecutions"; readonly filter: CallbackFilter }
  | { readonly name: "getCallbackExecution"; readonly input: CallbackLookup }
  | { readonly name: "readRollups"; readonly input: RollupFilter }
  | { readonly name: "countBacklog"; readonly input: number }
  | { readonly name: "countMatches"; readonly input: MatchCountInput }
  | { readonly name: "deliveriesOfSeqs"; readonly input: readonly number[] }
  | { readonly name: "searchDeliveries"; readonly input: DeliverySearch }
  | { readonly name: "searchEvents"; readonly input: EventSearch }
  | { readonly name: "listBulks"; readonly input: BulkFilter }
  | { readonly name: "getBulk"; readonly input: Lookup }
  | { readonly name: "listHistory"; readonly input: HistoryFilter }
  | { readonly name: "countHistory"; readonly input: { readonly profile: string; readonly lane: number } }
  | { readonly name: "listDated"; readonly input: DatedFilter }
  | { readonly name: "getDated"; readonly input: DatedLookup }
  | { readonly name: "functions"; readonly query: FunctionQuery }
  | { readonly name: "countDeliveries" };

const LISTS = [
  "listEvents",
  "listDeliveries",
  "listRejections",
  "listBulks",
  "searchDeliveries",
  "searchEvents",
] as const;

/** Those that take a cursor and a limit. */
export type ListQuery = Extract<Query, { readonly name: (typeof LISTS)[number] }>;

export function isList(query: Query): query is ListQuery {
  return (LISTS as readonly string[]).includes(query.name);
}

export function runQuery(db: Database, query: Query): unknown {
  switch (query.name) {
    case "listEvents":
      return listEvents(db, query.input);
    case "listDeliveries":
      return listDeliveries(db, query.input);
    case "listRejections":
      return listRejections(db, query.input);
    case "getEvent":
      return getEvent(db, query.input);
    case "getDelivery":
      return getDelivery(db, query.input);
    case "getRejection":
      return getRejection(db, query.input);
    case "listHistory":
      return listHistory(db, query.input);
    case "countHistory":
      return countHistory(db, query.input);
    case "listDated":
      return listDated(db, query.input);
    case "getDated":
      return getDated(db, query.input);
    case "countDeliveries":
      return countDeliveries(db);
    case "listCallbackExecutions":
      return listCallbackExecutions(db, query.filter);
    case "getCallbackExecution":
      return getCallbackExecution(db, query.input);
    case "readRollups":
      return readRollups(db, query.input);
    case "countMatches":
      return countMatches(db, query.input);
    case "deliveriesOfSeqs":
      return deliveriesOfSeqs(db, query.input);
    case "searchDeliveries":
      return searchDeliveries(db, query.input);
    case "searchEvents":
      return searchEvents(db, query.input);
    case "listBulks":
      return listBulks(db, query.input);
    case "getBulk":
      return getBulk(db, query.input);
    case "countBacklog":
      return countBacklog(db, query.input);
    case "functions":
      return runFunctionQuery(db, query.query);
    default:
      return query satisfies never;
  }
}

/** True when an index bounds the cost, so that the query may run on the thread that also serves requests. */
export function isBounded(query: Query, isOnlyProject: boolean): boolean {
  switch (query.name) {
    case "listEvents":
      return isBoundedEventList(query.input, isOnlyProject);
    case "listDeliveries":
      return isBoundedDeliveryList(query.input, isOnlyProject);
    case "listRejections":
      return isBoundedRejectionList(query.input, isOnlyProject);
    case "listDated":
      return isBoundedDatedList(query.input);
    case "listHistory":
      return isBoundedHistory(query.input);
    case "functions":
      return isBoundedFunctionQuery(query.query, isOnlyProject);
    case "countHistory":
    case "countDeliveries":
    case "listCallbackExecutions":
    case "readRollups":
    case "countBacklog":
    case "countMatches":
    case "searchDeliveries":
    case "searchEvents":
      return false;
    default:
      return true;
  }
}
