/** Reference section 13: conformance checks 45 to 50. */
import { describe, expect, test } from "bun:test";
import { type Posthook, startPosthook } from "./postern.ts";

const ACCEPTED = { status: 202, headers: { "Posthook-Async-Timeout": "60" } };

interface Reported {
  readonly status: number;
  readonly json: { readonly data?: { readonly status: string }; readonly error?: string };
}

/** The callback URLs of the nth request that went out. */
function urlsOf(posthook: Posthook, index = 0): { ack: string; nack: string } {
  const { headers } = posthook.sent[index] ?? {};
  return {
    ack: headers?.get("posthook-ack-url") ?? "none",
    nack: headers?.get("posthook-nack-url") ?? "none",
  };
}

/** As an SDK does it: no key, whatever body. */
async function report(posthook: Posthook, url: string, body?: string): Promise<Reported> {
  const response = await posthook.app.request(new URL(url).pathname, {
    method: "POST",
    ...(body === undefined ? {} : { body }),
  });
  const json = (await response.json()) as Reported["json"];
  await posthook.app.settle();
  return { status: response.status, json };
}

const completed = { status: 200, json: { data: { status: "completed" } } };
const nacked = { status: 200, json: { data: { status: "nacked" } } };

test("check 45: a 202 leaves the hook pending until its ack completes it", async () => {
  await using posthook = await startPosthook({ isAsync: true });
  posthook.answer(ACCEPTED);
  const id = await posthook.deliver();
  expect(await posthook.statusOf(id)).toBe("pending");
  const { ack, nack } = urlsOf(posthook);
  expect(ack).toMatch(/^http:\/\/127\.0\.0\.1:8420\/cb\/[A-Za-z0-9_-]+$/);
  expect(ack).not.toBe(nack);
  expect(await report(posthook, ack)).toEqual(completed);
  expect(await posthook.statusOf(id)).toBe("completed");
  expect(await report(posthook, ack, "{}")).toEqual(completed);
  expect(await report(posthook, nack)).toEqual(completed);
});

test("check 46: a nack is a failed attempt; the next one has other callback URLs", async () => {
  await using posthook = await startPosthook({ isAsync: true });
  posthook.answer(ACCEPTED, ACCEPTED);
  const id = await posthook.deliver();
  const first = urlsOf(posthook);
  expect(await report(posthook, first.nack, '{"reason":"no stock"}')).toEqual(nacked);
  const { data } = await posthook.get(id);
  expect([data.status, data.failureError]).toEqual(["retry", '{"reason":"no stock"}']);
  await posthook.app.advance(15_000);
  const second = urlsOf(posthook, 1);
  expect(new Set([first.ack, first.nack, second.ack, second.nack]).size).toBe(4);
  expect(await report(posthook, second.ack)).toEqual(completed);
});

test("a nack that uses up the last retry is answered as one; later reports tell how it ended", async () => {
  await using posthook = await startPosthook({ isAsync: true });
  posthook.answer(500, ACCEPTED);
  const id = await posthook.deliver({ retryOverride: { minRetries: 1, delaySecs: 5, strategy: "fixed" } });
  await posthook.app.advance(5_000);
  const { ack, nack } = urlsOf(posthook, 1);
  expect(await report(posthook, nack, "x".repeat(20_000))).toEqual(nacked);
  const { data } = await posthook.get(id);
  expect([data.status, data.failureError.length]).toEqual(["failed", 8_192]);
  expect(await report(posthook, nack)).toEqual(nacked);
  expect(await report(posthook, ack)).toEqual({ status: 200, json: { data: { status: "failed" } } });
});

describe("check 47: what no longer counts", () => {
  test("is 409 when a newer attempt has begun", async () => {
    await using posthook = await startPosthook({ isAsync: true });
    posthook.answer(ACCEPTED, ACCEPTED);
    await posthook.deliver();
    const { ack, nack } = urlsOf(posthook);
    await report(posthook, nack);
    await posthook.app.advance(15_000);
    expect((await report(posthook, ack)).status).toBe(409);
  });

  test("is 404 when the hook was deleted", async () => {
    await using posthook = await startPosthook({ isAsync: true });
    posthook.answer(ACCEPTED);
    const id = await posthook.deliver();
    await posthook.call(`/v1/hooks/${id}`, { method: "DELETE" });
    const { status, json } = await report(posthook, urlsOf(posthook).ack);
    expect(status).toBe(404);
    expect(json.error).toBeDefined();
    await posthook.app.advance(400_000);
    expect(posthook.sent).toHaveLength(1);
  });
});

describe("check 48: what is refused", () => {
  test("is 401 for a token that is not ours", async () => {
    await using posthook = await startPosthook({ isAsync: true });
    posthook.answer(ACCEPTED);
    const id = await posthook.deliver();
    const { ack } = urlsOf(posthook);
    const forged = ack.endsWith("A") ? `${ack.slice(0, -1)}B` : `${ack.slice(0, -1)}A`;
    for (const url of [forged, `${ack}x`, ack.slice(0, -4), "http://127.0.0.1/cb/x"]) {
      expect((await report(posthook, url)).status).toBe(401);
    }
    expect(await posthook.statusOf(id)).toBe("pending");
  });

  test("is 410 when the deadline has passed", async () => {
    await using posthook = await startPosthook({ isAsync: true });
    posthook.answer({ status: 202, headers: { "Posthook-Async-Timeout": "10" } });
    const id = await posthook.deliver();
    await posthook.app.advance(11_000);
    expect((await posthook.get(id)).data.status).toBe("retry");
    expect((await report(posthook, urlsOf(posthook).ack)).status).toBe(410);
  });
});

test("check 49: an ack that comes before the 202 has been read counts", async () => {
  await using posthook = await startPosthook({ isAsync: true });
  posthook.answer("hang");
  const id = await posthook.deliver();
  expect(await report(posthook, urlsOf(posthook).ack)).toEqual(completed);
  posthook.receiver.letGo(ACCEPTED);
  await posthook.app.settle();
  expect(await posthook.statusOf(id)).toBe("completed");
});

test("check 50: without async there are no callback URLs, and a 202 completes", async () => {
  await using posthook = await startPosthook();
  posthook.answer(ACCEPTED);
  const id = await posthook.deliver();
  expect(urlsOf(posthook)).toEqual({ ack: "none", nack: "none" });
  expect(await posthook.statusOf(id)).toBe("completed");
});

test("a plain 200 completes at once, also where callbacks are offered; a later ack agrees", async () => {
  await using posthook = await startPosthook({ isAsync: true });
  const id = await posthook.deliver();
  expect(await posthook.statusOf(id)).toBe("completed");
  expect(await report(posthook, urlsOf(posthook).ack)).toEqual(completed);
});

describe("the deadline that a 202 names", () => {
  test.each([
    [undefined, 300],
    ["", 300],
    ["undefined", 300],
    ["0", 300],
    ["-1", 300],
    ["9", 10],
    ["10", 10],
    ["1.5", 300],
    ["99999", 10_800],
  ])("%p is %d s", async (asked, seconds) => {
    await using posthook = await startPosthook({ isAsync: true });
    posthook.answer({ status: 202, headers: asked === undefined ? {} : { "Posthook-Async-Timeout": asked } });
    const id = await posthook.deliver();
    await posthook.app.advance(seconds * 1_000 - 1);
    expect(await posthook.statusOf(id)).toBe("pending");
    await posthook.app.advance(1);
    expect(await posthook.statusOf(id)).toBe("retry");
  });
});
