/** Alerts of the executable reach a receiver of their own, signed like everything else. */
import { afterAll, expect, test } from "bun:test";
import { Webhook } from "standardwebhooks";
import { startReceiver } from "../support/receiver.ts";
import { configText, removeFolders, SIGNING_SECRET, startPostern } from "./support.ts";

afterAll(removeFolders);

test("an endpoint that opens its breaker, and recovers, is told of to whom it may concern", async () => {
  let isDown = true;
  await using app = startReceiver(() => (isDown ? 500 : 200));
  const alerts: { readonly type: string; readonly data: Readonly<Record<string, unknown>> }[] = [];
  const opened = Promise.withResolvers<void>();
  const recovered = Promise.withResolvers<void>();
  await using ops = startReceiver(({ text, headers }) => {
    alerts.push(new Webhook(SIGNING_SECRET).verify(text, Object.fromEntries(headers)) as (typeof alerts)[0]);
    if (alerts.length === 1) opened.resolve();
    else recovered.resolve();
    return 200;
  });
  const guarded =
    'retry = { delays = ["20ms", "20ms", "20ms"] }\n' +
    'breaker = { failures = 3, recovery = "100ms", max_recovery = "100ms" }';
  const config = configText({
    endpoints: [
      { name: "app", url: app.url, more: guarded },
      { name: "ops", url: ops.url },
    ],
    sources: { orders: ["app"] },
    more: '[[alert]]\nname = "ops"\nendpoint = "ops"\non = ["endpoint.opened", "endpoint.recovered"]',
  });
  await using postern = await startPostern({ config });
  await postern.accepted("orders", '{"id":"a1"}');
  await opened.promise;
  isDown = false;
  await recovered.promise;
  expect(alerts).toMatchObject([
    { type: "endpoint.opened", data: { endpoint: { name: "app" }, failures: 3 } },
    { type: "endpoint.recovered", data: { endpoint: { name: "app" } } },
  ]);
});
