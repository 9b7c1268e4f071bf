/**
 * Every route of every door, as the doors list them: none without a key, and none with a key that is good
 * for something else. A route that is new is walked with the others.
 */
import { expect, test } from "bun:test";
import { fill, keyHeaders, type ServedRoute, servedBy, startAllDoors } from "../support/all-doors.ts";
import { KEYS, type TestApp } from "../support/test-app.ts";

const ID = "0197a1b2-0000-7000-8000-00000000abcd";
const KEY_OF = { ingest: KEYS.ingest, read: KEYS.read, admin: KEYS.admin } as const;
type Scope = keyof typeof KEY_OF;

/** Doors that ask for no key: the proof is in the path. */
const KEYLESS = ["HookBridge exports", "HookBridge ingest", "PyFly webhooks"];

interface Probe {
  readonly key: string | null;
  /** Failed authentications are limited per address, so that no address asks often. */
  readonly peer: string;
}

async function statusOf(app: TestApp, { method, path, door }: ServedRoute, { key, peer }: Probe) {
  const headers = key === null ? {} : keyHeaders(door, key);
  const body = method === "GET" ? {} : { body: "{}" };
  return (await app.request(fill(path, ID), { method, headers, peer, ...body })).status;
}

/** Each route's line with the status it answered, where that is not the one. */
async function others(wanted: number, select: (route: ServedRoute) => readonly (string | null)[]) {
  await using all = await startAllDoors();
  const found: string[] = [];
  let asked = 0;
  for (const route of servedBy(all.doors)) {
    for (const key of select(route)) {
      asked += 1;
      const status = await statusOf(all.app, route, { key, peer: `192.0.2.${asked % 250}` });
      if (status !== wanted) found.push(`${route.method} ${route.path} with ${key}: ${status}`);
    }
  }
  return { found, asked };
}

test("every door but those that prove it otherwise lists what it serves", async () => {
  await using all = await startAllDoors();
  const silent = all.doors.filter(({ routes }) => routes === undefined).map(({ name }) => name);
  expect(silent.sort()).toEqual(KEYLESS);
  expect(servedBy(all.doors).length).toBeGreaterThan(200);
});

test("without a key and with an unknown one every route answers 401", async () => {
  const { found, asked } = await others(401, () => [null, "unknown-key"]);
  expect(found).toEqual([]);
  expect(asked).toBeGreaterThan(400);
});

test("a key of another scope answers 403 on every route", async () => {
  const keysAgainst = ({ scope }: ServedRoute) =>
    (["ingest", "read"] as const).filter((given: Scope) => given !== scope).map((given) => KEY_OF[given]);
  const { found } = await others(403, keysAgainst);
  expect(found).toEqual([]);
});

test("only what looks is open to a key that reads, and every other verb needs more", async () => {
  await using all = await startAllDoors();
  const writing = servedBy(all.doors).filter(({ method, scope }) => method !== "GET" && scope === "read");
  // It counts, and stores nothing.
  expect(writing.map(({ method, path }) => `${method} ${path}`)).toEqual(["POST /_/api/schedules/preview"]);
});
