/**
 * Kills the server with SIGKILL at random moments while every door takes work at once, and compares what the
 * receiver saw with what was acknowledged. Each piece of work carries a tag of its own; the ledger of tags
 * and the receiver live in this process, outside the one that dies.
 *
 *   POSTERN_KILLS   how often to kill; 5 unless said otherwise
 *   POSTERN_SEED    the seed of an earlier run
 */
import { afterAll, expect, test } from "bun:test";
import { type RecordedRequest, startReceiver } from "../support/receiver.ts";
import {
  API_KEY,
  createFolder,
  freePort,
  listDeliveries,
  Postern,
  pause,
  removeFolders,
  seeded,
  until,
} from "./support.ts";

afterAll(removeFolders);

const KILLS = Number(process.env.POSTERN_KILLS ?? 5);
const SEED = Number(process.env.POSTERN_SEED ?? Math.floor(Math.random() * 1_000_000));
const LIMIT_MS = 90_000 + KILLS * 6_000;
/** Of each door. */
const SENDERS = 3;
const CHILDREN = 2;
const LIFE_MS_MAX = 800;
/** One of so many requests is refused, so that retries are under way at every kill. */
const REFUSED_ONE_IN = 25;

function configOf(port: number, receiver: string): string {
  return [
    `[server]\nlisten = "127.0.0.1:${port}"`,
    `[[project]]\nid = "default"\napi_keys = ["${API_KEY}"]`,
    "hookbridge = { allow_http = true, retry_scale = 0.0, max_attempts = 100 }",
    `posthook = { domain = "${receiver}", signing_keys = ["ph_sk_kill"], ` +
      'retry = { retries = 15, delay = "5s" } }',
    `pingback = { endpoint_url = "${receiver}/functions", cron_secret = "cron-secret-of-kills" }`,
    ...["one", "two"].map(
      (name) =>
        `[[endpoint]]\nname = "${name}"\nurl = "${receiver}/fanout/${name}"\n` +
        'retry = { policy = "fixed", delay = "100ms", max_attempts = 100 }\nbreaker = { failures = 0 }\n' +
        `[[subscription]]\nname = "to-${name}"\nevent_types = ["*"]\nendpoint = "${name}"`,
    ),
    '[[callback_config]]\nname = "suite"\ntenant = "acme"\nmax_attempts = 20\nbackoff = "100ms"',
    `subscriptions = [{ event_type = "*", target_url = "${receiver}/callback" }]`,
    '[[schedule]]\nname = "beat"\nevery = "1s"\nmissed = "all"\nendpoint = "one"\nbody = { beat = true }',
  ].join("\n");
}

/** One way to hand over work: the request, and at which paths of the receiver its tag must arrive. */
interface Way {
  readonly name: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: (tag: string) => object;
  readonly arrivesAt: readonly string[];
}

const BEARER = { authorization: `Bearer ${API_KEY}` };

function waysOf(hookbridgeEndpoint: string): Way[] {
  return [
    {
      name: "publish",
      path: "/_/api/events",
      headers: BEARER,
      body: (tag) => ({ type: "order.placed", data: { tag } }),
      arrivesAt: ["/fanout/one", "/fanout/two"],
    },
    {
      name: "hookbridge",
      path: "/v1/webhooks/send",
      headers: BEARER,
      body: (tag) => ({ endpoint_id: hookbridgeEndpoint, payload: { tag }, idempotency_key: tag }),
      arrivesAt: ["/bridge"],
    },
    {
      name: "posthook",
      path: "/v1/hooks",
      headers: { "x-api-key": API_KEY },
      body: (tag) => ({ path: "/hooks/demo", postIn: "1s", data: { tag } }),
      arrivesAt: ["/hooks/demo"],
    },
    {
      name: "pingback",
      path: "/api/v1/trigger",
      headers: BEARER,
      body: (tag) => ({ task: "parent", payload: { tag } }),
      arrivesAt: [
        "/functions/parent",
        ...Array.from({ length: CHILDREN }, (_, n) => `/functions/child/${n}`),
      ],
    },
    {
      name: "pyfly",
      path: "/api/v1/callbacks/dispatch",
      headers: BEARER,
      body: (tag) => ({ tenant_id: "acme", event_type: "Tagged", payload: { tag } }),
      arrivesAt: ["/callback"],
    },
  ];
}

class Ledger {
  /** By the name of the way. */
  readonly acknowledged = new Map<string, string[]>();
  readonly seen = new Map<string, Set<string>>();
  isOver = false;
  #count = 0;

  /** What the receiver answers, having noted what came. */
  receive({ path, text, order }: RecordedRequest) {
    if (order % REFUSED_ONE_IN === 0) return 503;
    const body = JSON.parse(text) as Record<string, unknown>;
    if (path === "/functions") return this.#call(body);
    const { tag = "" } = (path === "/hooks/demo" ? body.data : body) as { tag?: string };
    this.#note(path, tag);
    return 200;
  }

  #call({ function: name, payload }: Record<string, unknown>) {
    const { tag, child } = payload as { tag: string; child?: number };
    if (name !== "parent") {
      this.#note(`/functions/child/${child}`, tag);
      return { body: "{}" };
    }
    this.#note("/functions/parent", tag);
    const tasks = Array.from({ length: CHILDREN }, (_, child) => ({
      name: "child",
      payload: { tag, child },
    }));
    return { body: JSON.stringify({ status: "success", tasks }) };
  }

  #note(path: string, tag: string): void {
    const tags = this.seen.get(path) ?? new Set();
    this.seen.set(path, tags.add(tag));
  }

  async send(url: string, { name, path, headers, body }: Way): Promise<void> {
    const acknowledged = this.acknowledged.get(name) ?? [];
    this.acknowledged.set(name, acknowledged);
    while (!this.isOver) {
      const tag = `${name}-${this.#count++}`;
      const response = await post(`${url}${path}`, headers, body(tag)).catch(() => null);
      if (response === null) await pause(5);
      else if (response.ok) acknowledged.push(tag);
      // Overload and a stop promise nothing; everything else is a mistake of this test.
      else if (response.status !== 503)
        throw new Error(`${name} answered ${response.status}: ${response.text}`);
    }
  }

  missing(ways: readonly Way[]): string[] {
    return ways.flatMap(({ name, arrivesAt }) =>
      (this.acknowledged.get(name) ?? []).flatMap((tag) =>
        arrivesAt.filter((path) => !this.seen.get(path)?.has(tag)).map((path) => `${tag} at ${path}`),
      ),
    );
  }
}

async function post(url: string, headers: Readonly<Record<string, string>>, body: object) {
  const response = await fetch(url, { method: "POST", headers, body: JSON.stringify(body) });
  return { ok: response.ok, status: response.status, text: await response.text() };
}

/** Makes what only an API can make, and returns HookBridge's endpoint. */
async function prepare(postern: Postern, receiver: string): Promise<string> {
  const functions = ["parent", "child"].map((name) => ({ name, type: "task", options: { retries: 50 } }));
  const registered = await post(`${postern.url}/api/v1/register`, BEARER, { functions });
  const made = await post(`${postern.url}/v1/endpoints`, BEARER, { url: `${receiver}/bridge` });
  if (!registered.ok || !made.ok) throw new Error(`${registered.text} ${made.text}`);
  return (JSON.parse(made.text) as { data: { id: string } }).data.id;
}

test(
  `${KILLS} kills lose nothing that any door acknowledged (POSTERN_SEED=${SEED})`,
  async () => {
    const random = seeded(SEED);
    const ledger = new Ledger();
    await using receiver = startReceiver((request) => ledger.receive(request));
    const port = await freePort();
    const config = configOf(port, receiver.url);
    const { folder } = createFolder(config);
    let ways: Way[] = [];
    const senders: Promise<void>[] = [];
    for (let kill = 0; kill <= KILLS; kill++) {
      await using postern = await new Postern({ config, folder }).ready();
      if (kill === 0) {
        ways = waysOf(await prepare(postern, receiver.url));
        for (const way of ways)
          for (let sender = 0; sender < SENDERS; sender++) senders.push(ledger.send(postern.url, way));
      }
      await pause(random() * LIFE_MS_MAX);
      postern.signal("SIGKILL");
      await postern.ended();
    }
    await using postern = await new Postern({ config, folder }).ready();
    ledger.isOver = true;
    await Promise.all(senders);
    await until(async () => (ledger.missing(ways).length === 0 && (await isQuiet(postern)) ? true : null));
    expect(await listDeliveries(postern, "state=dead")).toEqual([]);
    const counts = Object.fromEntries([...ledger.acknowledged].map(([name, tags]) => [name, tags.length]));
    process.stdout.write(`${JSON.stringify({ kills: KILLS, ...counts })}\n`);
    expect(Math.min(...Object.values(counts))).toBeGreaterThan(KILLS);
  },
  LIMIT_MS,
);

const UNFINISHED = ["queued", "sending", "retrying", "held", "awaiting"];

async function isQuiet(postern: Postern): Promise<boolean> {
  const { deliveries } = await postern.api<{ deliveries: Record<string, number> }>("/status");
  return UNFINISHED.every((state) => (deliveries[state] ?? 0) === 0);
}
