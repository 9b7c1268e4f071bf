/** What the commands about events, endpoints, subscriptions, projects and keys ask for, and what they say. */
import { describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ReceiverHandler, startReceiver } from "../support/receiver.ts";
import { callCommand } from "./run-command.ts";

const SECRET = `whsec_${"A".repeat(80)}`;
const ENDPOINT = {
  ...{ id: "ep_1", name: "shop", url: "https://receiver.test/", state: "active", door: "native" },
  ...{ sign: ["standard"], breaker: { state: "closed" }, lane: { inFlight: 2 } },
  secrets: [{ id: "sec_1", scheme: "standard", value: SECRET, publicKey: null, until: null }],
};
const DELIVERY = { id: "dlv_1", endpoint: "shop", attemptCount: 1, lastStatus: 200, lastError: null };

async function call(answer: unknown, ...args: string[]) {
  const answers = Array.isArray(answer) ? [...answer] : null;
  const answerJson: ReceiverHandler = () => Response.json(answers === null ? answer : answers.shift());
  await using server = startReceiver(answerJson);
  const result = await callCommand([...args, "--server", server.url, "--key", "k"]);
  const asked = server.requests.map(({ method, path }) => `${method} ${path}`);
  const text = server.requests[0]?.text ?? "";
  return { ...result, asked, text, sent: text === "" ? null : (JSON.parse(text) as unknown) };
}

describe("emit", () => {
  const answer = {
    id: "evt_1",
    duplicate: false,
    deliveryCount: 1,
    deliveries: [{ id: "dlv_1", endpoint: "shop" }],
  };

  test("publishes its data as it was written, and says where it goes", async () => {
    const args = ["--data", '{"n":9007199254740993}', "--tenant", "acme", "--id", "o-1"];
    const { asked, text, stdout } = await call(answer, "emit", "order.placed", ...args);
    expect(asked).toEqual(["POST /_/api/events"]);
    expect(text).toBe('{"type":"order.placed","tenant":"acme","id":"o-1","data":{"n":9007199254740993}}');
    expect(stdout).toStartWith("evt_1 is stored; 1 delivery\n");
    expect(stdout).toContain("dlv_1     shop");
  });

  test("tells of a duplicate", async () => {
    const { stdout } = await call({ ...answer, duplicate: true, deliveryCount: 0 }, "emit", "a");
    expect(stdout).toBe("evt_1 came before; 0 deliveries\n");
  });

  test("reads a file", async () => {
    const file = join(await mkdtemp(join(tmpdir(), "postern-")), "data.json");
    writeFileSync(file, '{ "a": 1 }\n');
    const { text } = await call(answer, "emit", "a", "--data", `@${file}`, "--json");
    expect(text).toBe('{"type":"a","data":{ "a": 1 }}');
  });

  test("sends nothing that is no JSON", async () => {
    const { exitCode, stderr, asked } = await call(answer, "emit", "a", "--data", "{");
    expect({ exitCode, stderr, asked }).toEqual({ exitCode: 1, stderr: "--data is no JSON\n", asked: [] });
  });
});

describe("send", () => {
  test("sends JSON as JSON", async () => {
    const queued = { ...DELIVERY, state: "queued", attemptCount: 0, lastStatus: null };
    const { sent, stdout } = await call(
      queued,
      "send",
      "shop",
      "--body",
      '{"a":1}',
      "--header",
      "X-Why: test",
    );
    expect(sent).toEqual({
      ...{ endpoint: "shop", body: '{"a":1}' },
      headers: { "content-type": "application/json", "X-Why": "test" },
    });
    expect(stdout).toBe("dlv_1 to shop is queued\n");
  });

  test("waits for the first attempt, and fails with it", async () => {
    const first = { ...DELIVERY, state: "sending", attemptCount: 0, lastStatus: null };
    const failed = { ...DELIVERY, state: "retrying", lastStatus: 500, lastError: "HTTP 500" };
    const { asked, stdout, exitCode } = await call([first, failed], "send", "shop", "--wait");
    expect(asked).toEqual(["POST /_/api/deliveries", "GET /_/api/deliveries/dlv_1"]);
    expect({ stdout, exitCode }).toEqual({ stdout: "dlv_1 to shop is retrying (HTTP 500)\n", exitCode: 1 });
  });
});

describe("endpoints", () => {
  test("are made, and their secrets shown whole", async () => {
    const args = ["--sign", "standard", "github", "--concurrency", "2", "--rate", "5", "--timeout", "15s"];
    const { asked, sent, stdout } = await call(
      ENDPOINT,
      "endpoints",
      "create",
      "shop",
      ENDPOINT.url,
      ...args,
    );
    expect(asked).toEqual(["POST /_/api/endpoints"]);
    expect(sent).toEqual({
      ...{ name: "shop", url: ENDPOINT.url, sign: [{ scheme: "standard" }, { scheme: "github" }] },
      ...{ concurrency: 2, rate: { perSecond: 5 }, timeoutMs: 15_000 },
    });
    expect(stdout).toContain(SECRET);
  });

  test.each([
    [["list"], "GET /_/api/endpoints?limit=50"],
    [["get", "shop"], "GET /_/api/endpoints/shop"],
    [["update", "shop", "--sign", "none"], "PATCH /_/api/endpoints/shop"],
    [["delete", "shop"], "DELETE /_/api/endpoints/shop"],
    [["pause", "shop"], "POST /_/api/endpoints/shop/pause"],
    [["resume", "shop"], "POST /_/api/endpoints/shop/resume"],
    [["secrets", "shop", "--reveal"], "GET /_/api/endpoints/shop/secrets?reveal=true"],
    [["rotate", "shop"], "POST /_/api/endpoints/shop/secrets/rotate"],
  ])("%p asks %s", async (args, expected) => {
    const answer = { ...ENDPOINT, data: [ENDPOINT], nextCursor: null };
    const { asked, exitCode } = await call(answer, "endpoints", ...args);
    expect({ asked, exitCode }).toEqual({ asked: [expected], exitCode: 0 });
  });

  test("are tried out", async () => {
    const { sent, stdout } = await call({ ...DELIVERY, state: "succeeded" }, "endpoints", "test", "shop");
    expect(sent).toMatchObject({ endpoint: "shop", headers: { "webhook-event-type": "test" } });
    expect(stdout).toBe("dlv_1 to shop is succeeded (200)\n");
  });
});

describe("The other objects", () => {
  test.each([
    [["pause", "shop"], "POST /_/api/endpoints/shop/pause"],
    [["resume", "stripe", "--source"], "POST /_/api/sources/stripe/resume"],
    [["subscriptions", "list"], "GET /_/api/subscriptions?limit=50"],
    [["subscriptions", "create", "s", "--to", "shop"], "POST /_/api/subscriptions"],
    [["subscriptions", "delete", "s"], "DELETE /_/api/subscriptions/s"],
    [["projects", "list"], "GET /_/api/projects?limit=50"],
    [["projects", "create", "p"], "POST /_/api/projects"],
    [["projects", "delete", "p"], "DELETE /_/api/projects/p"],
    [["keys", "list", "--project", "p"], "GET /_/api/keys?limit=50&project=p"],
    [["keys", "create", "--scope", "read"], "POST /_/api/keys"],
    [["keys", "revoke", "key_1"], "DELETE /_/api/keys/key_1"],
  ])("%p asks %s", async (args, expected) => {
    const { asked, exitCode } = await call({ data: [], nextCursor: null, name: "s" }, ...args);
    expect({ asked, exitCode }).toEqual({ asked: [expected], exitCode: 0 });
  });

  test("a new key alone goes to standard output", async () => {
    const made = { id: "key_1", key: "psk_1", scope: "ingest", project: "default" };
    const { sent, stdout, stderr } = await call(made, "keys", "create", "--label", "ci");
    expect(sent).toEqual({ scope: "ingest", label: "ci" });
    expect(stdout).toBe("psk_1\n");
    expect(stderr).toContain("key_1 may publish in default");
  });

  test.each([
    [["keys", "create", "--scope", "root"]],
    [["subscriptions", "create", "s"]],
    [["endpoints", "create", "shop"]],
    [["endpoints", "create", "shop", "https://x.test/", "--concurrency", "many"]],
    [["emit"]],
    [["pause"]],
  ])("%p is called wrongly", async (args) => {
    const { exitCode, asked } = await call({}, ...args);
    expect({ exitCode, asked }).toEqual({ exitCode: 2, asked: [] });
  });
});

describe("keys --offline", () => {
  async function setUp() {
    const folder = await mkdtemp(join(tmpdir(), "postern-"));
    const config = join(folder, "config.toml");
    writeFileSync(
      config,
      '[store]\npath = "t.db"\n[[project]]\nid = "shop"\napi_keys = ["declared-key-0123456789"]\n',
    );
    const keys = (...args: string[]) =>
      callCommand(["keys", ...args, "--offline", "--config", config, "--json"]);
    return { keys, read: ({ stdout }: { stdout: string }) => JSON.parse(stdout) };
  }

  test("are made, listed and revoked in the store itself", async () => {
    const { keys, read } = await setUp();
    const made = read(await keys("create", "--project", "shop", "--scope", "admin", "--label", "rescue"));
    expect(made).toMatchObject({ project: "shop", scope: "admin", label: "rescue" });
    expect(made.key).toStartWith("psk_");
    expect(read(await keys("list")).data).toMatchObject([{ id: made.id, scope: "admin" }]);
    expect(read(await keys("list", "--project", "default")).data).toEqual([]);
    expect((await keys("revoke", made.id)).exitCode).toBe(0);
    expect(read(await keys("list")).data).toEqual([]);
    expect((await keys("revoke", made.id)).exitCode).toBe(1);
  });

  test("are refused for a project that is not there", async () => {
    const { keys } = await setUp();
    const { exitCode, stderr } = await keys("create", "--project", "nobody");
    expect({ exitCode, stderr }).toEqual({
      exitCode: 1,
      stderr: "there is no project nobody; there are default, shop\n",
    });
  });
});
