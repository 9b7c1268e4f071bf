import { afterAll, expect, test } from "bun:test";
import { existsSync, readFileSync, symlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import { Webhook } from "standardwebhooks";
import { startReceiver } from "../support/receiver.ts";
import {
  BINARY,
  configFor,
  configText,
  createFolder,
  type DeliveryView,
  freePort,
  listDeliveries,
  Postern,
  removeFolders,
  runPostern,
  SIGNING_SECRET,
  startPostern,
  until,
} from "./support.ts";

afterAll(removeFolders);

test("A signed event is delivered byte for byte, signed so that standardwebhooks verifies it", async () => {
  await using receiver = startReceiver();
  const config = configText({
    endpoints: [{ name: "app", url: `${receiver.url}/webhooks` }],
    sources: { orders: ["app"] },
  });
  await using postern = await startPostern({ config });
  const body = '{ "id":"evt_1",  "amount": 12345678901234567890 }';
  const id = await postern.accepted("orders", body);

  const request = await receiver.next();
  expect(request.text).toBe(body);
  expect(request.path).toBe("/webhooks");
  expect(request.headers.get("content-type")).toBe("application/json");
  const headers = Object.fromEntries(request.headers);
  expect(new Webhook(SIGNING_SECRET).verify(request.text, headers)).toEqual(JSON.parse(body));
  expect(request.headers.get("webhook-id")).toBe(id);

  const [delivery] = await until(async () => {
    const done = await listDeliveries(postern, "state=succeeded");
    return done.length > 0 ? done : null;
  });
  expect(delivery).toMatchObject({ eventId: id, attemptCount: 1 } satisfies Partial<DeliveryView>);
});

interface Receipt {
  readonly id: string;
  readonly duplicate: boolean;
}

test("A second event with the same dedupe key gets the first id and is not delivered again", async () => {
  await using receiver = startReceiver();
  const config = configFor(receiver.url);
  await using postern = await startPostern({ config });
  const receiptOf = async (body: string) => (await (await postern.send("orders", body)).json()) as Receipt;
  const first = await receiptOf('{"id":"same","n":1}');
  const second = await receiptOf('{"id":"same","n":2}');
  await postern.accepted("orders", '{"id":"other"}');
  const texts = (await receiver.waitFor(2)).map(({ text }) => text);
  expect(second).toEqual({ ...first, duplicate: true });
  expect(texts.toSorted()).toEqual(['{"id":"other"}', '{"id":"same","n":1}']);
});

test("A wrong signature is refused and nothing is delivered", async () => {
  await using receiver = startReceiver();
  const config = configFor(receiver.url);
  await using postern = await startPostern({ config });
  const init = { method: "POST", headers: { "x-signature": "00" }, body: '{"id":"forged"}' };
  const refused = await fetch(`${postern.url}/in/orders`, init);
  expect(refused.status).toBe(401);
  await postern.accepted("orders", '{"id":"true"}');
  expect((await receiver.next()).text).toBe('{"id":"true"}');
});

test("What no index bounds is read on the read thread, which the executable carries", async () => {
  await using receiver = startReceiver();
  await using postern = await startPostern({ config: configFor(receiver.url) });
  const id = await postern.accepted("orders", '{"id":"found"}');
  const since = encodeURIComponent("2026-01-01T00:00:00Z");
  const page = await postern.api<{ data: unknown[] }>(`/events?source=orders&since=${since}`);
  expect(page.data).toMatchObject([{ id }]);
});

test("The folder's .env and bunfig.toml are not loaded", async () => {
  // biome-ignore lint/suspicious/noTemplateCurlyInString: a reference as it stands in the file.
  const keys = 'api_keys = ["${POSTERN_API_KEY:-not-from-dot-env}"]';
  const config = configText({ endpoints: [], sources: {} }).replace(/api_keys = .*/, keys);
  const { folder, marker } = createFolder(config);
  await using postern = await startPostern({ config, folder });
  const ask = (key: string) =>
    fetch(`${postern.url}/_/api/deliveries`, { headers: { authorization: `Bearer ${key}` } });
  expect((await ask("not-from-dot-env")).status).toBe(200);
  expect((await ask("from-dot-env")).status).toBe(401);
  expect(existsSync(marker)).toBe(false);
});

test("Proxy variables of the environment capture no delivery", async () => {
  await using receiver = startReceiver();
  await using proxy = startReceiver(() => 502);
  const config = configFor(receiver.url);
  const names = ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
  const env = Object.fromEntries(names.map((name) => [name, proxy.url]));
  await using postern = await startPostern({ config, env });
  await postern.accepted("orders", '{"id":"direct"}');
  expect((await receiver.next()).text).toBe('{"id":"direct"}');
  expect(proxy.connectionCount).toBe(0);
});

test("The shipped config.toml runs anywhere as it is, and the two commands it prints work", async () => {
  const shipped = readFileSync(new URL("../../config.toml", import.meta.url), "utf8");
  const config = shipped.replaceAll("127.0.0.1:8420", `127.0.0.1:${await freePort()}`);
  await using postern = await startPostern({ config });
  const sendLine = await postern.line("/in/demo");
  const sent = await shell(sendLine);
  expect(sent).toContain("202 Accepted");
  const showLine = await postern.line("/_/api/deliveries");
  const shown = await until(async () => {
    const answer = JSON.parse(await shell(showLine)) as { data: DeliveryView[] };
    return answer.data[0]?.state === "succeeded" ? answer.data : null;
  });
  expect(shown).toMatchObject([{ state: "succeeded", attemptCount: 1 }]);
});

/** Runs a printed command as a user would who pastes it, and returns its output. */
async function shell(command: string): Promise<string> {
  const child = Bun.spawn(["sh", "-c", `${command.trim()} --silent`], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  return new Response(child.stdout).text();
}

test("The executable starts by path, through a link and from PATH, and keeps its process id", async () => {
  const config = configText({ endpoints: [], sources: {} });
  const { folder } = createFolder(config);
  symlinkSync(BINARY, join(folder, "postern-link"));
  const path = `${dirname(BINARY)}:${process.env.PATH}`;
  for (const command of [
    ["./postern-link", "serve"],
    ["postern", "serve"],
  ]) {
    await using postern = await startPostern({ config, folder, command, env: { PATH: path } });
    expect((await fetch(`${postern.url}/healthz`)).status).toBe(200);
    // The second start of main.ts happens in the same process, so the signal to this id still reaches it.
    postern.signal("SIGTERM");
    expect(await postern.ended()).toBe(0);
  }
});

test("What init writes is what serve takes", async () => {
  const { folder } = createFolder("");
  const made = await runPostern(["init", "--force"], folder);
  expect(made.exitCode).toBe(0);
  const text = readFileSync(join(folder, "config.toml"), "utf8");
  const config = text.replaceAll("127.0.0.1:8420", `127.0.0.1:${await freePort()}`);
  await using postern = new Postern({ config, folder });
  await postern.ready();
  // A key of one's own is not printed: the command line finds it in the file.
  const [command, ...args] = (await postern.line("postern deliveries list")).trim().split(" ");
  const shown = await runPostern(args, folder);
  expect([command, shown.exitCode, shown.stdout]).toEqual(["postern", 0, "No deliveries.\n"]);
});

test("The executable says which version and commit it is, and that the bench is not in it", async () => {
  const { folder } = createFolder("");
  const shown = JSON.parse((await runPostern(["version", "--json"], folder)).stdout);
  expect(shown.commit).toMatch(/^[0-9a-f]{12}(\+changes)?$|^unknown$/);
  const bench = await runPostern(["bench"], folder);
  expect(bench.stderr).toContain("npm run bench");
  expect(bench.exitCode).toBe(1);
});

test("A reader of the output who has seen enough is no failure", async () => {
  const command = `set -o pipefail; '${BINARY}' help | true`;
  const child = Bun.spawn(["bash", "-c", command], { stdout: "pipe", stderr: "pipe" });
  expect([await child.exited, await new Response(child.stderr).text()]).toEqual([0, ""]);
});

test("A server whose log nobody reads any more goes on, reloads and stops", async () => {
  await using receiver = startReceiver();
  const config = configText({
    endpoints: [{ name: "app", url: receiver.url }],
    sources: { orders: ["app"] },
  });
  // The reader ends when the server is ready.
  const command = ["bash", "-c", `exec > >(sed -u '/Listening on/q'); exec '${BINARY}' serve`];
  await using postern = await startPostern({ config, command });
  for (const id of ["1", "2"]) {
    await postern.accepted("orders", `{"id":"${id}"}`);
    expect((await receiver.next()).text).toBe(`{"id":"${id}"}`);
    postern.signal("SIGHUP");
  }
  postern.signal("SIGTERM");
  expect(await postern.ended()).toBe(0);
});
