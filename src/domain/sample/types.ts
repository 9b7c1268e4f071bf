/**
 * What sample events are made of. Everything follows from a seed, so that the same seed makes the same bytes.
 */

export interface SampleSeed {
  /** In the provider's own words: "invoice.paid", "orders/create", "pull_request.opened". */
  readonly type: string;
  /** 32 hexadecimal digits, for ids of any shape. */
  readonly hex: string;
  /** The same as a UUID. */
  readonly uuid: string;
  /** The same as a number below 2^44. */
  readonly number: number;
  /** Epoch milliseconds. */
  readonly at: number;
}

export interface SampleShape {
  /** Types that the provider sends; the first stands when none is asked for. Any other works too. */
  readonly types: readonly string[];
  readonly make: (seed: SampleSeed) => SampleContent;
}

export interface SampleContent {
  /** What the provider sends besides the signature. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as JSON. */
  readonly json?: unknown;
  /** Sent as a form. */
  readonly form?: Readonly<Record<string, string>>;
}

/** An instant as providers write it: without fractions. */
export function isoSeconds(at: number): string {
  return new Date(at).toISOString().replace(/\.\d+Z$/, "Z");
}

export function unixSeconds(at: number): number {
  return Math.floor(at / 1_000);
}
