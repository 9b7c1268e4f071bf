/** HTTP Basic authentication (RFC 7617), for producers that can only put credentials into the URL. */

import { AppError } from "../errors.ts";
import { readHeader } from "./header.ts";
import { ACCEPTED, missingToken, tokenMismatch } from "./refusal.ts";
import { matchCredential, prepareCredentials } from "./token.ts";
import type { Secret, Verifier } from "./types.ts";

export interface BasicOptions {
  readonly username: string;
  /** The passwords. */
  readonly secrets: readonly Secret[];
}

/** RFC 9110 section 11.1: the scheme's name is case-insensitive. */
const CREDENTIALS = /^basic +(\S+)$/i;

/**
 * Prepares the check. Throws `invalid_request` for a user name with a colon, which RFC 7617 section 2
 * forbids.
 */
export function prepareBasic(options: BasicOptions): Verifier {
  const { username } = options;
  if (username.includes(":")) throw new AppError("invalid_request", "A user name must not contain a colon.");
  const keyring = prepareCredentials(options.secrets, (password) => `${username}:${password}`);
  return (request, now) => {
    const encoded = CREDENTIALS.exec(readHeader(request, "authorization") ?? "")?.[1];
    if (encoded === undefined) return missingToken("Authorization: Basic");
    const match = matchCredential(keyring, Buffer.from(encoded, "base64"), now);
    return match.ok ? ACCEPTED : tokenMismatch("Authorization", match.oldSecretUntil);
  };
}
