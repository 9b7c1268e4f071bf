/**
 * The receivers' side of an engine under test, without sockets: a Sender that answers as the script of a URL
 * says and records every request. Time outs and delays follow the fake clock.
 */
import type { Clock } from "../../src/runtime/clock.ts";
import type { Sender, SendFailure, SendRequest, SendResult } from "../../src/runtime/sender.ts";

export interface Sent {
  readonly url: string;
  readonly method: string;
  readonly headers: Headers;
  readonly body: Uint8Array;
  readonly text: string;
  readonly at: number;
  readonly isTrusted: boolean;
}

/** A status; an answer; a failure without one; or no answer until the time out, or until hang() is let go. */
export type Step =
  | number
  | {
      readonly status: number;
      readonly headers?: Readonly<Record<string, string>>;
      readonly body?: string;
      readonly afterMs?: number;
    }
  | { readonly failure: SendFailure }
  | "hang";

export type Script = (sent: Sent) => Step;

interface Hanging {
  readonly url: string;
  readonly end: (result: SendResult) => void;
}

export class ScriptedSender implements Sender {
  readonly sent: Sent[] = [];
  /** The largest number of requests that were out at the same time: of one URL, and of all. */
  readonly peaks = new Map<string, number>();
  peak = 0;
  readonly #clock: Clock;
  readonly #queues = new Map<string, Step[]>();
  readonly #scripts = new Map<string, Script>();
  readonly #hanging = new Set<Hanging>();
  readonly #out = new Map<string, number>();
  #outCount = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Answers the next requests to this URL, first come first served; then its script answers, or 200. */
  next(url: string, ...steps: Step[]): void {
    this.#queues.set(url, [...(this.#queues.get(url) ?? []), ...steps]);
  }

  always(url: string, script: Step | Script): void {
    this.#scripts.set(url, typeof script === "function" ? script : () => script);
  }

  get hangingCount(): number {
    return this.#hanging.size;
  }

  /** Lets hanging requests go, all or those of one URL. */
  letGo(step: Exclude<Step, "hang">, url?: string): void {
    for (const hanging of [...this.#hanging]) {
      if (url === undefined || hanging.url === url) hanging.end(toResult(step));
    }
  }

  to(url: string): Sent[] {
    return this.sent.filter((one) => one.url === url);
  }

  abortAll(): void {
    for (const hanging of [...this.#hanging]) hanging.end(failure("aborted"));
  }

  async send(request: SendRequest): Promise<SendResult> {
    const { url } = request;
    const body = request.body ?? new Uint8Array(0);
    const sent: Sent = {
      url,
      method: request.method,
      headers: request.headers,
      body,
      text: Buffer.from(body).toString(),
      at: this.#clock.now(),
      isTrusted: request.isTrusted,
    };
    this.sent.push(sent);
    this.#count(url, 1);
    const step = this.#queues.get(url)?.shift() ?? this.#scripts.get(url)?.(sent) ?? 200;
    const result = await this.#play(step, request);
    this.#count(url, -1);
    return result;
  }

  #play(step: Step, request: SendRequest): SendResult | Promise<SendResult> {
    if (step === "hang") return this.#wait(request.url, request.timeoutMs, failure("timeout"));
    if (typeof step === "object" && "afterMs" in step && step.afterMs !== undefined) {
      const isLate = step.afterMs >= request.timeoutMs;
      const result = isLate ? failure("timeout") : toResult(step);
      return this.#wait(request.url, Math.min(step.afterMs, request.timeoutMs), result);
    }
    return toResult(step);
  }

  #wait(url: string, delayMs: number, result: SendResult): Promise<SendResult> {
    return new Promise((resolve) => {
      const timer = this.#clock.setWallTimer(delayMs, () => hanging.end(result));
      const hanging: Hanging = {
        url,
        end: (outcome) => {
          timer.cancel();
          this.#hanging.delete(hanging);
          resolve(outcome);
        },
      };
      this.#hanging.add(hanging);
    });
  }

  #count(url: string, by: 1 | -1): void {
    const count = (this.#out.get(url) ?? 0) + by;
    this.#out.set(url, count);
    this.#outCount += by;
    this.peaks.set(url, Math.max(this.peaks.get(url) ?? 0, count));
    this.peak = Math.max(this.peak, this.#outCount);
  }
}

function failure(reason: SendFailure): SendResult {
  return { kind: "error", reason, text: `scripted ${reason}`, durationMs: 0, address: null };
}

function toResult(step: Exclude<Step, "hang">): SendResult {
  if (typeof step === "object" && "failure" in step) return failure(step.failure);
  const { status, headers = {}, body = "" } = typeof step === "number" ? { status: step } : step;
  return {
    kind: "response",
    status,
    headers: new Headers(headers),
    body: Buffer.from(body),
    isBodyTruncated: false,
    durationMs: 0,
    address: "192.0.2.9",
  };
}
