/**
 * One HTTP/1.1 connection with one request under way at a time, on a bare socket: cheap enough to generate
 * load with, and deaf to proxy variables, which capture even requests to 127.0.0.1 when `fetch` is used. It
 * knows only answers with a Content-Length, which is what all programs measured here send.
 */
import type { Socket } from "bun";

export interface Answer {
  readonly status: number;
  readonly body: Buffer;
}

const EMPTY = Buffer.alloc(0);
const HEAD_END = Buffer.from("\r\n\r\n");
/** "HTTP/1.1 " is nine characters. */
const STATUS_AT = 9;

export class HttpConnection {
  #socket: Socket | null = null;
  #waiting: PromiseWithResolvers<Answer> | null = null;
  #received: Buffer = EMPTY;
  #unsent: Buffer = EMPTY;

  /** Resolves when connected; rejects when the connection is refused. */
  static async open(url: URL): Promise<HttpConnection> {
    const connection = new HttpConnection();
    connection.#socket = await Bun.connect({
      hostname: url.hostname,
      port: Number(url.port),
      socket: {
        data: (_socket, chunk) => connection.#onData(chunk),
        drain: () => connection.#flush(),
        close: () => connection.#fail("the connection was closed"),
        error: (_socket, error) => connection.#fail(error.message),
        connectError: () => {},
      },
    });
    return connection;
  }

  /**
   * Sends the bytes of one whole request and resolves with its answer; rejects when the connection breaks.
   */
  send(request: Buffer): Promise<Answer> {
    if (this.#waiting !== null) throw new Error("a connection carries one request at a time");
    if (this.#socket === null) return Promise.reject(new Error("the connection is closed"));
    this.#waiting = Promise.withResolvers<Answer>();
    this.#unsent = request;
    this.#flush();
    return this.#waiting.promise;
  }

  close(): void {
    this.#socket?.end();
    this.#socket = null;
  }

  #flush(): void {
    if (this.#unsent.byteLength === 0 || this.#socket === null) return;
    const written = Math.max(0, this.#socket.write(this.#unsent));
    this.#unsent = this.#unsent.subarray(written);
  }

  #onData(chunk: Buffer): void {
    this.#received = this.#received.byteLength === 0 ? chunk : Buffer.concat([this.#received, chunk]);
    const headEnd = this.#received.indexOf(HEAD_END);
    if (headEnd === -1) return;
    const head = this.#received.toString("latin1", 0, headEnd);
    const length = Number(/\r\ncontent-length: *(\d+)/i.exec(head)?.[1] ?? 0);
    const bodyAt = headEnd + HEAD_END.byteLength;
    if (this.#received.byteLength < bodyAt + length) return;
    const body = this.#received.subarray(bodyAt, bodyAt + length);
    this.#received = EMPTY;
    const waiting = this.#waiting;
    this.#waiting = null;
    waiting?.resolve({ status: Number(head.slice(STATUS_AT, STATUS_AT + 3)), body });
  }

  #fail(reason: string): void {
    this.#socket = null;
    const waiting = this.#waiting;
    this.#waiting = null;
    waiting?.reject(new Error(reason));
  }
}

/** Returns the bytes of one request. */
export function requestBytes(
  method: "GET" | "POST",
  url: URL,
  content: { readonly headers?: Readonly<Record<string, string>>; readonly body?: string } = {},
): Buffer {
  const { headers = {}, body = "" } = content;
  const lines = [`${method} ${url.pathname}${url.search} HTTP/1.1`, `Host: ${url.host}`];
  for (const [name, value] of Object.entries(headers)) lines.push(`${name}: ${value}`);
  if (method === "POST") lines.push(`Content-Length: ${Buffer.byteLength(body)}`);
  return Buffer.from(`${lines.join("\r\n")}\r\n\r\n${body}`);
}

/** Fetches one URL over a connection of its own. */
export async function get(url: string, headers: Readonly<Record<string, string>> = {}): Promise<Answer> {
  const target = new URL(url);
  const connection = await HttpConnection.open(target);
  try {
    return await connection.send(requestBytes("GET", target, { headers }));
  } finally {
    connection.close();
  }
}
