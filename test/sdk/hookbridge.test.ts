/**
 * The official HookBridge clients for Python, unmodified, against the executable: the newest release and the
 * one that most programs still have, synchronous and asynchronous. The scenario calls every public method of
 * the client that is installed; one that it does not call fails the suite.
 */
import { afterAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { API_KEY, freePort, removeFolders, startPostern } from "../e2e/support.ts";
import { openVenv } from "./venv.ts";

afterAll(removeFolders);

const SCENARIO = join(import.meta.dir, "hookbridge/scenario.py");
const README = await Bun.file(join(import.meta.dir, "../../README.md")).text();
const VERSIONS = ["2.0.0", "1.4.0"] as const;
/** Of the client, besides __init__; a package that offers fewer is not the one that was meant. */
const METHODS_MIN = { "2.0.0": 78, "1.4.0": 54 } as const;

/** The URLs that the server hands out are built from the port, so it has to be known before. */
const configOf = (port: number) => `
[server]
listen = "127.0.0.1:${port}"

[[project]]
id = "default"
api_keys = ["${API_KEY}"]
hookbridge = { allow_http = true, replay_limit = 3 }
`;

/**
 * Stands between a client and the server: fails the first request of each name with 500, or refuses all of
 * them with 429, as check 9 and check 8 of the reference want it.
 */
function startProxy(target: string) {
  const requests = new Map<string, number>();
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    async fetch(request) {
      const url = new URL(request.url);
      const [, name = "", ...rest] = url.pathname.split("/");
      const count = (requests.get(name) ?? 0) + 1;
      requests.set(name, count);
      const meta = { request_id: "req_proxy" };
      if (name === "limited") {
        const error = { code: "BURST_LIMIT_EXCEEDED", message: "too many" };
        return Response.json({ error, meta }, { status: 429, headers: { "retry-after": "7" } });
      }
      if (count === 1) {
        return Response.json({ error: { code: "INTERNAL_ERROR", message: "once" }, meta }, { status: 500 });
      }
      return fetch(`${target}/${rest.join("/")}${url.search}`, request);
    },
  });
  return { url: `http://127.0.0.1:${server.port}`, requests, stop: () => server.stop(true) };
}

describe.each(VERSIONS)("hookbridge %s", (version) => {
  const venv = openVenv({ name: `hookbridge-${version}`, packages: [`hookbridge==${version}`] });

  test.skipIf(venv === null).each(["sync", "async"])(
    "every public method of the %s client works",
    async (mode) => {
      await using postern = await startPostern({ config: configOf(await freePort()) });
      const proxy = startProxy(postern.url);
      const command = [venv?.python ?? "", SCENARIO, postern.url, API_KEY, proxy.url, mode];
      // Not spawnSync: the proxy lives in this process.
      const run = Bun.spawn(command, { stdout: "pipe", stderr: "pipe" });
      const [stdout, stderr, exitCode] = await Promise.all([
        new Response(run.stdout).text(),
        new Response(run.stderr).text(),
        run.exited,
      ]);
      proxy.stop();
      expect(exitCode, stderr).toBe(0);
      const result = JSON.parse(stdout) as { called: string[]; public: string[] };
      expect(result.public.filter((name) => !result.called.includes(name))).toEqual([]);
      expect(result.called.length).toBeGreaterThanOrEqual(METHODS_MIN[version]);
      expect(result.public.filter((name) => !README.includes(`\`${name}\``))).toEqual([]);
      // Check 9: two requests, the first of which failed; check 8: no retry of a refusal.
      expect(proxy.requests.get(`fail-once-${mode}`)).toBe(2);
      expect(proxy.requests.get("limited")).toBe(1);
    },
    60_000,
  );
});
