/**
 * Starts the executable as an operator would, in a folder of its own that also holds what must never be
 * loaded: an .env and a bunfig.toml of somebody else's application. `await using` ends the process.
 *
 * Waiting is for events wherever there are any (a line of output, a request at a receiver, the end of the
 * process). Only a state inside the process that nothing announces is asked for again and again.
 */
import { createHmac } from "node:crypto";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

export const BINARY = join(import.meta.dir, "../../dist/postern");
if (!existsSync(BINARY)) throw new Error("dist/postern does not exist; run `npm run build` first");

export const API_KEY = "e2e-api-key-0123456789";
const SOURCE_SECRET = "e2e-source-secret";
export const SIGNING_SECRET = `whsec_${Buffer.from("e2e-signing-secret-of-32-bytes!!").toString("base64")}`;

export interface PosternOptions {
  readonly config: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Where it runs; a new folder when absent. */
  readonly folder?: string;
  /** What to run instead of the executable alone, for limits that only a shell can set. */
  readonly command?: readonly string[];
  /** False for a start that is expected to fail. */
  readonly isAwaited?: boolean;
}

const folders: string[] = [];

/** For afterAll: removes every folder that was made. */
export function removeFolders(): void {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
}

/**
 * Returns a folder with a configuration file and the hostile neighbours, and the path of the marker they
 * leave.
 */
export function createFolder(config: string): { folder: string; marker: string } {
  const folder = mkdtempSync(join(tmpdir(), "postern-e2e-"));
  folders.push(folder);
  const marker = join(folder, "preload-ran");
  writeFileSync(join(folder, "config.toml"), config, { mode: 0o600 });
  writeFileSync(join(folder, ".env"), "POSTERN_API_KEY=from-dot-env\nHTTP_PROXY=http://127.0.0.1:1\n");
  writeFileSync(join(folder, "bunfig.toml"), 'preload = ["./hostile.ts"]\n');
  writeFileSync(join(folder, "hostile.ts"), `await Bun.write(${JSON.stringify(marker)}, "ran");\n`);
  return { folder, marker };
}

export class Postern implements AsyncDisposable {
  readonly folder: string;
  readonly process: Bun.Subprocess<"ignore", "pipe", "pipe">;
  /** Everything written to stdout so far, by lines. */
  readonly lines: string[] = [];
  readonly #waiting: { isIt: (line: string) => boolean; resolve: (line: string | null) => void }[] = [];
  readonly #output: Promise<void>;
  readonly #errors: Promise<string>;
  #url = "";

  constructor({ config, env = {}, folder, command }: PosternOptions) {
    this.folder = folder ?? createFolder(config).folder;
    if (folder !== undefined) writeFileSync(join(folder, "config.toml"), config, { mode: 0o600 });
    this.process = Bun.spawn([...(command ?? [BINARY, "serve"])], {
      cwd: this.folder,
      env: { PATH: process.env.PATH ?? "", ...env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#output = this.#read();
    this.#errors = new Response(this.process.stderr).text();
  }

  /** The main listener, without a trailing slash. */
  get url(): string {
    return this.#url;
  }

  get pid(): number {
    return this.process.pid;
  }

  /** What went to stderr; resolves when the process has ended. */
  get errors(): Promise<string> {
    return this.#errors;
  }

  /** Resolves with the exit code once the process has ended and all its output is in `lines`. */
  async ended(): Promise<number> {
    const exitCode = await this.process.exited;
    await this.#output;
    return exitCode;
  }

  signal(name: NodeJS.Signals): void {
    this.process.kill(name);
  }

  /**
   * Resolves with the first line, past or future, that contains the text; rejects when the process ends
   * first.
   */
  async line(text: string): Promise<string> {
    const isIt = (line: string) => line.includes(text);
    const found = this.lines.find(isIt);
    if (found !== undefined) return found;
    const { promise, resolve } = Promise.withResolvers<string | null>();
    this.#waiting.push({ isIt, resolve });
    const line = await promise;
    if (line !== null) return line;
    throw new Error(`the process ended without writing ${JSON.stringify(text)}:\n${await this.#errors}`);
  }

  /** Resolves when the process takes requests. */
  async ready(): Promise<this> {
    const line = await this.line("Listening on ");
    this.#url = /http:\/\/\S+[^/\s]/.exec(line)?.[0] ?? "";
    return this;
  }

  /** Asks the native API and returns the parsed answer; throws for anything but a 2xx. */
  async api<Answer>(path: string, init: RequestInit = {}): Promise<Answer> {
    const headers = { authorization: `Bearer ${API_KEY}` };
    const response = await fetch(`${this.url}/_/api${path}`, { ...init, headers });
    if (!response.ok) throw new Error(`${path} answered ${response.status}: ${await response.text()}`);
    return (await response.json()) as Answer;
  }

  /** Sends a signed event and returns the answer. */
  send(source: string, body: string): Promise<Response> {
    return sendSigned(this.url, source, body);
  }

  /** Sends a signed event that must be accepted, and returns its id. */
  async accepted(source: string, body: string): Promise<string> {
    const response = await this.send(source, body);
    if (response.status !== 202) throw new Error(`answered ${response.status}: ${await response.text()}`);
    return ((await response.json()) as { id: string }).id;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.process.kill("SIGKILL");
    await this.ended();
  }

  async #read(): Promise<void> {
    let rest = "";
    const decoder = new TextDecoder();
    for await (const chunk of this.process.stdout) {
      const parts = (rest + decoder.decode(chunk, { stream: true })).split("\n");
      rest = parts.pop() ?? "";
      for (const line of parts) this.#take(line);
    }
    for (const { resolve } of this.#waiting) resolve(null);
  }

  #take(line: string): void {
    this.lines.push(line);
    for (const waiter of this.#waiting.filter(({ isIt }) => isIt(line))) {
      this.#waiting.splice(this.#waiting.indexOf(waiter), 1);
      waiter.resolve(line);
    }
  }
}

/** Starts the executable and resolves when it is ready. */
export async function startPostern(options: PosternOptions): Promise<Postern> {
  const postern = new Postern(options);
  try {
    return await postern.ready();
  } catch (error) {
    await postern[Symbol.asyncDispose]();
    throw error;
  }
}

export function sendSigned(url: string, source: string, body: string): Promise<Response> {
  const signature = createHmac("sha256", SOURCE_SECRET).update(body).digest("hex");
  return fetch(`${url}/in/${source}`, {
    method: "POST",
    headers: { "content-type": "application/json", "x-signature": signature },
    body,
  });
}

/** Runs the executable to its end. */
export async function runPostern(args: readonly string[], folder: string, env: Record<string, string> = {}) {
  const child = Bun.spawn([BINARY, ...args], {
    cwd: folder,
    env: { PATH: process.env.PATH ?? "", ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const [stdout, stderr, exitCode] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { exitCode, stdout, stderr };
}

interface TargetConfig {
  readonly name: string;
  readonly url: string;
  /** Further lines of the endpoint's table. */
  readonly more?: string;
}

export interface ConfigParts {
  readonly port?: number;
  readonly endpoints: readonly TargetConfig[];
  /** Which endpoints each source forwards to. */
  readonly sources: Readonly<Record<string, readonly string[]>>;
  /** Further lines of the server table. */
  readonly server?: string;
  /** Further tables. */
  readonly more?: string;
}

/**
 * Returns the configuration of the usual case: one source, "orders", that forwards to one endpoint, "app".
 */
export function configFor(url: string, parts: Partial<ConfigParts> = {}): string {
  return configText({ endpoints: [{ name: "app", url }], sources: { orders: ["app"] }, ...parts });
}

/**
 * Returns a configuration with sources that share SOURCE_SECRET and endpoints that are signed with
 * SIGNING_SECRET.
 */
export function configText({ port = 0, endpoints, sources, server = "", more = "" }: ConfigParts): string {
  const endpointTables = endpoints.map(
    ({ name, url, more: lines = "" }) =>
      `[[endpoint]]\nname = "${name}"\nurl = "${url}"\n` +
      `sign = [{ scheme = "standard", secret = "${SIGNING_SECRET}" }]\n${lines}\n`,
  );
  const sourceTables = Object.entries(sources).map(
    ([name, to]) =>
      `[[source]]\nname = "${name}"\nto = ${JSON.stringify(to)}\n` +
      `verify = { scheme = "hmac", header = "X-Signature", secret = "${SOURCE_SECRET}" }\n` +
      'dedupe = { by = ["json:id"], window = "24h" }\n',
  );
  return [
    `[server]\nlisten = "127.0.0.1:${port}"\n${server}`,
    `[[project]]\nid = "default"\napi_keys = ["${API_KEY}"]`,
    ...endpointTables,
    ...sourceTables,
    more,
  ].join("\n");
}

/** Returns a port that was free a moment ago, for configurations that must name one. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise<void>((resolve) => server.close(() => resolve()));
  if (address === null || typeof address === "string") throw new Error("no free port");
  return address.port;
}

const ASK_AGAIN_MS = 25;

/** Asks until the answer is not null. The limit of the test ends what never comes true. */
export async function until<Answer>(ask: () => Promise<Answer | null> | Answer | null): Promise<Answer> {
  for (;;) {
    const answer = await ask();
    if (answer !== null) return answer;
    await pause(ASK_AGAIN_MS);
  }
}

/** Lets real time pass. Only for asking another process again, and for choosing a random moment. */
export function pause(durationMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, durationMs));
}

export interface DeliveryView {
  readonly id: string;
  readonly eventId: string;
  readonly endpoint: string;
  readonly state: string;
  readonly attemptCount: number;
}

interface DeliveryPage {
  readonly data: readonly DeliveryView[];
  readonly nextCursor: string | null;
}

/** Returns every delivery of the store, page by page. `query` filters, such as "state=dead". */
export async function listDeliveries(postern: Postern, query = ""): Promise<DeliveryView[]> {
  const all: DeliveryView[] = [];
  let cursor: string | null = null;
  do {
    const from: string = cursor === null ? "" : `&cursor=${encodeURIComponent(cursor)}`;
    const page: DeliveryPage = await postern.api(`/deliveries?limit=500&${query}${from}`);
    all.push(...page.data);
    cursor = page.nextCursor;
  } while (cursor !== null);
  return all;
}

/** Numbers in [0, 1) that the seed decides (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
