/**
 * The moment between a handler's answer and the commit of what follows from it: the application kills the
 * server with SIGKILL right after it has answered, again and again. Children of the fan-out must be neither
 * lost nor doubled (pingback.md 4.5 and 4.8; conformance checks 18 and 54).
 *
 *   POSTERN_KILLS   how often to kill; 8 unless said otherwise
 */
import { afterAll, expect, test } from "bun:test";
import { startReceiver } from "../support/receiver.ts";
import { API_KEY, createFolder, freePort, Postern, pause, removeFolders, seeded, until } from "./support.ts";

afterAll(removeFolders);

const KILLS = Number(process.env.POSTERN_KILLS ?? 8);
const CHILDREN = 20;
/** Before and after the commit are both hit: it takes a millisecond or two. */
const KILL_WITHIN_MS = 6;
const LIMIT_MS = 30_000 + KILLS * 5_000;

interface Dispatch {
  readonly function: string;
  readonly executionId: string;
  readonly attempt: number;
  readonly payload?: unknown;
}

/** Answers every parent with tasks, and has the server killed right after the first time. */
class Application {
  /** How often each parent was answered. */
  readonly answers = new Map<string, number>();
  /** The children seen of each parent. */
  readonly children = new Map<string, Set<string>>();
  readonly #random = seeded(42);
  readonly #kill: () => void;

  constructor(kill: () => void) {
    this.#kill = kill;
  }

  answer(text: string) {
    const dispatch = JSON.parse(text) as Dispatch;
    if (dispatch.function === "child") {
      const { parent } = dispatch.payload as { parent: string };
      this.children.set(parent, (this.children.get(parent) ?? new Set()).add(dispatch.executionId));
      return { status: 200, body: JSON.stringify({ status: "success", result: null }) };
    }
    const times = (this.answers.get(dispatch.executionId) ?? 0) + 1;
    this.answers.set(dispatch.executionId, times);
    // Only the first answer is followed by a kill, or a parent would never end.
    if (times === 1) void pause(this.#random() * KILL_WITHIN_MS).then(this.#kill);
    const payload = { parent: dispatch.executionId };
    const tasks = Array.from({ length: CHILDREN }, () => ({ name: "child", payload }));
    const logs = [{ timestamp: 1, level: "info", message: `answer ${times}` }];
    return { status: 200, body: JSON.stringify({ status: "success", result: null, logs, tasks }) };
  }
}

test(
  "children of a fan-out are neither lost nor doubled by kills between the answer and the commit",
  async () => {
    const application = new Application(() => running?.signal("SIGKILL"));
    const { answers, children } = application;
    let running: Postern | null = null;
    await using receiver = startReceiver((request) => application.answer(request.text));
    const port = await freePort();
    const config =
      `[server]\nlisten = "127.0.0.1:${port}"\n[[project]]\nid = "default"\napi_keys = ["${API_KEY}"]\n` +
      `pingback = { endpoint_url = "${receiver.url}/api/pingback", cron_secret = "s" }\n`;
    const { folder } = createFolder(config);
    const call = async <Answer>(path: string, body?: object): Promise<Answer> => {
      const response = await fetch(`http://127.0.0.1:${port}/api/v1/${path}`, {
        headers: { authorization: `Bearer ${API_KEY}` },
        ...(body === undefined ? {} : { method: "POST", body: JSON.stringify(body) }),
      });
      return (await response.json()) as Answer;
    };
    const functions = [
      { name: "parent", type: "task", options: { concurrency: 4 } },
      { name: "child", type: "task", options: { concurrency: 8 } },
    ];
    for (let kill = 0; kill < KILLS; kill += 1) {
      running = new Postern({ config, folder });
      await running.ready();
      if (kill === 0) await call("register", { functions });
      // The kill may come before this answer; what was dispatched was stored all the same.
      await call("trigger", { task: "parent" }).catch(() => {});
      await running.ended();
    }
    running = null;
    const parents = [...answers.keys()];
    expect(parents).toHaveLength(KILLS);
    await using last = new Postern({ config, folder });
    await last.ready();
    const [{ id: project } = { id: "" }] = await call<readonly { id: string }[]>("projects");
    const count = async (query: string) =>
      (await call<{ total: number }>(`projects/${project}/executions?${query}`)).total;
    await until(async () => {
      const open = (await count("status=pending")) + (await count("status=running"));
      return open === 0 ? true : null;
    });
    await pause(50);
    for (const parent of parents) {
      expect(await call(`executions/${parent}`)).toMatchObject({ status: "success", attempt: 1 });
      expect(await count(`parentId=${parent}`)).toBe(CHILDREN);
      expect(children.get(parent)?.size).toBe(CHILDREN);
      const { logs } = await call<{ logs: readonly unknown[] }>(`executions/${parent}`);
      expect(logs).toHaveLength(1);
    }
    expect(await count("")).toBe(KILLS * (CHILDREN + 1));
    expect(await count("status=failed")).toBe(0);
    const repeated = parents.filter((parent) => (answers.get(parent) ?? 0) > 1).length;
    process.stdout.write(`${repeated} of ${KILLS} kills came before the commit\n`);
  },
  LIMIT_MS,
);

test("a delayed trigger survives a kill and is dispatched once, at its time", async () => {
  const seen: Dispatch[] = [];
  await using receiver = startReceiver((request) => {
    seen.push(JSON.parse(request.text) as Dispatch);
    return 200;
  });
  const port = await freePort();
  const config =
    `[server]\nlisten = "127.0.0.1:${port}"\n[[project]]\nid = "default"\napi_keys = ["${API_KEY}"]\n` +
    `pingback = { endpoint_url = "${receiver.url}/x", cron_secret = "s" }\n`;
  const { folder } = createFolder(config);
  const post = async (path: string, body: object) => {
    const headers = { authorization: `Bearer ${API_KEY}` };
    const init = { method: "POST", headers, body: JSON.stringify(body) };
    return (await fetch(`http://127.0.0.1:${port}/api/v1/${path}`, init)).json();
  };
  await using first = await new Postern({ config, folder }).ready();
  await post("register", { functions: [{ name: "t", type: "task" }] });
  const { scheduledAt } = (await post("trigger", { task: "t", delay: 2 })) as { scheduledAt: string };
  first.signal("SIGKILL");
  await first.ended();
  await using second = await new Postern({ config, folder }).ready();
  await until(() => (seen.length > 0 ? true : null));
  expect(Date.now()).toBeGreaterThanOrEqual(Date.parse(scheduledAt));
  await pause(200);
  expect(seen).toMatchObject([{ function: "t", attempt: 1 }]);
  expect(second.pid).not.toBe(first.pid);
}, 30_000);
