/** What a newcomer does: paste the README's application, start it, and watch its cron fire. */
import { afterAll, expect, test } from "bun:test";
import { join } from "node:path";
import {
  configText,
  freePort,
  pause,
  removeFolders,
  runPostern,
  startPostern,
  until,
} from "../e2e/support.ts";
import { openVenv } from "./venv.ts";

afterAll(removeFolders);

const venv = openVenv({ name: "pingback-readme", packages: ["pingback-py==0.3.1", "flask==3.1.3"] });
const README = await Bun.file(join(import.meta.dir, "../../README.md")).text();
const LINES_MAX = 15;

/** The block of this language that has this text in it. */
function blockOf(language: string, part: string): string {
  const blocks = [...README.matchAll(/```(\w+)\n(.*?)```/gs)];
  const found = blocks.find(([, name, text]) => name === language && text?.includes(part));
  if (!found?.[2]) throw new Error(`the README has no block of ${language} with ${part}`);
  return found[2];
}

interface Logged {
  readonly data: readonly { readonly function: string; readonly message: string; readonly meta: unknown }[];
}

test.skipIf(venv === null)(
  "the README's Flask application fires its cron, and the commands below it show that",
  async () => {
    const code = blockOf("python", "pb.cron(");
    const lines = code.split("\n").filter((line) => line.trim() !== "");
    expect(lines.length).toBeLessThanOrEqual(LINES_MAX);
    const config = withProject(configText({ endpoints: [], sources: {} }), blockOf("toml", "cron_secret"));
    await using postern = await startPostern({ config });
    const port = await freePort();
    const script = code.replaceAll("http://127.0.0.1:8420", postern.url).replaceAll("5000", String(port));
    const app = Bun.spawn([venv?.python ?? "", "-c", script], { stdout: "ignore", stderr: "ignore" });
    try {
      const call = ["--server", postern.url, "--key", "dev-key-change-me"];
      const run = (...args: string[]) => runPostern([...args, ...call], postern.folder);
      const fired = await until(async () => {
        const { stdout } = await run("logs", "--json");
        const { data } = JSON.parse(stdout) as Logged;
        if (data.length < 2) await pause(100);
        return data.length < 2 ? null : data;
      });
      const planned: unknown = expect.stringMatching(/T\d\d:\d\d:\d\d\+00:00$/);
      expect(fired[0]).toMatchObject({ function: "tick", message: "fired", meta: { planned } });
      expect((await run("logs", "--text", "fired", "--limit", "1")).stdout).toContain("INFO   tick  fired");
      expect((await run("functions", "list")).stdout).toMatch(
        /^tick {2}cron {2}\* \* \* \* \* \* {2}active/m,
      );
      expect((await run("functions", "pause", "tick")).stdout).toBe("tick is paused\n");
      const ran = await run("functions", "run", "tick", "--payload", '{"n":1}');
      expect(ran.stdout).toStartWith("tick is being run: dlv_");
      const id = ran.stdout.trim().split(" ").at(-1) ?? "";
      await until(async () => {
        const shown = await run("executions", "get", id);
        if (shown.stdout.includes("success")) return shown;
        await pause(100);
        return null;
      });
      expect((await run("executions", "tree", id)).stdout).toStartWith("tick  success");
    } finally {
      app.kill();
      await app.exited;
    }
  },
  60_000,
);

/** Puts the README's project in the place of the one that tests have. */
function withProject(config: string, settings: string): string {
  const replaced = config.replace(/\[\[project\]\]\n(?:[^[\n].*\n?)*/, `${settings}\n`);
  if (!replaced.includes("cron_secret")) throw new Error("the test configuration has no project to replace");
  return replaced;
}
