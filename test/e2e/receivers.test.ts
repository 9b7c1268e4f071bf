import { afterAll, expect, test } from "bun:test";
import { FAULTS, refusingUrl, startRawReceiver, startReceiver } from "../support/receiver.ts";
import {
  configText,
  type DeliveryView,
  freePort,
  listDeliveries,
  type Postern,
  removeFolders,
  seeded,
  sendSigned,
  startPostern,
  until,
} from "./support.ts";

afterAll(removeFolders);

/** Three attempts in under two seconds, each at most half a second. */
const QUICK = 'timeout = "500ms"\nretry = { delays = ["100ms", "100ms"] }';
const EVENTS = 20;

const isOver = ({ state }: DeliveryView) => state === "succeeded" || state === "dead";

/** Until nothing waits any more but what is parked on purpose. */
async function untilOver(postern: Postern): Promise<DeliveryView[]> {
  return until(async () => {
    const all = await listDeliveries(postern);
    return all.every(isOver) ? all : null;
  });
}

/** One without a breaker, and one whose breaker parks and probes: all of it must come to an end. */
function twice(name: string, url: string) {
  const breaker = 'breaker = { failures = 3, recovery = "50ms", max_recovery = "50ms" }';
  return [
    { name, url, more: `${QUICK}\nbreaker = { failures = 0 }` },
    { name: `${name}-guarded`, url, more: `${QUICK}\n${breaker}` },
  ];
}

async function expectDead(postern: Postern, own: readonly DeliveryView[], error: RegExp): Promise<void> {
  expect(own.map(({ state, attemptCount }) => [state, attemptCount])).toEqual(
    Array(EVENTS).fill(["dead", 3]),
  );
  const { lastError } = await postern.api<{ lastError: string }>(`/deliveries/${own[0]?.id}`);
  expect(lastError).toMatch(error);
}

test("receivers that fail in every way end in dead letters that say why, and delay nobody else", async () => {
  await using healthy = startReceiver();
  await using slow = startReceiver();
  await using elsewhere = startReceiver();
  await using redirecting = startReceiver(() => ({ status: 302, headers: { location: elsewhere.url } }));
  await using storming = startReceiver(() => 500);
  await using hanging = await startRawReceiver(FAULTS.hang);
  await using dripping = await startRawReceiver(FAULTS.drip);
  await using resetting = await startRawReceiver(FAULTS.resetBeforeHeaders);
  const faulty = {
    refusing: { url: await refusingUrl(), error: /refused/ },
    hanging: { url: hanging.url, error: /time/ },
    dripping: { url: dripping.url, error: /time/ },
    resetting: { url: resetting.url, error: /clos|reset/ },
    redirecting: { url: redirecting.url, error: /302/ },
    storming: { url: storming.url, error: /500/ },
    nameless: { url: "http://no-such-name.invalid", error: /name|resolve|dns/i },
  };
  const names = Object.keys(faulty) as (keyof typeof faulty)[];
  const config = configText({
    endpoints: [
      ...names.flatMap((name) => twice(name, faulty[name].url)),
      { name: "healthy", url: healthy.url },
      { name: "ordered", url: slow.url, more: 'ordering = "endpoint"' },
    ],
    sources: { orders: [...names.flatMap((name) => [name, `${name}-guarded`]), "healthy", "ordered"] },
  });
  await using postern = await startPostern({ config });

  const delaysMs: number[] = [];
  for (let index = 0; index < EVENTS; index += 1) {
    const sentMs = performance.now();
    await postern.accepted("orders", JSON.stringify({ id: `event-${index}` }));
    await healthy.waitFor(index + 1);
    delaysMs.push(performance.now() - sentMs);
  }
  expect(delaysMs.toSorted((a, b) => a - b)[EVENTS / 2]).toBeLessThan(250);

  const all = await untilOver(postern);
  expect(all).toHaveLength(EVENTS * (names.length * 2 + 2));
  expect(elsewhere.requests).toHaveLength(0);
  expect(slow.requests.map(({ text }) => JSON.parse(text).id)).toEqual(
    Array.from({ length: EVENTS }, (_, index) => `event-${index}`),
  );
  for (const name of names) {
    await expectDead(
      postern,
      all.filter(({ endpoint }) => endpoint === name),
      faulty[name].error,
    );
    await expectDead(
      postern,
      all.filter(({ endpoint }) => endpoint === `${name}-guarded`),
      faulty[name].error,
    );
  }
  const others = all.filter(({ endpoint }) => endpoint === "healthy" || endpoint === "ordered");
  expect(new Set(others.map(({ state }) => state))).toEqual(new Set(["succeeded"]));
}, 60_000);

const KEYS = ["a", "b", "c", "d", "e"];
const KILLS = 5;

test("lines keep their order and lose nothing when the process is killed again and again", async () => {
  const random = seeded(7);
  await using receiver = startReceiver(() => (random() < 0.2 ? 500 : 200));
  const config = configText({
    port: await freePort(),
    endpoints: [
      {
        name: "app",
        url: receiver.url,
        more:
          'ordering = "key"\nbreaker = { failures = 0 }\n' +
          'retry = { policy = "fixed", delay = "20ms", max_attempts = 1000 }',
      },
    ],
    sources: { orders: ["app"] },
  }).replace("dedupe = {", 'ordering_key = "json:key"\ndedupe = {');
  let postern = await startPostern({ config });
  const { folder } = postern;
  const accepted: { key: string; n: number }[] = [];
  for (let kill = 0; kill <= KILLS; kill += 1) {
    for (let n = 0; n < 60; n += 1) {
      const event = { key: KEYS[Math.floor(random() * KEYS.length)] ?? "", n: accepted.length };
      const body = JSON.stringify({ id: `event-${event.n}`, ...event });
      const response = await sendSigned(postern.url, "orders", body);
      expect(response.status).toBe(202);
      accepted.push(event);
    }
    if (kill === KILLS) break;
    await postern[Symbol.asyncDispose]();
    postern = await startPostern({ config, folder });
  }
  await using last = postern;
  await untilOver(last);
  // Each request repeats the one before it of its key, or is the next: at least once, and in order.
  for (const key of KEYS) {
    const expected = accepted.filter((event) => event.key === key).map(({ n }) => n);
    const seen = receiver.requests.map(({ text }) => JSON.parse(text)).filter((event) => event.key === key);
    const distinct = seen.map(({ n }) => n).filter((n, index, all) => n !== all[index - 1]);
    expect(distinct).toEqual(expected);
  }
}, 60_000);
