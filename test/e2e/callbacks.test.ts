import { afterAll, expect, test } from "bun:test";
import { startReceiver } from "../support/receiver.ts";
import { configText, createFolder, listDeliveries, removeFolders, startPostern, until } from "./support.ts";

afterAll(removeFolders);

test("A promise outlives a kill: the URL of before reports to the process of after", async () => {
  await using receiver = startReceiver(() => ({ status: 202, headers: { "Postern-Ack-Deadline": "600" } }));
  await using audit = startReceiver();
  const config = configText({
    endpoints: [
      { name: "app", url: receiver.url, more: 'ack = {}\nresult_to = "audit"' },
      { name: "audit", url: audit.url },
    ],
    sources: { orders: ["app"] },
  });
  const { folder } = createFolder(config);
  let ack = "";
  {
    await using postern = await startPostern({ config, folder });
    await postern.accepted("orders", '{"id":"slow"}');
    ack = (await receiver.next()).headers.get("Postern-Ack-URL") ?? "";
    await until(async () => ((await listDeliveries(postern, "state=awaiting")).length === 1 ? true : null));
    postern.signal("SIGKILL");
    await postern.ended();
  }
  await using postern = await startPostern({ config, folder });
  const path = new URL(ack).pathname;
  expect((await fetch(postern.url + path)).status).toBe(405);
  const answer = await fetch(postern.url + path, { method: "POST" });
  expect([answer.status, await answer.json()]).toEqual([
    200,
    expect.objectContaining({ attempt: 1, report: "ack", state: "succeeded" }),
  ]);
  expect(JSON.parse((await audit.next()).text)).toMatchObject({
    type: "delivery.succeeded",
    endpoint: "app",
  });
  expect((await fetch(`${postern.url + path}x`, { method: "POST" })).status).toBe(401);
  expect(receiver.requests).toHaveLength(1);
});

test("A report that was answered 200 outlives a kill although its 202 never came", async () => {
  const never = Promise.withResolvers<{ status: number }>();
  await using receiver = startReceiver(() => never.promise);
  await using told = startReceiver();
  const config = configText({
    endpoints: [{ name: "app", url: receiver.url, more: `ack = {}\nresult_to = "${told.url}/results"` }],
    sources: { orders: ["app"] },
  });
  const { folder } = createFolder(config);
  {
    await using postern = await startPostern({ config, folder });
    await postern.accepted("orders", '{"id":"quick"}');
    const ack = (await receiver.next()).headers.get("Postern-Ack-URL") ?? "";
    const answer = await fetch(postern.url + new URL(ack).pathname, { method: "POST" });
    expect([answer.status, await answer.json()]).toEqual([
      200,
      expect.objectContaining({ report: "ack", state: "succeeded" }),
    ]);
    postern.signal("SIGKILL");
    await postern.ended();
  }
  await using postern = await startPostern({ config, folder });
  const note = await told.next();
  expect([note.path, JSON.parse(note.text)]).toEqual([
    "/results",
    expect.objectContaining({ type: "delivery.succeeded", endpoint: "app" }),
  ]);
  const ended = (await listDeliveries(postern, "state=succeeded")) as { endpoint: string }[];
  expect(ended.map(({ endpoint }) => endpoint)).toContain("app");
  expect(receiver.requests).toHaveLength(1);
  never.resolve({ status: 200 });
});
