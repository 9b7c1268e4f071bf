/** Headers that hold time and signatures as pairs: `t=1777604400,v1=5257a8...,v1=...` */

import type { ClaimReader } from "./claim-verifier.ts";
import { readHeader } from "./header.ts";
import { malformedSignature, missingSignature } from "./refusal.ts";
import { parseUnixSeconds } from "./timestamp.ts";

export interface TimedPairs {
  readonly header: string;
  readonly separator: string;
  /** The key of the time, in Unix seconds; of several the last counts. */
  readonly timeKey: string;
  /** The key of a signature; any of several may match. */
  readonly signatureKey: string;
  /** Stands between time and body in what is signed. */
  readonly joint: string;
}

/** Other keys are ignored, and so is a pair behind a space, which none of the providers sends. */
export function timedPairsReader({
  header,
  separator,
  timeKey,
  signatureKey,
  joint,
}: TimedPairs): ClaimReader {
  const timeStart = `${timeKey}=`;
  const signatureStart = `${signatureKey}=`;
  return (request) => {
    const value = readHeader(request, header);
    if (value === null) return missingSignature(header);
    let timestamp = "";
    const signatures: string[] = [];
    for (const pair of value.split(separator)) {
      if (pair.startsWith(timeStart)) timestamp = pair.slice(timeStart.length);
      else if (pair.startsWith(signatureStart)) signatures.push(pair.slice(signatureStart.length));
    }
    const time = parseUnixSeconds(timestamp);
    if (time === null) return malformedSignature(header, `holds no ${timeStart}<Unix seconds>`);
    return { ok: true, signatures, signed: [timestamp, joint, request.body], time };
  };
}
