/** Header access shared by the schemes. */

import { AppError } from "../errors.ts";
import type { SignedRequest } from "./types.ts";

/** RFC 9110 section 5.6.2: the characters of a token. */
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

/**
 * Throws `invalid_request` for a name that no header can have; `Headers` would throw on it at every request.
 */
export function checkHeaderName(name: string): string {
  if (!TOKEN.test(name)) throw new AppError("invalid_request", `"${name}" is no header name.`);
  return name;
}

/** The value, or null when the header is absent or empty: an empty signature is none. */
export function readHeader(request: SignedRequest, name: string): string | null {
  return request.headers.get(name) || null;
}
