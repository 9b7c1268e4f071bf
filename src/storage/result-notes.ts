/**
 * Notes on ends that a bulk operation brings. It decides in the writer, item by item, so whoever is to be
 * told is looked up here; what a note says and whom it names is decided where it is for single verbs, too.
 */
import type { Database } from "bun:sqlite";
import type { NewDelivery, Transition } from "../domain/delivery.ts";
import type { Endpoint } from "../domain/endpoint.ts";
import type { Id } from "../domain/id.ts";
import { lineOf } from "../domain/pacing.ts";
import { type ResultTarget, resultNote, resultTarget } from "../domain/result-note.ts";
import type { DeliveryFacts } from "../domain/strategy.ts";
import { idText } from "./ids.ts";

interface EndpointRow {
  seq: number;
  id: Uint8Array;
  name: string;
  spec: string;
}

interface EndedItem {
  readonly facts: DeliveryFacts;
  readonly decided: Transition;
  /** Of the note, if there is one. */
  readonly id: Id;
}

/** Returns the delivery that tells of an end; null when nobody is to be told, or whom it named is gone. */
export type NoteEnd = (item: EndedItem) => NewDelivery | null;

export function createNoteEnd(db: Database): NoteEnd {
  const endpointOf = db.query<EndpointRow, [number]>(
    "SELECT seq, id, name, spec FROM endpoint WHERE seq = ?",
  );
  /** Along endpoint_name. */
  const endpointNamed = db.query<EndpointRow, [string, string]>(
    "SELECT seq, id, name, spec FROM endpoint WHERE project = ? AND name = ? AND deleted_at IS NULL",
  );
  const lastNamed = db.query<EndpointRow, [string, string]>(
    "SELECT seq, id, name, spec FROM endpoint WHERE project = ? AND name = ? ORDER BY seq DESC LIMIT 1",
  );
  const find = (project: string, { name, isOfUrl }: ResultTarget) =>
    endpointNamed.get(project, name) ?? (isOfUrl ? lastNamed.get(project, name) : null);
  return ({ facts, decided, id }) => {
    const row = endpointOf.get(decided.lane);
    if (row === null) return null;
    const { resultTo = null } = specOf(row);
    const endpoint = { name: row.name, resultTo };
    const { to, at, attemptCount } = decided;
    const wanted = resultTarget(facts, endpoint, to);
    const target = wanted && find(facts.project, wanted);
    if (target === null) return null;
    const { profile, pacing } = specOf(target);
    const line = lineOf(pacing, null);
    return {
      ...{ id, project: facts.project, lane: target.seq, endpointId: idText(target.id), profile },
      ...{ state: "queued", dueAt: at },
      ...(line === undefined ? {} : { line }),
      ...resultNote({ facts, endpoint, to, at, attemptCount, status: null, error: null }),
    };
  };
}

/** What of a definition is no secret (storage/endpoints.ts). */
function specOf({ spec }: EndpointRow): Pick<Endpoint, "profile" | "pacing" | "resultTo"> {
  return JSON.parse(spec) as Pick<Endpoint, "profile" | "pacing" | "resultTo">;
}
