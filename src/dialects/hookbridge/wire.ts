/** HookBridge's words: ids, times, statuses, cursors. Pure. */
import type { DeliveryState } from "../../domain/delivery.ts";
import type { HistoryPlace } from "../../domain/history.ts";
import type { Id } from "../../domain/id.ts";
import { Fault } from "./answer.ts";

/** RFC 3339 in UTC with three digits: the one form that every SDK parses (protocol section 2.3). */
export function showTime(at: number): string {
  return new Date(at).toISOString();
}

export function showOptionalTime(at: number | null): string | null {
  return at === null ? null : showTime(at);
}

const TIME = /^\d{4}-\d\d-\d\d(?:[Tt ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?)?$/;
const OFFSET = /(?:[Zz]| ?[+-]\d\d:?\d\d)$/;

/**
 * Returns the instant of a time in a query or body. Python sends times without an offset, which are UTC, and
 * a plus sign that was not escaped arrives as a space (protocol section 2.1).
 */
export function readTime(name: string, text: string): number {
  const trimmed = text.trim();
  // After a date's own dashes, only what follows a clock time can be an offset.
  const [offset = ""] = trimmed.includes(":")
    ? (OFFSET.exec(trimmed) ?? / \d\d:?\d\d$/.exec(trimmed) ?? [])
    : [];
  const bare = trimmed.slice(0, trimmed.length - offset.length);
  const zone = /^ \d/.test(offset) ? `+${offset.trim()}` : offset.trim();
  const day = bare.includes(":") ? bare.replace(/[t ]/, "T") : `${bare}T00:00:00`;
  const at = TIME.test(bare) ? Date.parse(`${day}${zone === "" ? "Z" : zone.toUpperCase()}`) : Number.NaN;
  if (Number.isNaN(at)) throw new Fault("INVALID_REQUEST", `${name} is no time; send RFC 3339`);
  return at;
}

/** Ids of messages, attempts, exports and the like are shown as UUIDs (protocol section 2.4). */
export function showUuid(id: Id): string {
  return `${id.slice(0, 8)}-${id.slice(8, 12)}-${id.slice(12, 16)}-${id.slice(16, 20)}-${id.slice(20)}`;
}

/** Null for what is no UUID. */
export function readUuid(text: string): Id | null {
  return /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text)
    ? text.replaceAll("-", "").toLowerCase()
    : null;
}

export function showProject(project: string): string {
  return `proj_${project}`;
}

const STATUS_OF: Readonly<Record<DeliveryState, string>> = {
  queued: "queued",
  stored: "queued",
  sending: "delivering",
  awaiting: "delivering",
  fetched: "delivering",
  retrying: "pending_retry",
  held: "paused",
  succeeded: "succeeded",
  dead: "failed_permanent",
  cancelled: "failed_permanent",
  discarded: "failed_permanent",
};

export function showStatus(state: DeliveryState): string {
  return STATUS_OF[state];
}

/** The states that are shown as a status. Throws INVALID_REQUEST for any other word. */
export function statesOf(status: string): DeliveryState[] {
  const states = Object.entries(STATUS_OF).flatMap(([state, shown]) => (shown === status ? [state] : []));
  if (states.length === 0) throw new Fault("INVALID_REQUEST", `"${status}" is no message status`);
  return states as DeliveryState[];
}

/** What a pull event is called. An erased one keeps the name of how far it had come. */
export function showPullStatus(state: DeliveryState, fetchedAt: number | null): string {
  if (state === "succeeded") return "delivered";
  return state === "stored" || fetchedAt === null ? "stored" : "fetched";
}

export function pullStatesOf(status: string): DeliveryState[] {
  if (status === "stored" || status === "fetched") return [status];
  if (status === "delivered") return ["succeeded"];
  throw new Fault("INVALID_REQUEST", `"${status}" is no event status`);
}

export function writeCursor({ createdAt, seq }: HistoryPlace): string {
  return Buffer.from(`${createdAt}.${seq}`).toString("base64url");
}

export function readCursor(text: string): HistoryPlace {
  const found = /^(\d{1,16})\.(\d{1,16})$/.exec(Buffer.from(text, "base64url").toString("latin1"));
  if (!found) throw new Fault("INVALID_REQUEST", "the cursor is none of ours");
  return { createdAt: Number(found[1]), seq: Number(found[2]) };
}

/** A ratio from 0 to 1, and 0 of nothing (protocol section 8). */
export function ratio(part: number, whole: number): number {
  return whole === 0 ? 0 : part / whole;
}

export function average(sum: number, count: number): number {
  return count === 0 ? 0 : Math.round(sum / count);
}

export function sha256(bytes: Uint8Array | string): string {
  return new Bun.CryptoHasher("sha256").update(bytes).digest("hex");
}
