/** Sending at a client's word: what it asks for, and what becomes of it. */
import type { DeliveryState, NewDelivery, NewPayload } from "./delivery.ts";
import type { Id } from "./id.ts";

/** Makes a repeated request one delivery: the same key with the same fingerprint is the same request. */
export interface SendKey {
  readonly key: string;
  /** SHA-256 of what must be equal. */
  readonly fingerprint: Uint8Array;
}

export interface NewSend {
  readonly delivery: NewDelivery & { readonly payload: NewPayload };
  readonly key: SendKey | null;
  /** The body goes then, if the delivery has ended; null: with its delivery. */
  readonly expiresAt: number | null;
  readonly now: number;
}

export type SendResult =
  | { readonly kind: "created"; readonly seq: number }
  | { readonly kind: "known"; readonly id: Id; readonly state: DeliveryState }
  /** The key is in use for another content. */
  | { readonly kind: "mismatch" };

/** `deleted`: gone now; `known`: it was gone already. */
export type EraseResult =
  | { readonly kind: "erased" | "known"; readonly at: number }
  | { readonly kind: "absent" };
