/**
 * Two projects in one server. Everything of the one carries a mark; whatever a key of the other one asks, at
 * every route of every door and with every id of the first, the mark never comes back and nothing changes.
 */
import { expect, test } from "bun:test";
import { fill, keyHeaders, type ServedRoute, servedBy, startAllDoors } from "../support/all-doors.ts";
import { KEYS, sendResponse, type TestApp } from "../support/test-app.ts";

const MARK = "marked-0f7c";
/** These answer for the server, not for a project, and are tested with the operator's keys. */
const SERVER = /\/(clock|master-key|reload|status|openapi\.json)/;
const WAITING = /\/tail$|\/listen$/;

type Call = readonly [door: string, line: string, body: object];

const MADE: readonly Call[] = [
  ["", "POST /_/api/endpoints", { name: `e-${MARK}`, url: `https://receiver.example/${MARK}` }],
  ["", "POST /_/api/subscriptions", { name: `s-${MARK}`, endpoint: `e-${MARK}`, eventTypes: ["*"] }],
  ["", "POST /_/api/events", { type: `t.${MARK}`, data: { mark: MARK }, id: MARK }],
  ["", "POST /_/api/schedules", { name: `c-${MARK}`, endpoint: "app", every: "1h", json: { mark: MARK } }],
  ["", "POST /_/api/deliveries", { endpoint: "app", delay: "1h", json: { mark: MARK } }],
  ["", "POST /_/api/bulk", { action: "replay", filter: { endpoint: `e-${MARK}`, state: "succeeded" } }],
  ["", "POST /_/api/keys", { label: MARK, scope: "read" }],
  ["", "POST /v1/endpoints", { url: `https://${MARK}.example/bridge`, description: MARK }],
  ["", "POST /v1/inbound-endpoints", { mode: "cli", name: MARK }],
  ["", "POST /v1/pull-endpoints", { name: MARK }],
  ["", "POST /v1/api-keys", { label: MARK }],
  ["Posthook", "POST /v1/hooks", { path: `/${MARK}`, postIn: "1h", data: { mark: MARK } }],
  [
    "",
    "POST /api/v1/register",
    { functions: [{ name: MARK, type: "task" }], endpoint_url: `https://receiver.example/${MARK}` },
  ],
  ["", "POST /api/v1/trigger", { task: MARK, payload: { mark: MARK } }],
  [
    "",
    "POST /api/v1/callbacks/configs",
    {
      tenant_id: MARK,
      subscriptions: [{ event_type: "*", target_url: `https://receiver.example/c/${MARK}` }],
    },
  ],
  ["", "POST /api/v1/callbacks/dispatch", { tenant_id: MARK, event_type: MARK, payload: { mark: MARK } }],
];

async function ask(app: TestApp, line: string, { key, door = "", body }: Asked) {
  const [method = "", path = ""] = line.split(" ");
  const response = await app.request(path, {
    method,
    headers: keyHeaders(door, key),
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return { status: response.status, text: await response.text() };
}

interface Asked {
  readonly key: string;
  readonly door?: string;
  readonly body?: object;
}

function idsIn(json: unknown): string[] {
  if (typeof json !== "object" || json === null) return [];
  return Object.entries(json).flatMap(([name, item]) =>
    typeof item === "string" && /id$/i.test(name) && !/request/i.test(name) ? [item] : idsIn(item),
  );
}

/** Makes everything, and returns every id that the first project's own lists show. */
async function fillProject(app: TestApp, routes: readonly ServedRoute[]): Promise<string[]> {
  for (const [door, line, body] of MADE) {
    app.sendResults.push(sendResponse(200, JSON.stringify({ logs: [{ message: MARK }] })));
    const { status, text } = await ask(app, line, { key: KEYS.admin, door, body });
    if (status >= 300) throw new Error(`${line} answered ${status}: ${text}`);
    await app.settle();
  }
  const ids = new Set<string>();
  for (const { path, door } of readable(routes).filter((route) => !route.path.includes(":"))) {
    const { text } = await ask(app, `GET ${path}`, { key: KEYS.admin, door });
    if (text.startsWith("{") || text.startsWith("[")) for (const id of idsIn(JSON.parse(text))) ids.add(id);
  }
  return [...ids, `e-${MARK}`, `s-${MARK}`, `c-${MARK}`];
}

function readable(routes: readonly ServedRoute[]): ServedRoute[] {
  return routes.filter(({ method, path }) => method === "GET" && !SERVER.test(path) && !WAITING.test(path));
}

/** What the first project sees of itself, without what differs from one asking to the next. */
async function picture(app: TestApp, routes: readonly ServedRoute[]): Promise<Record<string, string>> {
  const seen: Record<string, string> = {};
  for (const { path, door } of readable(routes).filter((route) => !route.path.includes(":"))) {
    const { text } = await ask(app, `GET ${path}`, { key: KEYS.admin, door });
    // The operator's list: what the other one does to its own project shows there.
    if (path === "/api/v1/projects") continue;
    seen[path] = text.replaceAll(/req_[0-9a-f]+|"(lastUsedAt|last_used_at)":("[^"]*"|null)/g, "");
  }
  return seen;
}

test("a key of one project neither sees nor changes anything of another", async () => {
  await using all = await startAllDoors();
  const { app } = all;
  const routes = servedBy(all.doors);
  const ids = await fillProject(app, routes);
  expect(ids.length).toBeGreaterThan(20);
  const before = await picture(app, routes);
  const marked = Object.entries(before).filter(([, text]) => text.includes(MARK));
  expect(marked.length).toBeGreaterThan(15);
  const leaks: string[] = [];
  for (const { method, path, door } of routes) {
    if (SERVER.test(path) || WAITING.test(path)) continue;
    for (const id of path.includes(":") ? ids : [""]) {
      const line = `${method} ${fill(path, id)}`;
      const { status, text } = await ask(app, `${line}${method === "GET" ? `?q=${MARK}` : ""}`, {
        key: KEYS.other,
        door,
        ...(method === "GET" ? {} : { body: {} }),
      });
      if (status < 300 && text.includes(MARK))
        leaks.push(`${line} answered ${status}: ${text.slice(0, 300)}`);
    }
  }
  await app.settle();
  expect(leaks).toEqual([]);
  expect(await picture(app, routes)).toEqual(before);
});
