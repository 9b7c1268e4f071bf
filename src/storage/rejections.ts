/** Writes rejections, and what became of them. */
import type { Database } from "bun:sqlite";
import type { Accepted } from "../domain/event.ts";
import type { Admission, NewRejection } from "../domain/rejection.ts";
import { idBytes, idText } from "./ids.ts";

export function createRejectionWrites(db: Database) {
  const insert = db.query(
    `INSERT INTO rejection (id, project, source_seq, reason, detail, diagnosis, received_at, method,
       url, remote_address, headers, body, is_body_cut)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  );
  function reject(rejection: NewRejection): void {
    insert.run(
      idBytes(rejection.id),
      rejection.project,
      rejection.sourceSeq,
      rejection.reason,
      rejection.detail,
      rejection.diagnosis,
      rejection.receivedAt,
      rejection.method,
      rejection.url,
      rejection.remoteAddress,
      rejection.headers,
      rejection.body,
      rejection.isBodyCut ? 1 : 0,
    );
  }

  // Both by the unique id.
  const admittedAs = db.query<{ admitted_event_id: Uint8Array | null }, [Uint8Array]>(
    "SELECT admitted_event_id FROM rejection WHERE id = ?",
  );
  const mark = db.query(
    "UPDATE rejection SET admitted_at = ?, admitted_event_id = ?, is_forced = ? WHERE id = ?",
  );

  /** Lets a rejection become an event, once: `accept` is not called when it has become one before. */
  function admit({ rejectionId, at, isForced }: Admission, accept: () => Accepted): Accepted {
    const id = idBytes(rejectionId);
    const earlier = admittedAs.get(id)?.admitted_event_id;
    if (earlier) return { isDuplicate: true, id: idText(earlier) };
    const accepted = accept();
    mark.run(at, idBytes(accepted.id), isForced ? 1 : 0, id);
    return accepted;
  }

  return { reject, admit };
}
