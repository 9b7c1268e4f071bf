/** What no client should do, on every door of the executable: the door's own envelope, and never a 500. */
import { afterAll, expect, test } from "bun:test";
import { connect, type Socket } from "node:net";
import { API_KEY, configFor, type Postern, removeFolders, startPostern } from "./support.ts";

afterAll(removeFolders);

const ANY_URL = "http://127.0.0.1:9";
const KEYED = `Authorization: Bearer ${API_KEY}`;

interface DoorCase {
  readonly path: string;
  readonly key?: string;
  readonly status: number;
  /** How its errors begin. */
  readonly envelope: RegExp;
}

const NATIVE = /^\{"error":\{"code":"[a-z_]+","message":"/;
const DOORS: readonly DoorCase[] = [
  { path: "/in/orders", status: 405, envelope: NATIVE },
  { path: "/api/v1/webhook/orders", status: 405, envelope: NATIVE },
  { path: "/api/v1/callbacks/configs", status: 405, envelope: NATIVE },
  { path: "/_/api/events", status: 405, envelope: NATIVE },
  { path: "/healthz", status: 405, envelope: NATIVE },
  { path: "/metrics", status: 405, envelope: NATIVE },
  { path: "/cb/token", status: 405, envelope: NATIVE },
  { path: "/nowhere", status: 404, envelope: NATIVE },
  { path: "/v1/messages", status: 404, envelope: /^\{"error":\{"code":"NOT_FOUND","message":"/ },
  { path: "/v1/hooks", key: `X-API-Key: ${API_KEY}`, status: 404, envelope: /^\{"error":"not found"\}/ },
  { path: "/api/v1/jobs", status: 404, envelope: /^\{"message":"Cannot PROPFIND \/api\/v1\/jobs"/ },
];

function startWithEveryDoor(): Promise<Postern> {
  const config = configFor(ANY_URL).replace(
    "api_keys",
    [
      "hookbridge = { allow_http = true }",
      `posthook = { domain = "${ANY_URL}", signing_keys = ["ph_sk_e2e"] }`,
      `pingback = { endpoint_url = "${ANY_URL}", cron_secret = "cron-secret-of-e2e" }`,
      "api_keys",
    ].join("\n"),
  );
  return startPostern({ config });
}

function open({ url }: Postern): Socket {
  return connect(Number(new URL(url).port), "127.0.0.1");
}

/** Writes one request and returns status and body of its answer; the connection ends with it. */
function ask(postern: Postern, lines: readonly string[]): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const socket = open(postern);
    let text = "";
    socket.on("data", (chunk) => {
      text += chunk.toString();
    });
    socket.on("error", reject);
    socket.on("close", () => {
      const [head = "", ...body] = text.split("\r\n\r\n");
      resolve({ status: Number(head.split(" ")[1]), body: body.join("\r\n\r\n") });
    });
    const [first = "", ...headers] = lines;
    socket.write(`${[first, "Host: localhost", "Connection: close", ...headers].join("\r\n")}\r\n\r\n`);
  });
}

/** Sends half of a body and hangs up. */
function hangUp(postern: Postern, { path, key = KEYED }: DoorCase): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = open(postern);
    socket.on("error", reject);
    socket.on("close", () => resolve());
    const lines = [`POST ${path} HTTP/1.1`, "Host: localhost", key, "Content-Length: 1000"];
    socket.write(`${lines.join("\r\n")}\r\n\r\n{"half":`, () => socket.resetAndDestroy());
  });
}

test("a method that a door does not know is refused in its envelope", async () => {
  await using postern = await startWithEveryDoor();
  for (const { path, key = KEYED, status, envelope } of DOORS) {
    const answer = await ask(postern, [`PROPFIND ${path} HTTP/1.1`, key]);
    expect([path, answer.status]).toEqual([path, status]);
    expect(answer.body).toMatch(envelope);
  }
});

test("huge headers and requests that break off do no harm", async () => {
  await using postern = await startWithEveryDoor();
  for (const door of DOORS) {
    const { path, key = KEYED } = door;
    const request = [`GET ${path} HTTP/1.1`, key];
    // What is large and still allowed is judged by the door; beyond that Bun answers before our code.
    const large = await ask(postern, [...request, `X-Large: ${"a".repeat(15_000)}`]);
    expect(large.status).toBeWithin(200, 500);
    expect((await ask(postern, [...request, `X-Large: ${"a".repeat(100_000)}`])).status).toBe(431);
    await hangUp(postern, door);
  }
  expect(await ask(postern, ["GET /healthz HTTP/1.1"])).toMatchObject({ status: 200 });
  expect(await postern.api<{ data: unknown[] }>("/events")).toMatchObject({ data: [] });
  expect(postern.lines.filter((line) => line.includes('"level":"error"'))).toEqual([]);
});
