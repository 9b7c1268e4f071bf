/**
 * PyFly's words for what came in: its receipt, its one message for every bad signature, and the event as its
 * processors see it. Pure.
 */
import { type Id, showId } from "../../domain/id.ts";

export interface ReceivedEvent {
  readonly id: Id;
  readonly source: string;
  readonly type: string | null;
  readonly isDuplicate: boolean;
}

/** What PyFly calls an event without a type. */
const UNKNOWN_TYPE = "unknown";
const utf8 = new TextDecoder();

/** Returns the answer to an accepted request: the same shape for a fresh event and for a duplicate. */
export function showReceipt({ id, source, type, isDuplicate }: ReceivedEvent) {
  return { id: showId("event", id), source, event_type: type ?? UNKNOWN_TYPE, duplicate: isDuplicate };
}

/** 202 when it came in now, 200 when it was there already. */
export function statusOf({ isDuplicate }: ReceivedEvent): 200 | 202 {
  return isDuplicate ? 200 : 202;
}

export function invalidSignature(source: string): string {
  return `invalid signature for source '${source}'`;
}

/**
 * Returns a body as PyFly's WebhookEvent carries it: the JSON object that it is, an empty object for no bytes
 * at all, else the text under `_raw`, bytes that are no UTF-8 replaced. PyFly breaks on other JSON values;
 * they count as text here.
 */
export function parseEventBody(body: Uint8Array): Readonly<Record<string, unknown>> {
  if (body.byteLength === 0) return {};
  const text = utf8.decode(body);
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) {
      return value as Readonly<Record<string, unknown>>;
    }
  } catch {
    // No JSON is text.
  }
  return { _raw: text };
}
