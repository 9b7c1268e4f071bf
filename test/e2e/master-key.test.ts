import { afterAll, expect, test } from "bun:test";
import { copyFileSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Webhook } from "standardwebhooks";
import { type Receiver, startReceiver } from "../support/receiver.ts";
import {
  API_KEY,
  configText,
  createFolder,
  Postern,
  pause,
  type Postern as Running,
  removeFolders,
  runPostern,
  SIGNING_SECRET,
  startPostern,
} from "./support.ts";

afterAll(removeFolders);

const ENDPOINTS = 600;
/** Milliseconds from the request to the kill: before, within and behind the work. */
const KILLS_AFTER_MS = [0, 3, 8, 20, 60];

function configOf(url: string): string {
  const others = Array.from({ length: ENDPOINTS }, (_, place) => ({ name: `e${place}`, url }));
  return configText({ endpoints: [{ name: "app", url }, ...others], sources: { orders: ["app"] } });
}

/**
 * One event all the way: the source's secret and the endpoint's key both open. What a kill made to be sent
 * twice comes first, and has to be signed as well.
 */
async function sendOne(postern: Running, receiver: Receiver, id: string): Promise<void> {
  await postern.accepted("orders", JSON.stringify({ id }));
  for (;;) {
    const { headers, text } = await receiver.next();
    const event = new Webhook(SIGNING_SECRET).verify(text, Object.fromEntries(headers)) as { id: string };
    if (event.id === id) return;
  }
}

test("The master key changes while the server runs and is killed again and again", async () => {
  await using receiver = startReceiver();
  const config = configOf(receiver.url);
  const { folder } = createFolder(config);
  const file = join(folder, "postern.key");
  const used = new Set<string>();
  for (const [round, delayMs] of KILLS_AFTER_MS.entries()) {
    await using postern = await startPostern({ config, folder });
    if (round === 0) copyFileSync(file, `${file}.first`);
    used.add(readFileSync(file, "utf8"));
    await sendOne(postern, receiver, `before ${round}`);
    const rotating = postern.api("/master-key/rotate", { method: "POST", body: "{}" }).catch(() => null);
    await sendOne(postern, receiver, `during ${round}`);
    await Promise.race([rotating, pause(delayMs)]);
    postern.signal("SIGKILL");
    await postern.ended();
  }
  {
    await using postern = await startPostern({ config, folder });
    await sendOne(postern, receiver, "resumed");
    const { stdout, exitCode } = await runPostern(
      ["master-key", "rotate", "--json", "--server", postern.url, "--key", API_KEY],
      folder,
    );
    expect([exitCode, JSON.parse(stdout)]).toEqual([0, { resealed: ENDPOINTS + 3, isKeyFileReplaced: true }]);
    await sendOne(postern, receiver, "changed");
  }
  expect(existsSync(`${file}.next`)).toBe(false);
  const last = readFileSync(file, "utf8");
  expect(used.has(last)).toBe(false);
  copyFileSync(`${file}.first`, file);
  await using refused = new Postern({ config, folder });
  expect(await refused.ended()).toBe(1);
  expect(await refused.errors).toContain("the master key is not the one");
  writeFileSync(file, last);
  await using again = await startPostern({ config, folder });
  await sendOne(again, receiver, "with the last key");
}, 60_000);

test("A key of the environment changes with the next start, given the old one", async () => {
  await using receiver = startReceiver();
  const parts = { endpoints: [{ name: "app", url: receiver.url }], sources: { orders: ["app"] } };
  // Interpolated by the configuration, not here.
  const from = (name: string) => `"$\{${name}}"`;
  const keyed = (lines: string) => configText({ ...parts, more: `[store]\n${lines}` });
  const [first, second] = [1, 2].map((byte) => Buffer.alloc(32, byte).toString("base64"));
  const before = keyed(`master_key = ${from("KEY")}`);
  const { folder } = createFolder(before);
  {
    await using postern = await startPostern({ config: before, folder, env: { KEY: first ?? "" } });
    await sendOne(postern, receiver, "old key");
  }
  {
    const both = keyed(`master_key = ${from("KEY")}\nmaster_key_old = ${from("OLD")}`);
    const env = { KEY: second ?? "", OLD: first ?? "" };
    await using postern = await startPostern({ config: both, folder, env });
    await postern.line("master_key.rotated");
    await sendOne(postern, receiver, "both keys");
  }
  await using postern = await startPostern({ config: before, folder, env: { KEY: second ?? "" } });
  await sendOne(postern, receiver, "new key");
});
