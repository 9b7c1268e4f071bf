/**
 * Posthook's official Python package, unmodified, against the executable: every public method of it, sync and
 * async, with receivers in Flask, FastAPI, WSGI and ASGI that verify through the package, and its listener
 * and stream over real wss. The checks are in posthook/checks.py; each becomes a test here, under its number
 * in the reference.
 */
import { afterAll, expect, test } from "bun:test";
import { appendFileSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { API_KEY, createFolder, freePort, Postern, removeFolders } from "../e2e/support.ts";
import { LOCAL_CA, LOCALHOST } from "../support/localhost-certificate.ts";
import { openVenv, type Venv } from "./venv.ts";

afterAll(removeFolders);

const PACKAGES = ["posthook-python==1.2.0", "httpx==0.28.1", "websockets==14.2", "certifi==2026.10.18"];
const FRAMEWORKS = ["flask==3.1.3", "fastapi==0.165.0", "uvicorn==0.54.0"];

interface Line {
  readonly ports?: Readonly<Record<string, number>>;
  readonly check?: string;
  readonly error?: string | null;
  readonly ask?: string;
  readonly uncalled?: readonly string[];
  readonly known?: number;
}

interface Outcome {
  readonly checks: readonly { readonly name: string; readonly error: string | null }[];
  readonly uncalled: readonly string[];
  readonly known: number;
  readonly exitCode: number;
}

interface Ports {
  readonly main: number;
  readonly tls: number;
  readonly receivers: Readonly<Record<string, number>>;
}

/** The package trusts the bundle of certifi and nothing else, so the tests' authority goes into that one. */
function trustLocalAuthority({ python }: Venv): void {
  const where = Bun.spawnSync([python, "-c", "import certifi; print(certifi.where())"]);
  const bundle = where.stdout.toString().trim();
  if (!readFileSync(bundle, "utf8").includes(LOCAL_CA.trim())) appendFileSync(bundle, `\n${LOCAL_CA}`);
}

/** One project per kind of check, so that all of them can run at once. */
function configFor({ main, tls, receivers }: Ports, without: readonly string[] = []): string {
  const project = (id: string, keys: string) => {
    const apiKeys = without.includes(id) ? "" : `"key-of-${id}-project"`;
    const table = keys === "" ? "" : `posthook = { ${keys} }\n`;
    return `[[project]]\nid = "${id}"\napi_keys = [${apiKeys}]\n${table}`;
  };
  const to = (receiver: string) => `domain = "http://127.0.0.1:${receivers[receiver]}"`;
  const flask = `${to("flask")}, signing_keys = ["ph_sk_main"]`;
  const plain = ["main", "other", "list1", "list2", "list3", "list4", "bulk", "idle", "busy", "killed"];
  const listening = ["stream", "forward", "restart", "revoked"];
  const rotating = 'signing_keys = ["ph_sk_new", { value = "ph_sk_old", until = 2099-01-01T00:00:00Z }]';
  return [
    `[server]\nlisten = "127.0.0.1:${main}"\npublic_url = "http://127.0.0.1:${main}"`,
    `api_url = "http://localhost:${main}"`,
    `tls = { listen = "127.0.0.1:${tls}", cert = "cert.pem", key = "key.pem" }`,
    `[[project]]\nid = "default"\napi_keys = ["${API_KEY}"]`,
    ...[...plain, ...listening].map((id) => project(id, flask)),
    project("ws", `${flask}, name = "Shop of ws"`),
    project("quota", `${flask}, quota = 10`),
    project("rotate", `${to("flask")}, ${rotating}, authorization = "Bearer of rotate"`),
    project("closed", `${flask}, websocket = false`),
    project("closed-api", ""),
    project("async", `${to("fastapi")}, signing_keys = ["ph_sk_main"], async = true`),
    project("asgi", `${to("asgi")}, signing_keys = ["ph_sk_main"]`),
    project("wsgi", `${to("wsgi")}, signing_keys = ["ph_sk_main"], async = true`),
  ].join("\n");
}

async function runChecks(venv: Venv): Promise<Outcome> {
  trustLocalAuthority(venv);
  const child = Bun.spawn([venv.python, join(import.meta.dir, "posthook/checks.py")], {
    stdio: ["pipe", "pipe", "inherit"],
    env: { PATH: process.env.PATH ?? "", PYTHONDONTWRITEBYTECODE: "1" },
  });
  const checks: { name: string; error: string | null }[] = [];
  const found = { uncalled: ["nothing was told"] as readonly string[], known: 0 };
  const server = new Server();
  try {
    for await (const line of linesOf(child.stdout)) {
      if (line.ports) child.stdin.write(`${JSON.stringify({ base: await server.start(line.ports) })}\n`);
      if (line.ask !== undefined) {
        await server.undergo(line.ask);
        child.stdin.write("{}\n");
      }
      if (line.check !== undefined) checks.push({ name: line.check, error: line.error ?? null });
      if (line.uncalled) Object.assign(found, { uncalled: line.uncalled, known: line.known ?? 0 });
    }
    return { checks, ...found, exitCode: await child.exited };
  } finally {
    child.kill();
    await server.stop();
  }
}

class Server {
  readonly #folder = createFolder("").folder;
  #postern: Postern | null = null;
  #ports: Ports | null = null;

  async start(receivers: Readonly<Record<string, number>>): Promise<string> {
    this.#ports = { main: await freePort(), tls: await freePort(), receivers };
    writeFileSync(join(this.#folder, "cert.pem"), LOCALHOST.cert);
    writeFileSync(join(this.#folder, "key.pem"), LOCALHOST.key);
    await this.#serve(configFor(this.#ports));
    return `http://127.0.0.1:${this.#ports.main}`;
  }

  /** What a check asks for. */
  async undergo(what: string): Promise<void> {
    if (!this.#ports || !this.#postern) throw new Error("the server is not running");
    if (what === "revoke") {
      writeFileSync(join(this.#folder, "config.toml"), configFor(this.#ports, ["revoked"]));
      this.#postern.signal("SIGHUP");
      return;
    }
    this.#postern.signal(what as NodeJS.Signals);
    await this.#postern.ended();
    await this.#serve(configFor(this.#ports));
  }

  async stop(): Promise<void> {
    await this.#postern?.[Symbol.asyncDispose]();
  }

  async #serve(config: string): Promise<void> {
    this.#postern = new Postern({ config, folder: this.#folder });
    await this.#postern.ready();
  }
}

async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<Line> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of stream) {
    const parts = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = parts.pop() ?? "";
    for (const part of parts) yield JSON.parse(part) as Line;
  }
}

const venv = openVenv({ name: "posthook", packages: [...PACKAGES, ...FRAMEWORKS] });
const outcome = venv === null ? null : await runChecks(venv);

for (const { name, error } of outcome?.checks ?? []) {
  test(`check ${name}`, () => {
    expect(error).toBeNull();
  });
}

test.skipIf(outcome === null)(
  "all checks have run, and every public method of the package was called",
  () => {
    expect(outcome?.exitCode).toBe(0);
    expect(outcome?.checks.length).toBeGreaterThanOrEqual(40);
    expect(outcome?.known).toBeGreaterThanOrEqual(40);
    expect(outcome?.uncalled).toEqual([]);
  },
);
