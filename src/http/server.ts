/**
 * The listeners, and what is the same for every door: whose a path is, the request id, the client's address,
 * errors nobody caught, and the stop.
 *
 *   stopped  -> start() -> serving    all listeners or none
 *   serving  -> stop()  -> draining   accepts nothing; requests in flight end, further ones get 503
 *   draining -> stopped               after the last answer, or at the limit, when what is left is cut off
 *
 * What only Bun can enforce is set here: the body backstop (16 MiB, answered 413 by Bun itself before our
 * code) and the idle timeout, which is the second line behind body.ts. A client that drips its header is
 * bounded only by Bun's limit on the header's size.
 */
import type { Clock } from "../runtime/clock.ts";
import type { Log } from "../runtime/log.ts";
import { type ClientAddressReader, createClientAddress, normalizeAddress } from "./client-address.ts";
import { type Door, type ListenerRole, type RequestContext, Router, type SocketHandler } from "./door.ts";
import { answerError, answerFailure } from "./errors.ts";
import { SOCKET_OPTIONS, type SocketData, wantsUpgrade } from "./sockets.ts";
import { TlsFiles, type TlsPair, type TlsPaths } from "./tls-files.ts";

export interface ListenerOptions {
  readonly hostname: string;
  /** 0: any free port. */
  readonly port: number;
  readonly role: ListenerRole;
  /** Files of its certificate and key; HTTP without TLS when absent. */
  readonly tls?: TlsPaths;
}

export interface HttpServerOptions {
  readonly listeners: readonly ListenerOptions[];
  readonly doors: readonly Door[];
  /** CIDR ranges or addresses. */
  readonly trustedProxies: readonly string[];
  /** What BodyReader was given; the idle timeout stays above it. */
  readonly readTimeoutMs: number;
  readonly clock: Clock;
  readonly log: Log;
  /** Makes the part of a request id after "req_". */
  readonly nextId: () => string;
}

/** A listener as it is, with the port that the system chose. */
export interface Listening {
  readonly role: ListenerRole;
  readonly hostname: string;
  readonly port: number;
  readonly url: string;
}

/** A listener that could not be opened. The message says which and what to do; nothing was left open. */
export class ServerStartError extends Error {
  readonly address: string;
  readonly role: ListenerRole;
  /** "EADDRINUSE" and the like. */
  readonly code: string;

  constructor(listener: ListenerOptions, cause: unknown) {
    const address = showAddress(listener.hostname, listener.port);
    const code = codeOf(cause);
    super(`cannot listen on ${address} (${listener.role}): ${startAdvice(code, cause)}`, { cause });
    this.name = "ServerStartError";
    this.address = address;
    this.role = listener.role;
    this.code = code;
  }
}

/** What the server needs to know of the connection that a request came over. */
export interface Connection {
  peerAddress(): string | null;
  holdOpen(): void;
}

const BODY_BACKSTOP_BYTES = 16 * 1_048_576;
/**
 * Bun counts in ticks of 4 s and may fire one early, so the idle timeout keeps well clear of the read
 * timeout.
 */
const IDLE_MARGIN_MS = 10_000;
/** The most that Bun takes. */
const IDLE_TIMEOUT_MAX_S = 255;
const REQUEST_ID = /^[A-Za-z0-9._-]{1,128}$/;
/** Elysia looks for the path from a fixed offset and misses it behind shorter hosts. */
const HOST_CHARS_MIN = 4;

export function createHttpServer(options: HttpServerOptions): HttpServer {
  return new HttpServer(options);
}

export class HttpServer {
  readonly #options: HttpServerOptions;
  readonly #routers: Readonly<Record<ListenerRole, Router>>;
  readonly #clientAddress: ClientAddressReader;
  /** Those that listen, and those that only serve what they had accepted before a new certificate. */
  #servers = new Set<BunServer>();
  readonly #tlsFiles: TlsFiles[] = [];
  #isStopping = false;
  #stopping: Promise<void> | null = null;

  /** Throws when doors overlap. */
  constructor(options: HttpServerOptions) {
    this.#options = options;
    const { doors } = options;
    this.#routers = {
      main: new Router(doors, "main"),
      ingest: new Router(doors, "ingest"),
      metrics: new Router(doors, "metrics"),
    };
    this.#clientAddress = createClientAddress(options.trustedProxies);
  }

  /** Opens every listener. Throws ServerStartError, with none left open. */
  start(): readonly Listening[] {
    const listening: Listening[] = [];
    for (const listener of this.#options.listeners) {
      try {
        const port =
          listener.tls === undefined ? this.#open(listener).port : this.#openTls(listener, listener.tls);
        const { role, hostname } = listener;
        const scheme = listener.tls === undefined ? "http" : "https";
        const url = `${scheme}://${showAddress(hostname, port ?? listener.port)}`;
        listening.push({ role, hostname, port: port ?? listener.port, url });
      } catch (error) {
        for (const files of this.#tlsFiles) files.stop();
        for (const server of this.#servers) void server.stop(true);
        this.#servers.clear();
        throw new ServerStartError(listener, error);
      }
    }
    return listening;
  }

  /** Accepts nothing more, lets requests in flight end for at most `limitMs`, then cuts off the rest. */
  stop(limitMs: number): Promise<void> {
    this.#stopping ??= this.#drain(limitMs);
    return this.#stopping;
  }

  /** Answers one request as a listener of that role would. Never rejects. */
  async handle(request: Request, role: ListenerRole = "main", connection?: Connection): Promise<Response> {
    return this.#dispatch(request, role, connection ?? NO_CONNECTION);
  }

  /** How many WebSockets are open. */
  get socketCount(): number {
    let count = 0;
    for (const server of this.#servers) count += server.pendingWebSockets;
    return count;
  }

  /** Serves with the pair that the files hold, and with each further one from when they change. */
  #openTls(listener: ListenerOptions, paths: TlsPaths): number | undefined {
    const { clock, log } = this.#options;
    let serving: { readonly server: BunServer; readonly pair: TlsPair } | null = null;
    const files = new TlsFiles({
      paths,
      clock,
      onFault: (reason) => log.error("tls.not_reloaded", { reason }),
      onChange: (pair) => {
        if (this.#isStopping || !serving) return;
        // The port is free again at once; connections of before keep the old server until they end.
        const old = serving;
        const again = { ...listener, port: old.server.port ?? listener.port };
        void old.server.stop().then(() => this.#servers.delete(old.server));
        try {
          serving = { server: this.#open(again, pair), pair };
          log.info("tls.reloaded", { cert: paths.cert });
        } catch (error) {
          serving = { server: this.#open(again, old.pair), pair: old.pair };
          throw error;
        }
      },
    });
    this.#tlsFiles.push(files);
    const pair = files.start();
    serving = { server: this.#open(listener, pair), pair };
    return serving.server.port;
  }

  #open({ hostname, port, role }: ListenerOptions, tls?: TlsPair): BunServer {
    const idleMs = this.#options.readTimeoutMs + IDLE_MARGIN_MS;
    const server: BunServer = Bun.serve<SocketData>({
      hostname,
      port,
      ...(tls === undefined ? {} : { tls }),
      websocket: SOCKET_OPTIONS,
      maxRequestBodySize: BODY_BACKSTOP_BYTES,
      idleTimeout: Math.min(IDLE_TIMEOUT_MAX_S, Math.ceil(idleMs / 1_000)),
      fetch: (request) => {
        const connection = {
          peerAddress: () => server.requestIP(request)?.address ?? null,
          holdOpen: () => server.timeout(request, 0),
        };
        if (wantsUpgrade(request)) return this.#upgrade(request, { role, connection, server });
        return this.#dispatch(request, role, connection);
      },
    });
    this.#servers.add(server);
    return server;
  }

  /** Makes a WebSocket of the connection, if the door offers one and the client is let in. */
  async #upgrade(
    request: Request,
    { role, connection, server }: UpgradeFacts,
  ): Promise<Response | undefined> {
    let handler: SocketHandler | null = null;
    let requestId = "";
    const response = await this.#dispatch(request, role, connection, async (door, context) => {
      requestId = context.requestId;
      const result = await (door.upgrade?.(request, context) ?? door.handle(request, context));
      if (result instanceof Response) return result;
      handler = result;
      return new Response(null, { status: 426 });
    });
    if (handler === null) return response;
    const isUpgraded = server.upgrade(request, {
      data: { handler },
      headers: { "x-request-id": requestId },
    });
    // What asked for an upgrade but is no handshake (RFC 6455 section 4.2.1) gets the 426.
    return isUpgraded ? undefined : response;
  }

  async #drain(limitMs: number): Promise<void> {
    this.#isStopping = true;
    for (const files of this.#tlsFiles) files.stop();
    const servers = [...this.#servers];
    const { clock, log } = this.#options;
    const timer = clock.setWallTimer(limitMs, () => {
      const inFlight = servers.reduce((sum, server) => sum + server.pendingRequests, 0);
      log.warn("http.cut_off", { inFlight });
      for (const server of servers) void server.stop(true);
    });
    await Promise.all(servers.map((server) => server.stop()));
    timer.cancel();
    this.#servers.clear();
  }

  #dispatch(
    request: Request,
    role: ListenerRole,
    connection: Connection,
    handle: DoorCall = (door, context, plain) => door.handle(plain, context),
  ): Response | Promise<Response> {
    const target = readTarget(request.url);
    const context = new Context(
      request,
      { role, target, connection, options: this.#options },
      this.#clientAddress,
    );
    try {
      if (this.#isStopping) return stamp(stopping(context), context);
      const door = this.#routers[role].find(target.path);
      if (door === null) return stamp(nothingHere(context), context);
      const answer = handle(door, context, target.isPlain ? request : rebuild(request, target));
      if (!(answer instanceof Promise)) return stamp(answer, context);
      return answer.then(
        (response) => stamp(response, context),
        (error: unknown) => stamp(answerError(error, context, this.#options.log), context),
      );
    } catch (error) {
      return stamp(answerError(error, context, this.#options.log), context);
    }
  }
}

type BunServer = Bun.Server<SocketData>;

type DoorCall = (door: Door, context: RequestContext, plain: Request) => Response | Promise<Response>;

interface UpgradeFacts {
  readonly role: ListenerRole;
  readonly connection: Connection;
  readonly server: BunServer;
}

interface Target {
  readonly path: string;
  readonly search: string;
  /** Elysia can route the request as it came. */
  readonly isPlain: boolean;
}

/** `url` is what Bun makes of the request line and Host: without a usable Host it begins with the path. */
function readTarget(url: string): Target {
  const hostAt = url.startsWith("/") ? -1 : url.indexOf("//") + 2;
  const pathAt = hostAt === -1 ? 0 : url.indexOf("/", hostAt);
  let from = pathAt;
  while (url.charCodeAt(from + 1) === SLASH) from += 1;
  const searchAt = url.indexOf("?", from);
  const end = searchAt === -1 ? url.length : searchAt;
  const isPlain = from === pathAt && hostAt !== -1 && pathAt - hostAt >= HOST_CHARS_MIN;
  return { path: url.slice(from, end), search: url.slice(end), isPlain };
}

const SLASH = 47;

function rebuild(request: Request, { path, search }: Target): Request {
  return new Request(`http://localhost${path}${search}`, request);
}

interface ContextFacts {
  readonly role: ListenerRole;
  readonly target: Target;
  readonly connection: Connection;
  readonly options: Pick<HttpServerOptions, "nextId">;
}

class Context implements RequestContext {
  readonly requestId: string;
  readonly role: ListenerRole;
  readonly path: string;
  readonly search: string;
  readonly #headers: Headers;
  readonly #connection: Connection;
  readonly #clientAddress: ClientAddressReader;

  constructor(request: Request, facts: ContextFacts, clientAddress: ClientAddressReader) {
    const { role, target, connection, options } = facts;
    const given = request.headers.get("x-request-id");
    this.requestId = given !== null && REQUEST_ID.test(given) ? given : `req_${options.nextId()}`;
    this.role = role;
    this.path = target.path;
    this.search = target.search;
    this.#headers = request.headers;
    this.#connection = connection;
    this.#clientAddress = clientAddress;
  }

  // Worked out when asked for: most answers need neither.
  get peerAddress(): string | null {
    const address = this.#connection.peerAddress();
    return address?.startsWith("::ffff:") ? normalizeAddress(address) : address;
  }

  get clientAddress(): string | null {
    const peer = this.peerAddress;
    return peer === null ? null : this.#clientAddress(peer, this.#headers);
  }

  holdOpen(): void {
    this.#connection.holdOpen();
  }
}

const NO_CONNECTION: Connection = { peerAddress: () => null, holdOpen: () => {} };

function stamp(response: Response, context: RequestContext): Response {
  response.headers.set("x-request-id", context.requestId);
  return response;
}

function nothingHere(context: RequestContext): Response {
  return answerFailure(
    { status: 404, code: "not_found", message: "nothing is served at this path" },
    context,
  );
}

function stopping(context: RequestContext): Response {
  const headers = { connection: "close" };
  return answerFailure(
    { status: 503, code: "shutting_down", message: "the server is stopping", headers },
    context,
  );
}

function showAddress(hostname: string, port: number): string {
  return hostname.includes(":") ? `[${hostname}]:${port}` : `${hostname}:${port}`;
}

function codeOf(cause: unknown): string {
  const code = cause instanceof Error && "code" in cause ? cause.code : null;
  return typeof code === "string" ? code : "unknown";
}

function startAdvice(code: string, cause: unknown): string {
  switch (code) {
    case "EADDRINUSE":
      return "the port is in use; stop what has it, or choose another port in [server] of the config";
    case "EACCES":
      return "this user may not use the port; choose one above 1023 in [server] of the config";
    case "EADDRNOTAVAIL":
      return "this machine has no such address; correct the host in [server] of the config";
    default:
      return cause instanceof Error ? cause.message : String(cause);
  }
}
