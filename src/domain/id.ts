/**
 * Ids are UUIDv7 (RFC 9562 section 5.7): 16 bytes in the store, 32 lower-case hex digits in code. Prefixes
 * such as `ep_` exist only where a person or a client sees an id.
 *
 * A factory never goes back: when the clock steps back, or more than 4,096 ids fall into one millisecond, the
 * timestamp part keeps its last value or runs ahead. The store passes its newest id as `floor` at start, so
 * the order also holds over restarts.
 */

/** 32 lower-case hex digits. */
export type Id = string;

/** What an id is shown as. The prefix is checked, and stripped, when an id comes back in a request. */
export const ID_PREFIX = {
  event: "evt_",
  delivery: "dlv_",
  endpoint: "ep_",
  source: "src_",
  subscription: "sub_",
  rejection: "rej_",
  schedule: "sch_",
  bulk: "blk_",
  key: "key_",
  request: "req_",
} as const;

export type IdKind = keyof typeof ID_PREFIX;

const HEX_ID = /^[0-9a-f]{32}$/;

export function showId(kind: IdKind, id: Id): string {
  return ID_PREFIX[kind] + id;
}

/** Returns the id behind a shown one; null for another kind's prefix or anything that is no id. */
export function readId(kind: IdKind, text: string): Id | null {
  const prefix = ID_PREFIX[kind];
  if (!text.startsWith(prefix)) return null;
  const id = text.slice(prefix.length);
  return HEX_ID.test(id) ? id : null;
}

const COUNTER_MAX = 0xfff;
/** Hex digits of randomness in one id (the 62 bits after the variant, rounded up to 64). */
const RANDOM_DIGITS = 16;
const POOL_BYTES = 4_096;

export interface IdSources {
  now: () => number;
  randomBytes: (length: number) => Uint8Array;
}

/** Returns a function that makes the next id. `floor` is the newest id that exists already. */
export function createIdFactory(sources: IdSources, floor: Id | null = null): () => Id {
  let lastMs = floor === null ? 0 : Number.parseInt(floor.slice(0, 12), 16);
  let counter = COUNTER_MAX;
  let prefix = "";
  let pool = "";
  let poolAt = 0;
  return () => {
    const nowMs = sources.now();
    if (nowMs > lastMs) {
      lastMs = nowMs;
      counter = 0;
      prefix = `${nowMs.toString(16).padStart(12, "0")}7`;
    } else if (counter === COUNTER_MAX) {
      lastMs += 1;
      counter = 0;
      prefix = `${lastMs.toString(16).padStart(12, "0")}7`;
    } else {
      counter += 1;
    }
    if (poolAt >= pool.length) {
      pool = Buffer.from(sources.randomBytes(POOL_BYTES)).toString("hex");
      poolAt = 0;
    }
    const random = pool.slice(poolAt, poolAt + RANDOM_DIGITS);
    poolAt += RANDOM_DIGITS;
    // The variant is the two bits 10, so the digit before the random ones is 8, 9, a or b.
    const variant = "89ab"[Number.parseInt(random[0] ?? "0", 16) & 3];
    return prefix + counter.toString(16).padStart(3, "0") + variant + random.slice(1);
  };
}
