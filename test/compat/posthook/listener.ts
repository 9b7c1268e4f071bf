/** A listener over a real socket that says and waits for frames one by one, as no SDK would let a test do. */
import { KEYS } from "../../support/test-app.ts";
import { type Posthook, startPosthook } from "./postern.ts";

export type Frame = Readonly<Record<string, unknown>> & { readonly type: string };

class TestListener {
  readonly frames: Frame[] = [];
  readonly socket: WebSocket;
  /** The code, once it is closed. */
  readonly closed: Promise<number>;
  readonly #waiting: (() => void)[] = [];
  #read = 0;

  constructor(url: string) {
    this.socket = new WebSocket(url);
    this.socket.addEventListener("message", ({ data }) => {
      this.frames.push(JSON.parse(String(data)) as Frame);
      for (const wake of this.#waiting.splice(0)) wake();
    });
    this.closed = new Promise((resolve) => {
      this.socket.addEventListener("close", ({ code }) => {
        resolve(code);
        for (const wake of this.#waiting.splice(0)) wake();
      });
    });
  }

  /** The next frame; fails when the connection ends before it. */
  async next(type?: string): Promise<Frame> {
    while (this.frames.length === this.#read) {
      if (this.socket.readyState === WebSocket.CLOSED) throw new Error("closed");
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    const frame = this.frames[this.#read++] as Frame;
    if (type !== undefined && frame.type !== type) throw new Error(`${frame.type} instead of ${type}`);
    return frame;
  }

  hasUnread(type: string): boolean {
    return this.frames.slice(this.#read).some((frame) => frame.type === type);
  }

  say(frame: object | string): void {
    this.socket.send(typeof frame === "string" ? frame : JSON.stringify(frame));
  }
}

export class ListeningPosthook implements AsyncDisposable {
  readonly posthook: Posthook;
  readonly port: number;
  readonly #listeners: TestListener[] = [];

  constructor(posthook: Posthook, port: number) {
    this.posthook = posthook;
    this.port = port;
  }

  async ticket(key: string = KEYS.admin) {
    return this.posthook.call<{ ticket: string; url: string; expiresAt: string }>("/v1/ws/ticket", {
      method: "POST",
      key,
    });
  }

  open(ticket: string, query = ""): TestListener {
    const listener = new TestListener(`ws://127.0.0.1:${this.port}/v1/ws?ticket=${ticket}${query}`);
    this.#listeners.push(listener);
    return listener;
  }

  /** Connects and waits for the welcome. */
  async listen({ key, query }: { key?: string; query?: string } = {}): Promise<TestListener> {
    const { data } = await this.ticket(key);
    const listener = this.open(data.ticket, query);
    await listener.next("connected");
    return listener;
  }

  /** Schedules for now; the hook's id. It goes to a listener if there is one. */
  async send(body: object = {}): Promise<string> {
    return (await this.posthook.schedule(body)).data.id;
  }

  /** Waits until one of two has been given a hook; that one first. */
  async whoGot(one: TestListener, other: TestListener): Promise<[TestListener, TestListener]> {
    for (let turn = 0; turn < 2_000; turn += 1) {
      if (one.hasUnread("hook")) return [one, other];
      if (other.hasUnread("hook")) return [other, one];
      await new Promise(setImmediate);
    }
    throw new Error("none of them got a hook");
  }

  /** Waits until a hook has this status; the sockets are real, so some turns may pass. */
  async until(id: string, status: string): Promise<void> {
    for (let turn = 0; (await this.posthook.statusOf(id)) !== status; turn += 1) {
      if (turn > 2_000) throw new Error(`${id} is ${await this.posthook.statusOf(id)}, not ${status}`);
      await new Promise(setImmediate);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { socket } of this.#listeners) socket.terminate();
    // What is still out would be waited for until the clock moves.
    this.posthook.app.engine.dispatcher.abort();
    await this.posthook[Symbol.asyncDispose]();
  }
}

export async function startListening(
  settings: Parameters<typeof startPosthook>[0] = {},
): Promise<ListeningPosthook> {
  const posthook = await startPosthook(settings, [{ hostname: "127.0.0.1", port: 0, role: "main" }]);
  const [listening] = posthook.app.server.start();
  if (!listening) throw new Error("nothing listens");
  return new ListeningPosthook(posthook, listening.port);
}
