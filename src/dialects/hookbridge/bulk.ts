/**
 * Replaying and deleting many at once (protocol sections 7.5 and 7.7), for messages of every kind. What these
 * calls differ in is said by a Kind: which history they walk, how an id is found, what things are called.
 */
import type { DeliveryState } from "../../domain/delivery.ts";
import type { HistoryEntry, HistoryFilter, HistoryRow } from "../../domain/history.ts";
import type { Id } from "../../domain/id.ts";
import { answerData, Fault } from "./answer.ts";
import { required } from "./endpoint-fields.ts";
import { replay } from "./resend.ts";
import type { Call, Route } from "./router.ts";
import type { Service } from "./service.ts";
import { readUuid, showTime, showUuid, statesOf } from "./wire.ts";

export interface Kind {
  /** "message" or "event": how members are called. */
  readonly noun: "message" | "event";
  /** The query's names for the bounds on when it was made. */
  readonly since: string;
  readonly until: string;
  /** Reads the filter of one endpoint out of the call; throws when it is not there. */
  filter(call: Call): Omit<HistoryFilter, "limit">;
  states(status: string): readonly DeliveryState[];
  /** The id that clients know it by. */
  idOf(row: HistoryRow): Id;
  find(call: Call, id: Id): Promise<HistoryEntry | null>;
}

const BATCH_MAX = 100;
const REPLAY_ALL = { min: 1, max: 1_000, usual: 100 };
const DELETE_ALL = { min: 1, max: 1_000, usual: 1_000 };

export function replayRoutes(service: Service, path: string, kind: Kind): Route[] {
  return [
    { method: "POST", path: `${path}/replay-all`, run: (call) => replayAll(call, service, kind) },
    { method: "POST", path: `${path}/replay-batch`, run: (call) => replayBatch(call, service, kind) },
  ];
}

/** What became of one of many. `stuck`: it is being sent, or about to be. */
export type Replayed =
  | { readonly status: "replayed" }
  | { readonly status: "stuck" | "failed"; readonly error: string };

async function replayOne(call: Call, service: Service, entry: HistoryEntry): Promise<Replayed> {
  try {
    await replay(service, entry, call.settings);
    return { status: "replayed" };
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    const isStuck = error.code === "DELIVERY_IN_PROGRESS" || error.code === "RETRY_IN_PROGRESS";
    return { status: isStuck ? "stuck" : "failed", error: error.message };
  }
}

async function replayAll(call: Call, service: Service, kind: Kind): Promise<Response> {
  const states = kind.states(required(call.query.text("status"), "status"));
  const limit = call.query.integer("limit", REPLAY_ALL);
  const filter = { ...kind.filter(call), states, limit, isLivingOnly: true };
  const { rows } = await service.context.history.listHistory(filter);
  const results: (Replayed & { readonly id: string })[] = [];
  for (const row of rows) {
    const id = kind.idOf(row);
    const entry = await kind.find(call, id);
    if (entry) results.push({ ...(await replayOne(call, service, entry)), id: showUuid(id) });
  }
  const idsOf = (status: Replayed["status"]) =>
    results.filter((result) => result.status === status).map(({ id }) => id);
  const data = {
    ...countsOf(results),
    replayed_message_ids: idsOf("replayed"),
    stuck_message_ids: idsOf("stuck"),
  };
  return answerData(call.context, data, { top: { message: summaryOf(data.replayed) } });
}

async function replayBatch(call: Call, service: Service, kind: Kind): Promise<Response> {
  const results: (Replayed & { readonly message_id: string })[] = [];
  for (const text of await readIds(call)) {
    const id = readUuid(text);
    const entry = id === null ? null : await kind.find(call, id);
    const result: Replayed =
      entry === null
        ? { status: "failed", error: `no such ${kind.noun}` }
        : await replayOne(call, service, entry);
    results.push({ message_id: text, ...result });
  }
  const counts = countsOf(results);
  return answerData(call.context, { ...counts, results }, { top: { message: summaryOf(counts.replayed) } });
}

export function countsOf(results: readonly Replayed[]) {
  const count = (wanted: Replayed["status"]) => results.filter(({ status }) => status === wanted).length;
  return { replayed: count("replayed"), failed: count("failed"), stuck: count("stuck") };
}

export function summaryOf(count: number): string {
  return count === 1 ? "1 message is sent again" : `${count} messages are sent again`;
}

async function readIds(call: Call, name = "message_ids"): Promise<readonly string[]> {
  const ids = (await call.fields()).texts(name, { min: 1, max: BATCH_MAX });
  return required(ids, name);
}

/** Deleting one, a list, or all that a filter finds. The row stays; its body does not. */
export function deleteRoutes(service: Service, path: string, kind: Kind): Route[] {
  return [
    { method: "DELETE", path: `${path}/${idParam(kind)}`, run: (call) => deleteOne(call, service, kind) },
    { method: "POST", path: `${path}/delete-batch`, run: (call) => deleteBatch(call, service, kind) },
    { method: "POST", path: `${path}/delete-all`, run: (call) => deleteAll(call, service, kind) },
  ];
}

/** Events stand below their endpoint, whose id comes first in the path. */
function idParam({ noun }: Kind): string {
  return noun === "event" ? ":event" : ":id";
}

async function deleteOne(call: Call, service: Service, kind: Kind): Promise<Response> {
  const text = call.param(idParam(kind).slice(1));
  const id = readUuid(text);
  const entry = id === null ? null : await kind.find(call, id);
  if (!entry) throw new Fault("NOT_FOUND", `no such ${kind.noun}`);
  const erased = await service.context.sends.erase(call.project, entry.id);
  const at = erased.kind === "absent" ? service.context.clock.now() : erased.at;
  return answerData(call.context, {
    [`${kind.noun}_id`]: text,
    deleted_at: showTime(at),
    already_deleted: erased.kind === "known",
  });
}

async function deleteBatch(call: Call, service: Service, kind: Kind): Promise<Response> {
  const results: { readonly outcome: string }[] = [];
  // compat(hookbridge 13): events are listed as `message_ids`, too.
  for (const text of await readIds(call)) {
    const id = readUuid(text);
    const entry = id === null ? null : await kind.find(call, id);
    const erased = entry ? await service.context.sends.erase(call.project, entry.id) : null;
    const shown = { [`${kind.noun}_id`]: text };
    if (erased === null || erased.kind === "absent") results.push({ ...shown, outcome: "not_found" });
    else {
      const outcome = erased.kind === "known" ? "already_deleted" : "deleted";
      results.push({ ...shown, outcome, deleted_at: showTime(erased.at) } as never);
    }
  }
  const count = (wanted: string) => results.filter(({ outcome }) => outcome === wanted).length;
  return answerData(call.context, {
    results,
    deleted_count: count("deleted"),
    already_deleted_count: count("already_deleted"),
    not_found_count: count("not_found"),
  });
}

async function deleteAll(call: Call, service: Service, kind: Kind): Promise<Response> {
  const { query, project } = call;
  const status = query.text("status");
  const states = status?.split(",").flatMap((word) => kind.states(word.trim()));
  const since = query.time(kind.since);
  const until = query.time(kind.until);
  const { rows } = await service.context.history.listHistory({
    ...kind.filter(call),
    limit: query.integer("limit", DELETE_ALL),
    isLivingOnly: true,
    ...(states === undefined ? {} : { states: [...new Set(states)] }),
    ...(since === undefined ? {} : { since }),
    ...(until === undefined ? {} : { until }),
  });
  const ids: string[] = [];
  let failure: string | null = null;
  for (const row of rows) {
    try {
      const { kind: outcome } = await service.context.sends.erase(project, row.id);
      if (outcome === "erased") ids.push(showUuid(kind.idOf(row)));
    } catch (error) {
      // What is gone is gone; the caller has to know how far it came.
      failure = error instanceof Error ? error.message : String(error);
      break;
    }
  }
  const data = { deleted: ids.length, [`deleted_${kind.noun}_ids`]: ids };
  const code = ids.length === 0 ? "DELETE_FAILED" : "PARTIAL_DELETE_FAILURE";
  return answerData(
    call.context,
    data,
    failure === null ? {} : { top: { error: { code, message: failure } } },
  );
}

/** Messages of a profile, known by their delivery's own id. */
export function messageKind(service: Service, profile: string): Kind {
  return {
    noun: "message",
    since: "created_after",
    until: "created_before",
    filter({ project, query }) {
      const id = query.text("endpoint_id");
      const lane = id === undefined ? {} : { lane: service.endpoint(project, id).lane };
      return { project, profile, ...lane };
    },
    states: statesOf,
    idOf: ({ id }) => id,
    find: ({ project }, id) => service.context.history.historyEntry({ project, profile, id }),
  };
}
