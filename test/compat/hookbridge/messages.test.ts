/** Checks 34 to 48 of the HookBridge reference: retries, pause, rate, replay and dead letters. */
import { describe, expect, test } from "bun:test";
import { sendResponse } from "../../support/test-app.ts";
import { type Bridge, expectOk, type Json, startBridge } from "./support.ts";

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

/** What the receiver answers next, then 200. */
function answers(bridge: Bridge, ...statuses: readonly number[]): void {
  bridge.app.sendResults.push(...statuses.map((status) => sendResponse(status)));
}

/** A message that its receiver refused for good. */
async function failed(bridge: Bridge, endpointId: string, change: object = {}): Promise<string> {
  answers(bridge, 404);
  return bridge.send(endpointId, change);
}

const waitOf = (bridge: Bridge, { next_attempt_at }: Json) =>
  Date.parse(String(next_attempt_at)) - bridge.app.clock.now();

describe("Retries", () => {
  test("check 34: 503 waits on the slow ladder, then the next attempt succeeds", async () => {
    await using bridge = await startBridge({ settings: { retryScale: 0.1 } });
    const { id } = await bridge.endpoint();
    answers(bridge, 503);
    const message = await bridge.send(id);
    const waiting = await bridge.message(message);
    expect(waiting).toMatchObject({ status: "pending_retry", attempt_count: 1, last_error: "HTTP 503" });
    expect(waitOf(bridge, waiting)).toBe(3 * MINUTE);
    await bridge.advance(3 * MINUTE);
    expect(await bridge.message(message)).toMatchObject({
      ...{ status: "succeeded", attempt_count: 2, response_status: 200, next_attempt_at: null },
      delivered_at: new Date(bridge.app.clock.now()).toISOString(),
    });
    const { data } = expectOk(await bridge.call("GET", `/v1/messages/${message}/attempts`));
    expect(data.map(({ attempt_no }) => attempt_no)).toEqual([1, 2]);
    expect(data[0]).toMatchObject({ response_status: 503, retry_type: "slow", error_text: "HTTP 503" });
    expect(data[1]).toMatchObject({ response_status: 200, retry_type: null });
    expect(data.map(({ resolved_ip }) => resolved_ip)).toEqual(["192.0.2.7", "192.0.2.7"]);
    expect(new Set(bridge.sent.map(({ headers }) => headers.get("x-webhook-id")))).toEqual(
      new Set([message]),
    );
  });

  test("an attempt that got no answer shows the address that it went to, and no answer", async () => {
    await using bridge = await startBridge();
    const { id } = await bridge.endpoint();
    const failure = { kind: "error", reason: "reset", text: "connection reset", durationMs: 5 } as const;
    bridge.app.sendResults.push({ ...failure, address: "192.0.2.8" });
    const { data } = await bridge.call("GET", `/v1/messages/${await bridge.send(id)}/attempts`);
    const unanswered = { response_status: null, response_headers: null, retry_after_seconds: null };
    expect(data[0]).toMatchObject({
      resolved_ip: "192.0.2.8",
      error_text: "connection reset",
      ...unanswered,
    });
  });

  test("check 35: 429 waits on the fast ladder, which stays at its last step", async () => {
    await using bridge = await startBridge();
    const { id } = await bridge.endpoint();
    answers(bridge, ...Array.from({ length: 8 }, () => 429));
    const message = await bridge.send(id);
    const waits: number[] = [];
    for (let attempt = 1; attempt < 8; attempt += 1) {
      const wait = waitOf(bridge, await bridge.message(message));
      waits.push(wait / SECOND);
      await bridge.advance(wait);
    }
    expect(waits).toEqual([30, 60, 120, 240, 300, 300, 300]);
    expect(await bridge.message(message)).toMatchObject({ status: "failed_permanent", attempt_count: 8 });
    const { data } = expectOk(await bridge.call("GET", `/v1/messages/${message}/attempts`));
    expect(data.map(({ retry_type }) => retry_type)).toEqual(Array.from({ length: 8 }, () => "fast"));
  });

  test("check 36: 503 always makes eight requests along the slow ladder, then a dead letter", async () => {
    await using bridge = await startBridge();
    const { id } = await bridge.endpoint();
    answers(bridge, ...Array.from({ length: 20 }, () => 503));
    const message = await bridge.send(id);
    const waits: number[] = [];
    for (let attempt = 1; attempt < 8; attempt += 1) {
      const wait = waitOf(bridge, await bridge.message(message));
      waits.push(wait / HOUR);
      await bridge.advance(wait);
    }
    expect(waits).toEqual([0.5, 2, 6, 12, 24, 48, 72]);
    await bridge.advance(1_000 * HOUR);
    expect(bridge.sent).toHaveLength(8);
    expect(await bridge.message(message)).toMatchObject({ status: "failed_permanent", attempt_count: 8 });
    const { data } = expectOk(await bridge.call("GET", "/v1/dlq/messages"));
    expect(data.messages.map(({ message_id }) => message_id)).toEqual([message]);
  });

  test("the two ladders count their own failures only", async () => {
    await using bridge = await startBridge();
    const { id } = await bridge.endpoint();
    answers(bridge, 503, 429, 503, 429);
    const message = await bridge.send(id);
    const waits: number[] = [];
    for (let attempt = 1; attempt <= 4; attempt += 1) {
      const wait = waitOf(bridge, await bridge.message(message));
      waits.push(wait);
      await bridge.advance(wait);
    }
    expect(waits).toEqual([30 * MINUTE, 30 * SECOND, 2 * HOUR, MINUTE]);
    expect(await bridge.message(message)).toMatchObject({ status: "succeeded", attempt_count: 5 });
  });

  test.each([400, 401, 403, 404, 410, 422])("check 37: %d is final at once", async (status) => {
    await using bridge = await startBridge();
    const { id } = await bridge.endpoint();
    answers(bridge, status);
    expect(await bridge.message(await bridge.send(id))).toMatchObject({
      ...{ status: "failed_permanent", attempt_count: 1, response_status: status },
    });
    // Not even 410 takes the endpoint out of service.
    expect(await bridge.message(await bridge.send(id))).toMatchObject({ status: "succeeded" });
  });

  test.each([408, 500, 302])("%d is tried again", async (status) => {
    await using bridge = await startBridge();
    const { id } = await bridge.endpoint();
    answers(bridge, status);
    expect(await bridge.message(await bridge.send(id))).toMatchObject({ status: "pending_retry" });
  });

  test("check 38: Retry-After is a minimum, up to a day", async () => {
    await using bridge = await startBridge();
    const { id } = await bridge.endpoint();
    const after = async (seconds: number) => {
      bridge.app.sendResults.push(sendResponse(503, "", { "retry-after": String(seconds) }));
      return waitOf(bridge, await bridge.message(await bridge.send(id)));
    };
    expect(await after(7_200)).toBe(2 * HOUR);
    expect(await after(60)).toBe(30 * MINUTE);
    expect(await after(1_000_000)).toBe(24 * HOUR);
  });

  test("no answer at all is tried again, with a text that says why", async () => {
    await using bridge = await startBridge();
    const { id } = await bridge.endpoint();
    bridge.app.sendResults.push({
      ...{ kind: "error", reason: "connect", text: "connection refused", durationMs: 1, address: null },
    });
    const message = await bridge.message(await bridge.send(id));
    expect(message).toMatchObject({ status: "pending_retry", last_error: "connection refused" });
    expect(message.response_status).toBeNull();
  });

  test("twenty failures in a row open no breaker and disable nothing", async () => {
    await using bridge = await startBridge();
    const { id } = await bridge.endpoint();
    answers(bridge, ...Array.from({ length: 20 }, () => 500));
    for (let count = 0; count < 20; count += 1) await bridge.send(id);
    expect(await bridge.message(await bridge.send(id))).toMatchObject({ status: "succeeded" });
  });
});

describe("Pause and pace", () => {
  test("check 39: five messages at one per second go one by one, each at its first attempt", async () => {
    await using bridge = await startBridge();
    const { id } = await bridge.endpoint({ rate_limit_rps: 1 });
    const ids: string[] = [];
    for (let count = 0; count < 5; count += 1) ids.push(await bridge.send(id));
    const sentAt = [bridge.sent.length];
    for (let second = 0; second < 4; second += 1) {
      await bridge.advance(SECOND);
      sentAt.push(bridge.sent.length);
    }
    expect(sentAt).toEqual([1, 2, 3, 4, 5]);
    for (const message of ids) expect(await bridge.message(message)).toMatchObject({ attempt_count: 1 });
  });

  test("check 40: a paused endpoint takes messages and sends them when it resumes", async () => {
    await using bridge = await startBridge();
    const { id } = await bridge.endpoint();
    expectOk(await bridge.call("POST", `/v1/endpoints/${id}/pause`));
    const message = await bridge.send(id);
    expect(bridge.sent).toHaveLength(0);
    expect(await bridge.message(message)).toMatchObject({ status: "paused" });
    const { data } = expectOk(await bridge.call("POST", `/v1/endpoints/${id}/resume`));
    expect(data).toMatchObject({ id, paused: false, messages_requeued: 1 });
    await bridge.settled();
    expect(await bridge.message(message)).toMatchObject({ status: "succeeded" });
  });
});

describe("Messages", () => {
  const UNKNOWN = "01935abc-def0-7123-4567-890abcdef012";

  test("check 41: an unknown message is not found, and has no attempts", async () => {
    await using bridge = await startBridge();
    expect(await bridge.call("GET", `/v1/messages/${UNKNOWN}`)).toMatchObject({ status: 404 });
    expect(await bridge.call("GET", "/v1/messages/nonsense")).toMatchObject({ status: 404 });
    const attempts = expectOk(await bridge.call("GET", `/v1/messages/${UNKNOWN}/attempts`));
    expect([attempts.data.length, attempts.meta.has_more]).toEqual([0, false]);
  });

  test("check 42: a cancelled retry is failed_permanent, and cannot be cancelled again", async () => {
    await using bridge = await startBridge();
    const { id } = await bridge.endpoint();
    answers(bridge, 503);
    const message = await bridge.send(id);
    const { data } = expectOk(await bridge.call("POST", `/v1/messages/${message}/cancel`));
    expect(data).toMatchObject({ id: message, message_id: message, status: "failed_permanent" });
    const again = await bridge.call("POST", `/v1/messages/${message}/cancel`);
    expect([again.status, again.error.code]).toEqual([400, "INVALID_STATUS"]);
    await bridge.advance(1_000 * HOUR);
    expect(bridge.sent).toHaveLength(1);
    expect(expectOk(await bridge.call("GET", "/v1/dlq/messages")).data.messages).toHaveLength(1);
  });

  test("check 43: retry now answers pending_retry and sends at once", async () => {
    await using bridge = await startBridge();
    const { id } = await bridge.endpoint();
    answers(bridge, 503);
    const message = await bridge.send(id);
    const { data, body } = expectOk(await bridge.call("POST", `/v1/messages/${message}/retry-now`));
    expect(data).toMatchObject({ id: message, status: "pending_retry" });
    expect(typeof body.message).toBe("string");
    await bridge.settled();
    expect(await bridge.message(message)).toMatchObject({ status: "succeeded", attempt_count: 2 });
    expect((await bridge.call("POST", `/v1/messages/${message}/retry-now`)).error.code).toBe(
      "INVALID_STATUS",
    );
  });

  test("check 44: a replay keeps the id, counts, and begins a fresh budget", async () => {
    await using bridge = await startBridge();
    const { id } = await bridge.endpoint();
    const message = await failed(bridge, id);
    answers(bridge, 503);
    const { data } = expectOk(await bridge.call("POST", `/v1/messages/${message}/replay`));
    expect(data).toEqual({ message_id: message, status: "queued" } as typeof data);
    await bridge.settled();
    const waiting = await bridge.message(message);
    expect(waiting).toMatchObject({ status: "pending_retry", replay_count: 1, attempt_count: 2 });
    expect(waitOf(bridge, waiting)).toBe(30 * MINUTE);
    expect(bridge.sent[1]?.headers.get("x-webhook-id")).toBe(message);
  });

  test("a succeeded message can be replayed, one that waits for a fast retry cannot", async () => {
    await using bridge = await startBridge();
    const { id } = await bridge.endpoint();
    const done = await bridge.send(id);
    expectOk(await bridge.call("POST", `/v1/messages/${done}/replay`));
    await bridge.settled();
    answers(bridge, 429);
    const fast = await bridge.send(id);
    expect((await bridge.call("POST", `/v1/messages/${fast}/replay`)).error.code).toBe("RETRY_IN_PROGRESS");
  });

  test("check 45: replays beyond the limit are refused with REPLAY_LIMIT_EXCEEDED", async () => {
    await using bridge = await startBridge({ settings: { replaysMax: 2 } });
    const { id } = await bridge.endpoint();
    const message = await bridge.send(id);
    for (let count = 0; count < 2; count += 1) {
      expectOk(await bridge.call("POST", `/v1/messages/${message}/replay`));
      await bridge.settled();
    }
    const refused = await bridge.call("POST", `/v1/messages/${message}/replay`);
    expect([refused.status, refused.error.code]).toEqual([429, "REPLAY_LIMIT_EXCEEDED"]);
    expect(refused.headers.get("retry-after")).toMatch(/^[0-9]+$/);
  });

  test("check 46: a dead letter suits Go and PHP, and an empty queue is an empty list", async () => {
    await using bridge = await startBridge();
    const empty = expectOk(await bridge.call("GET", "/v1/dlq/messages")).data;
    expect(empty).toMatchObject({ messages: [], has_more: false, next_cursor: null });
    const endpoint = await bridge.endpoint();
    const message_id = await failed(bridge, endpoint.id);
    const [entry] = expectOk(await bridge.call("GET", "/v1/dlq/messages")).data.messages;
    expect(entry).toMatchObject({
      status: "failed_permanent",
      endpoint: endpoint.url,
      last_error: "HTTP 404",
      ...{ message_id, attempt_count: 1, response_status: 404 },
    });
    for (const at of [entry?.failed_at, entry?.created_at]) expect(at).toMatch(/^\d{4}-.*Z$/);
  });

  test("check 47: a replay takes a message out of the dead letter queue", async () => {
    await using bridge = await startBridge();
    const { id } = await bridge.endpoint();
    const message = await failed(bridge, id);
    expectOk(await bridge.call("POST", `/v1/dlq/replay/${message}`));
    await bridge.settled();
    expect(await bridge.message(message)).toMatchObject({ status: "succeeded" });
    expect(expectOk(await bridge.call("GET", "/v1/dlq/messages")).data.messages).toHaveLength(0);
    expect((await bridge.call("POST", `/v1/dlq/replay/${message}`)).status).toBe(404);
  });

  test("check 48: bulk replays count what they did, item by item", async () => {
    await using bridge = await startBridge();
    const { id } = await bridge.endpoint();
    const ids = [await failed(bridge, id), await failed(bridge, id)];
    const query = `status=failed_permanent&endpoint_id=${id}&limit=50`;
    const all = expectOk(await bridge.call("POST", `/v1/messages/replay-all?${query}`));
    expect(all.data).toMatchObject({ replayed: 2, failed: 0, stuck: 0, stuck_message_ids: [] });
    expect(new Set(all.data.replayed_message_ids as string[])).toEqual(new Set(ids));
    expect(typeof all.body.message).toBe("string");
    await bridge.settled();
    const batch = expectOk(
      await bridge.call("POST", "/v1/messages/replay-batch", { message_ids: [ids[0], UNKNOWN] }),
    );
    expect(batch.data).toMatchObject({ replayed: 1, failed: 1, stuck: 0 });
    expect(batch.data.results[0]).toMatchObject({ message_id: ids[0], status: "replayed" });
    expect(batch.data.results[1]).toMatchObject({ message_id: UNKNOWN, status: "failed" });
    expect(typeof batch.data.results[1]?.error).toBe("string");
  });

  test("bulk replays without a status, or of too many, are refused", async () => {
    await using bridge = await startBridge();
    expect((await bridge.call("POST", "/v1/messages/replay-all")).status).toBe(400);
    const message_ids = Array.from({ length: 101 }, () => UNKNOWN);
    expect((await bridge.call("POST", "/v1/messages/replay-batch", { message_ids })).status).toBe(400);
  });
});

describe("Deletion", () => {
  test("a deleted message shows when, cannot be replayed, and frees its key", async () => {
    await using bridge = await startBridge();
    const { id } = await bridge.endpoint();
    answers(bridge, 503);
    const message = await bridge.send(id, { idempotency_key: "k" });
    const first = expectOk(await bridge.call("DELETE", `/v1/messages/${message}`)).data;
    expect(first).toMatchObject({ message_id: message, already_deleted: false });
    const again = expectOk(await bridge.call("DELETE", `/v1/messages/${message}`)).data;
    expect(again).toMatchObject({ already_deleted: true, deleted_at: first.deleted_at });
    expect((await bridge.call("POST", `/v1/messages/${message}/replay`)).error.code).toBe("MESSAGE_DELETED");
    expect(await bridge.message(message)).toMatchObject({ deleted_at: first.deleted_at });
    await bridge.advance(100 * HOUR);
    expect(bridge.sent).toHaveLength(1);
    expect(await bridge.send(id, { idempotency_key: "k", payload: "other" })).not.toBe(message);
  });

  test("what waited and was deleted counts as failed, once, and what had arrived does not", async () => {
    await using bridge = await startBridge();
    const { id } = await bridge.endpoint();
    const arrived = await bridge.send(id);
    answers(bridge, 503);
    const waiting = await bridge.send(id);
    for (const message of [arrived, waiting, waiting]) await bridge.call("DELETE", `/v1/messages/${message}`);
    const { data } = expectOk(await bridge.call("GET", "/v1/metrics?window=1h"));
    expect(data).toMatchObject({ total_messages: 2, succeeded: 1, failed: 1, success_rate: 0.5 });
    const { buckets } = expectOk(await bridge.call("GET", "/v1/metrics/timeseries?window=1h")).data;
    expect(buckets.reduce((sum, { failed }) => sum + Number(failed), 0)).toBe(1);
  });

  test("deleting many says what became of each, and by filter which they were", async () => {
    await using bridge = await startBridge();
    const { id } = await bridge.endpoint();
    const ids = [await failed(bridge, id), await bridge.send(id), await bridge.send(id)];
    const batch = expectOk(
      await bridge.call("POST", "/v1/messages/delete-batch", { message_ids: [ids[1], ids[1], "nope"] }),
    );
    expect(batch.data).toMatchObject({ deleted_count: 1, already_deleted_count: 1, not_found_count: 1 });
    const all = expectOk(
      await bridge.call("POST", `/v1/messages/delete-all?status=succeeded&endpoint_id=${id}`),
    );
    expect(all.data).toMatchObject({ deleted: 1, deleted_message_ids: [ids[2] as string] });
    expect(expectOk(await bridge.call("GET", "/v1/dlq/messages")).data.messages).toHaveLength(1);
  });
});

describe("Retention", () => {
  test("retention_hours 0 drops the payload after delivery, and not before", async () => {
    await using bridge = await startBridge();
    const { id } = await bridge.endpoint();
    answers(bridge, 503);
    const message = await bridge.send(id, { retention_hours: 0, payload: { secret: "once" } });
    await bridge.advance(30 * MINUTE);
    expect(await bridge.message(message)).toMatchObject({ status: "succeeded", retention_hours: 0 });
    expect(Buffer.from(bridge.sent[1]?.body ?? []).toString()).toBe('{"secret":"once"}');
    await bridge.app.engine.retention.sweep();
    const entry = await bridge.app.store.historyEntry({
      ...{ project: "default", profile: "hookbridge", id: message.replaceAll("-", "") },
    });
    expect(entry?.payload).toBeNull();
    const refused = await bridge.call("POST", `/v1/messages/${message}/replay`);
    expect([refused.status, refused.error.code]).toEqual([410, "RETENTION_EXPIRED"]);
  });

  test("a payload that the store gave up cannot be replayed", async () => {
    await using bridge = await startBridge();
    const { id } = await bridge.endpoint();
    const message = await bridge.send(id);
    await bridge.app.store.purge({ kind: "bodies", before: 0, limit: 100 });
    const refused = await bridge.call("POST", `/v1/messages/${message}/replay`);
    expect([refused.status, refused.error.code]).toEqual([410, "PAYLOAD_UNAVAILABLE"]);
  });
});
