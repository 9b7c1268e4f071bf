/**
 * Every secret of a configuration is used, in deliveries that work and that fail, and is then looked for
 * wherever somebody might read along: the log, the process list, the metrics and every list of the API.
 */
import { afterAll, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { startReceiver } from "../support/receiver.ts";
import { createFolder, freePort, Postern, removeFolders, runPostern, until } from "./support.ts";

afterAll(removeFolders);

const KEY = "operator-key-71c4d0";
/** Whoever may change an object may see more of it; this one only looks. */
const READ_KEY = "reading-key-71c4d0";
const SECRETS = {
  source: "source-secret-71c4d0",
  oldSource: "older-source-secret-71c4d0",
  token: "static-token-71c4d0",
  standard: `whsec_${Buffer.from("standard-secret-71c4d0-of-32-by!").toString("base64")}`,
  bearer: "bearer-header-71c4d0",
  posthook: "ph_sk_71c4d0",
  authorization: "authorization-71c4d0",
  cron: "cron-secret-71c4d0",
  callback: "callback-secret-71c4d0",
  callbackHeader: "callback-header-71c4d0",
} as const;

function configOf(port: number, receiver: string): string {
  return `
[server]
listen = "127.0.0.1:${port}"
[log]
level = "debug"
[[project]]
id = "default"
api_keys = ["${KEY}", { key = "${READ_KEY}", scope = "read" }]
hookbridge = { allow_http = true }
pingback = { endpoint_url = "${receiver}/functions", cron_secret = "${SECRETS.cron}" }
[project.posthook]
domain = "${receiver}"
signing_keys = ["${SECRETS.posthook}"]
authorization = "${SECRETS.authorization}"
[[endpoint]]
name = "app"
url = "${receiver}/app"
headers = { Authorization = "Bearer ${SECRETS.bearer}" }
sign = [{ scheme = "standard", secret = "${SECRETS.standard}" }]
retry = { policy = "fixed", delay = "10ms", max_attempts = 2 }
[[endpoint]]
name = "nobody"
url = "http://127.0.0.1:9/"
headers = { Authorization = "Bearer ${SECRETS.bearer}" }
sign = [{ scheme = "standard", secret = "${SECRETS.standard}" }]
retry = { policy = "fixed", delay = "10ms", max_attempts = 2 }
[[source]]
name = "orders"
to = ["app", "nobody"]
verify = { scheme = "hmac", header = "X-Signature", secrets = ["${SECRETS.source}", "${SECRETS.oldSource}"] }
[[source]]
name = "tokens"
to = ["app"]
verify = { scheme = "token", header = "X-Token", secret = "${SECRETS.token}" }
[[callback_config]]
name = "suite"
tenant = "acme"
secret = "${SECRETS.callback}"
max_attempts = 2
backoff = "10ms"
[[callback_config.subscriptions]]
event_type = "*"
target_url = "${receiver}/callback"
headers = { "X-Key" = "${SECRETS.callbackHeader}" }
`;
}

/** Everything that the API shows without being asked for a secret. */
const READ = [
  "events?limit=500",
  "deliveries?limit=500",
  "rejections?limit=500",
  "endpoints",
  "subscriptions",
  "sources",
  "schedules",
  "projects",
  "functions",
  "executions",
  "status",
  "openapi.json",
].map((path) => `/_/api/${path}`);
const FOREIGN = [
  "/v1/endpoints",
  "/v1/logs",
  "/v1/inbound-endpoints",
  "/v1/api-keys",
  "/api/v1/callbacks/configs",
  "/api/v1/callbacks/executions",
  "/api/v1/jobs",
  "/metrics",
];

async function post(url: string, body: string, headers: Record<string, string>): Promise<number> {
  const response = await fetch(url, { method: "POST", body, headers });
  await response.arrayBuffer();
  return response.status;
}

function hmac(secret: string, body: string): string {
  return new Bun.CryptoHasher("sha256", secret).update(body).digest("hex");
}

test("no secret is in the log, the process list, the metrics or what the API shows", async () => {
  await using receiver = startReceiver(({ order }) => (order % 2 === 0 ? 500 : 200));
  const config = configOf(await freePort(), receiver.url);
  const { folder } = createFolder(config);
  await using postern = await new Postern({ config, folder }).ready();
  const { url } = postern;
  const reading = { authorization: `Bearer ${READ_KEY}` };
  const bearer = { authorization: `Bearer ${KEY}` };
  const body = '{"id":1}';
  const sent = [
    await post(`${url}/in/orders`, body, { "x-signature": hmac(SECRETS.source, body) }),
    await post(`${url}/in/orders`, body, { "x-signature": hmac(SECRETS.oldSource, body) }),
    await post(`${url}/in/tokens`, body, { "x-token": SECRETS.token }),
    await post(`${url}/v1/hooks`, '{"path":"/x","postIn":"1s"}', { "x-api-key": KEY }),
    await post(`${url}/api/v1/register`, '{"functions":[{"name":"f","type":"task"}]}', bearer),
    await post(`${url}/api/v1/trigger`, '{"task":"f"}', bearer),
    await post(
      `${url}/api/v1/callbacks/dispatch`,
      '{"tenant_id":"acme","event_type":"T","payload":{}}',
      bearer,
    ),
  ];
  expect(sent.filter((status) => status >= 300)).toEqual([]);
  // What is refused is explained: neither the secret nor what was sent in its place may be in there.
  expect(await post(`${url}/in/orders`, body, { "x-signature": hmac("another", body) })).toBe(401);
  expect(await post(`${url}/in/tokens`, body, { "x-token": `${SECRETS.token}x` })).toBe(401);
  expect((await fetch(`${url}/_/api/events`, { headers: { "x-api-key": `${KEY}x` } })).status).toBe(401);
  await until(() => (receiver.requests.length >= 8 ? true : null));
  const places: Record<string, string> = {
    "process list": readFileSync(`/proc/${postern.pid}/cmdline`, "utf8"),
  };
  for (const path of [...READ, ...FOREIGN]) {
    const answer = await fetch(url + path, { headers: reading });
    places[path] = await answer.text();
    expect([path, answer.status]).toEqual([path, 200]);
  }
  const { data } = JSON.parse(places["/_/api/deliveries?limit=500"] ?? "") as { data: { id: string }[] };
  for (const { id } of data) {
    places[id] = await (await fetch(`${url}/_/api/deliveries/${id}`, { headers: bearer })).text();
  }
  const check = await runPostern(["check", "--json"], folder);
  places.check = check.stdout + check.stderr;
  expect((await fetch(`${url}/_/api/reload`, { method: "POST", headers: bearer })).status).toBe(200);
  postern.signal("SIGTERM");
  await postern.ended();
  places.log = postern.lines.join("\n") + (await postern.errors);
  expect(places.log.split("\n").length).toBeGreaterThan(5);
  for (const name of ["postern.db", "postern.db-wal"]) {
    const path = `${folder}/${name}`;
    if (existsSync(path)) places[name] = readFileSync(path, "latin1");
  }
  const found = Object.entries(places).flatMap(([place, text]) =>
    Object.entries({ ...SECRETS, key: KEY, readKey: READ_KEY })
      .filter(([, secret]) => text.includes(secret))
      .map(([name]) => `${name} in ${place}`),
  );
  expect(found).toEqual([]);
}, 60_000);
