/**
 * The whole program in this process, on a clock that stands still until it is advanced: a real store in a
 * folder of its own, real sockets to receivers.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type App, createApp } from "../../src/app.ts";
import { SILENT_LOG } from "../../src/runtime/log.ts";
import { RepeatableRandom } from "../../src/runtime/random.ts";
import { VirtualClock } from "../../src/runtime/virtual-clock.ts";
import { configOf } from "../config/parse-text.ts";

export const VIRTUAL_START = Date.UTC(2026, 2, 28);
export const VIRTUAL_KEY = "admin-key-of-the-virtual-server";

export interface VirtualServer extends AsyncDisposable {
  readonly url: string;
  readonly clock: VirtualClock;
  /** One request to the native API with an admin key. */
  api(path: string, body?: unknown): Promise<{ status: number; json: unknown }>;
}

/** Starts it with this configuration, to which the listener, the store and a key are added. */
export async function startVirtualServer(config: string): Promise<VirtualServer> {
  const folder = mkdtempSync(join(tmpdir(), "postern-virtual-"));
  const clock = new VirtualClock(VIRTUAL_START);
  const app: App = createApp({
    config: configOf(`
      [server]
      listen = "127.0.0.1:0"
      [store]
      path = "${join(folder, "store.db")}"
      master_key = "${"11".repeat(32)}"
      durability = "relaxed"
      [egress]
      allow_private = ["127.0.0.0/8"]
      [[project]]
      id = "default"
      api_keys = ["${VIRTUAL_KEY}"]
      ${config}`),
    clock,
    random: new RepeatableRandom(),
    log: SILENT_LOG,
    reloadConfig: () => Promise.reject(new Error("nothing to reload")),
    version: { version: "1.2.3", commit: "abc1234" },
  });
  const { listeners } = await app.start();
  const url = listeners[0]?.url ?? "";
  return {
    url,
    clock,
    async api(path, body) {
      const headers = { authorization: `Bearer ${VIRTUAL_KEY}`, "content-type": "application/json" };
      const init = body === undefined ? {} : { method: "POST", body: JSON.stringify(body) };
      const response = await fetch(`${url}/_/api${path}`, { headers, ...init });
      return { status: response.status, json: await response.json() };
    },
    async [Symbol.asyncDispose]() {
      await app.stop({ limitMs: 0 });
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
