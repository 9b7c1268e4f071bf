/** PyFly's callbacks on the executable: what only real sockets and a real restart can show. */
import { afterAll, expect, test } from "bun:test";
import { startReceiver } from "../support/receiver.ts";
import {
  API_KEY,
  configText,
  createFolder,
  freePort,
  type Postern,
  pause,
  removeFolders,
  startPostern,
} from "./support.ts";

afterAll(removeFolders);

interface Execution {
  readonly id: string;
  readonly status: string;
  readonly attempts: number;
  readonly last_error: string | null;
  readonly response_status: number | null;
}

/** A configuration whose tenant "acme" sends every type to these targets. */
function configFor(targets: readonly string[], lines: readonly string[] = []): string {
  const subscriptions = targets.map((url) => `{ event_type = "*", target_url = "${url}" }`);
  const project = '[[project]]\nid = "default"\n';
  const more = [
    '[[callback_config]]\nname = "suite"\ntenant = "acme"\nsecret = "topsecret"',
    ...lines,
    `subscriptions = [${subscriptions.join(", ")}]`,
  ].join("\n");
  const config = configText({ endpoints: [], sources: {}, more });
  return config.replace(project, `${project}pyfly = { timeout = "500ms", breaker = { failures = 2 } }\n`);
}

async function dispatch(postern: Postern, { wait }: { readonly wait: boolean }): Promise<Execution[]> {
  const response = await fetch(`${postern.url}/api/v1/callbacks/dispatch`, {
    method: "POST",
    headers: { authorization: `Bearer ${API_KEY}` },
    body: JSON.stringify({ tenant_id: "acme", event_type: "OrderPlaced", payload: { id: 1 }, wait }),
  });
  if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
  return (await response.json()) as Execution[];
}

test("check 14: a redirect is an answer like any other, and nobody follows it", async () => {
  await using elsewhere = startReceiver();
  await using receiver = startReceiver();
  receiver.answerWith(() => ({ status: 302, headers: { location: elsewhere.url } }));
  await using postern = await startPostern({ config: configFor([receiver.url]) });
  const [execution] = await dispatch(postern, { wait: true });
  expect(execution).toMatchObject({ status: "FAILED", attempts: 1, last_error: "http 302" });
  expect(elsewhere.requests).toHaveLength(0);
});

test("checks 19 and 24: a dead origin costs two connections, a slow and a healthy one go on", async () => {
  await using healthy = startReceiver();
  await using slow = startReceiver();
  slow.answerWith(() => new Promise(() => {}));
  const dead = `http://127.0.0.1:${await freePort()}/`;
  const config = configFor([dead, slow.url, healthy.url], ["max_attempts = 4", 'backoff = "10ms"']);
  await using postern = await startPostern({ config });
  const [first, second, third] = await dispatch(postern, { wait: true });
  expect(first).toMatchObject({ status: "FAILED", attempts: 4, response_status: null });
  expect(first?.last_error?.toLowerCase()).toContain("circuit");
  // Check 20: two time outs open the breaker of that origin, too.
  expect(second).toMatchObject({ status: "FAILED", attempts: 4, response_status: null });
  expect(slow.requests).toHaveLength(2);
  expect(third).toMatchObject({ status: "DELIVERED", attempts: 1 });
});

test("check 29: a kill during the backoff costs no attempt and adds none", async () => {
  await using receiver = startReceiver();
  receiver.answerWith(() => 500);
  const config = configFor([receiver.url], ["max_attempts = 4", 'backoff = "200ms"']);
  const { folder } = createFolder(config);
  const before = await startPostern({ config, folder });
  const [made] = await dispatch(before, { wait: false });
  await receiver.waitFor(2);
  before.process.kill("SIGKILL");
  await before.ended();
  await using after = await startPostern({ config, folder });
  const ended = await until(after, made?.id ?? "");
  expect(ended).toMatchObject({ status: "FAILED", last_error: "http 500" });
  // The kill may have met an attempt whose outcome was not on disk yet; that one is made again.
  expect(ended.attempts).toBe(4);
  expect([4, 5]).toContain(receiver.requests.length);
  const signatures = new Set(receiver.requests.map(({ headers }) => headers.get("x-pyfly-signature")));
  expect(signatures.size).toBe(1);
});

async function until(postern: Postern, id: string): Promise<Execution> {
  for (;;) {
    const response = await fetch(`${postern.url}/api/v1/callbacks/executions/${id}`, {
      headers: { authorization: `Bearer ${API_KEY}` },
    });
    const execution = (await response.json()) as Execution;
    if (execution.status !== "PENDING") return execution;
    await pause(25);
  }
}
