/**
 * Sending (protocol section 6). The payload's bytes are cut out of the request as they stand and never
 * written anew: what a receiver verifies is what the producer wrote.
 */

import { HOUR } from "../../domain/duration.ts";
import type { Endpoint } from "../../domain/endpoint.ts";
import type { SendKey } from "../../domain/sending.ts";
import { answerData, Fault } from "./answer.ts";
import { readHeaders, required, sameUrl } from "./endpoint-fields.ts";
import { type Fields, fieldsOf, readJson } from "./fields.ts";
import type { MessageSpec } from "./objects.ts";
import type { Call, Route } from "./router.ts";
import type { Service } from "./service.ts";
import { sha256, showStatus, showUuid } from "./wire.ts";

export const PAYLOAD_BYTES_MAX = 1_048_576;
/** The envelope around a payload: 8 KB of headers, written with escapes, and the rest. */
const REQUEST_BYTES_MAX = PAYLOAD_BYTES_MAX + 131_072;
const KEY_CHARS_MAX = 255;
/** Ten years; what is kept longer is bounded by the store's own retention anyway. */
const RETENTION_HOURS_MAX = 87_600;

export function sendRoute(service: Service): Route {
  return {
    method: "POST",
    path: "/v1/webhooks/send",
    scope: "ingest",
    run: (call) => send(call, service),
  };
}

async function send(call: Call, service: Service): Promise<Response> {
  const json = readJson(await call.bytes(REQUEST_BYTES_MAX));
  const fields = fieldsOf(json);
  const endpoint = findTarget(fields, call, service);
  const span = Array.isArray(json.value) ? undefined : json.members().get("payload");
  if (span === undefined) throw new Fault("INVALID_REQUEST", "payload must be given");
  const body = json.slice(span);
  if (body.byteLength > PAYLOAD_BYTES_MAX) throw tooLarge();
  const headers = lowerCased(readHeaders(fields) ?? {});
  const key = fields.text("idempotency_key", KEY_CHARS_MAX);
  const retentionHours = fields.integer("retention_hours", { max: RETENTION_HOURS_MAX });
  const { clock } = service.context;
  const spec: MessageSpec = {
    sizeBytes: body.byteLength,
    sha256: sha256(body),
    acceptedAt: clock.wallNow(),
    ...(key === undefined ? {} : { key }),
    ...(retentionHours === undefined ? {} : { retentionHours }),
  };
  const sent = await service.context.sends.send(endpoint, {
    payload: { headers: JSON.stringify({ "content-type": "application/json", ...headers }), body },
    spec: JSON.stringify(spec),
    key: key === undefined ? null : sendKey(key, body),
    expiresAt: retentionHours === undefined ? null : clock.now() + retentionHours * HOUR,
  });
  if (sent === "mismatch") {
    throw new Fault("IDEMPOTENCY_MISMATCH", "this idempotency key was used with another payload");
  }
  // A new message is "queued" whatever becomes of it at once: the SDKs' own tests ask for that word.
  const status = sent.isNew ? "queued" : showStatus(sent.state);
  return answerData(call.context, { message_id: showUuid(sent.id), status }, { status: 202 });
}

export function tooLarge(): Fault {
  return new Fault("PAYLOAD_TOO_LARGE", `a payload has at most ${PAYLOAD_BYTES_MAX} bytes`);
}

/** Clients of version 1.0 name the URL in place of the id. */
function findTarget(fields: Fields, { project }: Call, service: Service): Endpoint {
  const id = fields.text("endpoint_id");
  if (id !== undefined) return service.endpoint(project, id);
  const url = required(fields.text("endpoint"), "endpoint_id");
  const found = service.endpointsOf(project).find((endpoint) => sameUrl(endpoint.url, url));
  if (!found) throw new Fault("ENDPOINT_NOT_FOUND", "no endpoint has this URL");
  return found;
}

function lowerCased(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
}

/** Producers in several languages order keys differently, so payloads are compared in canonical form. */
function sendKey(key: string, body: Uint8Array): SendKey {
  const canonical = canonicalize(JSON.parse(new TextDecoder().decode(body), keepDigits as never));
  return { key, fingerprint: new Bun.CryptoHasher("sha256").update(canonical).digest() };
}

/** Numbers keep the digits that were sent: beyond 2^53 different ones would look equal. */
class Digits {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

function keepDigits(_key: string, value: unknown, { source }: { readonly source?: string }): unknown {
  return typeof value === "number" && source !== undefined ? new Digits(source) : value;
}

function canonicalize(value: unknown): string {
  if (value instanceof Digits) return value.text;
  if (Array.isArray(value)) return `[${value.map(canonicalize).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const members = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${members.map(([name, item]) => `${JSON.stringify(name)}:${canonicalize(item)}`).join(",")}}`;
}
