/**
 * HookBridge's doors over the real engine, with receivers that answer as told. Every answer that passes
 * through here is held to what all of them must have (checks 3 and 6 of the reference): JSON, a request id,
 * and on lists a `has_more` and a cursor that is never an empty text.
 */
import { HOOKBRIDGE } from "../../../src/dialects/hookbridge/dialect.ts";
import type { HookbridgeSettings } from "../../../src/domain/project-settings.ts";
import type { SendRequest } from "../../../src/runtime/sender.ts";
import { KEYS, startTestApp, type TestApp, type TestAppOptions } from "../../support/test-app.ts";

const SETTINGS: HookbridgeSettings = {
  allowHttp: true,
  signingTime: "accepted",
  retryScale: 1,
  attemptsMax: 8,
  replaysMax: 10,
  timeoutMs: 30_000,
  requestsPerMinute: 0,
};

/** The members that tests read as what they are; everything else is unknown. */
export interface Json {
  readonly id: string;
  readonly url: string;
  readonly status: string;
  readonly message_id: string;
  readonly code: string;
  readonly message: string;
  readonly request_id: string;
  readonly has_more: boolean;
  readonly next_cursor: string | null;
  readonly signing_key_id: string;
  readonly signing_secret: string;
  readonly secret_token: string;
  readonly ingest_url: string;
  readonly key: string;
  readonly key_id: string;
  readonly messages: readonly Json[];
  readonly buckets: readonly Json[];
  readonly results: readonly Json[];
  readonly total: number;
  readonly [name: string]: unknown;
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  readonly data: Json & readonly Json[];
  readonly meta: Json;
  readonly error: Json;
  readonly body: Json;
}

export interface Bridge extends AsyncDisposable {
  readonly app: TestApp;
  /** What the receivers got so far. */
  readonly sent: readonly SendRequest[];
  call(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer>;
  /** Like call(), with the body as it is. */
  raw(method: string, path: string, body: string, headers?: Record<string, string>): Promise<Answer>;
  /** Makes an endpoint and returns its answer's data. */
  endpoint(change?: object): Promise<Json>;
  /** Sends to an endpoint and returns the message's id, once nothing is under way any more. */
  send(endpointId: string, change?: object): Promise<string>;
  message(id: string): Promise<Json>;
  /** Resolves when nothing is due, under way or waiting to be written. */
  settled(): Promise<void>;
  /** Moves the clock and waits for what that brings. */
  advance(ms: number): Promise<void>;
}

export interface BridgeOptions extends Pick<TestAppOptions, "listeners"> {
  readonly settings?: Partial<HookbridgeSettings>;
}

/** Far more turns than anything in these tests takes. */
const TURNS_MAX = 2_000;
let urlCount = 0;

export async function startBridge({ settings = {}, ...options }: BridgeOptions = {}): Promise<Bridge> {
  const app = await startTestApp({
    ...options,
    dialects: [HOOKBRIDGE],
    settings: [{ project: "default", hookbridge: { ...SETTINGS, ...settings } }, { project: "other" }],
  });
  const settled = async () => {
    for (let turn = 0; turn < TURNS_MAX; turn += 1) {
      await new Promise((resolve) => setImmediate(resolve));
      if (app.engine.isSettled(app.clock.now())) return;
    }
    throw new Error("the engine does not settle");
  };
  const raw: Bridge["raw"] = async (method, path, body, headers = {}) => {
    const init = { method, key: KEYS.admin, headers: { "content-type": "application/json", ...headers } };
    const hasBody = body !== "" && method !== "GET";
    return check(await app.request(path, hasBody ? { ...init, body } : init));
  };
  const call: Bridge["call"] = (method, path, body, headers) =>
    raw(method, path, body === undefined ? "" : JSON.stringify(body), headers);
  return {
    app,
    sent: app.sent,
    call,
    raw,
    settled,
    async endpoint(change = {}) {
      urlCount += 1;
      const url = `https://receiver-${urlCount}.example/hooks`;
      return expectOk(await call("POST", "/v1/endpoints", { url, ...change }), 201).data;
    },
    async send(endpoint_id, change = {}) {
      const body = { endpoint_id, payload: { n: 1 }, ...change };
      const answer = expectOk(await call("POST", "/v1/webhooks/send", body), 202);
      await settled();
      return answer.data.message_id;
    },
    async message(id) {
      return expectOk(await call("GET", `/v1/messages/${id}`)).data;
    },
    async advance(ms) {
      await settled();
      app.clock.advance(ms);
      await settled();
    },
    [Symbol.asyncDispose]: () => app[Symbol.asyncDispose](),
  };
}

export function expectOk(answer: Answer, status = 200): Answer {
  if (answer.status !== status) throw new Error(`answered ${answer.status}: ${answer.text}`);
  return answer;
}

/** Throws for an answer that one of the SDKs could not read. */
async function check(response: Response): Promise<Answer> {
  const { status, headers } = response;
  const text = await response.text();
  if (status === 302) return { status, headers, text, ...NOTHING };
  if (!headers.get("content-type")?.startsWith("application/json")) throw new Error(`no JSON: ${text}`);
  const body = JSON.parse(text) as Json & Pick<Answer, "data" | "meta" | "error">;
  const { data, meta, error } = body;
  if (!meta?.request_id) throw new Error(`no request id: ${text}`);
  if (status >= 400 && !(error?.code && typeof error.message === "string"))
    throw new Error(`no error: ${text}`);
  if (status < 400 && data === undefined) throw new Error(`no data: ${text}`);
  const paging = Array.isArray(data) ? meta : null;
  if (paging && typeof paging.has_more !== "boolean") throw new Error(`no has_more: ${text}`);
  if (paging?.next_cursor === "") throw new Error(`an empty cursor: ${text}`);
  return { status, headers, text, body, data, meta, error } as Answer;
}

const NOTHING = { data: {}, meta: {}, error: {}, body: {} } as unknown as Pick<
  Answer,
  "data" | "meta" | "error" | "body"
>;
