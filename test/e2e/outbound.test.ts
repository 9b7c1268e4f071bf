/**
 * Outbound on the executable, as a team would set it up: endpoints and subscriptions made with commands, an
 * event published, receivers that verify with the standard's own library, and a SIGKILL in between.
 */
import { afterAll, expect, test } from "bun:test";
import { Webhook } from "standardwebhooks";
import { type RecordedRequest, startReceiver } from "../support/receiver.ts";
import { API_KEY, createFolder, freePort, Postern, removeFolders, runPostern, until } from "./support.ts";

afterAll(removeFolders);

const DATA = '{"total":9007199254740993}';

interface Made {
  readonly id: string;
  readonly key: string;
  readonly secrets: readonly { readonly value: string }[];
}

function configOf(port: number): string {
  return `[server]\nlisten = "127.0.0.1:${port}"\n[[project]]\nid = "default"\napi_keys = ["${API_KEY}"]\n`;
}

/** Runs a command that must work, and returns what it prints as JSON. */
async function command<Answer = Made>(folder: string, ...args: string[]): Promise<Answer> {
  const { exitCode, stdout, stderr } = await runPostern([...args, "--json"], folder);
  if (exitCode !== 0) throw new Error(`${args.join(" ")} ended with ${exitCode}: ${stderr}`);
  return JSON.parse(stdout) as Answer;
}

function verify(request: RecordedRequest | undefined, secret: string): unknown {
  if (!request) throw new Error("nothing was received");
  return new Webhook(secret).verify(request.text, Object.fromEntries(request.headers.entries()));
}

test("an event reaches its two subscribers signed, and what an API made outlives a SIGKILL", async () => {
  await using orders = startReceiver();
  await using audit = startReceiver();
  const config = configOf(await freePort());
  const { folder } = createFolder(config);
  const secrets: string[] = [];
  {
    await using postern = await new Postern({ config, folder }).ready();
    for (const [name, { url }] of Object.entries({ orders, audit })) {
      const made = await command(folder, "endpoints", "create", name, url);
      secrets.push(made.secrets[0]?.value ?? "");
    }
    await command(folder, "subscriptions", "create", "o", "--to", "orders", "--events", "order.*");
    await command(folder, "subscriptions", "create", "a", "--to", "audit");
    const { key } = await command(folder, "keys", "create", "--scope", "ingest");
    const event = await command(folder, "emit", "order.placed", "--data", DATA, "--id", "o-1", "--key", key);
    expect(event).toMatchObject({ deliveryCount: 2, duplicate: false });
    await until(() => (orders.requests.length > 0 && audit.requests.length > 0 ? true : null));
    for (const [index, receiver] of [orders, audit].entries()) {
      expect(receiver.requests[0]?.text).toBe(DATA);
      expect(receiver.requests[0]?.headers.get("webhook-id")).toBe(event.id);
      verify(receiver.requests[0], secrets[index] ?? "");
    }
    await command(folder, "pause", "orders");
    await command(folder, "emit", "order.paid");
    postern.signal("SIGKILL");
    await postern.ended();
  }
  await using postern = await new Postern({ config, folder }).ready();
  const repeated = await command(folder, "emit", "order.placed", "--data", DATA, "--id", "o-1");
  expect(repeated).toMatchObject({ duplicate: true });
  const parked = await postern.api<{ data: unknown[] }>("/deliveries?state=held");
  expect(parked.data).toHaveLength(1);
  await command(folder, "resume", "orders");
  await until(() => (orders.requests.length === 2 ? true : null));
  verify(orders.requests[1], secrets[0] ?? "");
  expect(orders.requests[1]?.headers.get("webhook-event-type")).toBe("order.paid");
}, 60_000);

test("without a server a key is made in the store, and opens the next one", async () => {
  const config = configOf(await freePort());
  const { folder } = createFolder(config);
  const { key } = await command(folder, "keys", "create", "--offline", "--scope", "admin");
  await using _postern = await new Postern({ config, folder }).ready();
  expect(await command<{ data: unknown[] }>(folder, "keys", "list", "--key", key)).toMatchObject({
    data: [{ door: "native" }, { door: "config" }],
  });
  const { exitCode, stderr } = await runPostern(["keys", "create", "--offline"], folder);
  expect({ exitCode, isExplained: stderr.includes("in use by another process") }).toEqual({
    exitCode: 1,
    isExplained: true,
  });
}, 60_000);
