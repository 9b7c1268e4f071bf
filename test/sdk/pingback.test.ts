/**
 * The official SDK, unmodified, in four frameworks and two versions, against the executable: registration,
 * triggers, crons, logs, fan-out, retries, timeouts, concurrency. The list of public methods is read from the
 * package; one that no application here has called fails the suite. Numbers are those of the conformance
 * checks of pingback.md section 12.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { freePort, type Postern, pause, removeFolders, startPostern } from "../e2e/support.ts";
import { openVenv, type Venv } from "./venv.ts";

const FRAMEWORKS = ["flask", "django", "wsgi", "asgi"] as const;
const PACKAGES = [
  ...["flask==3.1.3", "django==5.2.19", "fastapi==0.142.0", "starlette==1.0.0", "uvicorn==0.54.0"],
];
const VERSIONS = ["0.3.0", "0.3.1"] as const;
const SECRET = "sdk-cron-secret";
const APP = join(import.meta.dir, "pingback/app.py");
/** Retries wait 2 and 4 seconds, and that is what is tested. */
const WAIT_MS = 30_000;
const ASK_AGAIN_MS = 50;

const venvs = new Map(
  VERSIONS.map((version) => [
    version,
    openVenv({ name: `pingback-${version}`, packages: [`pingback-py==${version}`, ...PACKAGES] }),
  ]),
);
const cases = VERSIONS.flatMap((version) => FRAMEWORKS.map((framework) => ({ version, framework })));
const keyOf = (version: string, framework: string) =>
  `pb_live_${Buffer.from(`${version}-${framework}`.padEnd(32, ".")).toString("hex")}`;
const projectOf = (version: string, framework: string) => `${framework}-${version.replaceAll(".", "-")}`;

let postern: Postern;

function configText(): string {
  const projects = cases.map(
    ({ version, framework }) =>
      `[[project]]\nid = "${projectOf(version, framework)}"\n` +
      `api_keys = ["${keyOf(version, framework)}"]\npingback = { cron_secret = "${SECRET}" }\n`,
  );
  return (
    `[server]\nlisten = "127.0.0.1:0"\n[store]\npath = "postern.db"\n[egress]\n` +
    `allow_private = ["127.0.0.0/8"]\n${projects.join("")}`
  );
}

beforeAll(async () => {
  if ([...venvs.values()].every((venv) => venv === null)) return;
  postern = await startPostern({ config: configText() });
});

afterAll(async () => {
  await postern?.[Symbol.asyncDispose]();
  removeFolders();
});

interface Shown {
  readonly status: string;
  readonly attempt: number;
  readonly httpStatus: number | null;
  readonly responseBody: string | null;
  readonly errorMessage: string | null;
  readonly durationMs: number | null;
  readonly completedAt: string | null;
  readonly scheduledAt: string;
  readonly createdAt: string;
  readonly hasChildren: boolean;
  readonly logs: readonly { readonly level: string; readonly message: string; readonly meta?: object }[];
  readonly attempts: readonly { readonly startedAt: string; readonly errorMessage: string }[];
  readonly parentId: string | null;
  readonly payload: unknown;
  readonly id: string;
}

class App implements AsyncDisposable {
  readonly #process: Bun.Subprocess<"ignore", "pipe", "inherit">;
  readonly #port: number;
  readonly #key: string;

  constructor(venv: Venv, options: { framework: string; port: number; key: string; platform: string }) {
    const { framework, port, key, platform } = options;
    this.#port = port;
    this.#key = key;
    const command = [venv.python, APP, framework, String(port), platform, key, SECRET];
    this.#process = Bun.spawn(command, { stdio: ["ignore", "pipe", "inherit"] });
  }

  async ready(): Promise<this> {
    for await (const chunk of this.#process.stdout) {
      if (Buffer.from(chunk).toString().includes("ready")) return this;
    }
    throw new Error("the application ended");
  }

  /** Resolves when it has ended by itself. */
  get exited(): Promise<number> {
    return this.#process.exited;
  }

  async command<Answer>(name: string, argument: unknown = null): Promise<Answer> {
    const body = JSON.stringify(argument);
    const headers = { connection: "close" };
    const url = `http://127.0.0.1:${this.#port}/test/${name}`;
    const response = await fetch(url, { method: "POST", headers, body }).catch(async (error: unknown) => {
      // A development server drops a connection now and then.
      if (this.#process.exitCode !== null) throw new Error(`ended with ${this.#process.exitCode}`);
      await pause(ASK_AGAIN_MS);
      return fetch(url, { method: "POST", headers, body }).catch(() => Promise.reject(error));
    });
    if (!response.ok) throw new Error(`${name}: ${response.status} ${await response.text()}`);
    return (await response.json()) as Answer;
  }

  /** Triggers through the SDK and returns the execution once it has ended. */
  async run(args: readonly unknown[], kwargs: object = {}): Promise<Shown> {
    return this.ended(await this.command<string>("trigger", { args, kwargs }));
  }

  async get<Answer>(path: string): Promise<Answer> {
    const headers = { authorization: `Bearer ${this.#key}` };
    const response = await fetch(`${postern.url}/api/v1/${path}`, { headers });
    if (!response.ok) throw new Error(`${path}: ${response.status}`);
    return (await response.json()) as Answer;
  }

  /** Nothing announces an end to the outside, so it is asked for. */
  async ended(id: string): Promise<Shown> {
    for (let waitedMs = 0; waitedMs < WAIT_MS; waitedMs += 50) {
      const shown = await this.get<Shown>(`executions/${id}`);
      if (shown.completedAt !== null) return shown;
      await pause(ASK_AGAIN_MS);
    }
    throw new Error(`the execution ${id} did not end`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#process.kill("SIGKILL");
    await this.#process.exited;
  }
}

async function startApp(version: (typeof VERSIONS)[number], framework: string): Promise<App> {
  const key = keyOf(version, framework);
  const venv = venvs.get(version);
  if (!venv) throw new Error("there is no Python");
  // Check 10: one framework is given a platform URL with a trailing slash.
  const platform = framework === "django" ? `${postern.url}/` : postern.url;
  return new App(venv, { framework, port: await freePort(), key, platform }).ready();
}

const called = new Map<string, Set<string>>(VERSIONS.map((version) => [version, new Set<string>()]));
let publicMethods = new Map<string, readonly string[]>();

describe.each(cases)("pingback-py $version in $framework", ({ version, framework }) => {
  const isSkipped = venvs.get(version) === null;

  test.skipIf(isSkipped)(
    "registers, is triggered, logs, fans out, retries, times out and runs on time",
    async () => {
      await using app = await startApp(version, framework);
      // Check 1.
      const jobs = await app.get<readonly { name: string; status: string }[]>("jobs");
      expect(jobs).toHaveLength(13);
      expect(jobs.every(({ status }) => status === "active")).toBe(true);

      const started = Date.now();
      const flaky = app.run(["flaky"]);
      const slow = app.run(["slow"]);
      const delayed = app.run(["echo", { late: true }], { delay: "2s" });

      await checkPayloads(app);
      await checkLogs(app);
      await checkFailures(app);
      await checkFanOut(app);
      await Promise.all([app.run(["exclusive"]), app.run(["exclusive"]), app.run(["exclusive"])]);

      // Check 35.
      const recovered = await flaky;
      expect(recovered).toMatchObject({ status: "success", attempt: 3, attempts: [{}, {}] });
      const [first, second] = recovered.attempts.map(({ startedAt }) => Date.parse(startedAt));
      expect((second ?? 0) - (first ?? 0)).toBeWithin(1_990, 3_500);
      expect(Date.now() - started).toBeGreaterThan(6_000);
      // Check 37.
      expect(await slow).toMatchObject({ status: "failed", httpStatus: null, attempt: 1 });
      // Check 16.
      const late = await delayed;
      expect(Date.parse(late.scheduledAt) - Date.parse(late.createdAt)).toBeWithin(1_990, 2_010);
      expect(Date.parse(late.completedAt ?? "") - Date.parse(late.createdAt)).toBeGreaterThanOrEqual(2_000);

      const state = await app.command<{
        ticks: number;
        overlap: boolean;
        called: string[];
        public: string[];
      }>("state");
      expect(state.overlap).toBe(false);
      expect(state.ticks).toBeGreaterThan(3);
      for (const name of state.called) called.get(version)?.add(name);
      publicMethods.set(version, state.public);
    },
    WAIT_MS * 2,
  );
});

/** Checks 1, 13 and 20, and the ways in which the SDK hands a payload over. */
async function checkPayloads(app: App): Promise<void> {
  for (const payload of [0, false, "", [], { é: "<&>", n: [1.5, null] }, "text"]) {
    const shown = await app.run(["echo", payload]);
    expect(JSON.parse(shown.responseBody ?? "").result).toEqual({ payload, id: shown.id, attempt: 1 });
  }
  const none = await app.run(["echo"]);
  expect(JSON.parse(none.responseBody ?? "").result.payload).toBe(null);
  const typed = await app.run(["typed", { number: 5 }]);
  expect(typed.responseBody).toContain('"none"');
  const unpacked = await app.run(["unpacked", { to: "zoe", subject: "hello" }]);
  expect(unpacked.responseBody).toContain("zoe: hello");
}

/** Checks 32 and 33. */
async function checkLogs(app: App): Promise<void> {
  const shown = await app.run(["logging"]);
  expect(shown).toMatchObject({ status: "success", httpStatus: 200 });
  expect(shown.durationMs).toBeGreaterThanOrEqual(0);
  expect(shown.logs).toMatchObject([
    { level: "info", message: "an info", meta: { k: 1 } },
    { level: "warn", message: "a warning", meta: { nested: { a: [1, 2] } } },
    { level: "error", message: "an error" },
    { level: "debug", message: "a detail", meta: { é: "ü" } },
  ]);
}

/** Checks 15, 22 and 34. */
async function checkFailures(app: App): Promise<void> {
  const failed = await app.run(["failing"]);
  expect(failed).toMatchObject({ status: "failed", httpStatus: 500, attempt: 1, hasChildren: false });
  expect(failed.errorMessage).toBe("HTTP 500: on purpose");
  expect(failed.logs).toMatchObject([{ message: "before" }]);
  const unknown = await app.command<{ error: string }>("trigger", { args: ["nobody"] });
  expect(unknown.error).toContain("404");
  const late = await app.command<{ error: string }>("trigger", { args: ["echo"], kwargs: { delay: "31d" } });
  expect(late.error).toContain("exceeds maximum");
  expect(await app.command("unsigned")).toMatchObject({ _status: 401 });
}

/** Checks 28, 42, 43, 45 and 47. */
async function checkFanOut(app: App): Promise<void> {
  const parent = await app.run(["parent", { go: true }]);
  expect(parent).toMatchObject({ status: "success", hasChildren: true });
  const [{ id: project } = { id: "" }] = await app.get<readonly { id: string }[]>("projects");
  const graph = () =>
    app.get<{ rootId: string; nodes: readonly { functionName: string; status: string; payload: unknown }[] }>(
      `projects/${project}/executions/${parent.id}/workflow`,
    );
  let nodes = (await graph()).nodes;
  for (let turn = 0; turn < 200 && nodes.filter(({ status }) => status === "success").length < 7; turn += 1) {
    await pause(ASK_AGAIN_MS);
    nodes = (await graph()).nodes;
  }
  expect(nodes.map(({ functionName, status }) => `${functionName} ${status}`)).toEqual([
    ...[
      "parent success",
      ...Array<string>(3).fill("child success"),
      ...Array<string>(3).fill("leaf success"),
    ],
  ]);
  const numbers = nodes.filter(({ functionName }) => functionName === "child").map(({ payload }) => payload);
  expect(numbers).toEqual([{ number: 0 }, { number: 1 }, { number: 2 }]);
}

test.skipIf(venvs.get("0.3.1") === null)(
  "an application that dies in the middle of an execution is called again when it is back",
  async () => {
    const venv = venvs.get("0.3.1");
    if (!venv) throw new Error("there is no Python");
    const port = await freePort();
    const options = { framework: "wsgi", port, key: keyOf("0.3.1", "wsgi"), platform: postern.url };
    await using first = await new App(venv, options).ready();
    const triggered = await fetch(`${postern.url}/api/v1/trigger`, {
      method: "POST",
      headers: { authorization: `Bearer ${options.key}` },
      body: JSON.stringify({ task: "crash" }),
    });
    const { executionId: id } = (await triggered.json()) as { executionId: string };
    expect(await first.exited).toBe(7);
    await using second = await new App(venv, options).ready();
    const shown = await second.ended(id);
    expect(shown).toMatchObject({ status: "success" });
    expect(shown.attempt).toBeGreaterThan(1);
    expect(shown.responseBody).toContain("survived");
  },
  WAIT_MS * 2,
);

test.skipIf([...venvs.values()].includes(null))("no public method of the package goes uncalled", () => {
  for (const version of VERSIONS) {
    const uncalled = (publicMethods.get(version) ?? []).filter((name) => !called.get(version)?.has(name));
    expect(publicMethods.get(version)?.length).toBeGreaterThanOrEqual(12);
    expect({ version, uncalled }).toEqual({ version, uncalled: [] });
  }
  publicMethods = new Map();
});
