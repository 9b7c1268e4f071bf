/**
 * Listening over WebSockets (reference section 14): tickets, the upgrade, and what keeps connections honest.
 * One hub per project; a key that is revoked, or a project that no longer allows it, ends its connections.
 */
import { AppError } from "../../domain/errors.ts";
import type { Id } from "../../domain/id.ts";
import type { DialectContext } from "../../http/dialect.ts";
import type { RequestContext, SocketHandler } from "../../http/door.ts";
import type { Timer } from "../../runtime/clock.ts";
import { CLOSE, Connection } from "./connection.ts";
import { readFrame } from "./frames.ts";
import { Hub } from "./hub.ts";
import type { PosthookProject, Projects } from "./projects.ts";
import { PROFILE_NAME } from "./spec.ts";
import { Tickets } from "./tickets.ts";
import { showHookId, showTime } from "./wire.ts";

export const SOCKET_PATH = "/v1/ws";

/** Often enough that no pause reaches 30 s, and that a revoked key does not listen on for long. */
const LOOK_EVERY_MS = 5_000;
/** All projects together; a connection takes some kilobytes. */
const CONNECTIONS_MAX = 20_000;

type ListeningContext = Pick<
  DialectContext,
  "clock" | "random" | "log" | "directory" | "listeners" | "commands" | "datedReads" | "nextId" | "socketUrl"
>;

export class Listening {
  readonly #context: ListeningContext;
  readonly #projects: Projects;
  readonly #tickets: Tickets;
  readonly #hubs = new Map<string, Hub>();
  #timer: Timer | null = null;
  #isStopping = false;

  constructor(context: ListeningContext, projects: Projects) {
    this.#context = context;
    this.#projects = projects;
    this.#tickets = new Tickets(context);
  }

  /**
   * Returns the body of a ticket's answer. Throws forbidden where the project does not let anybody listen.
   */
  ticket({ project, settings }: PosthookProject, keyHash: string): string {
    if (!settings.hasWebsocket) throw new AppError("forbidden", "this project has WebSockets switched off");
    if (this.#count() >= CONNECTIONS_MAX) throw new AppError("forbidden", "too many listeners are connected");
    const { text, expiresAt } = this.#tickets.issue({ project, keyHash });
    const url = `${this.#context.socketUrl}${SOCKET_PATH}`;
    return JSON.stringify({ data: { ticket: text, url, expiresAt: showTime(expiresAt) } });
  }

  /**
   * Returns the connection that a ticket opens. Throws unauthorized for one that is used or expired: a
   * refused handshake makes a client try again with a new one, where 4001 would stop it (section 14.2).
   */
  connect({ search }: RequestContext): SocketHandler {
    if (this.#isStopping) throw new AppError("shutting_down", "the server is stopping");
    const query = new URLSearchParams(search);
    const claim = this.#tickets.redeem(query.get("ticket") ?? "");
    if (claim === null) throw new AppError("unauthorized", "the ticket is unknown, used or expired");
    const { project, keyHash } = claim;
    const { settings } = this.#projects.get(project);
    const { clock, nextId } = this.#context;
    const hub = this.#hubOf(project);
    return new Connection({
      keyHash,
      isForwarding: query.get("forward") === "true",
      welcome: {
        connectionId: showHookId(nextId()),
        projectId: project,
        projectName: settings.name ?? project,
      },
      monotonicMs: () => clock.monotonicMs(),
      wallNow: () => clock.wallNow(),
      onOpen: (connection) => this.#opened(project, hub, connection),
      onMessage: (text) => {
        const frame = readFrame(text);
        if (frame) hub.hear(frame);
      },
      onClose: (connection) => hub.remove(connection),
    });
  }

  /** Whoever may no longer listen is told so; called when the configuration has changed, and now and then. */
  review(): void {
    for (const [project, hub] of this.#hubs) {
      for (const connection of [...hub.connections]) this.#judge(project, connection);
    }
  }

  /**
   * Tells every client to finish and come back later. Does not wait: what is out is the engine's to wait for.
   */
  stop(): void {
    this.#isStopping = true;
    this.#timer?.cancel();
    for (const hub of this.#hubs.values()) hub.drain();
  }

  #opened(project: string, hub: Hub, connection: Connection): void {
    hub.add(connection);
    this.#context.log.info("listener.connected", { project, connection: connection.id });
    this.#judge(project, connection);
    if (this.#isStopping) connection.drain();
    else if (this.#timer === null) this.#look();
  }

  #look(): void {
    this.#timer = this.#context.clock.setWallTimer(LOOK_EVERY_MS, () => {
      this.#timer = null;
      this.review();
      for (const hub of this.#hubs.values())
        for (const connection of hub.connections) connection.pingIfSilent();
      if (this.#count() > 0 && !this.#isStopping) this.#look();
    });
  }

  #judge(project: string, connection: Connection): void {
    const key = this.#context.directory.keyByHash(connection.keyHash);
    if (!key || key.deletedAt !== null || !this.#context.directory.hasProject(project)) {
      connection.end(CLOSE.keyInvalid, "the API key is not valid");
    } else if (!this.#projects.allowsListening(project)) {
      connection.end(CLOSE.notAllowed, "this project has WebSockets switched off");
    }
  }

  #hubOf(project: string): Hub {
    const known = this.#hubs.get(project);
    if (known) return known;
    const hub = new Hub({
      clock: this.#context.clock,
      onReport: (id, isAck, text) => void this.#report({ project, id, isAck, text }),
    });
    this.#hubs.set(project, hub);
    this.#context.listeners.attach(this.#projects.get(project).endpoint.lane, hub);
    return hub;
  }

  /** A word on a hook that was accepted before, or on one that is none of theirs. */
  async #report({ project, id, isAck, text }: SocketReport): Promise<void> {
    const { datedReads, commands, log } = this.#context;
    try {
      const row = await datedReads.getDated({ project, profile: PROFILE_NAME, id });
      if (row?.state === "awaiting") await commands.acknowledge(id, { attempt: null, isAck, text });
    } catch (error) {
      log.warn("listener.report_failed", { hook: showHookId(id), error: String(error) });
    }
  }

  #count(): number {
    let count = 0;
    for (const { connections } of this.#hubs.values()) count += connections.length;
    return count;
  }
}

interface SocketReport {
  readonly project: string;
  readonly id: Id;
  readonly isAck: boolean;
  readonly text: string | null;
}
