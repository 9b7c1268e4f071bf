import { expect, test } from "bun:test";
import type { Endpoint } from "../../src/domain/endpoint.ts";
import { showId } from "../../src/domain/id.ts";
import { NATIVE_ENVELOPE } from "../../src/domain/native-envelope.ts";
import type { EnvelopeInput } from "../../src/domain/strategy.ts";
import { NOW, newEndpoint, newId } from "../support/factory.ts";

const BODY = Buffer.from('{"big":9007199254740993}');
const KEYS = ["0123456789abcdef0123456789abcdef", "fedcba9876543210fedcba9876543210"].map(
  (key) => `whsec_${Buffer.from(key).toString("base64")}`,
);

function envelope(change: {
  endpoint?: Partial<Endpoint>;
  headers?: Record<string, string>;
  eventId?: string | null;
  wallNow?: number;
}) {
  const { headers = {}, eventId = newId(), wallNow = NOW } = change;
  const delivery = { id: newId(), eventId, project: "default", createdAt: NOW, scheduledAt: NOW, spec: null };
  const input: EnvelopeInput = {
    delivery,
    endpoint: { ...newEndpoint(), ...change.endpoint } as Endpoint,
    payload: { headers, body: BODY },
    attempt: 1,
    now: 0,
    wallNow,
    ackUrls: (forMs) => ({
      ack: `http://postern.test/cb/a${forMs}`,
      nack: `http://postern.test/cb/n${forMs}`,
    }),
  };
  return { delivery, ...NATIVE_ENVELOPE(input) };
}

test("the body that goes out is the very bytes that came in", () => {
  expect(envelope({}).body).toBe(BODY);
});

test("the id is the event's, and the delivery's where there is no event", () => {
  const born = envelope({});
  expect(born.headers.get("webhook-id")).toBe(showId("event", born.delivery.eventId ?? ""));
  const lone = envelope({ eventId: null });
  expect(lone.headers.get("webhook-id")).toBe(showId("delivery", lone.delivery.id));
});

test("the timestamp is of the machine's clock, in whole seconds", () => {
  expect(envelope({ wallNow: NOW + 1_999 }).headers.get("webhook-timestamp")).toBe(String(NOW / 1_000 + 1));
});

test("every valid secret signs, a retired one no longer", () => {
  const secrets = KEYS.map((value, index) => (index === 0 ? { value } : { value, until: NOW + 1_000 }));
  const endpoint: Partial<Endpoint> = { sign: [{ scheme: "standard", secrets }] };
  const count = (wallNow: number) =>
    envelope({ endpoint, wallNow }).headers.get("webhook-signature")?.split(" ").length;
  expect([count(NOW), count(NOW + 1_001)]).toEqual([2, 1]);
});

test("the sender's trace context travels on", () => {
  const traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
  const sent = envelope({ headers: { traceparent, tracestate: "vendor=1" } }).headers;
  expect([sent.get("traceparent"), sent.get("tracestate")]).toEqual([traceparent, "vendor=1"]);
});

test("a provider's signature over its own id does not travel under ours", () => {
  const headers = { "webhook-id": "theirs", "webhook-timestamp": "1", "webhook-signature": "v1,theirs" };
  const sent = envelope({ headers }).headers;
  expect(sent.get("webhook-signature")).toBeNull();
  expect(sent.get("webhook-id")).toStartWith("evt_");
});

test.each(["close", "keep-alive", "Keep-Alive, X-Hop", "x-hop,close"])("Connection: %s", (connection) => {
  const sent = envelope({ headers: { connection, "x-hop": "1", "x-kept": "1" } }).headers;
  expect(sent.get("connection")).toBeNull();
  expect(sent.get("x-kept")).toBe("1");
  expect(sent.has("x-hop")).toBe(!/x-hop/i.test(connection));
});

test.each([
  "Host",
  "Content-Length",
  "Transfer-Encoding",
  "Webhook-Signature",
  "webhook-timestamp",
])("an endpoint cannot set %s", (name) => {
  const set = envelope({ endpoint: { headers: { [name]: "fake" } } }).headers;
  expect(set.get(name)).not.toBe("fake");
});

test("the endpoint's header replaces the sender's under any spelling", () => {
  const endpoint = { headers: { "X-Tenant": "ours" } };
  expect(envelope({ endpoint, headers: { "x-tenant": "theirs" } }).headers.get("x-tenant")).toBe("ours");
});
