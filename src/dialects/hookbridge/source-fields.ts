/**
 * What the API takes for endpoints that receive (protocol sections 12.1 and 13): verification, idempotency,
 * the answer. Read into a definition of an engine source, and shown from one.
 */
import { DAY, MINUTE, SECOND } from "../../domain/duration.ts";
import { parseCidrs } from "../../domain/network.ts";
import type { DedupeRule, Selector } from "../../domain/selector.ts";
import type { VerifySpec } from "../../domain/signature/index.ts";
import type { Source } from "../../domain/source.ts";
import { Fault } from "./answer.ts";
import { required } from "./endpoint-fields.ts";
import { type Fields, wrong } from "./fields.ts";
import type { SourceExtra } from "./objects.ts";

/** As long as the engine keeps events by default: a duplicate is answered with the first one's id. */
const DEDUPE_WINDOW_MS = 7 * DAY;
const TTL_DEFAULT_S = (5 * MINUTE) / SECOND;
/** Every combination of present headers is a key of its own, and there are 2^n of them. */
const IDEMPOTENCY_HEADERS_MAX = 5;
const NAME_CHARS_MAX = 128;
const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}$/;

type TokenSpec = Extract<VerifySpec, { scheme: "token" }>;
type HmacSpec = Extract<VerifySpec, { scheme: "hookbridge-inbound" }>;

export interface Verification {
  readonly verify: Source["verify"];
  readonly allowCidrs: readonly string[];
}

/** What a source checks now, in the API's terms; a change starts from it. */
function tokenOf({ verify }: Pick<Source, "verify">): TokenSpec | undefined {
  return verify.find((spec) => spec.scheme === "token");
}

function hmacOf({ verify }: Pick<Source, "verify">): HmacSpec | undefined {
  return verify.find((spec) => spec.scheme === "hookbridge-inbound");
}

/**
 * Returns what is checked from now on: what the request says, and for the rest what was so far. Throws
 * INVALID_REQUEST for a check that is switched on without what it needs.
 */
export function readVerification(
  fields: Fields,
  old: Verification,
  { tokenCharsMin }: { readonly tokenCharsMin: number },
): Verification {
  const specs = [readToken(fields, tokenOf(old), tokenCharsMin), readHmac(fields, hmacOf(old))];
  const verify = specs.filter((spec) => spec !== null);
  return {
    verify: verify.length === 0 ? [{ scheme: "none" }] : verify,
    allowCidrs: readCidrs(fields, old.allowCidrs),
  };
}

function readToken(fields: Fields, old: TokenSpec | undefined, charsMin: number): TokenSpec | null {
  if (!(fields.flag("verify_static_token") ?? old !== undefined)) return null;
  const header = nameOf(fields, "token_header_name") ?? old?.header;
  const query = fields.text("token_query_param", NAME_CHARS_MAX) ?? old?.query;
  const value = fields.text("token_value") ?? old?.secrets[0]?.value;
  if (value === undefined || value === "") throw wrong("token_value", "given to verify a static token");
  if (value.length < charsMin) throw wrong("token_value", `at least ${charsMin} characters long`);
  if (!header && !query) throw wrong("token_header_name or token_query_param", "given");
  return {
    scheme: "token",
    ...(header ? { header } : {}),
    ...(query ? { query } : {}),
    secrets: [{ value }],
  };
}

function readHmac(fields: Fields, old: HmacSpec | undefined): HmacSpec | null {
  if (!(fields.flag("verify_hmac") ?? old !== undefined)) return null;
  const header = required(nameOf(fields, "hmac_header_name") ?? old?.header, "hmac_header_name");
  const secret = required(fields.text("hmac_secret") ?? old?.secrets[0]?.value, "hmac_secret");
  if (secret === "") throw wrong("hmac_secret", "given to verify signatures");
  const timestampHeader = nameOf(fields, "timestamp_header_name") ?? old?.timestampHeader;
  const ttl = fields.integer("timestamp_ttl_seconds", { min: 1, max: 31_536_000 });
  const toleranceMs = ttl === undefined ? (old?.toleranceMs ?? TTL_DEFAULT_S * SECOND) : ttl * SECOND;
  return {
    ...{ scheme: "hookbridge-inbound", header, secrets: [{ value: secret }], toleranceMs },
    ...(timestampHeader ? { timestampHeader } : {}),
  };
}

function readCidrs(fields: Fields, old: readonly string[]): readonly string[] {
  if (!(fields.flag("verify_ip_allowlist") ?? old.length > 0)) return [];
  const cidrs = fields.texts("allowed_cidrs", { max: 1_000 }) ?? old;
  if (cidrs.length === 0) throw wrong("allowed_cidrs", "given to verify addresses");
  parseCidrs(cidrs);
  return cidrs;
}

function nameOf(fields: Fields, field: string): string | undefined {
  const name = fields.text(field, NAME_CHARS_MAX);
  if (name !== undefined && name !== "" && !HEADER_NAME.test(name)) throw wrong(field, "a header name");
  return name;
}

export function readIdempotencyHeaders(fields: Fields): readonly string[] | undefined {
  const names = fields.texts("idempotency_header_names", { max: IDEMPOTENCY_HEADERS_MAX });
  if (names?.some((name) => !HEADER_NAME.test(name))) {
    throw wrong("idempotency_header_names", "a list of header names");
  }
  return names;
}

/**
 * Returns the rule by which a repeated request is known: the values of those headers that are there, in their
 * order. The engine's rule takes the first combination that is complete, so all of them are listed, the
 * larger ones first.
 */
export function dedupeRule(names: readonly string[]): DedupeRule | null {
  if (names.length === 0) return null;
  const selectors: Selector[][] = [];
  for (let mask = 2 ** names.length - 1; mask > 0; mask -= 1) {
    selectors.push(
      names.flatMap((name, index) => (mask & (1 << index) ? [{ kind: "header", name } as const] : [])),
    );
  }
  selectors.sort((a, b) => b.length - a.length);
  return { selectors, windowMs: DEDUPE_WINDOW_MS };
}

export function readResponseCode(fields: Fields): number | undefined {
  return fields.integer("ingest_response_code", { min: 200, max: 299 });
}

export function readName(fields: Fields): string | undefined {
  return fields.text("name", 255);
}

/** Members that both kinds of receiving endpoints show. */
export function showVerification(source: Source, { idempotencyHeaders }: SourceExtra) {
  const token = tokenOf(source);
  const hmac = hmacOf(source);
  const hasTime = hmac?.timestampHeader !== undefined;
  return {
    verify_static_token: token !== undefined,
    token_header_name: token?.header ?? null,
    token_query_param: token?.query ?? null,
    verify_hmac: hmac !== undefined,
    hmac_header_name: hmac?.header ?? null,
    timestamp_header_name: hmac?.timestampHeader ?? null,
    timestamp_ttl_seconds: hasTime ? Math.round((hmac.toleranceMs ?? 0) / SECOND) : null,
    verify_ip_allowlist: source.allowCidrs.length > 0,
    allowed_cidrs: source.allowCidrs,
    ingest_response_code: source.respond.status,
    idempotency_header_names: idempotencyHeaders,
  };
}

/** Throws for an odd path: a dotted way through a JSON body, or the name of a header. */
export function eventTypeSelector(kind: "body" | "header" | null, path: string | null): Selector | null {
  if (kind === null || path === null || path === "") return null;
  if (kind === "body") return { kind: "json", path: path.replace(/^\$\./, "").split(".") };
  if (!HEADER_NAME.test(path)) throw new Fault("INVALID_REQUEST", "event_type_path must be a header name");
  return { kind: "header", name: path };
}
