/** What HookBridge's door acknowledged outlives a kill; who asks again gets the same message. */
import { afterAll, expect, test } from "bun:test";
import { API_KEY, createFolder, freePort, removeFolders, startPostern } from "./support.ts";

afterAll(removeFolders);

const COUNT = 300;
const KILLED_AFTER = 100;

const configOf = (port: number) => `
[server]
listen = "127.0.0.1:${port}"

[[project]]
id = "default"
api_keys = ["${API_KEY}"]
hookbridge = { allow_http = true }
`;

const HEADERS = { authorization: `Bearer ${API_KEY}`, "content-type": "application/json" };

interface Data {
  readonly id: string;
  readonly message_id: string;
}

async function call(url: string, path: string, body?: object): Promise<Data> {
  const init = body === undefined ? {} : { method: "POST", body: JSON.stringify(body) };
  const response = await fetch(`${url}/v1/${path}`, { ...init, headers: HEADERS });
  if (!response.ok) throw new Error(`${path} answered ${response.status}: ${await response.text()}`);
  return ((await response.json()) as { data: Data }).data;
}

test("messages that were acknowledged before a kill are there after it, each under its key", async () => {
  const config = configOf(await freePort());
  const { folder } = createFolder(config);
  const acknowledged = new Map<string, string>();
  let endpoint = "";
  {
    await using postern = await startPostern({ config, folder });
    endpoint = (await call(postern.url, "endpoints", { url: `http://127.0.0.1:${await freePort()}/` })).id;
    const sends = Array.from({ length: COUNT }, async (_, number) => {
      const key = `key-${number}`;
      const send = { endpoint_id: endpoint, payload: { number }, idempotency_key: key };
      const { message_id } = await call(postern.url, "webhooks/send", send);
      acknowledged.set(key, message_id);
      if (acknowledged.size === KILLED_AFTER) postern.signal("SIGKILL");
    });
    await Promise.allSettled(sends);
    await postern.ended();
  }
  expect(acknowledged.size).toBeGreaterThanOrEqual(KILLED_AFTER);
  await using postern = await startPostern({ config, folder });
  for (const [key, id] of acknowledged) {
    expect((await call(postern.url, `messages/${id}`)).id).toBe(id);
    const number = Number(key.slice("key-".length));
    const again = { endpoint_id: endpoint, payload: { number }, idempotency_key: key };
    expect((await call(postern.url, "webhooks/send", again)).message_id).toBe(id);
  }
});
