/**
 * Reads a CallbackConfig out of a request (PyFly reference, section 2 for fields and defaults, section 8 for
 * what is refused). Pure.
 */
import { type Static, Type } from "@sinclair/typebox";
import { TypeCompiler } from "@sinclair/typebox/compiler";
import { AppError } from "../../domain/errors.ts";
import { isReservedHeader } from "../../domain/header-rules.ts";
import type { DeclaredCallbackConfig } from "../../domain/project-settings.ts";

const Subscription = Type.Object(
  {
    event_type: Type.String({ minLength: 1, maxLength: 256 }),
    target_url: Type.String({ maxLength: 2_048 }),
    headers: Type.Record(Type.String(), Type.String(), { default: {} }),
  },
  { additionalProperties: false },
);

const Domain = Type.Object(
  {
    domain: Type.String({ maxLength: 253 }),
    description: Type.String({ default: "", maxLength: 1_024 }),
  },
  { additionalProperties: false },
);

const SUBSCRIPTIONS_MAX = 256;
const DOMAINS_MAX = 256;

const Body = Type.Object(
  {
    id: Type.Optional(Type.String()),
    tenant_id: Type.String({ default: "", maxLength: 256 }),
    name: Type.String({ default: "", maxLength: 256 }),
    enabled: Type.Boolean({ default: true }),
    subscriptions: Type.Array(Subscription, { default: [], maxItems: SUBSCRIPTIONS_MAX }),
    authorized_domains: Type.Array(Domain, { default: [], maxItems: DOMAINS_MAX }),
    secret: Type.Optional(Type.Union([Type.String({ maxLength: 1_024 }), Type.Null()])),
    // Answered, so a client may send back what it was given.
    has_secret: Type.Optional(Type.Boolean()),
    created_at: Type.Optional(Type.String()),
    updated_at: Type.Optional(Type.String()),
    max_attempts: Type.Integer({ default: 5, minimum: 1, maximum: 1_000 }),
    backoff_ms: Type.Integer({ default: 5_000, minimum: 0, maximum: 86_400_000 }),
  },
  { additionalProperties: false },
);

const check = TypeCompiler.Compile(Body);

export interface ConfigDraft extends Omit<DeclaredCallbackConfig, "secret"> {
  /** Undefined: not said, so what is there stays. */
  readonly secret: string | null | undefined;
  /** Chosen by the caller: 32 lower-case hex digits. */
  readonly id: string | null;
}

/** Throws invalid_request. */
export function readConfigDraft(value: unknown): ConfigDraft {
  const body = withDefaults(value);
  if (!check.Check(body)) {
    const fault = check.Errors(body).First();
    const where = fault?.path ? `the member "${fault.path.slice(1)}"` : "the body";
    throw new AppError("invalid_request", `${where} is wrong: ${fault?.message ?? "unreadable"}`, {
      details: { path: fault?.path ?? "", known: Object.keys(Body.properties) },
    });
  }
  for (const [index, { target_url, headers }] of body.subscriptions.entries()) {
    const path = `subscriptions/${index}`;
    checkTarget(target_url, `${path}/target_url`);
    for (const [name, text] of Object.entries(headers)) checkHeader(name, text, `${path}/headers/${name}`);
  }
  for (const [index, { domain }] of body.authorized_domains.entries()) {
    if (domain.trim().replace(/\.$/, "") === "") wrong(`authorized_domains/${index}/domain`, "it is empty");
  }
  return toDraft(body);
}

function toDraft(body: Static<typeof Body>): ConfigDraft {
  return {
    id: readUuid(body.id),
    tenant: body.tenant_id,
    name: body.name,
    isEnabled: body.enabled,
    // PyFly treats an empty secret as none.
    secret: body.secret === undefined ? undefined : body.secret || null,
    attemptsMax: body.max_attempts,
    backoffMs: body.backoff_ms,
    authorizedDomains: body.authorized_domains,
    subscriptions: body.subscriptions.map(({ event_type, target_url, headers }) => ({
      eventType: event_type,
      targetUrl: target_url,
      headers,
    })),
  };
}

/** Members that are absent get their defaults, one level into the lists; nothing else is changed. */
function withDefaults(value: unknown): unknown {
  if (!isRecord(value)) return value;
  const lists: Record<string, unknown> = {};
  for (const name of ["subscriptions", "authorized_domains"] as const) {
    const list = value[name];
    const item = Body.properties[name].items;
    if (Array.isArray(list)) lists[name] = list.map((one) => (isRecord(one) ? fill(item, one) : one));
  }
  return fill(Body, { ...value, ...lists });
}

function fill(schema: { readonly properties: object }, value: Record<string, unknown>) {
  const filled = { ...value };
  for (const [name, property] of Object.entries(schema.properties) as [string, { default?: unknown }][]) {
    if (filled[name] === undefined && property.default !== undefined) filled[name] = property.default;
  }
  return filled;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function readUuid(id: string | undefined): string | null {
  if (id === undefined) return null;
  const hex = id.replaceAll("-", "").toLowerCase();
  if (!/^[0-9a-f]{32}$/.test(hex)) wrong("id", "a UUID is expected");
  return hex;
}

function checkTarget(url: string, path: string): void {
  const parsed = /^https?:\/\/[^/?#]/i.test(url) ? URL.parse(url) : null;
  if (parsed === null) wrong(path, "an absolute http or https URL is expected");
}

/** Framing, the host and hop-by-hop headers are the sender's business. */
function checkHeader(name: string, text: string, path: string): void {
  if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name)) wrong(path, "this is no header name");
  if (!/^[\t\x20-\x7e\x80-\xff]*$/.test(text)) wrong(path, "a header cannot carry this text");
  if (isReservedHeader(name.toLowerCase())) wrong(path, "this header cannot be set");
}

function wrong(path: string, message: string): never {
  throw new AppError("invalid_request", `the member "${path}" is wrong: ${message}`, {
    details: { path: `/${path}` },
  });
}
