/** What concerns every project is for keys of the project default only, whatever the scope of others. */
import { expect, test } from "bun:test";
import { HOOKBRIDGE } from "../../src/dialects/hookbridge/dialect.ts";
import { PINGBACK } from "../../src/dialects/pingback/dialect.ts";
import { KEYS, sendResponse, startTestApp, type TestApp } from "../support/test-app.ts";

const start = () => startTestApp({ dialects: [HOOKBRIDGE, PINGBACK], canAdvance: true });

async function ask(app: TestApp, line: string, key: string, body?: object) {
  const [method = "", path = ""] = line.split(" ");
  const response = await app.request(path, {
    method,
    key,
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return { status: response.status, text: await response.text() };
}

test.each([
  ["POST /_/api/master-key/rotate", undefined],
  ["POST /_/api/reload", undefined],
  ["POST /_/api/clock/advance", { by: "1s" }],
  ["POST /_/api/projects", { name: "mine" }],
  ["GET /metrics", undefined],
  ["POST /v1/projects", { name: "mine" }],
  ["POST /api/v1/projects", { name: "mine", endpointUrl: "https://mine.example" }],
])("%s is refused to an admin key of another project", async (line, body) => {
  await using app = await start();
  expect((await ask(app, line, KEYS.other, body)).status).toBe(403);
  expect(
    app.engine.directory
      .projects()
      .map(({ name }) => name)
      .sort(),
  ).toEqual(["default", "other"]);
  const own = await ask(app, line, KEYS.admin, body);
  expect([line, own.status < 300]).toEqual([line, true]);
});

test("a project made through HookBridge's API is neither shown to nor ended by another's key", async () => {
  await using app = await start();
  await ask(app, "POST /v1/projects", KEYS.admin, { name: "shop" });
  const ids = async (key: string) => {
    const { text } = await ask(app, "GET /v1/projects", key);
    const { data } = JSON.parse(text) as { data: { id: string }[] };
    return data.map(({ id }) => id);
  };
  const [own, shop = ""] = await ids(KEYS.admin);
  expect(own).toBeString();
  expect(await ids(KEYS.other)).toHaveLength(1);
  expect((await ask(app, `DELETE /v1/projects/${shop}`, KEYS.other)).status).not.toBe(200);
  expect((await ask(app, `GET /v1/projects/${shop}`, KEYS.other)).status).toBe(404);
  expect(await ids(KEYS.admin)).toHaveLength(2);
});

test("counts over all projects are shown to nobody else", async () => {
  await using app = await startTestApp();
  app.sendResults.push(sendResponse(500));
  await app.ingest("orders");
  await app.settle();
  const seen = async (key: string) =>
    (JSON.parse((await ask(app, "GET /_/api/status", key)).text) as { deliveries: object }).deliveries;
  expect(await seen(KEYS.admin)).toEqual({ retrying: 1 });
  expect(await seen(KEYS.other)).toEqual({});
});

test("a key that only reads is not shown what Pingback's dispatches are signed with", async () => {
  await using app = await start();
  const secretOf = async (key: string) => {
    const [project] = JSON.parse((await ask(app, "GET /api/v1/projects", key)).text) as {
      cronSecret: string | null;
    }[];
    return project?.cronSecret;
  };
  expect(await secretOf(KEYS.admin)).toBeString();
  expect(await secretOf(KEYS.read)).toBeNull();
});
