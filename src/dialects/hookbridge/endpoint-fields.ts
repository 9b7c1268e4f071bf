/** What the API takes for an endpoint: its limits, and what is refused before anything is made. */
import type { RateRule } from "../../domain/endpoint.ts";
import { isPrivateHost } from "../../domain/network.ts";
import type { HookbridgeSettings } from "../../domain/project-settings.ts";
import { Fault } from "./answer.ts";
import { type Fields, wrong } from "./fields.ts";
import { isOwnHeader } from "./profiles.ts";

const URL_CHARS_MIN = 12;
const URL_CHARS_MAX = 2_048;
const HEADERS_MAX = 50;
const HEADERS_BYTES_MAX = 8_192;

/** RFC 9110, section 5.6.2: a field name is a token. */
const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
const HEADER_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;
/** Beside those that the envelope sets (protocol section 17, row 9). */
const FORBIDDEN = /^(?:authorization|content-type|proxy-.*|x-webhook-.*)$/;

/** Returns the URL as it is kept, or throws INVALID_ENDPOINT or ENDPOINT_BLOCKED. */
export function checkUrl(text: string, { allowHttp }: Pick<HookbridgeSettings, "allowHttp">): string {
  if (text.length < URL_CHARS_MIN || text.length > URL_CHARS_MAX) {
    const detail = `a URL has ${URL_CHARS_MIN} to ${URL_CHARS_MAX} characters`;
    throw new Fault("INVALID_ENDPOINT", detail);
  }
  const url = URL.parse(text);
  if (!url || (url.protocol !== "https:" && url.protocol !== "http:")) {
    throw new Fault("INVALID_ENDPOINT", "the URL must begin with https://");
  }
  if (url.protocol === "http:" && !allowHttp) {
    throw new Fault("INVALID_ENDPOINT", "the URL must begin with https:// (see allow_http)");
  }
  if (!allowHttp && isPrivateHost(url.hostname)) {
    throw new Fault("ENDPOINT_BLOCKED", "the URL points to a private or internal address (see allow_http)");
  }
  return text;
}

/** Two spellings of one URL are one URL. */
export function sameUrl(left: string, right: string): boolean {
  return left === right || URL.parse(left)?.href === URL.parse(right)?.href;
}

/** Returns headers to send, under the names given, or throws INVALID_HEADERS. */
export function readHeaders(fields: Fields, name = "headers"): Record<string, string> | undefined {
  const given = fields.map(name);
  if (given === undefined) return undefined;
  const entries = Object.entries(given);
  if (entries.length > HEADERS_MAX) throw refused(`at most ${HEADERS_MAX} headers can be set`);
  let bytes = 0;
  for (const [header, value] of entries) {
    const lower = header.toLowerCase();
    if (!HEADER_NAME.test(header)) throw refused(`"${header}" is no header name`);
    if (typeof value !== "string") throw refused(`the value of ${header} must be a string`);
    if (!HEADER_VALUE.test(value)) throw refused(`${header} has characters that no header can carry`);
    if (isOwnHeader(lower) || FORBIDDEN.test(lower)) throw refused(`${header} cannot be set`);
    bytes += header.length + value.length;
  }
  if (bytes > HEADERS_BYTES_MAX) throw refused(`headers take at most ${HEADERS_BYTES_MAX} bytes together`);
  return Object.fromEntries(entries) as Record<string, string>;
}

function refused(text: string): Fault {
  return new Fault("INVALID_HEADERS", text);
}

const RATE_MAX = 1_000;
const BURST_MAX = 10_000;

export function readRate(fields: Fields): { rps: number | undefined; burst: number | undefined } {
  return {
    rps: fields.integer("rate_limit_rps", { max: RATE_MAX }),
    burst: fields.integer("burst", { max: BURST_MAX }),
  };
}

/** Nothing per second means no limit; without a burst of its own, a second's worth. */
export function rateRule(rps: number, burst: number): RateRule | null {
  return rps === 0 ? null : { perSecond: rps, burst: burst === 0 ? rps : burst };
}

const DESCRIPTION_MAX = 500;

export function readDescription(fields: Fields): string | undefined {
  return fields.text("description", DESCRIPTION_MAX);
}

export function required<Value>(value: Value | undefined, name: string): Value {
  if (value === undefined) throw wrong(name, "given");
  return value;
}
