/**
 * What is wrong with a source that only those who run it can tell: a secret that is no key, a range that is
 * no range, a condition that means nothing. The configuration asks before anything is applied.
 */
import { prepareChallenge } from "./challenge.ts";
import { AppError } from "./errors.ts";
import { checkFilter } from "./filter.ts";
import { parseCidrs } from "./network.ts";
import { prepareVerify } from "./signature/index.ts";
import type { Source } from "./source.ts";

export interface SourceFault {
  /** From the source on. */
  readonly path: readonly (string | number)[];
  /** Completes "verify: ..."; safe to print. */
  readonly message: string;
}

/** As written: whether `when` is a filter is what is asked here. */
interface Checkable extends Pick<Source, "verify" | "challenge" | "allowCidrs"> {
  readonly to: readonly { readonly when: unknown }[];
}

/** Returns every fault; none means that preparing the source for requests will not throw. */
export function checkSource({ verify, challenge, allowCidrs, to }: Checkable): SourceFault[] {
  return [
    ...verify.flatMap((spec, index) => faultsOf(["verify", index], () => prepareVerify(spec))),
    ...(challenge === null ? [] : faultsOf(["challenge"], () => prepareChallenge(challenge))),
    ...allowCidrs.flatMap((range, index) => faultsOf(["allow_cidrs", index], () => parseCidrs([range]))),
    ...to.flatMap(({ when }, index) => {
      if (when === null) return [];
      return checkFilter(when).map(({ path, message }) => ({
        path: ["to", index, "when", ...path],
        message,
      }));
    }),
  ];
}

function faultsOf(path: SourceFault["path"], prepare: () => unknown): SourceFault[] {
  try {
    prepare();
    return [];
  } catch (error) {
    if (error instanceof AppError) return [{ path, message: error.message }];
    throw error;
  }
}
