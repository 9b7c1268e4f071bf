/** Makes the delivery that tells of an end, for whoever ends one: it goes into the same transaction. */
import type { NewDelivery } from "../domain/delivery.ts";
import type { Id } from "../domain/id.ts";
import { lineOf } from "../domain/pacing.ts";
import { type Ended, resultNote, resultTarget } from "../domain/result-note.ts";
import type { Directory } from "./directory.ts";
import type { Log } from "./log.ts";

export interface ResultNotesOptions {
  readonly directory: Directory;
  readonly nextId: () => Id;
  readonly log: Log;
}

/** Null when nobody is to be told, or whom it named is gone: that is logged and ends nothing. */
export type NoteResult = (ended: Ended) => NewDelivery | null;

export function createResultNotes({ directory, nextId, log }: ResultNotesOptions): NoteResult {
  return (ended) => {
    const { facts, endpoint, to, at } = ended;
    const wanted = resultTarget(facts, endpoint, to);
    if (wanted === null) return null;
    const { name, isOfUrl } = wanted;
    const target = isOfUrl
      ? directory.lastNamed(facts.project, name)
      : directory.endpointNamed(facts.project, name);
    if (!target) {
      log.warn("result.nobody_told", { endpoint: endpoint.name, resultTo: name });
      return null;
    }
    const { project, lane, id: endpointId, profile, pacing } = target;
    const line = lineOf(pacing, null);
    return {
      ...{ id: nextId(), project, lane, endpointId, profile, state: "queued", dueAt: at },
      ...(line === undefined ? {} : { line }),
      ...resultNote(ended),
    };
  };
}
