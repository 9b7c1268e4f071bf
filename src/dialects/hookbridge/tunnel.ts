/**
 * The CLI's end of an inbound endpoint in CLI mode (protocol section 14): over a WebSocket what is there is
 * pushed, oldest first and then as it comes; over polling it is handed out page by page. The client forwards
 * it to a program on its own machine and, on a socket, tells how that went.
 *
 * A message is stored until its frame was taken by a socket, then fetched; the first result ends it. Without
 * one it counts as handed over after a minute, so that a client that comes again does not get it again.
 */
import { AppError } from "../../domain/errors.ts";
import type { Id } from "../../domain/id.ts";
import { JsonText } from "../../domain/json-span.ts";
import type { Source } from "../../domain/source.ts";
import type { Socket, SocketHandler } from "../../http/door.ts";
import type { Timer } from "../../runtime/clock.ts";
import { Fault } from "./answer.ts";
import { readSourceExtra } from "./objects.ts";
import { findSource } from "./receiving.ts";
import type { Service } from "./service.ts";
import { readUuid, showTime, showUuid } from "./wire.ts";

type Item = Awaited<ReturnType<Service["context"]["commands"]["fetchStored"]>>[number];

const PAGE = 50;
/** A result that has not come by then does not come: the local program was not there, or was not asked. */
const RESULT_MS = 60_000;
const PING_MS = 30_000;
/** On one endpoint: every one of them gets everything. */
const SOCKETS_MAX = 32;
const GOING_AWAY = 1_001;
const UNREADABLE = 1_003;

/** What the CLI sets itself, from the content type or for its own connection. */
const NOT_TUNNELED: ReadonlySet<string> = new Set(["content-length", "host", "connection", "content-type"]);

interface HandedOut {
  readonly sourceId: Id;
  readonly deliveryId: Id;
  readonly timer: Timer;
}

export class Tunnel {
  readonly #service: Service;
  readonly #sockets = new Map<Id, Set<Socket>>();
  /** By message id: whose result is due. */
  readonly #handedOut = new Map<Id, HandedOut>();
  /** Sources that are being pushed; true: something came meanwhile. */
  readonly #pushing = new Map<Id, boolean>();
  #ping: Timer | null = null;

  constructor(service: Service) {
    this.#service = service;
  }

  /** The endpoint that a client asks for. Throws NOT_FOUND, and INVALID_REQUEST in any other mode. */
  endpoint(project: string, id: string): Source {
    const source = findSource(this.#service, project, id, "inbound");
    if (readSourceExtra(source).mode !== "cli") {
      throw new Fault("INVALID_REQUEST", "only an endpoint in CLI mode can be listened to");
    }
    return source;
  }

  /** One connection of a client. Several on one endpoint all get everything; the first result counts. */
  connect(source: Source): SocketHandler {
    if ((this.#sockets.get(source.id)?.size ?? 0) >= SOCKETS_MAX) {
      throw new Fault("BURST_LIMIT_EXCEEDED", `at most ${SOCKETS_MAX} clients listen on one endpoint`);
    }
    let own: Socket | null = null;
    return {
      open: (socket) => {
        own = socket;
        const others = this.#sockets.get(source.id);
        if (others) others.add(socket);
        else this.#sockets.set(source.id, new Set([socket]));
        this.#armPing();
        this.wake(source);
      },
      message: (text) => {
        if (own) this.#take(text, source, own);
      },
      close: () => {
        const others = this.#sockets.get(source.id);
        if (own) others?.delete(own);
        if (others?.size === 0) this.#sockets.delete(source.id);
      },
    };
  }

  /** Something was stored for a source. */
  wake(source: Source): void {
    if (!this.#sockets.has(source.id)) return;
    if (this.#pushing.has(source.id)) {
      this.#pushing.set(source.id, true);
      return;
    }
    this.#pushing.set(source.id, false);
    void this.#push(source)
      .catch((error: unknown) => {
        this.#service.context.log.warn("tunnel.push_failed", { source: source.name, error: String(error) });
      })
      .finally(() => {
        const isMore = this.#pushing.get(source.id) === true;
        this.#pushing.delete(source.id);
        if (isMore) this.wake(source);
      });
  }

  /**
   * Hands out what nobody has got yet, oldest first, after taking everything up to `after` as done. Returns
   * the frames' texts, and the last id.
   */
  async poll(source: Source, after: Id | null): Promise<{ frames: string[]; last: Id | null }> {
    const { commands } = this.#service.context;
    if (after !== null) await this.#confirmUpTo(source, after);
    const items = await commands.fetchStored(source, { limit: PAGE });
    for (const { eventId, deliveryId } of items) this.#await(source, eventId, deliveryId);
    return { frames: items.map((item) => frameOf(item)), last: items.at(-1)?.eventId ?? null };
  }

  stop(): void {
    this.#ping?.cancel();
    for (const sockets of this.#sockets.values()) {
      for (const socket of sockets) socket.close(GOING_AWAY, "the server is stopping");
    }
    for (const { timer } of this.#handedOut.values()) timer.cancel();
  }

  async #push(source: Source): Promise<void> {
    const { commands } = this.#service.context;
    for (;;) {
      const items = await commands.fetchStored(source, { limit: PAGE, isPeek: true });
      for (const item of items) {
        const frame = `{"type":"webhook",${frameOf(item).slice(1)}`;
        const taken = [...(this.#sockets.get(source.id) ?? [])].filter((socket) => socket.send(frame));
        // Nobody takes more now; it stays stored, and goes to whoever comes next.
        if (taken.length === 0) return;
        this.#await(source, item.eventId, item.deliveryId);
        await commands.handOut(source.project, item.deliveryId).catch(ignoreRace);
      }
      if (items.length === 0) return;
    }
  }

  #await(source: Source, messageId: Id, deliveryId: Id): void {
    const timer = this.#service.context.clock.setWallTimer(RESULT_MS, () => {
      this.#handedOut.delete(messageId);
      this.#confirm(source, [deliveryId]).catch((error: unknown) => {
        this.#service.context.log.warn("tunnel.not_confirmed", { error: String(error) });
      });
    });
    this.#handedOut.set(messageId, { sourceId: source.id, deliveryId, timer });
  }

  async #confirm(source: Source, deliveryIds: readonly Id[]): Promise<void> {
    await this.#service.context.commands.confirmFetched(source, deliveryIds);
  }

  async #confirmUpTo(source: Source, after: Id): Promise<void> {
    const { commands } = this.#service.context;
    const fetched = await commands.fetchStored(source, { limit: 500, state: "fetched" });
    const done = fetched.filter(({ eventId }) => eventId <= after);
    for (const { eventId } of done) this.#forget(eventId);
    await this.#confirm(
      source,
      done.map(({ deliveryId }) => deliveryId),
    );
  }

  #forget(messageId: Id): void {
    this.#handedOut.get(messageId)?.timer.cancel();
    this.#handedOut.delete(messageId);
  }

  /** {"type":"delivery_result","message_id","status_code","latency_ms"}; anything else is ignored. */
  #take(text: string, source: Source, socket: Socket): void {
    let result: Result | null;
    try {
      result = readResult(JSON.parse(text));
    } catch {
      socket.close(UNREADABLE, "frames are JSON");
      return;
    }
    const handedOut = result === null ? undefined : this.#handedOut.get(result.messageId);
    // Only who was given a message may tell how it went: ids alone are no secret.
    if (result === null || handedOut?.sourceId !== source.id) return;
    this.#forget(result.messageId);
    const { status, durationMs } = result;
    const { commands, log } = this.#service.context;
    commands
      .report(source.project, handedOut.deliveryId, { status, durationMs })
      .catch((error: unknown) => log.warn("tunnel.result_lost", { error: String(error) }));
  }

  #armPing(): void {
    this.#ping ??= this.#service.context.clock.setWallTimer(PING_MS, () => {
      this.#ping = null;
      for (const sockets of this.#sockets.values()) {
        for (const socket of sockets) socket.send('{"type":"ping"}');
      }
      if (this.#sockets.size > 0) this.#armPing();
    });
  }
}

interface Result {
  readonly messageId: Id;
  readonly status: number;
  readonly durationMs: number;
}

function readResult(value: unknown): Result | null {
  if (typeof value !== "object" || value === null) return null;
  const { type, message_id, status_code, latency_ms } = value as Record<string, unknown>;
  const messageId = typeof message_id === "string" ? readUuid(message_id) : null;
  if (type !== "delivery_result" || messageId === null || !Number.isInteger(status_code)) return null;
  const durationMs = typeof latency_ms === "number" && latency_ms >= 0 ? Math.round(latency_ms) : 0;
  return { messageId, status: status_code as number, durationMs };
}

/** A reply that outran the mark is as good as the mark. */
function ignoreRace(error: unknown): void {
  if (!(error instanceof AppError && (error.code === "invalid_state" || error.code === "not_found"))) {
    throw error;
  }
}

/**
 * A message as the CLI reads it. It forwards the bytes of `body` as they stand in the frame, so JSON without
 * white space around it is spliced in and never printed anew; all else goes as base64 (section 14.4).
 */
function frameOf({ eventId, payload, receivedAt }: Item): string {
  const { body } = payload;
  const headers = Object.fromEntries(
    Object.entries(payload.headers).filter(([name]) => !NOT_TUNNELED.has(name)),
  );
  const fields = {
    message_id: showUuid(eventId),
    content_type: payload.headers["content-type"] ?? "",
    headers,
    size_bytes: body.byteLength,
    received_at: showTime(receivedAt),
  };
  const json = exactJson(body);
  const shown =
    json === null ? `${JSON.stringify(Buffer.from(body).toString("base64"))},"body_encoding":"base64"` : json;
  return `${JSON.stringify(fields).slice(0, -1)},"body":${shown}}`;
}

function exactJson(body: Uint8Array): string | null {
  try {
    const json = JsonText.read(body);
    const { start, end } = json.root;
    return start === 0 && end === body.byteLength ? json.text(json.root) : null;
  } catch {
    return null;
  }
}
