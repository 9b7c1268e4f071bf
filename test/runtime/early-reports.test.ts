/** Reports that come while the attempt is still out, before the answer that promises them. */
import { expect, test } from "bun:test";
import type { AppError } from "../../src/domain/errors.ts";
import { type EngineSetup, receiverUrl, startEngine } from "../support/engine.ts";
import { withFolder } from "../support/store.ts";

const APP = receiverUrl("app");
const SETUP: EngineSetup = {
  endpoints: [{ name: "app", ack: { deadlineMs: 60_000, deadlineMaxMs: 60_000 } }],
};
const ACK = { attempt: 1, isAck: true, text: null };
const NACK = { attempt: 1, isAck: false, text: "no" };
const PROMISE = { status: 202, headers: { "postern-ack-deadline": "60" } };

/** An engine whose one attempt is out and stays so, and the delivery's id. */
async function whileOut(setup: EngineSetup = {}) {
  const run = await startEngine({ ...SETUP, ...setup });
  run.receiver.next(APP, "hang");
  await run.accept();
  const [delivery] = await run.deliveries();
  return { run, id: delivery?.id ?? "" };
}

test("An early acknowledgement is on disk when it is answered, and the answer changes nothing", async () => {
  const { run, id } = await whileOut();
  await using _ = run;
  expect(await run.engine.commands.acknowledge(id, ACK)).toBe(true);
  expect(await run.states()).toEqual(["succeeded"]);
  expect(run.engine.slots.used).toBe(1);
  run.receiver.letGo(PROMISE);
  await run.settle();
  expect(run.engine.slots.used).toBe(0);
  expect(await run.store.getDelivery({ project: "default", id })).toMatchObject({
    state: "succeeded",
    attempts: [{ number: 1, outcome: "succeeded" }],
  });
});

test("An early acknowledgement outlives the process that took it", async () => {
  await withFolder(async (folder) => {
    const path = `${folder}/postern.db`;
    const { run, id } = await whileOut({ path });
    expect(await run.engine.commands.acknowledge(id, ACK)).toBe(true);
    await run.close();
    await using again = await startEngine({ ...SETUP, path });
    expect(await again.states()).toEqual(["succeeded"]);
    expect(again.receiver.sent).toHaveLength(0);
  });
});

test("Twice the same early acknowledgement is one, and a refusal after it is none", async () => {
  const { run, id } = await whileOut();
  await using _ = run;
  const reports = [ACK, ACK, NACK].map((report) => run.engine.commands.acknowledge(id, report));
  expect(await Promise.all(reports)).toEqual([true, true, false]);
  run.receiver.letGo(PROMISE);
  await run.settle();
  expect(await run.states()).toEqual(["succeeded"]);
});

test("An early acknowledgement that cannot be stored is refused, and can be made again", async () => {
  let isDown = false;
  const { run, id } = await whileOut({
    wrap: (store) =>
      new Proxy(store, {
        get: (target, name) => {
          if (name !== "transition" || !isDown) return Reflect.get(target, name) as unknown;
          return () => Promise.reject(Object.assign(new Error("disk"), { code: "storage_unavailable" }));
        },
      }),
  });
  await using _ = run;
  isDown = true;
  const refused = await run.engine.commands.acknowledge(id, ACK).catch((error: AppError) => error.message);
  expect(refused).toBe("disk");
  isDown = false;
  expect(await run.engine.commands.acknowledge(id, ACK)).toBe(true);
  expect(await run.states()).toEqual(["succeeded"]);
});

test("What was acknowledged says nothing bad of its target, and can be replayed like any other", async () => {
  const { run, id } = await whileOut({
    endpoints: [{ ...SETUP.endpoints?.[0], breaker: { failures: 1, recoveryMs: 60_000 } }],
  });
  await using _ = run;
  await run.engine.commands.acknowledge(id, ACK);
  run.receiver.letGo({ failure: "reset" });
  await run.settle();
  expect(run.engine.breakers.state(run.endpoint()).kind).toBe("closed");
  await run.engine.commands.replay("default", id);
  await run.settle();
  expect(run.receiver.to(APP)).toHaveLength(2);
});
