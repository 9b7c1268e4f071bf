/** A signature of the receiver's own design: the outbound twin of the configurable `hmac` rule. */

import { AppError } from "../errors.ts";
import { checkHeaderName } from "./header.ts";
import { hmacSigner, type SignOptions } from "./hmac-signer.ts";
import type { DigestEncoding, HmacAlgorithm } from "./keyed-hash.ts";
import { parseTemplate } from "./template.ts";
import type { SignatureHeader, Signer } from "./types.ts";

export interface CustomSignOptions extends SignOptions {
  readonly header: string;
  readonly algorithm: HmacAlgorithm;
  readonly encoding: DigestEncoding;
  /** Stands before every signature: "sha256=". */
  readonly prefix?: string;
  /** What is signed: literals with {id}, {timestamp} and {body}; "{body}" when omitted. */
  readonly template?: string;
  /** Sends the Unix seconds under a name of its own as well; `webhook-timestamp` always has them. */
  readonly timestampHeader?: string;
  readonly idHeader?: string;
  /** Between the signatures of several secrets; without it only the first valid one signs. */
  readonly separator?: "," | " ";
}

/** Throws `invalid_request` for an impossible header name or template. */
export function prepareCustomSigner(options: CustomSignOptions): Signer {
  const { header, timestampHeader, idHeader, prefix = "", separator } = options;
  const template = parseTemplate(options.template ?? "{body}");
  if (template.uses.has("url")) {
    throw new AppError("invalid_request", "A signature that is sent cannot cover {url}.");
  }
  const names = [header, timestampHeader, idHeader].filter((name) => name !== undefined).map(checkHeaderName);
  if (new Set(names.map((name) => name.toLowerCase())).size < names.length) {
    throw new AppError("invalid_request", "Signature, time and id need headers of their own.");
  }
  return hmacSigner({
    ...options,
    isSingle: separator === undefined,
    signed: ({ id, timestamp, body }) => template.fill({ id, timestamp: String(timestamp), url: "", body }),
    headers: (digests, { id, timestamp }) => {
      const value = digests.map((digest) => prefix + digest).join(separator);
      const signed: SignatureHeader[] = [[header, value]];
      if (timestampHeader !== undefined) signed.push([timestampHeader, String(timestamp)]);
      if (idHeader !== undefined) signed.push([idHeader, id]);
      return signed;
    },
  });
}
