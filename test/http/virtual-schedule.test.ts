/** Schedules as their users test them: a declared one, a receiver, and a month in one call. */
import { expect, test } from "bun:test";
import { startReceiver } from "../support/receiver.ts";
import { startVirtualServer } from "../support/virtual-server.ts";

test("A month of a nightly schedule runs in one advance, each run at its local time", async () => {
  const instants: string[] = [];
  await using receiver = startReceiver(() => {
    instants.push(new Date(server.clock.now()).toISOString());
    return 200;
  });
  await using server = await startVirtualServer(`
    [[endpoint]]
    name = "app"
    url = "${receiver.url}"
    [[schedule]]
    name = "nightly"
    cron = "0 2 * * *"
    timezone = "Europe/Berlin"
    endpoint = "app"
    body = '{"kind":"nightly"}'`);
  // The run that is due at the instant where it ends is made too.
  const { json } = await server.api("/clock/advance", { by: "30d" });
  expect(json).toMatchObject({ attempts: 31, isComplete: true });
  expect(instants.slice(0, 3)).toEqual([
    "2026-03-28T01:00:00.000Z",
    // 02:00 does not exist on that day; the run comes with the first instant after the gap.
    "2026-03-29T01:00:00.000Z",
    "2026-03-30T00:00:00.000Z",
  ]);
  expect(new Set(instants).size).toBe(31);
});
