/** What a caller wants sent: a text or a JSON value, with headers. Pure. */
import { isForwarded } from "./native-envelope.ts";
import type { Content } from "./schedule-definition.ts";

export interface ContentWords {
  /** Sent as it is. */
  readonly text?: string | undefined;
  /** Sent as JSON. */
  readonly json?: unknown;
  readonly headers?: Readonly<Record<string, string>> | undefined;
}

/** RFC 9110, section 5.6.2: a field name is a token. */
const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
const HEADER_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

/** Returns the content; its type is JSON or plain text unless the headers say otherwise. */
export function contentOf({ text, json, headers = {} }: ContentWords): Content {
  const named = Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]);
  const hasBody = json !== undefined || text !== undefined;
  const type = json !== undefined ? "application/json" : "text/plain; charset=utf-8";
  return {
    headers: { ...(hasBody ? { "content-type": type } : {}), ...Object.fromEntries(named) },
    body: json !== undefined ? JSON.stringify(json) : (text ?? ""),
  };
}

/** Returns what is wrong with a header; null: it can be sent. */
export function headerProblem(name: string, value: string): string | null {
  if (!HEADER_NAME.test(name)) return `"${name}" is no header name`;
  if (!HEADER_VALUE.test(value)) return `the value of ${name} has characters that no header can carry`;
  if (isForwarded(name.toLowerCase())) return null;
  return `${name} is not sent on; what the receiver wants as credentials belongs in the endpoint's headers`;
}
