import { Database } from "bun:sqlite";
import { afterAll, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { startReceiver } from "../support/receiver.ts";
import {
  API_KEY,
  configFor,
  configText,
  createFolder,
  listDeliveries,
  Postern,
  removeFolders,
  runPostern,
  startPostern,
  until,
} from "./support.ts";

afterAll(removeFolders);

const NOBODY = configText({ endpoints: [], sources: {} });

/** A receiver that holds its answers until it is told to give them. */
function startHeldReceiver() {
  const gate = Promise.withResolvers<void>();
  const receiver = startReceiver(async () => {
    await gate.promise;
    return 200;
  });
  return { receiver, release: gate.resolve };
}

test("SIGTERM lets the attempt in flight end, records it, and exits with 0", async () => {
  const { receiver, release } = startHeldReceiver();
  await using _ = receiver;
  const config = configFor(receiver.url);
  const { folder } = createFolder(config);
  {
    await using postern = await startPostern({ config, folder });
    await postern.accepted("orders", '{"id":"slow"}');
    await receiver.waitFor(1);
    postern.signal("SIGTERM");
    await postern.line("server.draining");
    release();
    expect(await postern.ended()).toBe(0);
  }
  await using again = await startPostern({ config, folder });
  const [delivery] = await listDeliveries(again);
  expect(delivery).toMatchObject({ state: "succeeded", attemptCount: 1 });
  expect(receiver.requests).toHaveLength(1);
});

test("While draining no new event is taken", async () => {
  const { receiver, release } = startHeldReceiver();
  await using _ = receiver;
  const config = configFor(receiver.url);
  await using postern = await startPostern({ config });
  await postern.accepted("orders", '{"id":"before"}');
  await receiver.waitFor(1);
  postern.signal("SIGTERM");
  await postern.line("server.draining");
  const answer = await postern.send("orders", '{"id":"late"}').then(
    ({ status }) => status,
    () => "refused",
  );
  expect([503, "refused"]).toContain(answer);
  release();
  expect(await postern.ended()).toBe(0);
});

test("A second SIGTERM ends the process at once; the delivery is sent again after a start", async () => {
  const { receiver, release } = startHeldReceiver();
  await using _ = receiver;
  const config = configFor(receiver.url, { server: 'drain_timeout = "1h"' });
  const { folder } = createFolder(config);
  {
    await using postern = await startPostern({ config, folder });
    await postern.accepted("orders", '{"id":"stuck"}');
    await receiver.waitFor(1);
    postern.signal("SIGTERM");
    await postern.line("server.draining");
    postern.signal("SIGTERM");
    expect(await postern.ended()).toBe(1);
  }
  release();
  await using again = await startPostern({ config, folder });
  const [first, second] = await receiver.waitFor(2);
  expect(second?.headers.get("webhook-id")).toBe(first?.headers.get("webhook-id") ?? "");
  await until(async () => ((await listDeliveries(again, "state=succeeded")).length === 1 ? true : null));
});

test("SIGHUP applies a good file; a bad one is reported in full and changes nothing", async () => {
  await using first = startReceiver();
  await using second = startReceiver();
  await using postern = await startPostern({ config: configFor(first.url) });
  const file = join(postern.folder, "config.toml");
  await postern.accepted("orders", '{"id":"1"}');
  await first.waitFor(1);

  writeFileSync(file, `${configFor(second.url)}\ntimeuot = "1s"\n[[endpoint]]\nname = "x"\n`);
  postern.signal("SIGHUP");
  const rejected = await postern.line("config.rejected");
  expect(rejected).toContain("timeuot");
  expect(rejected).toContain("endpoint[1].url");
  await postern.accepted("orders", '{"id":"2"}');
  await first.waitFor(2);

  writeFileSync(file, configFor(second.url));
  postern.signal("SIGHUP");
  await postern.line("config.applied");
  await postern.accepted("orders", '{"id":"3"}');
  await second.waitFor(1);
  expect(first.requests).toHaveLength(2);
});

test("postern reload does the same, with the outcome as its exit code", async () => {
  await using first = startReceiver();
  await using second = startReceiver();
  await using postern = await startPostern({ config: configFor(first.url) });
  const file = join(postern.folder, "config.toml");
  const reload = () => runPostern(["reload", "--server", postern.url, "--key", API_KEY], postern.folder);

  writeFileSync(file, `${configFor(second.url)}\ntimeuot = "1s"\n`);
  const refused = await reload();
  expect(refused.stderr).toContain("timeuot");
  expect(refused.exitCode).toBe(1);

  writeFileSync(file, configFor(second.url));
  const applied = await reload();
  expect(applied.stderr).toBe("");
  expect(applied.exitCode).toBe(0);
  await postern.accepted("orders", '{"id":"1"}');
  await second.waitFor(1);

  const stranger = await runPostern(["reload", "--server", postern.url, "--key", "wrong"], postern.folder);
  expect(stranger.stderr).toContain("401");
  expect(stranger.exitCode).toBe(1);
});

interface FailedStart {
  readonly exitCode: number;
  readonly errors: string;
}

/** Starts in a folder and waits for the start to fail. */
async function failToStart(config: string, folder?: string): Promise<FailedStart> {
  await using postern = new Postern({ config, ...(folder === undefined ? {} : { folder }) });
  const exitCode = await postern.ended();
  return { exitCode, errors: (await postern.errors).trim() };
}

function expectOneLine({ exitCode, errors }: FailedStart, text: string): void {
  expect(errors).toContain(text);
  expect(errors.split("\n")).toHaveLength(1);
  expect(exitCode).toBe(1);
}

test("A second process on the same store is refused", async () => {
  await using first = await startPostern({ config: NOBODY });
  expectOneLine(await failToStart(NOBODY, first.folder), "in use by another process");
  expect((await fetch(`${first.url}/readyz`)).status).toBe(200);
});

test("A port in use is named", async () => {
  await using rival = startReceiver();
  const config = configText({ port: rival.port, endpoints: [], sources: {} });
  expectOneLine(await failToStart(config), `127.0.0.1:${rival.port}`);
});

test("Every error of the configuration is shown", async () => {
  const { exitCode, errors } = await failToStart('[server]\nlisten = "nowhere"\nmax_bdoy = "1MiB"\n');
  expect(errors).toContain("config.toml:2: server.listen");
  expect(errors).toContain("config.toml:3: server.max_bdoy");
  expect(exitCode).toBe(1);
});

test("A store that a newer version wrote is refused", async () => {
  const { folder } = createFolder(NOBODY);
  {
    await using postern = await startPostern({ config: NOBODY, folder });
    postern.signal("SIGTERM");
    await postern.ended();
  }
  const db = new Database(join(folder, "postern.db"));
  db.run("PRAGMA user_version = 9999");
  db.close();
  expectOneLine(await failToStart(NOBODY, folder), "9999");
});

test("A file that is no store is refused", async () => {
  const { folder } = createFolder(NOBODY);
  writeFileSync(join(folder, "postern.db"), "my holiday pictures ".repeat(1_000));
  expectOneLine(await failToStart(NOBODY, folder), join(folder, "postern.db"));
});

test("A bad master key file is named", async () => {
  const { folder } = createFolder(NOBODY);
  writeFileSync(join(folder, "postern.key"), "short");
  expectOneLine(await failToStart(NOBODY, folder), join(folder, "postern.key"));
});

test("A store whose folder cannot be written is named", async () => {
  // Nobody can make files there, not even root.
  const config = `${NOBODY}\n[store]\npath = "/proc/postern/postern.db"\n`;
  expectOneLine(await failToStart(config), "/proc/postern");
});
