/** Posthook's door as an SDK sees it, with scripted receivers and a clock that stands still. */
import { createHmac } from "node:crypto";
import { POSTHOOK } from "../../../src/dialects/posthook/dialect.ts";
import type { PosthookSettings, ProjectSettings } from "../../../src/domain/project-settings.ts";
import { ScriptedSender, type Sent, type Step } from "../../support/scripted-sender.ts";
import { KEYS, startTestApp, type TestApp, type TestAppOptions } from "../../support/test-app.ts";

export const DOMAIN = "https://app.example.com";
export const PATH = "/hooks/demo";
export const TARGET = `${DOMAIN}${PATH}`;
export const SIGNING_KEY = "ph_sk_test";

export const SETTINGS: PosthookSettings = {
  name: "Demo shop",
  domain: DOMAIN,
  signingKeys: [{ value: SIGNING_KEY }],
  authorization: null,
  isAsync: false,
  hasWebsocket: true,
  retry: {
    retries: 2,
    strategy: "fixed",
    delayMs: 15_000,
    factor: 2,
    delayMaxMs: 3_600_000,
    hasJitter: false,
  },
  quota: null,
  concurrency: 64,
};

export interface HookJson {
  readonly id: string;
  readonly path: string;
  readonly domain?: string;
  readonly data: unknown;
  readonly postAt: string;
  readonly status: "pending" | "retry" | "completed" | "failed";
  readonly postDurationSeconds: number;
  readonly attempts: number;
  readonly failureError: string;
  readonly retryOverride?: unknown;
  readonly createdAt: string;
  readonly updatedAt: string;
  readonly tryAt?: string;
}

export interface Answer<Data = HookJson> {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  readonly data: Data;
  readonly error: string;
  readonly meta: { readonly totalItems?: number; readonly cursor?: string };
}

interface Call {
  readonly method?: string;
  /** JSON text, or what becomes one. */
  readonly body?: unknown;
  readonly key?: string | null;
}

export class Posthook implements AsyncDisposable {
  readonly app: TestApp;
  readonly receiver: ScriptedSender;

  constructor(app: TestApp, receiver: ScriptedSender) {
    this.app = app;
    this.receiver = receiver;
  }

  get sent(): readonly Sent[] {
    return this.receiver.sent;
  }

  /** What is answered next at the target, and then 200. */
  answer(...steps: Step[]): void {
    this.receiver.next(TARGET, ...steps);
  }

  async call<Data = HookJson>(path: string, call: Call = {}): Promise<Answer<Data>> {
    const { method = "GET", body, key = KEYS.admin } = call;
    const response = await this.app.request(path, {
      method,
      headers: key === null ? {} : { "x-api-key": key },
      ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
    });
    const text = await response.text();
    const json = JSON.parse(text) as Pick<Answer<Data>, "data" | "error" | "meta">;
    return { status: response.status, headers: response.headers, text, ...json };
  }

  /** Schedules; without a mode for now. */
  schedule(body: object = {}): Promise<Answer> {
    const hasMode = "postAt" in body || "postIn" in body || "postAtLocal" in body;
    const mode = hasMode ? {} : { postAt: new Date(this.app.clock.now()).toISOString() };
    return this.call("/v1/hooks", { method: "POST", body: { path: PATH, ...mode, ...body } });
  }

  /** Schedules for now and lets everything happen that is due now; the id. */
  async deliver(body: object = {}): Promise<string> {
    const { data } = await this.schedule(body);
    await this.app.settle();
    return data.id;
  }

  get(id: string): Promise<Answer> {
    return this.call(`/v1/hooks/${id}`);
  }

  async statusOf(id: string): Promise<string> {
    const { status, data } = await this.get(id);
    return status === 200 ? data.status : String(status);
  }

  list(query = ""): Promise<Answer<HookJson[]>> {
    return this.call(`/v1/hooks${query}`);
  }

  async bulk(operation: string, body: unknown): Promise<number> {
    const { status, data, error } = await this.call<{ affected: number }>(`/v1/hooks/bulk/${operation}`, {
      method: "POST",
      body,
    });
    if (status !== 200) throw new Error(`${status} ${error}`);
    await this.app.settle();
    return data.affected;
  }

  /** Moves time on, from timer to timer, and lets everything happen at its own instant. */
  async advance(byMs: number): Promise<void> {
    const { clock } = this.app;
    const target = clock.now() + byMs;
    for (let next = clock.nextTimerAt(); next !== null && next < target; next = clock.nextTimerAt()) {
      await this.app.advance(next - clock.now());
    }
    await this.app.advance(target - clock.now());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.app[Symbol.asyncDispose]();
  }
}

export async function startPosthook(
  settings: Partial<PosthookSettings> = {},
  listeners: TestAppOptions["listeners"] = [],
): Promise<Posthook> {
  return startWith(settingsOf(settings), listeners);
}

export function settingsOf(settings: Partial<PosthookSettings> = {}): ProjectSettings[] {
  return [
    { project: "default", posthook: { ...SETTINGS, ...settings } },
    { project: "other", posthook: { ...SETTINGS, domain: "https://other.example.com" } },
  ];
}

export async function startWith(
  settings: readonly ProjectSettings[],
  listeners: TestAppOptions["listeners"] = [],
): Promise<Posthook> {
  let receiver: ScriptedSender | null = null;
  const app = await startTestApp({
    dialects: [POSTHOOK],
    settings,
    listeners,
    createSender: (clock) => {
      receiver = new ScriptedSender(clock);
      return receiver;
    },
  });
  if (receiver === null) throw new Error("no sender was asked for");
  return new Posthook(app, receiver);
}

/** Section 12, written apart from the code that it judges. */
export function signatureOf(key: string, timestamp: string, body: string): string {
  return `v1,${createHmac("sha256", key).update(`${timestamp}.${body}`).digest("hex")}`;
}
