/**
 * The other end of an outbound request, in two kinds, both on real sockets and on ports that the system
 * picks:
 *
 *   startReceiver()      a well-behaved HTTP server that records every request and answers as told
 *   startRawReceiver()   a bare TCP server for everything that an HTTP server would not do
 *
 * `await using receiver = startReceiver()` stops it at the end of the test; neither keeps the process alive.
 */
import { createServer, type Server, type Socket } from "node:net";

export interface RecordedRequest {
  method: string;
  /** Path and query, as in the request line. */
  path: string;
  headers: Headers;
  body: Uint8Array;
  /** The body as text. */
  text: string;
  /** 0 for the first request that arrived, 1 for the second, and so on. */
  order: number;
  /** The sender's port; equal ports mean a reused connection. */
  remotePort: number;
}

/** A status alone, or status, headers and body; or a whole Response. */
type Answer =
  | number
  | { status?: number; headers?: Record<string, string>; body?: string | Uint8Array<ArrayBuffer> }
  | Response;

/** Answers one request. A promise that never settles makes a receiver that hangs. */
export type ReceiverHandler = (request: RecordedRequest) => Answer | Promise<Answer>;

export interface ReceiverOptions {
  hostname?: string;
  /** A fixed port, for a receiver that goes away and comes back. */
  port?: number;
  tls?: { key: string; cert: string };
}

export interface Receiver extends AsyncDisposable {
  /** Without a trailing slash. */
  readonly url: string;
  readonly port: number;
  /** Every request so far, in order of arrival, recorded once its body is complete. */
  readonly requests: readonly RecordedRequest[];
  /** How many connections the requests came over. */
  readonly connectionCount: number;
  /**
   * Answers for the next requests, first come first served; when they run out the handler answers, or 200.
   */
  answerNext(...answers: Answer[]): void;
  /** Replaces the handler. */
  answerWith(handler: ReceiverHandler): void;
  /** The next request that no earlier call of next() has returned; waits for it. */
  next(): Promise<RecordedRequest>;
  /** The first `count` requests, as soon as there are that many. */
  waitFor(count: number): Promise<RecordedRequest[]>;
  stop(): Promise<void>;
}

/** Starts an HTTP receiver that answers 200 unless told otherwise. */
export function startReceiver(handler: ReceiverHandler = () => 200, options: ReceiverOptions = {}): Receiver {
  const { hostname = "127.0.0.1", port = 0, tls } = options;
  const requests: RecordedRequest[] = [];
  const queued: Answer[] = [];
  const waiting: { count: number; resolve: () => void }[] = [];
  let answer = handler;
  let nextOrder = 0;

  const server = Bun.serve({
    hostname,
    port,
    // A handler that hangs on purpose must not be cut off by the server's own idle limit.
    idleTimeout: 0,
    maxRequestBodySize: Number.MAX_SAFE_INTEGER,
    ...(tls ? { tls } : {}),
    async fetch(request, self) {
      const remotePort = self.requestIP(request)?.port ?? 0;
      const body = await request.bytes();
      const recorded = record(request, body, { remotePort, order: requests.length });
      requests.push(recorded);
      for (const waiter of waiting.filter((one) => one.count <= requests.length)) {
        waiting.splice(waiting.indexOf(waiter), 1);
        waiter.resolve();
      }
      return toResponse(queued.shift() ?? (await answer(recorded)));
    },
  });
  server.unref();

  async function waitFor(count: number): Promise<RecordedRequest[]> {
    if (requests.length < count) await new Promise<void>((resolve) => waiting.push({ count, resolve }));
    return requests.slice(0, count);
  }

  const receiver: Receiver = {
    url: `${tls ? "https" : "http"}://${hostname.includes(":") ? `[${hostname}]` : hostname}:${server.port}`,
    port: server.port!,
    requests,
    get connectionCount() {
      return new Set(requests.map((request) => request.remotePort)).size;
    },
    answerNext: (...answers) => void queued.push(...answers),
    answerWith(replacement) {
      answer = replacement;
    },
    async next() {
      const order = nextOrder++;
      return (await waitFor(order + 1))[order]!;
    },
    waitFor,
    stop: () => server.stop(true),
    [Symbol.asyncDispose]: () => server.stop(true),
  };
  return receiver;
}

function record(
  request: Request,
  body: Uint8Array,
  position: { remotePort: number; order: number },
): RecordedRequest {
  return {
    method: request.method,
    path: request.url.slice(request.url.indexOf("/", "https://".length)),
    headers: new Headers(request.headers),
    body,
    text: new TextDecoder().decode(body),
    ...position,
  };
}

function toResponse(answer: Answer): Response {
  if (answer instanceof Response) return answer;
  if (typeof answer === "number") return new Response(null, { status: answer });
  const { status = 200, headers = {}, body = null } = answer;
  return new Response(body, { status, headers });
}

export interface RawReceiver extends AsyncDisposable {
  /** Without a trailing slash; http, whatever the receiver speaks. */
  readonly url: string;
  readonly port: number;
  /** Connections accepted so far. */
  readonly connectionCount: number;
  /** Resolves when a socket that was accepted has closed; at once if that has happened. */
  closed(): Promise<void>;
  stop(): Promise<void>;
}

/** Starts a TCP server that hands every connection to `onSocket`. FAULTS holds the usual misbehaviours. */
export async function startRawReceiver(
  onSocket: (socket: Socket) => void,
  options: { hostname?: string } = {},
): Promise<RawReceiver> {
  const { hostname = "127.0.0.1" } = options;
  const open = new Set<Socket>();
  const firstClose = Promise.withResolvers<void>();
  let connectionCount = 0;
  const server: Server = createServer((socket) => {
    connectionCount++;
    open.add(socket);
    // Resets by the sender are what these receivers provoke; unhandled they would end the test run.
    socket.on("error", () => {});
    socket.on("close", () => {
      open.delete(socket);
      firstClose.resolve();
    });
    onSocket(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, hostname, resolve));
  server.unref();
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the raw receiver has no port");

  async function stop(): Promise<void> {
    for (const socket of open) socket.destroy();
    await new Promise<void>((resolve) => server.close(() => resolve()));
  }

  return {
    url: `http://${hostname.includes(":") ? `[${hostname}]` : hostname}:${address.port}`,
    port: address.port,
    get connectionCount() {
      return connectionCount;
    },
    closed: () => firstClose.promise,
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

/** A receiver that sends these bytes to whatever it is asked, and closes the connection. */
export function answerBytes(bytes: string): (socket: Socket) => void {
  return (socket) => void socket.once("data", () => socket.end(bytes));
}

/** The usual misbehaviours, each for startRawReceiver. */
export const FAULTS = {
  /** Accepts the connection, reads the request, never answers. */
  hang: (socket: Socket) => void socket.resume(),
  /** Sends headers and a part of the body, then nothing. */
  hangMidBody: (socket: Socket) =>
    void socket.once("data", () => socket.write("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")),
  /** Sends a byte of the body now and then, forever. */
  drip(socket: Socket) {
    socket.once("data", () => {
      socket.write("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n");
      const dripping = setInterval(() => socket.write("."), 5);
      socket.once("close", () => clearInterval(dripping));
    });
  },
  /** Resets the connection as soon as the request arrives. */
  resetBeforeHeaders: (socket: Socket) => void socket.once("data", () => socket.resetAndDestroy()),
  /** Sends headers and a part of the body, then resets. */
  resetMidBody: (socket: Socket) =>
    void socket.once("data", () => {
      socket.write("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", () => socket.resetAndDestroy());
    }),
  /** Answers with something that is not HTTP. */
  garbage: answerBytes("\u0000\u0001 this is not HTTP\r\n\r\n"),
  /** Starts an answer of 1 GiB and sends it as fast as the sender takes it. */
  oneGibibyte(socket: Socket) {
    const chunk = Buffer.alloc(64 * 1024, "x");
    let left = 1024 * 1024 * 1024;
    const pour = () => {
      while (left > 0 && !socket.destroyed) {
        left -= chunk.byteLength;
        if (!socket.write(chunk)) return;
      }
      socket.end();
    };
    socket.on("drain", pour);
    socket.once("data", () => {
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${left}\r\n\r\n`);
      pour();
    });
  },
} as const;

/** The URL of a port where nothing listens. */
export async function refusingUrl(): Promise<string> {
  const receiver = await startRawReceiver(() => {});
  await receiver.stop();
  return receiver.url;
}
