/**
 * The way from a command to a running server: one request, JSON both ways. The server and the key come from
 * the options, else from the environment, else from the configuration file.
 */
import type { Command } from "commander";
import { localUrl, readSettings, requireSettings } from "./settings.ts";
import { CommandError, reasonOf } from "./terminal.ts";

export interface ServerOptions {
  readonly config: string;
  readonly server?: string;
  readonly key?: string;
}

/** JSON that is sent as it was written. */
export class JsonBody {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

interface ApiAnswer {
  readonly status: number;
  /** Null when the answer is not JSON. */
  readonly body: unknown;
}

/** The server said no. `details` is what its error envelope adds, or null. */
export class RefusedError extends CommandError {
  readonly status: number;
  readonly details: unknown;

  constructor(request: string, status: number, error: ApiError | null) {
    const advice = status === 401 ? "; pass the right one with --key or in POSTERN_API_KEY" : "";
    super(`${request} was refused: ${error?.message ?? "no reason given"} (${status})${advice}`);
    this.status = status;
    this.details = error?.details ?? null;
  }
}

export interface ApiClient {
  readonly server: string;
  /** Returns the answer's JSON. Throws RefusedError, or CommandError when the server cannot be reached. */
  request(method: string, path: string, body?: unknown, limits?: RequestLimits): Promise<unknown>;
}

/**
 * Yields the lines of an answer that goes on, as they come. Throws RefusedError, or CommandError when the
 * server cannot be reached or the connection breaks.
 */
export async function* streamLines(options: ServerOptions, path: string): AsyncGenerator<string> {
  const { server, key } = targetOf(options);
  const headers = new Headers(key === null ? {} : { authorization: `Bearer ${key}` });
  const decoder = new TextDecoder();
  let rest = "";
  try {
    const response = await fetch(`${server}${path}`, { headers, redirect: "manual" });
    if (response.status >= 400) {
      const error = readError(parseJson(await response.text()));
      throw new RefusedError(`GET ${server}${path}`, response.status, error);
    }
    for await (const chunk of response.body ?? []) {
      const lines = `${rest}${decoder.decode(chunk, { stream: true })}`.split("\n");
      rest = lines.pop() ?? "";
      yield* lines;
    }
  } catch (error) {
    throw error instanceof CommandError ? error : unreachable(server, error);
  }
}

interface RequestLimits {
  readonly timeoutMs: number;
}

/** Long enough for the slowest verb, short enough that a hanging server does not look like a slow one. */
const TIMEOUT_MS = 30_000;

/** Adds the options of every command that talks to a server. */
export function addServerOptions(command: Command): Command {
  return command
    .option("--server <url>", "where the server is (default: server.listen of the config)")
    .option("--key <key>", "API key (default: POSTERN_API_KEY, else the config's first admin key)");
}

function targetOf(options: ServerOptions): { readonly server: string; readonly key: string | null } {
  const server = (options.server ?? localUrl(requireSettings(options.config).server.listen)).replace(
    /\/+$/,
    "",
  );
  if (!URL.canParse(server)) throw new CommandError(`--server ${server} is not a URL`);
  const key = options.key ?? process.env.POSTERN_API_KEY ?? configuredKey(options.config);
  return { server, key };
}

export function createApiClient(options: ServerOptions): ApiClient {
  const { server, key } = targetOf(options);
  return {
    server,
    async request(method, path, body, { timeoutMs } = { timeoutMs: TIMEOUT_MS }) {
      const answer = await call(`${server}${path}`, { method, key, body, timeoutMs });
      if (answer.status < 400) return answer.body;
      throw new RefusedError(`${method} ${server}${path}`, answer.status, readError(answer.body));
    },
  };
}

export interface WebhookRequest {
  readonly method: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: string;
}

/** Sends a request as a sender of webhooks would, and returns the answer whatever its status. */
export async function sendWebhook(
  url: string,
  { method, headers, body }: WebhookRequest,
): Promise<{ readonly status: number; readonly text: string }> {
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  const init: RequestInit = { method, redirect: "manual", signal };
  try {
    const response = await fetch(url, {
      ...init,
      headers: new Headers(headers.map(([...pair]) => pair)),
      body,
    });
    return { status: response.status, text: await response.text() };
  } catch (error) {
    throw unreachable(url, error);
  }
}

/** Returns whether a Postern answers there. Never throws. */
export async function isPosternAt(url: string): Promise<boolean> {
  try {
    const answer = await fetch(`${url}/healthz`, { signal: AbortSignal.timeout(2_000), redirect: "manual" });
    await answer.body?.cancel();
    return answer.ok && answer.headers.has("x-request-id");
  } catch {
    return false;
  }
}

interface Call {
  readonly method: string;
  readonly key: string | null;
  readonly body: unknown;
  readonly timeoutMs: number;
}

async function call(url: string, { method, key, body, timeoutMs }: Call): Promise<ApiAnswer> {
  const headers = new Headers({ accept: "application/json" });
  if (key !== null) headers.set("authorization", `Bearer ${key}`);
  if (body !== undefined) headers.set("content-type", "application/json");
  const init: RequestInit = { method, headers, redirect: "manual", signal: AbortSignal.timeout(timeoutMs) };
  try {
    const response = await fetch(url, body === undefined ? init : { ...init, body: textOf(body) });
    return { status: response.status, body: parseJson(await response.text()) };
  } catch (error) {
    throw unreachable(url, error);
  }
}

function textOf(body: unknown): string {
  return body instanceof JsonBody ? body.text : JSON.stringify(body);
}

function unreachable(url: string, error: unknown): CommandError {
  return new CommandError(`cannot reach ${new URL(url).origin} (${causeOf(error)}); is the server running?`);
}

/** The system's code says more than the sentence that Bun adds to it. */
function causeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : reasonOf(error);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

interface ApiError {
  readonly message: string;
  readonly details: unknown;
}

/** Returns what a native error envelope says; null for anything else. */
function readError(body: unknown): ApiError | null {
  if (!isRecord(body) || !isRecord(body.error)) return null;
  const { message, details = null } = body.error;
  return typeof message === "string" ? { message, details } : null;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null;
}

function configuredKey(path: string): string | null {
  const loaded = readSettings(path);
  if (!loaded.ok) return null;
  const keys = loaded.config.projects.flatMap(({ apiKeys }) => apiKeys);
  return keys.find(({ scope }) => scope === "admin")?.key ?? null;
}
