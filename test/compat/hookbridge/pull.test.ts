/** Check 61 of the HookBridge reference, and the rest of section 13: endpoints whose events are fetched. */
import { describe, expect, test } from "bun:test";
import { type Bridge, expectOk, type Json, startBridge } from "./support.ts";

async function pull(bridge: Bridge, change: object = {}): Promise<Json> {
  return expectOk(await bridge.call("POST", "/v1/pull-endpoints", change), 201).data;
}

async function post(bridge: Bridge, url: string, body: string, headers: Record<string, string> = {}) {
  const answer = await bridge.app.request(new URL(url).pathname, { method: "POST", body, headers });
  const { data } = (await answer.json()) as { data?: Json };
  return { status: answer.status, id: data?.message_id ?? "" };
}

describe("Pull events", () => {
  test("check 61: stored, previewed, fetched, acknowledged once", async () => {
    await using bridge = await startBridge();
    const made = await pull(bridge);
    const events = `/v1/pull-endpoints/${made.id}/events`;
    const { id, status } = await post(bridge, made.ingest_url, '{"n":12345678901234567890}');
    expect(status).toBe(202);
    const list = async (query = "") => expectOk(await bridge.call("GET", events + query)).data;
    expect(await list()).toMatchObject([{ id, status: "stored", size_bytes: 26, fetched_at: null }]);
    const previewed = expectOk(await bridge.call("GET", `${events}/${id}?preview=true`));
    expect(previewed.data.status).toBe("stored");
    expect(previewed.text).toContain('"payload":{"n":12345678901234567890}');
    bridge.app.clock.advance(1_000);
    const fetched = expectOk(await bridge.call("GET", `${events}/${id}`)).data;
    expect(fetched).toMatchObject({ status: "fetched", timing: { time_to_fetch_ms: 1_000 } });
    expect(expectOk(await bridge.call("GET", `${events}/${id}`)).data.status).toBe("fetched");
    const ack = async () => expectOk(await bridge.call("POST", `${events}/ack`, { event_ids: [id] })).data;
    expect((await ack()).acknowledged).toBe(1);
    expect((await ack()).acknowledged).toBe(0);
    expect(await list()).toHaveLength(0);
    expect(await list("?status=delivered")).toMatchObject([{ id, status: "delivered" }]);
    expect(await list("?status=all")).toHaveLength(1);
    const read = expectOk(await bridge.call("GET", `/v1/pull-endpoints/${made.id}`)).data;
    expect(read.counts).toEqual({ stored: 0, fetched: 0, delivered: 1, total: 1 });
  });

  test("events come oldest first in pages, and can be told apart by type and time", async () => {
    await using bridge = await startBridge();
    const made = await pull(bridge, { event_type_source: "body", event_type_path: "meta.type" });
    const ids: string[] = [];
    for (const type of ["a", "b", "a"]) {
      ids.push((await post(bridge, made.ingest_url, `{"meta":{"type":"${type}"}}`)).id);
      bridge.app.clock.advance(1_000);
    }
    const events = `/v1/pull-endpoints/${made.id}/events`;
    const first = expectOk(await bridge.call("GET", `${events}?limit=2`));
    expect(first.data.map(({ id }) => id)).toEqual(ids.slice(0, 2));
    const second = expectOk(await bridge.call("GET", `${events}?limit=2&cursor=${first.meta.next_cursor}`));
    expect(second.data.map(({ id }) => id)).toEqual(ids.slice(2));
    expect(second.meta.next_cursor).toBeNull();
    const typed = expectOk(await bridge.call("GET", `${events}?event_type=b`)).data;
    expect(typed).toMatchObject([{ id: ids[1] as string, event_type: "b" }]);
    const since = expectOk(await bridge.call("GET", `${events}?since=2026-01-01T00:00:01Z`)).data;
    expect(since.map(({ id }) => id)).toEqual(ids.slice(1));
  });

  test("what is no JSON comes as base64, with the headers that came with it", async () => {
    await using bridge = await startBridge();
    const made = await pull(bridge, { event_type_source: "header", event_type_path: "X-Type" });
    const { id } = await post(bridge, made.ingest_url, "plain", {
      "content-type": "text/plain",
      "x-type": "t",
    });
    const { data } = expectOk(await bridge.call("GET", `/v1/pull-endpoints/${made.id}/events/${id}`));
    expect(data).toMatchObject({ content_type: "text/plain", event_type: "t", headers: { "x-type": "t" } });
    expect(data.payload).toBe(Buffer.from("plain").toString("base64"));
  });

  test("a deleted event is gone, but for its row", async () => {
    await using bridge = await startBridge();
    const made = await pull(bridge);
    const events = `/v1/pull-endpoints/${made.id}/events`;
    const ids: string[] = [];
    for (let count = 0; count < 3; count += 1) ids.push((await post(bridge, made.ingest_url, "{}")).id);
    const gone = expectOk(await bridge.call("DELETE", `${events}/${ids[0]}`)).data;
    expect(gone).toMatchObject({ event_id: ids[0] as string, already_deleted: false });
    const refused = await bridge.call("GET", `${events}/${ids[0]}`);
    expect([refused.status, refused.error.code]).toEqual([410, "MESSAGE_DELETED"]);
    const preview = expectOk(await bridge.call("GET", `${events}/${ids[0]}?preview=true`)).data;
    expect(preview).toMatchObject({ payload: null, headers: null });
    expect((await bridge.call("POST", `${events}/ack`, { event_ids: [ids[0]] })).status).toBe(400);
    const batch = await bridge.call("POST", `${events}/delete-batch`, { message_ids: [ids[0], ids[1]] });
    expect(expectOk(batch).data).toMatchObject({ deleted_count: 1, already_deleted_count: 1 });
    expect(batch.data.results[0]).toMatchObject({ event_id: ids[0], outcome: "already_deleted" });
    const all = expectOk(await bridge.call("POST", `${events}/delete-all?status=stored`)).data;
    expect(all).toMatchObject({ deleted: 1, deleted_event_ids: [ids[2] as string] });
    const metrics = expectOk(await bridge.call("GET", "/v1/pull-metrics")).data;
    expect(metrics).toMatchObject({ total_messages: 3, succeeded: 0, failed: 0 });
    expect(expectOk(await bridge.call("GET", events)).data).toHaveLength(0);
  });

  test("an event of another endpoint is not there, and acknowledges nothing", async () => {
    await using bridge = await startBridge();
    const [one, two] = [await pull(bridge), await pull(bridge)];
    const own = await post(bridge, one.ingest_url, "{}");
    const foreign = await post(bridge, two.ingest_url, "{}");
    const events = `/v1/pull-endpoints/${one.id}/events`;
    expect((await bridge.call("GET", `${events}/${foreign.id}`)).status).toBe(404);
    const ack = { event_ids: [own.id, foreign.id] };
    expect((await bridge.call("POST", `${events}/ack`, ack)).status).toBe(400);
    expect(expectOk(await bridge.call("GET", events)).data).toMatchObject([{ id: own.id, status: "stored" }]);
  });

  test("logs and numbers cover all endpoints or one", async () => {
    await using bridge = await startBridge();
    const made = await pull(bridge, { name: "orders" });
    const { id } = await post(bridge, made.ingest_url, "{}");
    await post(bridge, (await pull(bridge)).ingest_url, "{}");
    const events = `/v1/pull-endpoints/${made.id}/events`;
    expectOk(await bridge.call("GET", `${events}/${id}`));
    expectOk(await bridge.call("POST", `${events}/ack`, { event_ids: [id] }));
    expect(expectOk(await bridge.call("GET", "/v1/pull-logs")).data).toHaveLength(2);
    const own = expectOk(await bridge.call("GET", `/v1/pull-logs?pull_endpoint_id=${made.id}`)).data;
    expect(own).toMatchObject([{ event_id: id, endpoint_name: "orders", status: "delivered" }]);
    const metrics = expectOk(await bridge.call("GET", "/v1/pull-metrics")).data;
    expect(metrics).toMatchObject({ total_messages: 2, succeeded: 1 });
    const { buckets } = expectOk(await bridge.call("GET", "/v1/pull-metrics/timeseries?window=1h")).data;
    expect(buckets.at(-1)).toMatchObject({ stored: 2, fetched: 1, succeeded: 1, total: 2 });
    // What waits to be pulled is nothing that was sent.
    expect(expectOk(await bridge.call("GET", "/v1/metrics")).data.total_messages).toBe(0);
  });
});

describe("Pull endpoints", () => {
  test("the URL has its secret only when it is made; an update answers the whole object", async () => {
    await using bridge = await startBridge();
    const made = await pull(bridge, { name: "orders", retention_days: 3 });
    expect(made.ingest_url).toEndWith(`/${made.id}/${made.secret_token}`);
    const path = `/v1/pull-endpoints/${made.id}`;
    const read = expectOk(await bridge.call("GET", path));
    expect(read.text).not.toContain(made.secret_token);
    const update = { description: "new", token_value: "0123456789abcdef", verify_static_token: true };
    const patched = expectOk(await bridge.call("PATCH", path, { ...update, token_header_name: "X-T" })).data;
    expect(patched).toMatchObject({
      ...{ id: made.id, mode: "pull", name: "orders", description: "new", retention_days: 3 },
      ...{ verify_static_token: true, token_header_name: "X-T", active: true, paused: false },
    });
    expect((await post(bridge, made.ingest_url, "{}")).status).toBe(401);
    expect((await bridge.call("PATCH", path, { token_value: "short" })).status).toBe(400);
    expect(expectOk(await bridge.call("GET", "/v1/pull-endpoints")).data).toHaveLength(1);
    expect(expectOk(await bridge.call("GET", "/v1/inbound-endpoints")).data).toHaveLength(0);
    expectOk(await bridge.call("DELETE", path));
    expect((await bridge.call("GET", path)).status).toBe(404);
    expect((await post(bridge, made.ingest_url, "{}")).status).toBe(410);
  });

  test("while paused it takes nothing, and what it has stays readable", async () => {
    await using bridge = await startBridge();
    const made = await pull(bridge);
    await post(bridge, made.ingest_url, "{}");
    const path = `/v1/pull-endpoints/${made.id}`;
    expect(expectOk(await bridge.call("POST", `${path}/pause`)).data).toMatchObject({ paused: true });
    expect((await post(bridge, made.ingest_url, "{}")).status).toBe(503);
    expect(expectOk(await bridge.call("GET", `${path}/events`)).data).toHaveLength(1);
    expectOk(await bridge.call("POST", `${path}/resume`));
    expect((await post(bridge, made.ingest_url, "{}")).status).toBe(202);
  });

  test("events outlive their endpoint's retention by half an hour at most", async () => {
    await using bridge = await startBridge();
    const made = await pull(bridge, { retention_days: 1 });
    await post(bridge, made.ingest_url, "{}");
    const events = `/v1/pull-endpoints/${made.id}/events`;
    await bridge.advance(23 * 3_600_000);
    expect(expectOk(await bridge.call("GET", events)).data).toHaveLength(1);
    await bridge.advance(1 * 3_600_000);
    await bridge.advance(1_800_000);
    expect(expectOk(await bridge.call("GET", events)).data).toHaveLength(0);
  });
});
