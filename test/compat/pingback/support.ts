/**
 * Pingback's protocol against the real doors and engine: requests in, dispatches out, on a clock that rests.
 */
import { PINGBACK } from "../../../src/dialects/pingback/dialect.ts";
import type { PingbackSettings } from "../../../src/domain/project-settings.ts";
import { sendResponse, startTestApp, type TestApp, type TestAppOptions } from "../../support/test-app.ts";

const APP_URL = "https://app.example/api/pingback";
export const SECRET = "cron-secret-123";
const SETTINGS: PingbackSettings = {
  ...{ endpointUrl: APP_URL, isPinned: false, secret: SECRET },
  ...{ timezone: "UTC", timeoutMaxMs: 3_600_000 },
};

export interface Answered {
  readonly status: number;
  readonly headers: Headers;
  readonly json: Json;
}

/** Whatever an answer holds; a test that reads what is not there fails. */
export interface Json {
  readonly [key: string]: Json;
}

export interface PingbackApp extends AsyncDisposable {
  readonly app: TestApp;
  /** One request with a key of the project "default". */
  call(method: string, path: string, body?: unknown, key?: string): Promise<Answered>;
  register(functions: readonly object[], more?: object): Promise<Answered>;
  trigger(task: string, more?: object): Promise<string>;
  /** What was sent to the application, oldest first. */
  dispatches(): Dispatch[];
  /** What the application answers next. */
  answer(body: unknown, status?: number): void;
  /** Lets everything that is due happen. */
  settle(): Promise<void>;
  /** Moves the clock, then as above. */
  advance(ms: number): Promise<void>;
}

export interface Dispatch {
  readonly url: string;
  readonly headers: Headers;
  readonly text: string;
  readonly body: Readonly<Record<string, unknown>>;
}

export async function startPingback(
  options: TestAppOptions = {},
  settings: Partial<PingbackSettings> = {},
): Promise<PingbackApp> {
  const app = await startTestApp({
    endpoints: [],
    sources: [],
    ...options,
    dialects: [PINGBACK],
    settings: [{ project: "default", pingback: { ...SETTINGS, ...settings } }, { project: "other" }],
  });
  const call: PingbackApp["call"] = async (method, path, body, key = "key-admin") => {
    const response = await app.request(`/api/v1/${path}`, {
      method,
      key,
      ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
    });
    const text = await response.text();
    const json = (text === "" ? null : JSON.parse(text)) as Json;
    return { status: response.status, headers: response.headers, json };
  };
  const settle = async () => {
    for (let turn = 0; turn < 50; turn += 1) {
      await new Promise((resolve) => setImmediate(resolve));
      if (turn > 3 && app.engine.isSettled(app.clock.now())) return;
    }
  };
  return {
    app,
    call,
    settle,
    register: (functions, more = {}) => call("POST", "register", { functions, ...more }),
    async trigger(task, more = {}) {
      const { json, status } = await call("POST", "trigger", { task, ...more });
      if (status !== 201) throw new Error(`trigger answered ${status}: ${JSON.stringify(json)}`);
      return String(json.executionId);
    },
    dispatches: () =>
      app.sent.map(({ url, headers, body }) => {
        const text = Buffer.from(body ?? []).toString("utf8");
        return { url, headers, text, body: JSON.parse(text) as Record<string, unknown> };
      }),
    answer: (body, status = 200) =>
      void app.sendResults.push(sendResponse(status, typeof body === "string" ? body : JSON.stringify(body))),
    async advance(ms) {
      app.clock.advance(ms);
      await settle();
    },
    [Symbol.asyncDispose]: () => app[Symbol.asyncDispose](),
  };
}
