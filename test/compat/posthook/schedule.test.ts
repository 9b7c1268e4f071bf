/** Reference sections 3 to 8: conformance checks 1 to 22, as far as one side of the wire shows them. */
import { describe, expect, test } from "bun:test";
import { KEYS } from "../../support/test-app.ts";
import { PATH, startPosthook, startWith } from "./postern.ts";

const START = Date.UTC(2026, 0, 1);

test("check 1: a hook scheduled in 5m is pending, has a UUID, and is due 300 s from now", async () => {
  await using posthook = await startPosthook();
  const { status, data } = await posthook.schedule({ postIn: "5m", data: { n: 1 } });
  expect(status).toBe(201);
  expect(data.id).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
  expect(data).toEqual({
    id: data.id,
    path: PATH,
    domain: "https://app.example.com",
    data: { n: 1 },
    postAt: "2026-01-01T00:05:00Z",
    status: "pending",
    tryAt: "2026-01-01T00:05:00Z",
    postDurationSeconds: 0,
    attempts: 0,
    failureError: "",
    createdAt: "2026-01-01T00:00:00Z",
    updatedAt: "2026-01-01T00:00:00Z",
  });
});

test("check 2: the answer is a 201 with a data object, and get answers with the same hook", async () => {
  await using posthook = await startPosthook();
  const scheduled = await posthook.schedule({ postIn: "1h", data: [1, "two"] });
  expect(scheduled.status).toBe(201);
  const got = await posthook.get(scheduled.data.id);
  expect(got.status).toBe(200);
  expect(got.text).toBe(scheduled.text);
});

describe("checks 3 to 6: an instant comes back as it was meant", () => {
  test.each([
    [{ postAt: "2026-03-01T12:00:00.000Z" }, "2026-03-01T12:00:00Z"],
    [{ postAt: "2026-03-01T14:00:00+02:00" }, "2026-03-01T12:00:00Z"],
    [{ postAt: "2026-03-01T14:00:00.123456789+02:00" }, "2026-03-01T12:00:00.123Z"],
    [{ postAt: "2020-03-01T14:00:00.5Z" }, "2020-03-01T14:00:00.500Z"],
    [{ postAtLocal: "2026-03-08T02:30:00", timezone: "America/New_York" }, "2026-03-08T07:00:00Z"],
    [{ postAtLocal: "2026-11-01T01:30:00", timezone: "America/New_York" }, "2026-11-01T05:30:00Z"],
    [{ postAtLocal: "2026-03-29T01:15:00", timezone: "Europe/London" }, "2026-03-29T01:00:00Z"],
    [{ postAtLocal: "2026-10-04T02:10:00", timezone: "Australia/Lord_Howe" }, "2026-10-03T15:30:00Z"],
    [{ postAtLocal: "2026-06-15T10:00:00", timezone: "US/Eastern" }, "2026-06-15T14:00:00Z"],
    [{ postIn: "1d2h30m45s" }, "2026-01-02T02:30:45Z"],
    [{ postIn: "365d" }, "2027-01-01T00:00:00Z"],
  ])("%j is %s", async (mode, postAt) => {
    await using posthook = await startPosthook();
    const { status, data } = await posthook.schedule(mode);
    expect([status, data.postAt]).toEqual([201, postAt]);
  });
});

describe("checks 7 to 9 and 13: what cannot be meant is a 400 with a text, and makes nothing", () => {
  const exponential = { minRetries: 3, delaySecs: 5, strategy: "exponential", maxDelaySecs: 60 };
  test.each<[string, object]>([
    ["no path", { path: undefined, postIn: "5m" }],
    ["an empty path", { path: "", postIn: "5m" }],
    ["a relative path", { path: "hooks", postIn: "5m" }],
    ["an absolute URL", { path: "https://evil.example", postIn: "5m" }],
    ["a path with a line break", { path: "/a\r\nX: y", postIn: "5m" }],
    ["no mode", { postIn: undefined }],
    ["two modes", { postIn: "5m", postAt: "2026-03-01T12:00:00Z" }],
    ["a local time without a zone", { postAtLocal: "2026-03-01T12:00:00" }],
    ["a local time with an offset", { postAtLocal: "2026-03-01T12:00:00Z", timezone: "Europe/Berlin" }],
    ["an unknown zone", { postAtLocal: "2026-03-01T12:00:00", timezone: "Europe/Atlantis" }],
    ["a zone without a local time", { postIn: "5m", timezone: "Europe/Berlin" }],
    ["an instant without an offset", { postAt: "2026-03-01T12:00:00" }],
    ["0s", { postIn: "0s" }],
    ["366d", { postIn: "366d" }],
    ["5x", { postIn: "5x" }],
    ["nothing", { postIn: "" }],
    ["1.5m", { postIn: "1.5m" }],
    ["units out of order", { postIn: "5m1h" }],
    ["an override that is no object", { postIn: "5m", retryOverride: [] }],
    ["no maxDelaySecs", { postIn: "5m", retryOverride: { ...exponential, maxDelaySecs: undefined } }],
    ["minRetries 0", { postIn: "5m", retryOverride: { ...exponential, minRetries: 0 } }],
    ["minRetries 16", { postIn: "5m", retryOverride: { ...exponential, minRetries: 16 } }],
    ["delaySecs 4", { postIn: "5m", retryOverride: { ...exponential, delaySecs: 4 } }],
    ["delaySecs 61", { postIn: "5m", retryOverride: { ...exponential, delaySecs: 61 } }],
    ["backoffFactor 1.0", { postIn: "5m", retryOverride: { ...exponential, backoffFactor: 1 } }],
    ["backoffFactor 4.1", { postIn: "5m", retryOverride: { ...exponential, backoffFactor: 4.1 } }],
    ["maxDelaySecs 59", { postIn: "5m", retryOverride: { ...exponential, maxDelaySecs: 59 } }],
    ["maxDelaySecs 3601", { postIn: "5m", retryOverride: { ...exponential, maxDelaySecs: 3_601 } }],
    ["strategy linear", { postIn: "5m", retryOverride: { ...exponential, strategy: "linear" } }],
    ["a jitter that is no boolean", { postIn: "5m", retryOverride: { ...exponential, jitter: 1 } }],
  ])("%s", async (_name, body) => {
    await using posthook = await startPosthook();
    const { status, error } = await posthook.schedule(body);
    expect([status, typeof error]).toEqual([400, "string"]);
    expect((await posthook.list()).data).toEqual([]);
  });

  test("no JSON, and JSON that is no object", async () => {
    await using posthook = await startPosthook();
    for (const body of ["", "{", "[]", '"x"', '{"path":"/a","path":"/b","postIn":"5m"}']) {
      const { status, error } = await posthook.call("/v1/hooks", { method: "POST", body });
      expect([body, status, typeof error]).toEqual([body, 400, "string"]);
    }
  });

  test("a valid override is echoed field by field", async () => {
    await using posthook = await startPosthook();
    const retryOverride = { ...exponential, backoffFactor: 1.5, jitter: true };
    const { data } = await posthook.schedule({ postIn: "5m", retryOverride });
    expect(data.retryOverride).toEqual(retryOverride);
    expect((await posthook.get(data.id)).data.retryOverride).toEqual(retryOverride);
    const fixed = { minRetries: 1, delaySecs: 60, strategy: "fixed", jitter: false };
    const other = await posthook.schedule({ postIn: "5m", retryOverride: { ...fixed, maxDelaySecs: 1 } });
    expect(other.data.retryOverride).toEqual(fixed);
  });
});

test("check 10: data may be absent or null; absent becomes an empty object, null stays null", async () => {
  await using posthook = await startPosthook();
  expect((await posthook.schedule({ postIn: "5m" })).data.data).toEqual({});
  expect((await posthook.schedule({ postIn: "5m", data: null })).data.data).toBeNull();
});

test("check 11: data comes back as the caller's text, digit for digit and in its order", async () => {
  await using posthook = await startPosthook();
  const data = '{"n": 9007199254740993, "f": 1.0, "10": 1, "2": 2, "2": 3, "s": "Z\\u00fcrich"}';
  const body = `{"path":"/a","postAt":"2026-01-01T00:00:00Z","data":${data}}`;
  const scheduled = await posthook.call("/v1/hooks", { method: "POST", body });
  expect(scheduled.text).toContain(`"data":${data},`);
  expect((await posthook.get(scheduled.data.id)).text).toContain(`"data":${data},`);
  await posthook.app.settle();
  expect(posthook.sent[0]?.text).toContain(`"data":${data},`);
});

test("check 12: data of 65,536 bytes is taken, one more is a 413, as is a far larger body", async () => {
  await using posthook = await startPosthook();
  const sized = (bytes: number) => ({ postIn: "5m", data: "x".repeat(bytes - 2) });
  expect((await posthook.schedule(sized(65_536))).status).toBe(201);
  const tooLarge = await posthook.schedule(sized(65_537));
  expect([tooLarge.status, typeof tooLarge.error]).toEqual([413, "string"]);
  expect((await posthook.schedule(sized(300_000))).status).toBe(413);
  expect((await posthook.list()).data).toHaveLength(1);
});

describe("checks 14 and 15: the quota of a calendar month", () => {
  const quotaOf = (headers: Headers) =>
    ["limit", "usage", "remaining", "resets-at"].map((name) => headers.get(`posthook-hookquota-${name}`));

  test("without one no header is sent", async () => {
    await using posthook = await startPosthook();
    expect(quotaOf((await posthook.schedule()).headers)).toEqual([null, null, null, null]);
  });

  test("counts every hook, refuses beyond it with 429, and starts anew with the month", async () => {
    await using posthook = await startPosthook({ quota: 2 });
    const reset = "2026-02-01T00:00:00Z";
    expect(quotaOf((await posthook.schedule()).headers)).toEqual(["2", "1", "1", reset]);
    expect((await posthook.schedule({ path: "" })).status).toBe(400);
    expect(quotaOf((await posthook.schedule()).headers)).toEqual(["2", "2", "0", reset]);
    const refused = await posthook.schedule();
    expect([refused.status, typeof refused.error]).toEqual([429, "string"]);
    expect(quotaOf(refused.headers)).toEqual(["2", "2", "0", reset]);
    expect((await posthook.list()).data).toHaveLength(2);
    await posthook.app.advance(Date.UTC(2026, 1, 1) - START);
    expect(quotaOf((await posthook.schedule()).headers)).toEqual(["2", "1", "1", "2026-03-01T00:00:00Z"]);
  });
});

test("check 16: a wrong key is a 401 on every method, so is none, a Bearer key, a signing key", async () => {
  await using posthook = await startPosthook();
  const id = "3f0c2a52-7d1e-4c8e-9c1b-5a2f6f0d9e11";
  const calls: [string, string][] = [
    ["POST", "/v1/hooks"],
    ["GET", "/v1/hooks"],
    ["GET", `/v1/hooks/${id}`],
    ["DELETE", `/v1/hooks/${id}`],
    ["POST", "/v1/hooks/bulk/retry"],
    ["POST", "/v1/hooks/bulk/replay"],
    ["POST", "/v1/hooks/bulk/cancel"],
  ];
  for (const [method, path] of calls) {
    for (const key of ["wrong", "ph_sk_test", null]) {
      const { status, error } = await posthook.call(path, { method, key });
      expect([path, key, status, typeof error]).toEqual([path, key, 401, "string"]);
    }
  }
  expect((await posthook.app.request("/v1/hooks", { key: KEYS.admin })).status).toBe(401);
});

test("check 17: unknown, foreign and malformed ids are not found", async () => {
  await using posthook = await startPosthook();
  const { data } = await posthook.schedule({ postIn: "5m" });
  const ids = ["3f0c2a52-7d1e-4c8e-9c1b-5a2f6f0d9e11", "a%2Fb%20c", "x", "%ff", data.id.replaceAll("-", "")];
  for (const id of ids) {
    const { status, error } = await posthook.get(id);
    expect([id, status, typeof error]).toEqual([id, 404, "string"]);
  }
  const foreign = await posthook.call(`/v1/hooks/${data.id}`, { key: KEYS.other });
  expect(foreign.status).toBe(404);
  expect((await posthook.call(`/v1/hooks/${data.id}`, { method: "DELETE", key: KEYS.other })).status).toBe(
    404,
  );
  expect(await posthook.statusOf(data.id.toUpperCase())).toBe("pending");
});

test("check 18: every answer names its request", async () => {
  await using posthook = await startPosthook();
  expect((await posthook.get("x")).headers.get("x-request-id")).toStartWith("req_");
  expect((await posthook.list()).headers.get("x-request-id")).toStartWith("req_");
});

test("check 19: a hook is well formed in all four statuses", async () => {
  await using posthook = await startPosthook({ retry: { ...RETRY, retries: 1 } });
  posthook.answer(500, 500, 500, 200);
  const failed = await posthook.deliver();
  await posthook.advance(15_000);
  const retrying = await posthook.deliver();
  const completed = await posthook.deliver();
  const pending = (await posthook.schedule({ postIn: "1h" })).data.id;
  const { data } = await posthook.list();
  const statuses = new Map(data.map((hook) => [hook.id, hook.status]));
  expect([failed, retrying, completed, pending].map((id) => statuses.get(id))).toEqual([
    "failed",
    "retry",
    "completed",
    "pending",
  ]);
  for (const hook of data) {
    for (const time of [hook.postAt, hook.createdAt, hook.updatedAt]) {
      expect(time).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?Z$/);
    }
    expect(Number.isInteger(hook.attempts)).toBe(true);
    expect(typeof hook.failureError).toBe("string");
  }
});

const RETRY = {
  retries: 2,
  strategy: "fixed",
  delayMs: 15_000,
  factor: 2,
  delayMaxMs: 3_600_000,
  hasJitter: false,
} as const;

describe("checks 20 to 22: delete", () => {
  test("a pending hook is never sent and no longer there; the second time is a 404 with a body", async () => {
    await using posthook = await startPosthook();
    const { data } = await posthook.schedule({ postIn: "5m" });
    const first = await posthook.call(`/v1/hooks/${data.id}`, { method: "DELETE" });
    expect([first.status, first.text]).toEqual([200, '{"data":{}}']);
    expect(await posthook.statusOf(data.id)).toBe("404");
    const second = await posthook.call(`/v1/hooks/${data.id}`, { method: "DELETE" });
    expect([second.status, typeof second.error]).toEqual([404, "string"]);
    await posthook.app.advance(600_000);
    expect(posthook.sent).toEqual([]);
    expect((await posthook.list()).data).toEqual([]);
  });

  test("a finished hook is only forgotten", async () => {
    await using posthook = await startPosthook();
    const id = await posthook.deliver();
    expect((await posthook.call(`/v1/hooks/${id}`, { method: "DELETE" })).status).toBe(200);
    expect(await posthook.statusOf(id)).toBe("404");
  });

  test("one in flight stays deleted, whatever its attempt brings, and is not tried again", async () => {
    await using posthook = await startPosthook();
    for (const outcome of [500, 200]) {
      posthook.answer("hang");
      const { data } = await posthook.schedule();
      await posthook.app.settle();
      expect((await posthook.call(`/v1/hooks/${data.id}`, { method: "DELETE" })).status).toBe(200);
      posthook.receiver.letGo(outcome);
      await posthook.app.settle();
      await posthook.advance(60_000);
      expect(await posthook.statusOf(data.id)).toBe("404");
    }
    expect(posthook.sent).toHaveLength(2);
  });
});

test("a project without the table is a 403, and one without a domain takes hooks all the same", async () => {
  await using posthook = await startWith([{ project: "default" }]);
  const { status, error } = await posthook.schedule();
  expect([status, error]).toEqual([403, "this project has no posthook table in the configuration"]);
  await using other = await startPosthook({ domain: null });
  const hook = await other.schedule({ postIn: "5m" });
  expect([hook.status, hook.data.domain]).toEqual([201, undefined]);
});
