import { describe, expect, test } from "bun:test";
import { KEYS, sendResponse, startTestApp, type TestApp, type TestAppOptions } from "../support/test-app.ts";

const OPTIONS: TestAppOptions = {
  endpoints: [{ name: "app", retry: { kind: "ladder", delaysMs: [], jitter: 0 } }],
  sources: [
    { name: "orders", to: ["app"], eventType: { kind: "json", path: ["type"] } },
    { name: "notes", to: ["app"] },
  ],
};

const LETTERS = [
  ["orders", '{"type":"invoice.paid","customer":"cus_42","note":"100% off"}', 200, "thanks"],
  ["orders", '{"type":"invoice.sent","customer":"cus_43"}', 503, "the Database is down"],
  ["notes", "just text, with cus_42 in it", 500, "boom"],
  ["notes", Buffer.from([0xff, 0xfe, 0x00]).toString("latin1"), 200, ""],
] as const;

async function withLetters(): Promise<{ app: TestApp; ids: string[] }> {
  const app = await startTestApp(OPTIONS);
  const ids: string[] = [];
  for (const [source, body, status, answer] of LETTERS) {
    const ended = app.probe.next("attempt.settled");
    app.sendResults.push(sendResponse(status, answer));
    ids.push(await app.ingest(source, body));
    await ended;
  }
  return { app, ids };
}

/** The numbers of the letters whose events or deliveries a list shows, newest first. */
async function found(path: string): Promise<number[]> {
  const { app, ids } = await withLetters();
  const { status, json } = await app.api(path);
  await app[Symbol.asyncDispose]();
  expect({ status, nextCursor: json.nextCursor }).toEqual({ status: 200, nextCursor: null });
  return json.data.map(({ id, eventId }) => ids.indexOf(id.startsWith("evt_") ? id : eventId));
}

describe("Deliveries are searched", () => {
  test.each<[string, number[]]>([
    ["q=cus_42", [2, 0]],
    ["q=CUS_42", [2, 0]],
    ["q=100%25+off", [0]],
    ["q=cus%2542", []],
    ["q=database", [1]],
    ["q=boom&state=dead", [2]],
    ["q=cus_42&source=notes", [2]],
    ["q=cus_&endpoint=app&state=succeeded", [0]],
    ["type=invoice.*", [1, 0]],
    ["type=invoice.sent", [1]],
    ["error=http+50", [2, 1]],
    ["status=503", [1]],
    ["status=503&q=nothing+of+the+kind", []],
    ["tenant=acme", []],
  ])("by %s", async (query, expected) => {
    expect(await found(`/deliveries?${query}`)).toEqual(expected);
  });

  test("page by page, without showing one twice", async () => {
    const { app, ids } = await withLetters();
    const first = await app.api("/deliveries?q=cus_4&limit=2");
    const second = await app.api(`/deliveries?q=cus_4&limit=2&cursor=${first.json.nextCursor}`);
    const shown = [...first.json.data, ...second.json.data].map(({ eventId }) => ids.indexOf(eventId));
    expect(shown).toEqual([2, 1, 0]);
    expect(second.json.nextCursor).toBeNull();
    await app[Symbol.asyncDispose]();
  });

  test("in their own project only", async () => {
    const { app } = await withLetters();
    expect((await app.api("/deliveries?q=cus_42", { key: KEYS.other })).json.data).toEqual([]);
    await app[Symbol.asyncDispose]();
  });

  test.each([
    ["q=x", "q"],
    ["cursor=nonsense&q=cus", ""],
    ["status=9", "status"],
  ])("and %s is refused", async (query, parameter) => {
    await using app = await startTestApp(OPTIONS);
    const { status, json } = await app.api(`/deliveries?${query}`);
    expect(status).toBe(400);
    expect(JSON.stringify(json.error)).toContain(parameter);
  });
});

describe("Events are searched", () => {
  test.each<[string, number[]]>([
    ["q=cus_42", [2, 0]],
    ["q=cus_42&source=notes", [2]],
    ["q=cus_4&type=invoice.sent", [1]],
    ["q=nowhere", []],
    ["q=cus_4&until=2026-01-01", []],
  ])("by %s", async (query, expected) => {
    expect(await found(`/events?${query}`)).toEqual(expected);
  });
});

test("what waits for its turn behind a dead letter is found, what waits for its time is not", async () => {
  await using app = await startTestApp({
    endpoints: [
      { name: "app", retry: { kind: "ladder", delaysMs: [], jitter: 0 }, pacing: { ordering: "key" } },
    ],
    sources: [{ name: "orders", to: ["app"], orderingKey: { kind: "json", path: ["key"] } }],
  });
  app.sendResults.push(sendResponse(500, "no"));
  const ended = app.probe.next("attempt.settled");
  await app.ingest("orders", '{"key":"a"}');
  await ended;
  const second = await app.ingest("orders", '{"key":"a"}');
  await app.ingest("orders", '{"key":"b"}');
  await app.settle();
  const { json } = await app.api("/deliveries?waitsFor=turn");
  expect(json.data).toMatchObject([{ eventId: second, waitsFor: "turn", orderingKey: "a", state: "queued" }]);
  expect((await app.api("/deliveries?waitsFor=request")).json.data).toEqual([]);
  expect((await app.api("/deliveries?waitsFor=turn&endpoint=app")).json.data).toHaveLength(1);
  expect((await app.api("/deliveries?waitsFor=luck")).status).toBe(400);
});
