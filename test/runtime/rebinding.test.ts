/** The real sender and real sockets behind the real engine, with names that change where they lead. */
import { expect, test } from "bun:test";
import { SystemClock } from "../../src/runtime/clock.ts";
import { createEgress, type Lookup } from "../../src/runtime/egress.ts";
import { createSender } from "../../src/runtime/sender.ts";
import { startEngine } from "../support/engine.ts";
import { newEndpoint } from "../support/factory.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { startReceiver } from "../support/receiver.ts";
import { ScriptedSender } from "../support/scripted-sender.ts";

/** What is allowed stands for a public address, the other loopback address for a private one. */
const PUBLIC = "127.0.0.1";
const PRIVATE = "127.0.0.2";

test("a name that comes to lead to a private address is never followed there, and ends as dead", async () => {
  await using allowed = startReceiver();
  await using secret = startReceiver(() => 200, { hostname: PRIVATE, port: allowed.port });
  let leadsTo = PUBLIC;
  const lookup: Lookup = async () => [{ address: leadsTo, family: 4 }];
  const clock = new FakeClock();
  const egress = createEgress({ allowPrivate: [PUBLIC], lookup, clock });
  const real = createSender({ clock: new SystemClock(), egress });
  const receiver = new ScriptedSender(clock);
  receiver.send = (request) => real.send(request);
  await using run = await startEngine({ clock, receiver, sources: [{ to: [] }] });

  const { id: _id, ...definition } = newEndpoint({
    ...{ name: "rebound", door: "native", url: `http://rebind.test:${allowed.port}/` },
    retry: { kind: "ladder", delaysMs: [10_000], jitter: 0 },
  });
  await run.engine.endpoints.put({ ...definition, id: "0".repeat(32) });
  await run.declare({ endpoints: [{ name: "app" }], sources: [{ to: ["rebound"] }] });

  let settledCount = 0;
  run.probe.on("attempt.settled", () => {
    settledCount += 1;
  });
  const settled = async (count: number) => {
    while (settledCount < count) await run.probe.next("attempt.settled");
    await run.settle();
  };

  await run.accept();
  await settled(1);
  leadsTo = PRIVATE;
  await run.advance(10_000);
  await run.accept();
  await settled(2);
  await run.advance(10_000);
  await settled(3);

  expect(secret.requests).toHaveLength(0);
  expect(allowed.requests).toHaveLength(1);
  const [first, second] = await run.deliveries();
  expect(first?.state).toBe("succeeded");
  expect(second).toMatchObject({ state: "dead", attemptCount: 2 });
  const { attempts } = await run.delivery(second?.id);
  expect(attempts.map(({ failure }) => failure)).toEqual(["blocked", "blocked"]);
});
