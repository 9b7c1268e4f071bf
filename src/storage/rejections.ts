/** Writes rejections. */
import type { Database } from "bun:sqlite";
import type { NewRejection } from "../domain/rejection.ts";
import { idBytes } from "./ids.ts";

export function createRejectionWrites(db: Database) {
  const insert = db.query(
    `INSERT INTO rejection (id, project, source_seq, reason, detail, diagnosis, received_at, method,
       remote_address, headers, body, is_body_cut)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
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
      rejection.remoteAddress,
      rejection.headers,
      rejection.body,
      rejection.isBodyCut ? 1 : 0,
    );
  }
  return { reject };
}
