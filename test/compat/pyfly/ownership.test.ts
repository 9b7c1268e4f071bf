/** Whose a callback config is, and that what is refused changes nothing. */
import { expect, test } from "bun:test";
import { KEYS } from "../../support/test-app.ts";
import { startPyfly, TARGET } from "./postern.ts";

const CHOSEN = "0197a1b2-0000-7000-8000-00000000abcd";
const THEIRS = "https://thief.example.net/hooks";

test("a removed config's id cannot be taken over by another project", async () => {
  await using pyfly = await startPyfly();
  const subscriptions = [{ event_type: "*", target_url: TARGET }];
  const own = { id: CHOSEN, tenant_id: "acme", subscriptions };
  expect((await pyfly.call("/configs", { method: "POST", body: own })).status).toBe(201);
  expect((await pyfly.call(`/configs/${CHOSEN}`, { method: "DELETE" })).status).toBe(204);
  const theirs = { ...own, subscriptions: [{ event_type: "*", target_url: THEIRS }] };
  const taken = await pyfly.call("/configs", { method: "POST", body: theirs, key: KEYS.other });
  expect(taken).toMatchObject({ status: 409, json: { error: { code: "conflict" } } });
  expect(await pyfly.dispatch("{}")).toEqual([]);
  // Its own project may use the id again.
  expect((await pyfly.call("/configs", { method: "POST", body: own })).status).toBe(201);
  await pyfly.dispatch("{}");
  expect(pyfly.sent.map(({ url }) => url)).toEqual([TARGET]);
});

test("of two requests that choose the same id at once, one is refused", async () => {
  await using pyfly = await startPyfly();
  const body = { id: CHOSEN, tenant_id: "acme", subscriptions: [] };
  const made = await Promise.all([
    pyfly.call("/configs", { method: "POST", body }),
    pyfly.call("/configs", { method: "POST", body, key: KEYS.other }),
  ]);
  expect(made.map(({ status }) => status).sort()).toEqual([201, 409]);
});

test("a config that is refused for its last target leaves nothing of it behind", async () => {
  await using pyfly = await startPyfly();
  const count = () => pyfly.app.engine.directory.endpoints().length;
  const before = count();
  const wrong = { event_type: "*", target_url: "http://169.254.169.254/latest" };
  const right = (headers: object) => ({ event_type: "*", target_url: TARGET, headers });
  const body = { tenant_id: "acme", subscriptions: [right({}), wrong] };
  const refused = await pyfly.call("/configs", { method: "POST", body });
  expect(refused).toMatchObject({ status: 422, json: { error: { code: "target_blocked" } } });
  expect(count()).toBe(before);
  const id = await pyfly.config({ subscriptions: [{ ...right({}), headers: { "X-Kept": "1" } }] });
  const update = { tenant_id: "acme", subscriptions: [right({ "X-Kept": "2" }), wrong] };
  expect((await pyfly.call(`/configs/${id}`, { method: "PUT", body: update })).status).toBe(422);
  await pyfly.dispatch("{}");
  expect(pyfly.sent.at(-1)?.headers.get("x-kept")).toBe("1");
});

test("a user name in a target that is no encoding is taken as it stands", async () => {
  await using pyfly = await startPyfly();
  await pyfly.config({
    subscriptions: [{ event_type: "*", target_url: "https://us%ffer:p@customer.example.com/" }],
  });
  await pyfly.dispatch("{}");
  expect(pyfly.sent[0]?.headers.get("authorization")).toBe(
    `Basic ${Buffer.from("us%ffer:p").toString("base64")}`,
  );
});

test.each(["constructor", "__proto__", "configs/x/toString"])("nothing is at %s", async (path) => {
  await using pyfly = await startPyfly();
  expect((await pyfly.call(`/${path}`)).status).toBe(404);
});

test("a key that only reads is shown neither header values nor the user of a target", async () => {
  await using pyfly = await startPyfly();
  const target_url = "https://user:pass-7f3a@customer.example.com/";
  const headers = { "X-Key": "header-7f3a" };
  const id = await pyfly.config({ subscriptions: [{ event_type: "*", target_url, headers }] });
  await pyfly.dispatch("{}");
  for (const path of ["/configs", `/configs/${id}`, "/executions"]) {
    const { status, json } = await pyfly.call(path, { key: KEYS.read });
    expect([path, status, JSON.stringify(json).includes("7f3a")]).toEqual([path, 200, false]);
  }
  // Who may change it gets back what it then sends.
  expect(await pyfly.call(`/configs/${id}`)).toMatchObject({
    json: { subscriptions: [{ target_url, headers }] },
  });
});

test("the answer to a large payload for many targets has it once", async () => {
  await using pyfly = await startPyfly();
  const subscriptions = Array.from({ length: 100 }, (_, index) => ({
    event_type: "*",
    target_url: `https://customer.example.com/${index}`,
  }));
  await pyfly.config({ subscriptions });
  const executions = await pyfly.dispatch(JSON.stringify({ filling: "x".repeat(60_000) }));
  expect(executions).toHaveLength(100);
  expect(executions.filter(({ payload }) => payload !== null)).toHaveLength(1);
  expect(pyfly.sent).toHaveLength(100);
  const few = await pyfly.dispatch("{}");
  expect(few.filter(({ payload }) => payload !== null)).toHaveLength(100);
});
