import { describe, expect, test } from "bun:test";
import { KEYS, startTestApp, type TestApp } from "../support/test-app.ts";

const POST = { method: "POST" } as const;

const hmac = (secret: string) =>
  ({
    scheme: "hmac",
    header: "x-signature",
    algorithm: "sha256",
    encoding: "hex",
    prefix: "",
    template: "{timestamp}.{body}",
    timestampHeader: "x-timestamp",
    toleranceMs: 300_000,
    secrets: [{ value: secret }],
  }) as const;

const sourceWith = (verify: object) =>
  ({
    name: "orders",
    to: ["app"],
    verify: [verify],
    eventType: { kind: "json", path: ["type"] },
    dedupe: { selectors: [[{ kind: "header", name: "x-id" }]], windowMs: 60_000 },
  }) as never;

const OLD = { sources: [sourceWith(hmac("old"))] };
const NEW = { sources: [sourceWith(hmac("new"))] };
const BODY = '{"type":"paid"}\n';

/** Sends a request signed with the new secret and returns its answer's status and the shown rejection id. */
async function sendSigned(
  app: TestApp,
  secret = "new",
  id = "1",
): Promise<{ status: number; rejection: string }> {
  const timestamp = String(app.clock.now() / 1_000);
  const signature = new Bun.CryptoHasher("sha256", secret).update(`${timestamp}.${BODY}`).digest("hex");
  const headers = { "x-timestamp": timestamp, "x-signature": signature, "x-id": id };
  const { status } = await app.request("/in/orders?n=1", { ...POST, headers, body: BODY });
  await app.flush();
  const { json } = await app.api("/rejections?limit=1");
  return { status, rejection: json.data[0]?.id ?? "" };
}

const admit = (app: TestApp, id: string, body = "") =>
  app.api(`/rejections/${id}/admit`, { ...POST, ...(body === "" ? {} : { body }) });

const countEvents = async (app: TestApp) => (await app.api("/events")).json.data.length;

describe("admitting a rejection", () => {
  test("verifies it under today's configuration and lets it in with its original time", async () => {
    await using app = await startTestApp(OLD);
    const { status, rejection } = await sendSigned(app);
    expect(status).toBe(401);
    // Long after the tolerance: the timestamp is judged at the time at which the request came.
    app.clock.advance(3_600_000);
    await app.declare(NEW);
    const ended = app.probe.next("attempt.settled");
    const admitted = await admit(app, rejection);
    expect(admitted).toMatchObject({ status: 200, json: { duplicate: false, forced: false } });
    await ended;
    expect((await app.api(`/events/${admitted.json.eventId}`)).json).toMatchObject({
      source: "orders",
      type: "paid",
      body: BODY,
      receivedAt: "2026-01-01T00:00:00.000Z",
      deliveries: [{ state: "succeeded", createdAt: "2026-01-01T01:00:00.000Z" }],
    });
    expect(Buffer.from(app.sent[0]?.body ?? []).toString()).toBe(BODY);
    expect((await app.api(`/rejections/${rejection}`)).json).toMatchObject({
      url: "/in/orders?n=1",
      admission: { at: "2026-01-01T01:00:00.000Z", eventId: admitted.json.eventId, isForced: false },
    });
  });

  test("says why it still fails, and changes nothing", async () => {
    await using app = await startTestApp(OLD);
    const { rejection } = await sendSigned(app);
    const { status, json } = await admit(app, rejection);
    expect(status).toBe(409);
    expect(json.error).toMatchObject({
      code: "invalid_state",
      details: { reason: "signature_mismatch", diagnosis: { field: "x-signature" } },
    });
    expect((await app.api(`/rejections/${rejection}`)).json).toMatchObject({ admission: null });
    expect(await countEvents(app)).toBe(0);
  });

  test("takes force for an answer, and records it", async () => {
    await using app = await startTestApp(OLD);
    const { rejection } = await sendSigned(app);
    const { status, json } = await admit(app, rejection, '{"force":true}');
    expect({ status, json }).toMatchObject({ status: 200, json: { forced: true, duplicate: false } });
    expect((await app.api(`/rejections/${rejection}`)).json).toMatchObject({ admission: { isForced: true } });
  });

  test("calls nothing forced that passes without force", async () => {
    await using app = await startTestApp(OLD);
    const { rejection } = await sendSigned(app);
    await app.declare(NEW);
    expect((await admit(app, rejection, '{"force":true}')).json.forced).toBe(false);
  });

  test("makes one event, however often and however many at once", async () => {
    await using app = await startTestApp(OLD);
    const { rejection } = await sendSigned(app);
    await app.declare(NEW);
    const answers = await Promise.all([admit(app, rejection), admit(app, rejection), admit(app, rejection)]);
    const again = await admit(app, rejection);
    const ids = new Set([...answers, again].map(({ json }) => json.eventId));
    expect(ids.size).toBe(1);
    expect(answers.filter(({ json }) => !json.duplicate)).toHaveLength(1);
    expect(again.json.duplicate).toBe(true);
    expect(await countEvents(app)).toBe(1);
  });

  test("answers the event of the same dedupe key when the sender was faster", async () => {
    await using app = await startTestApp(OLD);
    const { rejection } = await sendSigned(app);
    await app.declare(NEW);
    expect((await sendSigned(app)).status).toBe(202);
    const [event] = (await app.api("/events")).json.data;
    expect((await admit(app, rejection)).json).toMatchObject({ eventId: event?.id ?? "", duplicate: true });
    expect(await countEvents(app)).toBe(1);
  });

  test("cannot verify credentials, which are not stored, and says so", async () => {
    const token = sourceWith({ scheme: "token", query: "key", secrets: [{ value: "open-sesame" }] });
    await using app = await startTestApp({ sources: [token] });
    await app.request("/in/orders?a=1&key=wrong%20one&b=2", { ...POST, body: BODY });
    await app.flush();
    const [shown] = (await app.api("/rejections")).json.data;
    expect(shown).toMatchObject({ reason: "token_mismatch", url: "/in/orders?a=1&b=2" });
    const refused = await admit(app, shown?.id ?? "");
    expect(refused).toMatchObject({ status: 409, json: { error: { details: { reason: "unverifiable" } } } });
    expect((await admit(app, shown?.id ?? "", '{"force":true}')).status).toBe(200);
  });

  test("needs the whole body", async () => {
    await using app = await startTestApp({ sources: [{ name: "orders", bodyBytesMax: 4 }] });
    await app.request("/in/orders", { ...POST, body: BODY });
    await app.flush();
    const [shown] = (await app.api("/rejections")).json.data;
    expect(await admit(app, shown?.id ?? "", '{"force":true}')).toMatchObject({ status: 410 });
  });

  test("needs the source", async () => {
    await using app = await startTestApp(OLD);
    const { rejection } = await sendSigned(app);
    await app.declare({ sources: [] });
    expect(await admit(app, rejection, '{"force":true}')).toMatchObject({
      status: 410,
      json: { error: { code: "gone" } },
    });
  });

  test("is for admin keys of the same project", async () => {
    await using app = await startTestApp(OLD);
    const { rejection } = await sendSigned(app);
    const path = `/rejections/${rejection}/admit`;
    expect((await app.api(path, { ...POST, key: KEYS.read })).status).toBe(403);
    expect((await app.api(path, { ...POST, key: KEYS.other })).status).toBe(404);
    expect((await app.api("/rejections/nonsense/admit", POST)).status).toBe(404);
  });

  test.each(["[]", '{"force":"yes"}', '{"forse":true}', "{"])("refuses the body %s", async (body) => {
    await using app = await startTestApp(OLD);
    const { rejection } = await sendSigned(app);
    expect(await admit(app, rejection, body)).toMatchObject({
      status: 400,
      json: { error: { code: "invalid_request" } },
    });
  });
});

test("a rejection shows its diagnosis, with instants as everywhere else", async () => {
  const until = Date.UTC(2025, 11, 31);
  const rule = { ...hmac("new"), secrets: [{ value: "new" }, { value: "old", until }] };
  await using app = await startTestApp({ sources: [sourceWith(rule)] });
  const { rejection } = await sendSigned(app, "old");
  expect((await app.api(`/rejections/${rejection}`)).json).toMatchObject({
    reason: "signature_mismatch",
    diagnosis: {
      field: "x-signature",
      code: "old_secret",
      oldSecretUntil: "2025-12-31T00:00:00.000Z",
      sentence: expect.any(String),
    },
  });
});
