import { afterAll, describe, expect, test } from "bun:test";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { startRawReceiver, startReceiver } from "../support/receiver.ts";
import {
  BINARY,
  configFor,
  configText,
  createFolder,
  type Postern,
  removeFolders,
  startPostern,
  until,
} from "./support.ts";

afterAll(removeFolders);

const HANGING_COUNT = 600;
const HEALTHY_COUNT = 200;

test("600 hanging receivers leave a healthy lane its pace, beyond Bun's limit of 256 requests", async () => {
  await using healthy = startReceiver();
  let hangingRequests = 0;
  let lostConnections = 0;
  const all = Promise.withResolvers<void>();
  await using hanging = await startRawReceiver((socket) => {
    socket.once("data", () => {
      hangingRequests += 1;
      if (hangingRequests === HANGING_COUNT) all.resolve();
    });
    socket.once("close", () => {
      lostConnections += 1;
    });
  });
  const stuck = Array.from({ length: HANGING_COUNT }, (_, index) => `stuck-${index}`);
  const config = configText({
    endpoints: [
      ...stuck.map((name) => ({ name, url: `${hanging.url}/${name}`, more: 'timeout = "1h"' })),
      { name: "healthy", url: healthy.url },
    ],
    sources: { all: stuck, orders: ["healthy"] },
  });
  await using postern = await startPostern({ config });

  await postern.accepted("all", '{"id":"to-all"}');
  await all.promise;
  const ids: string[] = [];
  for (let index = 0; index < HEALTHY_COUNT; index++) {
    ids.push(await postern.accepted("orders", JSON.stringify({ id: `healthy-${index}` })));
  }
  const requests = await healthy.waitFor(HEALTHY_COUNT);
  const seen = requests.map(({ headers }) => headers.get("webhook-id"));
  expect(new Set(seen)).toEqual(new Set(ids));
  expect(hangingRequests).toBe(HANGING_COUNT);
  expect(lostConnections).toBe(0);
});

interface FullDisk {
  /** Starts the server on the small disk. */
  start(): Promise<Postern>;
  makeRoom(postern: Postern): void;
}

/**
 * Sends events until one is refused for want of space, and returns that answer and the ids accepted before
 * it.
 */
async function fillStore(postern: Postern): Promise<{ refused: Response; ids: string[] }> {
  const ids: string[] = [];
  const filling = "x".repeat(100_000);
  for (let index = 0; ; index++) {
    const response = await postern.send("orders", JSON.stringify({ id: `fill-${index}`, filling }));
    if (response.status !== 202) return { refused: response, ids };
    ids.push(((await response.json()) as { id: string }).id);
  }
}

async function surviveFullDisk({ start, makeRoom }: FullDisk): Promise<void> {
  await using postern = await start();
  const { refused, ids } = await fillStore(postern);
  expect(refused.status).toBe(503);
  expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(0);
  expect((await fetch(`${postern.url}/readyz`)).status).toBe(503);
  expect((await fetch(`${postern.url}/healthz`)).status).toBe(200);

  makeRoom(postern);
  await until(async () => ((await fetch(`${postern.url}/readyz`)).ok ? true : null));
  const id = await until(async () => {
    const response = await postern.send("orders", '{"id":"after"}');
    return response.ok ? ((await response.json()) as { id: string }).id : null;
  });
  for (const known of [...ids, id])
    expect(await postern.api(`/events/${known}`)).toMatchObject({ id: known });
}

/** Returns whether a small file system of one's own could be had there; mounting takes privileges. */
function mountSmallDisk(folder: string): boolean {
  mkdirSync(folder);
  const command = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", folder];
  return Bun.spawnSync(command, { stderr: "ignore" }).success;
}

function unmount(folder: string): void {
  Bun.spawnSync(["umount", folder]);
}

function canMount(): boolean {
  const folder = join(createFolder("").folder, "disk");
  const isMounted = mountSmallDisk(folder);
  if (isMounted) unmount(folder);
  return isMounted;
}

describe("A full disk gives 503 with Retry-After, fails readyz, and is over once there is room", () => {
  const canLiftLimit = Bun.which("prlimit") !== null;
  test.skipIf(!canLiftLimit)("when files may not grow any further", async () => {
    await using receiver = startReceiver();
    await surviveFullDisk({
      // Ignoring the signal leaves the error EFBIG, which is what a quota gives too.
      start: () =>
        startPostern({
          config: configFor(receiver.url),
          command: ["bash", "-c", `trap '' XFSZ; ulimit -S -f 2048; exec ${BINARY} serve`],
        }),
      makeRoom: ({ pid }) =>
        void Bun.spawnSync(["prlimit", `--pid=${pid}`, "--fsize=unlimited:unlimited"], { stderr: "inherit" }),
    });
  });

  test.skipIf(!canMount())("when the file system has no space left", async () => {
    await using receiver = startReceiver();
    const disk = join(createFolder("").folder, "disk");
    mountSmallDisk(disk);
    const ballast = join(disk, "ballast");
    writeFileSync(ballast, new Uint8Array(4 * 1_048_576));
    const config = configFor(receiver.url, { more: `[store]\npath = "${join(disk, "postern.db")}"\n` });
    try {
      await surviveFullDisk({ start: () => startPostern({ config }), makeRoom: () => rmSync(ballast) });
    } finally {
      unmount(disk);
    }
  });
});
