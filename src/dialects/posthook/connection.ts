/**
 * One connected listener: its socket, what it has been given and not answered, and how it is kept alive.
 *
 *   opening   until the socket is there
 *   open      takes hooks
 *   closing   was told to go: takes nothing more, is closed when the last hook given to it is decided
 *   closed
 */
import type { Socket, SocketHandler } from "../../http/door.ts";
import { closingFrame, connectedFrame, pingFrame, type Welcome } from "./frames.ts";

export interface ConnectionOptions {
  readonly welcome: Welcome;
  readonly keyHash: string;
  readonly isForwarding: boolean;
  /** Milliseconds that only grow. */
  readonly monotonicMs: () => number;
  readonly wallNow: () => number;
  readonly onOpen: (connection: Connection) => void;
  readonly onMessage: (text: string) => void;
  readonly onClose: (connection: Connection) => void;
}

/** Section 14.8: these two stop a client for good, every other code lets it come back. */
export const CLOSE = { keyInvalid: 4_001, notAllowed: 4_003, goingAway: 1_001 } as const;

/** A client gives a silent connection up after 45 s; any frame resets that (section 14.7). */
const PING_AFTER_MS = 25_000;
/** Hooks that one connection may have unanswered: one that is stuck must not hoard them. */
const UNANSWERED_MAX = 64;
/** More waiting to be sent means that it does not read. */
const BUFFERED_BYTES_MAX = 262_144;

export class Connection implements SocketHandler {
  readonly keyHash: string;
  readonly isForwarding: boolean;
  readonly #options: ConnectionOptions;
  #socket: Socket | null = null;
  #isClosing = false;
  #lastSentMs = 0;
  #unanswered = 0;

  constructor(options: ConnectionOptions) {
    this.#options = options;
    this.keyHash = options.keyHash;
    this.isForwarding = options.isForwarding;
  }

  get id(): string {
    return this.#options.welcome.connectionId;
  }

  get unanswered(): number {
    return this.#unanswered;
  }

  /** Whether it may be given another hook. */
  get hasRoom(): boolean {
    if (this.#socket === null || this.#isClosing || this.#unanswered >= UNANSWERED_MAX) return false;
    return this.#socket.bufferedBytes < BUFFERED_BYTES_MAX;
  }

  open(socket: Socket): void {
    this.#socket = socket;
    this.send(connectedFrame(this.#options.welcome, this.#options.wallNow()));
    this.#options.onOpen(this);
  }

  message(text: string): void {
    this.#options.onMessage(text);
  }

  close(): void {
    this.#socket = null;
    this.#options.onClose(this);
  }

  /** False when the connection is gone or does not take it. */
  send(text: string): boolean {
    if (this.#socket === null || !this.#socket.send(text)) return false;
    this.#lastSentMs = this.#options.monotonicMs();
    return true;
  }

  /** Gives it a hook; settle() must follow once that hook is decided, if this returned true. */
  give(frame: string): boolean {
    if (!this.send(frame)) return false;
    this.#unanswered += 1;
    return true;
  }

  settle(): void {
    this.#unanswered -= 1;
    if (this.#isClosing && this.#unanswered === 0) this.end(CLOSE.goingAway, "the server is stopping");
  }

  pingIfSilent(): void {
    if (this.#options.monotonicMs() - this.#lastSentMs < PING_AFTER_MS) return;
    this.send(pingFrame(this.#options.wallNow()));
  }

  /** Lets it finish what it has, and closes it then. */
  drain(): void {
    if (this.#isClosing) return;
    this.#isClosing = true;
    this.send(closingFrame("the server is stopping"));
    if (this.#unanswered === 0) this.end(CLOSE.goingAway, "the server is stopping");
  }

  end(code: number, reason: string): void {
    this.#socket?.close(code, reason);
  }
}
