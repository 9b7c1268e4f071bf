/** What Pingback sends: the time, a point and the body; one signature, bare hex (protocol section 3.4). */

import { hmacSigner, type SignOptions, timedBody } from "./hmac-signer.ts";
import type { Signer } from "./types.ts";

/** The spelling matters: one of the official libraries looks these names up in two spellings only. */
export function preparePingbackSigner({ secrets }: SignOptions): Signer {
  return hmacSigner({
    secrets,
    isSingle: true,
    signed: timedBody,
    headers: ([digest], { timestamp }) => [
      ["X-Pingback-Timestamp", String(timestamp)],
      ["X-Pingback-Signature", digest],
    ],
  });
}
