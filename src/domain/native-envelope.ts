/**
 * The native envelope: the stored bytes unchanged, the sender's headers that may travel on, the endpoint's
 * own headers, and on top the signatures. The receiver's `webhook-id` is the event's id for event-born
 * deliveries, else the delivery's, so that it stays the same over retries, restarts and replays.
 */
import { isReservedHeader } from "./header-rules.ts";
import { showId } from "./id.ts";
import { signAll } from "./signature/index.ts";
import type { DeliveryFacts, Envelope } from "./strategy.ts";

/**
 * Never forwarded: hop-by-hop headers (RFC 9110 section 7.6.1), framing, the host, the sender's credentials,
 * what a proxy on the way said about the connection, and a signature over the id and timestamp that ours
 * replace. Compared in lower case.
 */
const NOT_FORWARDED: ReadonlySet<string> = new Set([
  "connection",
  "keep-alive",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
  "expect",
  "host",
  "content-length",
  "accept-encoding",
  "authorization",
  "proxy-authorization",
  "proxy-authenticate",
  "cookie",
  "x-api-key",
  "forwarded",
  "via",
  "x-forwarded-for",
  "x-forwarded-host",
  "x-forwarded-port",
  "x-forwarded-proto",
  "x-real-ip",
  "webhook-signature",
  "postern-ack-url",
  "postern-nack-url",
]);

/** Whether a header of a payload travels on. The name is lower-case. */
export function isForwarded(name: string): boolean {
  return !NOT_FORWARDED.has(name) && !isReservedHeader(name);
}

export const NATIVE_ENVELOPE: Envelope = ({ delivery, endpoint, payload, wallNow, ackUrls }) => {
  const headers = new Headers();
  const dropped = connectionNamed(payload.headers.connection);
  for (const name in payload.headers) {
    if (NOT_FORWARDED.has(name) || dropped?.has(name)) continue;
    headers.set(name, payload.headers[name] ?? "");
  }
  for (const name in endpoint.headers) {
    if (!isReservedHeader(name.toLowerCase())) setSpelled(headers, name, endpoint.headers[name] ?? "");
  }
  const id = webhookId(delivery);
  const timestamp = Math.floor(wallNow / 1_000);
  headers.set("webhook-id", id);
  headers.set("webhook-timestamp", String(timestamp));
  const signed = signAll(endpoint.sign, { id, timestamp, body: payload.body, now: wallNow });
  for (const [name, value] of signed) setSpelled(headers, name, value);
  if (endpoint.ack) {
    const { ack, nack } = ackUrls(endpoint.timeoutMs + endpoint.ack.deadlineMaxMs);
    headers.set("Postern-Ack-URL", ack);
    headers.set("Postern-Nack-URL", nack);
  }
  return { method: "POST", url: endpoint.url, headers, body: payload.body };
};

/**
 * Sets a header under this very spelling. `Headers` sends the spelling that a name first came with, and some
 * receivers look a signature up under one spelling only.
 */
function setSpelled(headers: Headers, name: string, value: string): void {
  headers.delete(name);
  headers.set(name, value);
}

function webhookId(delivery: DeliveryFacts): string {
  return delivery.eventId === null ? showId("delivery", delivery.id) : showId("event", delivery.eventId);
}

/**
 * The Connection header may name further headers that end at the next hop. Most requests name none worth a
 * set.
 */
function connectionNamed(value: string | undefined): ReadonlySet<string> | null {
  if (value === undefined || value === "close" || value === "keep-alive") return null;
  return new Set(
    value
      .toLowerCase()
      .split(",")
      .map((name) => name.trim()),
  );
}
