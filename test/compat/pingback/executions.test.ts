/**
 * Dispatches, results, retries and fan-out: conformance checks 13 to 47 and 52 of pingback.md section 12, as
 * far as they can be seen without an SDK. Those that need one are in test/sdk.
 */
import { describe, expect, test } from "bun:test";
import { createHmac } from "node:crypto";
import { signHeaders } from "../../../src/domain/signature/index.ts";
import type { SendResult } from "../../../src/runtime/sender.ts";
import { type Json, type PingbackApp, SECRET, startPingback } from "./support.ts";

const task = (name: string, options: object = {}) => ({ name, type: "task", options });
const failed = (error: string, more: object = {}) => ({
  status: "error",
  error,
  logs: [],
  tasks: [],
  ...more,
});
const done = (more: object = {}) => ({ status: "success", result: null, logs: [], tasks: [], ...more });

async function execution(pingback: PingbackApp, id: string): Promise<Json> {
  const { status, json } = await pingback.call("GET", `executions/${id}`);
  if (status !== 200) throw new Error(`execution ${id}: ${status}`);
  return json;
}

async function started(functions = [task("t")]): Promise<PingbackApp> {
  const pingback = await startPingback();
  await pingback.register(functions);
  return pingback;
}

describe("A trigger", () => {
  test("check 14: answers 201 with id, name and time, and check 13: the execution is found", async () => {
    await using pingback = await started();
    const { status, json } = await pingback.call("POST", "trigger", { task: "t", payload: { a: 1 } });
    expect(status).toBe(201);
    expect(json).toMatchObject({ task: "t", scheduledAt: "2026-01-01T00:00:00.000Z" });
    expect(String(json.executionId)).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
    expect(await execution(pingback, String(json.executionId))).toMatchObject({ payload: { a: 1 } });
  });

  test("check 15: of an unknown task is a 404 in the product's words", async () => {
    await using pingback = await started();
    expect(await pingback.call("POST", "trigger", { task: "nope" })).toMatchObject({
      status: 404,
      json: { message: 'Task "nope" not found in this project', error: "Not Found", statusCode: 404 },
    });
  });

  test("check 16: with a delay is pending until then, and planned for then", async () => {
    await using pingback = await started();
    const id = await pingback.trigger("t", { delay: "2s" });
    await pingback.advance(1_999);
    expect(pingback.dispatches()).toEqual([]);
    expect(await execution(pingback, id)).toMatchObject({ status: "pending", attempt: 1, startedAt: null });
    await pingback.advance(1);
    expect(pingback.dispatches().map(({ body }) => body.scheduledAt)).toEqual(["2026-01-01T00:00:02.000Z"]);
  });

  test.each([
    0,
    -1,
    "0",
    "0s",
    "abc",
    "15M",
    "1.5h",
    "",
    " 15m",
    "-5",
    "15x",
    true,
    {},
    2_592_001,
    "31d",
  ])("check 17: with the delay %j is refused", async (delay) => {
    await using pingback = await started();
    expect(await pingback.call("POST", "trigger", { task: "t", delay })).toMatchObject({ status: 400 });
    expect((await pingback.call("GET", "jobs")).json).toMatchObject([{ name: "t" }]);
  });

  test.each([
    [null, 0],
    [0.5, 0],
    [90.9, 90],
    ["900", 900],
    ["007", 7],
    ["30m2h", 9_000],
    ["1h1h", 7_200],
    ["1d2h30m", 95_400],
    ["1d2h30m15s", 95_415],
    [2_592_000, 2_592_000],
  ])("check 17: with the delay %j is due after %i seconds", async (delay, seconds) => {
    await using pingback = await started();
    const { json } = await pingback.call("POST", "trigger", { task: "t", delay });
    expect(Date.parse(String(json.scheduledAt)) - Date.UTC(2026, 0, 1)).toBe(seconds * 1_000);
  });

  test("check 19: without a task, with a number for one, or without JSON creates nothing", async () => {
    await using pingback = await started();
    for (const body of ["{}", '{"task":5}', '{"task":""}', "not json", ""]) {
      expect((await pingback.call("POST", "trigger", body)).status).toBe(400);
    }
    await pingback.settle();
    expect(pingback.dispatches()).toEqual([]);
  });

  test("check 20: brings any payload unchanged", async () => {
    for (const payload of [0, false, "", [], null, { é: "<&>" }, { b: 1, a: [1.5, -0.25] }]) {
      await using pingback = await started();
      const id = await pingback.trigger("t", { payload });
      await pingback.settle();
      expect(pingback.dispatches()[0]?.body).toHaveProperty("payload", payload);
      expect(await execution(pingback, id)).toHaveProperty("payload", payload);
    }
  });

  test("without a payload sends none", async () => {
    await using pingback = await started();
    await pingback.trigger("t");
    await pingback.settle();
    expect(Object.keys(pingback.dispatches()[0]?.body ?? {})).toEqual([
      ...["function", "executionId", "attempt", "scheduledAt"],
    ]);
  });

  test("keeps whole numbers that a double cannot hold digit for digit", async () => {
    await using pingback = await started();
    const body = '{"task":"t","payload":{"n":12345678901234567890,"one":1.0,"neg":-9007199254740993}}';
    const { json } = await pingback.call("POST", "trigger", body);
    await pingback.settle();
    expect(pingback.dispatches()[0]?.text).toContain(
      '"payload":{"n":12345678901234567890,"one":1,"neg":-9007199254740993}',
    );
    const shown = await pingback.app.request(`/api/v1/executions/${json.executionId}`, { key: "key-admin" });
    expect(await shown.text()).toContain("12345678901234567890");
  });
});

describe("A dispatch", () => {
  test("check 21: is signed as the published vectors say", () => {
    const vectors = [
      [
        '{"function":"cleanup","executionId":"00000000-0000-4000-8000-000000000001","attempt":1,' +
          '"scheduledAt":"2026-05-01T03:00:00.000Z"}',
        "0448484bfa5561e81cec795cd4816d7ded3e58faaa4485dec79798b5fd112070",
      ],
      [
        '{"function":"send-email","executionId":"00000000-0000-4000-8000-000000000002","attempt":2,' +
          '"scheduledAt":"2026-05-01T03:00:00.000Z","payload":{"to":"zoë@example.com","n":1,' +
          '"html":"<b>&</b>"}}',
        "9722e433729ae6f87dc5ccab526fc37351bb974aa8eef369b39ceb7e980bf7fe",
      ],
    ] as const;
    for (const [body, signature] of vectors) {
      const spec = { scheme: "pingback", secrets: [{ value: SECRET }] } as const;
      const input = { id: "x", timestamp: 1_777_604_400, body: Buffer.from(body), now: 1_777_604_400_000 };
      expect(signHeaders(spec, input)).toEqual([
        ["X-Pingback-Timestamp", "1777604400"],
        ["X-Pingback-Signature", signature],
      ]);
    }
  });

  test("checks 22 to 27: its headers, its keys and its bytes are as documented, on a retry too", async () => {
    await using pingback = await started([task("t", { retries: 1 })]);
    pingback.answer(failed("x"), 500);
    await pingback.trigger("t", { payload: { é: "<&>", nested: { f: 1.25, u: "\u2028" } } });
    await pingback.settle();
    await pingback.advance(4_000);
    const sent = pingback.dispatches();
    expect(sent.map(({ body }) => body.attempt)).toEqual([1, 2]);
    for (const [index, { text, body, headers, url }] of sent.entries()) {
      expect(url).toBe("https://app.example/api/pingback");
      expect(JSON.stringify(JSON.parse(text))).toBe(text);
      expect(Object.keys(body)).toEqual(["function", "executionId", "attempt", "scheduledAt", "payload"]);
      const timestamp = headers.get("x-pingback-timestamp") ?? "";
      const at = Date.UTC(2026, 0, 1) + [0, 4_000, 2_000][index]!;
      expect(Math.abs(Number(timestamp) * 1_000 - at)).toBeLessThanOrEqual(2_000);
      expect(timestamp).toMatch(/^\d{10}$/);
      expect(headers.get("x-pingback-signature")).toBe(
        createHmac("sha256", SECRET).update(`${timestamp}.${text}`).digest("hex"),
      );
      expect(headers.get("content-type")).toBe("application/json");
      expect(headers.has("authorization")).toBe(false);
    }
    expect(sent[0]?.body.scheduledAt).toBe(sent[1]?.body.scheduledAt);
    expect(sent[0]?.body.executionId).toBe(sent[1]?.body.executionId);
  });

  test("check 29: goes to a URL with a path exactly as it was given", async () => {
    await using pingback = await startPingback();
    await pingback.register([task("t")], { endpoint_url: "https://app.example/custom/path?x=1" });
    await pingback.trigger("t");
    await pingback.settle();
    expect(pingback.dispatches()[0]?.url).toBe("https://app.example/custom/path?x=1");
  });

  test("check 30: goes to the SDKs' route of a URL without a path, else to the bare URL", async () => {
    await using pingback = await startPingback();
    await pingback.register([task("t")], { endpoint_url: "https://bare.example" });
    pingback.answer("<h1>Not Found</h1>", 404);
    const first = await pingback.trigger("t");
    await pingback.settle();
    const urls = () => pingback.dispatches().map(({ url }) => url);
    expect(urls()).toEqual(["https://bare.example/api/pingback", "https://bare.example"]);
    expect(await execution(pingback, first)).toMatchObject({ status: "success", attempt: 1 });
    await pingback.trigger("t");
    await pingback.settle();
    expect(urls().slice(2)).toEqual(["https://bare.example"]);
    const texts = pingback.dispatches().map(({ text }) => text);
    expect(texts[0]).toBe(texts[1] ?? "");
  });

  test("to the SDKs' route is not repeated when a handler there does not know the function", async () => {
    await using pingback = await startPingback();
    await pingback.register([task("t")], { endpoint_url: "https://known.example/" });
    pingback.answer({ error: 'function "t" not found' }, 404);
    await pingback.trigger("t");
    await pingback.settle();
    expect(pingback.dispatches().map(({ url }) => url)).toEqual(["https://known.example/api/pingback"]);
  });

  test("check 31: of a retry goes where a registration has moved the application meanwhile", async () => {
    await using pingback = await started([task("t", { retries: 1 })]);
    pingback.answer(failed("x"), 500);
    await pingback.trigger("t");
    await pingback.settle();
    await pingback.register([task("t", { retries: 1 })], { endpoint_url: "https://new.example/hook" });
    await pingback.advance(2_000);
    expect(pingback.dispatches().map(({ url }) => url)).toEqual([
      "https://app.example/api/pingback",
      "https://new.example/hook",
    ]);
  });

  test("is signed with the secret of the project as it is when it is sent", async () => {
    await using pingback = await started([task("t")]);
    await pingback.trigger("t", { delay: 5 });
    await pingback.app.engine.functions.changeHost("default", { secret: "another" });
    await pingback.advance(5_000);
    const [{ headers, text } = { headers: new Headers(), text: "" }] = pingback.dispatches();
    const signed = `${headers.get("x-pingback-timestamp")}.${text}`;
    expect(headers.get("x-pingback-signature")).toBe(
      createHmac("sha256", "another").update(signed).digest("hex"),
    );
  });
});

describe("A result", () => {
  test("check 32: of a handler that returned is stored with status, time and body", async () => {
    await using pingback = await started();
    pingback.answer(done({ result: { x: 1 } }));
    const id = await pingback.trigger("t");
    await pingback.settle();
    const shown = await execution(pingback, id);
    expect(shown).toMatchObject({ status: "success", httpStatus: 200, errorMessage: null, attempts: [] });
    expect(String(shown.responseBody)).toContain('"x"');
    expect(shown.completedAt).toBe("2026-01-01T00:00:00.000Z" as never);
    expect(Number(shown.durationMs)).toBeGreaterThanOrEqual(0);
    expect(shown).toMatchObject({ job: { name: "t" }, hasChildren: false });
  });

  test("check 33: keeps every entry of the log, odd ones too", async () => {
    await using pingback = await started();
    const logs = [
      { timestamp: 1_767_225_600_001, level: "info", message: "one", meta: { k: 1 } },
      { timestamp: 2, level: "warn", message: "two" },
      { timestamp: 3.6, level: "error", message: 5 },
      { timestamp: "soon", level: "loud", message: { a: 1 } },
      { message: "old core" },
      "bare",
    ];
    pingback.answer(done({ logs }));
    const id = await pingback.trigger("t");
    await pingback.settle();
    const now = Date.UTC(2026, 0, 1);
    expect((await execution(pingback, id)).logs).toEqual([
      { timestamp: 1_767_225_600_001, level: "info", message: "one", meta: { k: 1 } },
      { timestamp: 2, level: "warn", message: "two" },
      { timestamp: 4, level: "error", message: "5" },
      { timestamp: now, level: "info", message: '{"a":1}' },
      { timestamp: now, level: "info", message: "old core" },
      { timestamp: now, level: "info", message: "bare" },
    ] as never);
  });

  test("check 34: of a handler that raised is a failure after one request, its logs kept", async () => {
    await using pingback = await started();
    pingback.answer(failed("boom", { logs: [{ timestamp: 1, level: "info", message: "before" }] }), 500);
    const id = await pingback.trigger("t");
    await pingback.settle();
    await pingback.advance(3_600_000);
    expect(pingback.dispatches()).toHaveLength(1);
    const shown = await execution(pingback, id);
    expect(shown).toMatchObject({ status: "failed", httpStatus: 500, logs: [{ message: "before" }] });
    expect(shown.errorMessage).toBe("HTTP 500: boom" as never);
  });

  test("check 35: comes after two failures with waits of 2 and 4 seconds", async () => {
    await using pingback = await started([task("t", { retries: 2 })]);
    pingback.answer(failed("one", { logs: [{ timestamp: 1, message: "try" }] }), 500);
    pingback.answer(failed("two"), 500);
    const id = await pingback.trigger("t");
    await pingback.settle();
    expect(await execution(pingback, id)).toMatchObject({
      status: "pending",
      attempt: 2,
      httpStatus: null,
      logs: [],
    });
    const count = () => pingback.dispatches().length;
    for (const [ms, seen] of [
      [1_999, 1],
      [1, 2],
      [3_999, 2],
      [1, 3],
    ] as const) {
      await pingback.advance(ms);
      expect(count()).toBe(seen);
    }
    const shown = await execution(pingback, id);
    expect(shown).toMatchObject({ status: "success", attempt: 3 });
    expect(shown.attempts).toMatchObject([
      { attempt: 1, status: "failed", errorMessage: "HTTP 500: one", logs: [{ message: "try" }] },
      { attempt: 2, status: "failed", errorMessage: "HTTP 500: two", logs: [] },
    ]);
  });

  test("check 36: is a failure when the last retry has failed; waits double up to a minute", async () => {
    await using pingback = await started([task("t", { retries: 8 })]);
    for (let attempt = 0; attempt < 9; attempt += 1) pingback.answer("down", 503);
    const id = await pingback.trigger("t");
    await pingback.settle();
    for (const [index, seconds] of [2, 4, 8, 16, 32, 60, 60, 60].entries()) {
      await pingback.advance(seconds * 1_000 - 1);
      expect(pingback.dispatches()).toHaveLength(index + 1);
      await pingback.advance(1);
    }
    await pingback.advance(3_600_000);
    expect(pingback.dispatches()).toHaveLength(9);
    expect(await execution(pingback, id)).toMatchObject({ status: "failed", attempt: 9 });
  });

  test.each([
    [
      "check 37: that never came in time",
      { kind: "error", reason: "timeout", text: "timeout after 1s" },
      null,
    ],
    [
      "check 40: of an endpoint where nobody listens",
      { kind: "error", reason: "connect", text: "connection refused" },
      null,
    ],
  ] as const)("%s is a failure without a status, and retried", async (_name, result, httpStatus) => {
    await using pingback = await started([task("t", { retries: 1, timeout: "1s" })]);
    const missing: SendResult = { ...result, durationMs: 1_000, address: null };
    pingback.app.sendResults.push(missing, missing);
    const id = await pingback.trigger("t");
    await pingback.settle();
    expect(pingback.app.sent[0]?.timeoutMs).toBe(1_000);
    await pingback.advance(2_000);
    const shown = await execution(pingback, id);
    expect(shown).toMatchObject({ status: "failed", attempt: 2, httpStatus, errorMessage: result.text });
    expect(shown.attempts).toHaveLength(1);
  });

  test("check 38: with status 200 that says error is a failure, or has a statusCode", async () => {
    await using pingback = await started([task("t")]);
    pingback.answer({ status: "error", error: "x", statusCode: 500 });
    pingback.answer({ statusCode: 404, error: "gone", tasks: [{ name: "t", payload: 1 }] });
    const ids = [await pingback.trigger("t"), await pingback.trigger("t")];
    await pingback.settle();
    expect(await execution(pingback, ids[0]!)).toMatchObject({
      status: "failed",
      errorMessage: "HTTP 200: x",
    });
    expect(await execution(pingback, ids[1]!)).toMatchObject({ status: "failed", hasChildren: false });
  });

  test.each([
    "<html>fine</html>",
    "",
    "OK",
    "[1]",
    "null",
    "{broken",
  ])("check 39: of the text %j with 200 is a success without logs", async (body) => {
    await using pingback = await started();
    pingback.answer(body);
    const id = await pingback.trigger("t");
    await pingback.settle();
    expect(await execution(pingback, id)).toMatchObject({ status: "success", logs: [] });
  });

  test("check 41: longer than the limit is stored up to 10,240 bytes, cut between characters", async () => {
    await using pingback = await started();
    const [long] = [done({ result: "€".repeat(5_000) })];
    pingback.answer(long);
    const id = await pingback.trigger("t");
    await pingback.settle();
    const body = String((await execution(pingback, id)).responseBody);
    expect(Buffer.byteLength(body)).toBeWithin(10_230, 10_241);
    expect(body.endsWith("€")).toBe(true);
    expect(pingback.app.sent[0]?.captureBytesMax).toBe(1_048_576);
  });

  test("of which only the beginning was read counts by its status", async () => {
    await using pingback = await started();
    pingback.app.sendResults.push({
      ...{ kind: "response", status: 200, headers: new Headers(), durationMs: 1, address: null },
      ...{
        body: Buffer.from('{"status":"success","tasks":[{"name":"t"}],"result":"'),
        isBodyTruncated: true,
      },
    });
    const id = await pingback.trigger("t");
    await pingback.settle();
    expect(await execution(pingback, id)).toMatchObject({ status: "success", hasChildren: false });
  });
});
