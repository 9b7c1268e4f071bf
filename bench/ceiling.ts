/**
 * The ceiling: what is left of the product when everything but the promise is taken away. An HMAC is checked,
 * a key is remembered, the request is committed with fsync together with whatever else arrived in the same
 * turn, and only then answered. With MODE=path (the default) it is also forwarded, signed, and the outcome
 * committed; MODE=ingest leaves that out. No configuration, no limits, no retries, no lanes: nobody could run
 * it. It has the product's page size and checkpoint interval, so that the comparison is about the program and
 * not about the file.
 *
 * Environment: PORT, DB, MODE, and for the whole path SINK. GET /stat tells what was delivered and what
 * waits.
 */
import { Database } from "bun:sqlite";
import { SECRET } from "./workload.ts";

const SLOTS = 64;
const { PORT, DB = "", MODE = "path", SINK = "" } = process.env;
const isForwarding = MODE !== "ingest";

interface Arrival {
  readonly seq: number;
  readonly key: string;
  readonly headers: string;
  readonly body: Uint8Array;
  readonly acknowledge: () => void;
  isNew: boolean;
}

interface Outcome {
  readonly seq: number;
  readonly status: number;
  readonly durationMs: number;
}

const db = new Database(DB, { create: true, strict: true });
db.run("PRAGMA page_size = 8192");
db.run("PRAGMA journal_mode = WAL");
db.run("PRAGMA synchronous = FULL");
db.run("PRAGMA wal_autocheckpoint = 4000");
db.run("PRAGMA cache_size = -64000");
db.run("CREATE TABLE request (seq INTEGER PRIMARY KEY, received_at INTEGER, headers TEXT, body BLOB)");
db.run("CREATE TABLE known (key TEXT PRIMARY KEY, seq INTEGER) WITHOUT ROWID");
// One row per delivery, from the beginning: whoever started after a crash would send what has no status.
db.run("CREATE TABLE delivery (seq INTEGER PRIMARY KEY, status INTEGER, duration_ms REAL, at INTEGER)");
const begin = db.prepare("BEGIN IMMEDIATE");
const commit = db.prepare("COMMIT");
const remember = db.prepare("INSERT OR IGNORE INTO known VALUES (?, ?)");
const keep = db.prepare("INSERT INTO request VALUES (?, ?, ?, ?)");
const expect = db.prepare("INSERT INTO delivery (seq) VALUES (?)");
const conclude = db.prepare("UPDATE delivery SET status = ?, duration_ms = ?, at = ? WHERE seq = ?");

let arrivals: Arrival[] = [];
let outcomes: Outcome[] = [];
let isCommitDue = false;
let lastSeq = 0;
let delivered = 0;

/** Turns of the event loop that a commit gathers for; one alone was 10 % slower on the whole path. */
const GATHER_TURNS = 3;

function commitSoon(): void {
  if (isCommitDue) return;
  isCommitDue = true;
  gather(GATHER_TURNS);
}

function gather(turns: number): void {
  setImmediate(turns === 1 ? commitAll : () => gather(turns - 1));
}

function commitAll(): void {
  isCommitDue = false;
  const taken = arrivals;
  const ended = outcomes;
  arrivals = [];
  outcomes = [];
  const now = Date.now();
  begin.run();
  for (const one of taken) {
    one.isNew = remember.run(one.key, one.seq).changes > 0;
    if (!one.isNew) continue;
    keep.run(one.seq, now, one.headers, one.body);
    if (isForwarding) expect.run(one.seq);
  }
  for (const { seq, status, durationMs } of ended) {
    conclude.run(status, durationMs, now, seq);
  }
  commit.run();
  delivered += ended.length;
  for (const one of taken) {
    one.acknowledge();
    if (isForwarding && one.isNew) line.push(one);
  }
  forwardNext();
}

/** Committed and not yet sent; `lineAt` is the next one. Cut off behind itself now and then. */
let line: Arrival[] = [];
let lineAt = 0;
let inFlight = 0;
const LINE_CUT = 4_096;

function forwardNext(): void {
  for (; inFlight < SLOTS && lineAt < line.length; inFlight += 1) void forward(line[lineAt++] as Arrival);
  if (lineAt < LINE_CUT) return;
  line = line.slice(lineAt);
  lineAt = 0;
}

async function forward({ seq, body }: Arrival): Promise<void> {
  const startedMs = performance.now();
  const timestamp = String(Math.floor(Date.now() / 1_000));
  const signature = new Bun.CryptoHasher("sha256", SECRET).update(`${seq}.${timestamp}.`).update(body);
  let status = 0;
  try {
    const response = await fetch(SINK, {
      method: "POST",
      body,
      redirect: "manual",
      headers: {
        "content-type": "application/json",
        "webhook-id": String(seq),
        "webhook-timestamp": timestamp,
        "webhook-signature": `v1,${signature.digest("base64")}`,
      },
    });
    status = response.status;
    await response.arrayBuffer();
  } catch {
    // Status 0 says that nobody answered; a ceiling does not retry.
  }
  outcomes.push({ seq, status, durationMs: performance.now() - startedMs });
  inFlight -= 1;
  commitSoon();
  forwardNext();
}

const ACCEPTED = { status: 202, headers: { "content-type": "application/json" } };

async function receive(request: Request): Promise<Response> {
  const body = new Uint8Array(await request.arrayBuffer());
  const expected = new Bun.CryptoHasher("sha256", SECRET).update(body).digest("hex");
  const { headers } = request;
  if (headers.get("x-signature") !== expected) return new Response("bad signature", { status: 401 });
  const seq = ++lastSeq;
  const { promise, resolve } = Promise.withResolvers<void>();
  const arrival: Arrival = {
    seq,
    key: headers.get("idempotency-key") ?? String(seq),
    headers: JSON.stringify(headers),
    body,
    acknowledge: resolve,
    isNew: true,
  };
  arrivals.push(arrival);
  commitSoon();
  await promise;
  return new Response(`{"id":${seq},"duplicate":${!arrival.isNew}}`, ACCEPTED);
}

Bun.serve({
  hostname: "127.0.0.1",
  port: Number(PORT),
  routes: {
    "/healthz": () => new Response("ok"),
    "/stat": () => Response.json({ delivered, backlog: line.length - lineAt + inFlight }),
  },
  fetch: receive,
});
