/**
 * The connected listeners of one project, and the hooks that they have been given (reference section 14.6). A
 * hook that is out is known by its id, not by the connection it went to: after a reconnect a client answers
 * over the new one. What nobody answers within the window is a failed attempt, whether or not the connection
 * lived.
 */
import type { Outcome } from "../../domain/attempt.ts";
import type { Id } from "../../domain/id.ts";
import type { EnvelopeInput } from "../../domain/strategy.ts";
import type { Clock, Timer } from "../../runtime/clock.ts";
import type { Listener, ListenerCounts, Taken, Verdict } from "../../runtime/listeners.ts";
import { CLOSE, type Connection } from "./connection.ts";
import { ackTimeoutFrame, asyncAckFrame, attemptOf, type ClientFrame, hookFrame } from "./frames.ts";
import { asyncTimeoutMs } from "./profile.ts";
import { readHookId, showHookId } from "./wire.ts";

export interface HubOptions {
  readonly clock: Clock;
  /** A word on a hook that is not out over a connection: it may await a report. */
  readonly onReport: (id: Id, isAck: boolean, text: string | null) => void;
}

interface Out {
  readonly input: EnvelopeInput;
  readonly connection: Connection;
  readonly timer: Timer;
  readonly resolve: (verdict: Verdict | null) => void;
}

/** Section 14.6. */
const ACK_WINDOW_MS = 10_000;
/** Connections looked at for one hook, so that thousands of them cost no more than a few. */
const CANDIDATES = 8;
/** What the error text of a nack may take; as in a callback. */
const ERROR_CHARS_MAX = 8_192;
/** Hooks of which it is remembered who refused them last. */
const REFUSERS_MAX = 1_024;

export class Hub implements Listener {
  readonly #options: HubOptions;
  readonly #connections: Connection[] = [];
  readonly #out = new Map<Id, Out>();
  /** The next attempt goes to another connection if there is one: this one was at capacity, or failed. */
  readonly #refusers = new Map<Id, Connection>();
  #turn = 0;

  constructor(options: HubOptions) {
    this.#options = options;
  }

  get counts(): ListenerCounts {
    return { connected: this.#connections.length, unanswered: this.#out.size };
  }

  get connections(): readonly Connection[] {
    return this.#connections;
  }

  add(connection: Connection): void {
    this.#connections.push(connection);
  }

  /** What it has been given stays out until its window ends: the client may be back before. */
  remove(connection: Connection): void {
    const index = this.#connections.indexOf(connection);
    if (index !== -1) this.#connections.splice(index, 1);
  }

  offer(input: EnvelopeInput): Taken | "full" | null {
    if (this.#connections.length === 0) return null;
    const { id } = input.delivery;
    const connection = this.#choose(this.#refusers.get(id));
    if (connection === null) return "full";
    const frame = frameOf(input, connection.isForwarding);
    if (typeof frame !== "string") return Promise.resolve(frame);
    if (!connection.give(frame)) return "full";
    this.#refusers.delete(id);
    return new Promise((resolve) => {
      const timer = this.#options.clock.setWallTimer(ACK_WINDOW_MS, () => this.#expire(id));
      this.#out.set(id, { input, connection, timer, resolve });
    });
  }

  abort(): void {
    for (const id of [...this.#out.keys()]) this.#settle(id, null);
    for (const connection of [...this.#connections])
      connection.end(CLOSE.goingAway, "the server is stopping");
  }

  drain(): void {
    for (const connection of [...this.#connections]) connection.drain();
  }

  /** Takes a client's word. A hook of another project is not among ours, and not reported on either. */
  hear(frame: ClientFrame): void {
    const id = readHookId(frame.hookId);
    if (id === null) return;
    const out = this.#out.get(id);
    if (out) this.#answer(id, out, frame);
    else if (frame.type !== "accept") {
      this.#options.onReport(id, frame.type === "ack", frame.type === "nack" ? textOf(frame.error) : null);
    }
  }

  #answer(id: Id, out: Out, frame: ClientFrame): void {
    if (frame.type === "ack") {
      this.#settle(id, { kind: "succeeded", status: null });
      return;
    }
    if (frame.type === "nack") {
      this.#fail(id, out, { failure: "nack", text: textOf(frame.error) });
      return;
    }
    const deadlineAt = this.#options.clock.now() + asyncTimeoutMs(frame.timeout);
    out.connection.send(asyncAckFrame(showHookId(id), out.input, deadlineAt));
    this.#settle(id, { kind: "awaiting", status: null, deadlineAt });
  }

  #expire(id: Id): void {
    const out = this.#out.get(id);
    if (!out) return;
    out.connection.send(ackTimeoutFrame(showHookId(id), attemptOf(out.input)));
    const text = `no acknowledgement within ${ACK_WINDOW_MS / 1_000} s`;
    this.#fail(id, out, { failure: "timeout", text });
  }

  #fail(id: Id, { connection }: Out, why: { failure: "nack" | "timeout"; text: string }): void {
    if (this.#refusers.size >= REFUSERS_MAX) this.#refusers.clear();
    this.#refusers.set(id, connection);
    this.#settle(id, { kind: "failed", ...why, status: null, retryAfterMs: null });
  }

  #settle(id: Id, outcome: Outcome | null): void {
    const out = this.#out.get(id);
    if (!out) return;
    this.#out.delete(id);
    out.timer.cancel();
    out.resolve(outcome === null ? null : { kind: "verdict", outcome });
    out.connection.settle();
  }

  /** In turns, the one with the least to do of a few. Null when all have enough. */
  #choose(refuser: Connection | undefined): Connection | null {
    const all = this.#connections;
    let best: Connection | null = null;
    let seen = 0;
    for (let step = 0; step < all.length && seen < CANDIDATES; step += 1) {
      const connection = all[(this.#turn + step) % all.length] as Connection;
      if (!connection.hasRoom || connection === refuser) continue;
      seen += 1;
      if (best === null || connection.unanswered < best.unanswered) best = connection;
    }
    this.#turn = (this.#turn + 1) % all.length;
    return best ?? (refuser?.hasRoom && all.includes(refuser) ? refuser : null);
  }
}

/** The frame, or as a verdict why there can be none. */
function frameOf(input: EnvelopeInput, isForwarding: boolean): string | Verdict {
  try {
    return hookFrame(input, isForwarding);
  } catch (error) {
    const text = `the frame could not be made: ${error instanceof Error ? error.message : String(error)}`;
    const outcome = { kind: "failed", failure: "transport", status: null, text, retryAfterMs: null } as const;
    return { kind: "verdict", outcome };
  }
}

function textOf(error: string | null): string {
  return error === null ? "the listener reported failure" : error.slice(0, ERROR_CHARS_MAX);
}
