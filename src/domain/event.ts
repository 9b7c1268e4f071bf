/** A received request, as it is about to be stored with everything that follows from it. */
import type { NewCallbackExecution } from "./callback.ts";
import type { NewDelivery } from "./delivery.ts";
import type { Id } from "./id.ts";
import type { Admission } from "./rejection.ts";

export interface NewEvent {
  readonly id: Id;
  readonly project: string;
  /** The source's number in the store; null for events that an API made. */
  readonly sourceSeq: number | null;
  readonly type: string | null;
  readonly tenant: string | null;
  readonly receivedAt: number;
  readonly remoteAddress: string | null;
  /** JSON object of header name to value, without the sender's credentials. */
  readonly headers: string;
  readonly body: Uint8Array;
  readonly dedupe: { readonly key: string; readonly expiresAt: number } | null;
  /** What the caller of the API calls it. */
  readonly externalId?: string | null;
  /** A key of the project, with the SHA-256 of what was sent under it. */
  readonly idempotency?: {
    readonly key: string;
    readonly digest: Uint8Array;
    readonly expiresAt: number;
  };
  readonly deliveries: readonly NewDelivery[];
  /** Those without a refusal belong to the delivery of the same id. */
  readonly callbacks?: readonly NewCallbackExecution[];
  /** Absent for what came in the ordinary way. A rejection is admitted once; again is a duplicate. */
  readonly admission?: Admission;
}

/** `seqs` are the stored numbers of the deliveries, in the order given. */
export type Accepted =
  | { readonly isDuplicate: false; readonly id: Id; readonly seqs: readonly number[] }
  | {
      readonly isDuplicate: true;
      readonly id: Id;
      /** Under the same idempotency key, and yet another event. */
      readonly isOther?: boolean;
    };
