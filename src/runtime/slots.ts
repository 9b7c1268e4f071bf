/**
 * The global bound on attempts in flight, shared so that no set of lanes can starve another. Four rules,
 * cheapest form that holds against hundreds of hanging receivers:
 *
 *   1. A lane that has shown to be fast may take its first two slots wherever there is a free one.
 *   2. It may take more while all attempts that are not late hold less than half of what late ones leave.
 *   3. Any other lane (new, or slow) may hold one; more only out of the first three eighths of all slots, and
 *      at most the 32nd part of what is left of those.
 *   4. The last eighth of all slots is for fast lanes only.
 *
 * Fast means: its attempts took under a second on a moving average, and none is out for longer than that now.
 * Late is an attempt that is out for longer than that. Rule 2 is for lanes that were fast and then all hang
 * at once: however many they are, they get half of what there is, two each of the other half, and after a
 * second they are late, and half of what they left is open to the rest again.
 *
 * At the default of 1,024 some 620 lanes can hang at once, all of them new, and the next one still gets its
 * slot. No lane ever has more than half of all slots.
 */
import { SECOND } from "../domain/duration.ts";

const FAST_HOLD_MS = SECOND;
const UNPROVEN_POOL = 3 / 8;
const UNPROVEN_SHARE = 32;
const FAST_RESERVE_SHARE = 8;
/** What a fast lane may hold whatever the others do. */
const FAST_BASE = 2;
/** Of the slots that are not late, how many are for more than the base. */
const FAST_POOL = 1 / 2;
/** Weight of the newest attempt in the moving average: some ten attempts make or break a reputation. */
const AVERAGE_WEIGHT = 0.2;

/** What a lane's slots have been doing. Owned by the lane, read and written only here. */
export interface SlotUse {
  inFlight: number;
  /** Moving average of how long an attempt held its slot; null before the first. */
  averageHoldMs: number | null;
  /** Monotonic instants at which the attempts in flight took their slots, oldest first. */
  readonly takenAt: Set<SlotTicket>;
  /** Attempts that a connected listener has: they count in the lane, and take nothing of what lanes share. */
  readonly handed: Set<SlotTicket>;
}

export interface SlotTicket {
  readonly at: number;
}

export function newSlotUse(): SlotUse {
  return { inFlight: 0, averageHoldMs: null, takenAt: new Set(), handed: new Set() };
}

export class Slots {
  readonly #total: number;
  /** Attempts that are out and not known to be late, oldest first. */
  readonly #prompt = new Set<SlotTicket>();
  #used = 0;

  constructor(total: number) {
    this.#total = total;
  }

  get used(): number {
    return this.#used;
  }

  get total(): number {
    return this.#total;
  }

  /** Returns how many slots the lane may take now, at most `wanted`. */
  allowance(use: SlotUse, wanted: number, monotonicMs: number): number {
    const free = this.#total - this.#used;
    if (free <= 0 || wanted <= 0) return 0;
    if (isFast(use, monotonicMs)) {
      const base = Math.max(0, FAST_BASE - use.takenAt.size);
      return wanted <= base
        ? Math.min(wanted, free)
        : this.#fastAllowance(wanted, { base, free, monotonicMs });
    }
    const open = free - Math.floor(this.#total / FAST_RESERVE_SHARE);
    if (open <= 0) return 0;
    const pool = Math.floor(this.#total * UNPROVEN_POOL) - this.#used;
    const share = Math.max(1, Math.floor(pool / UNPROVEN_SHARE));
    return Math.max(0, Math.min(wanted, open, share - use.takenAt.size));
  }

  #fastAllowance(
    wanted: number,
    { base, free, monotonicMs }: { base: number; free: number; monotonicMs: number },
  ): number {
    // Each ticket is looked at once in its life here, so this costs nothing that grows.
    for (const oldest of this.#prompt) {
      if (monotonicMs - oldest.at < FAST_HOLD_MS) break;
      this.#prompt.delete(oldest);
    }
    const prompt = this.#prompt.size;
    const late = this.#used - prompt;
    const pool = Math.ceil((this.#total - late) * FAST_POOL) - prompt;
    return Math.min(wanted, free, Math.max(base, pool));
  }

  take(use: SlotUse, monotonicMs: number): SlotTicket {
    const ticket = { at: monotonicMs };
    this.#used += 1;
    this.#prompt.add(ticket);
    use.inFlight += 1;
    use.takenAt.add(ticket);
    return ticket;
  }

  /** Gives a slot back. `isUsed` false means that nothing was sent, which says nothing about the receiver. */
  giveBack(use: SlotUse, ticket: SlotTicket, options: { isUsed: boolean; monotonicMs: number }): void {
    if (use.handed.delete(ticket)) use.inFlight -= 1;
    if (!this.#free(use, ticket)) return;
    use.inFlight -= 1;
    if (options.isUsed) noteHold(use, options.monotonicMs - ticket.at);
  }

  /**
   * A connected listener has the attempt now: it holds no request, and so no slot, until it is given back.
   */
  handOver(use: SlotUse, ticket: SlotTicket, monotonicMs: number): void {
    if (!this.#free(use, ticket)) return;
    use.handed.add(ticket);
    noteHold(use, monotonicMs - ticket.at);
  }

  #free(use: SlotUse, ticket: SlotTicket): boolean {
    if (!use.takenAt.delete(ticket)) return false;
    this.#used -= 1;
    this.#prompt.delete(ticket);
    return true;
  }
}

function noteHold(use: SlotUse, heldMs: number): void {
  const average = use.averageHoldMs;
  use.averageHoldMs = average === null ? heldMs : average + (heldMs - average) * AVERAGE_WEIGHT;
}

/** Whether the lane has earned the first rule. */
export function isFast(use: SlotUse, monotonicMs: number): boolean {
  if (use.averageHoldMs === null || use.averageHoldMs >= FAST_HOLD_MS) return false;
  for (const oldest of use.takenAt) return monotonicMs - oldest.at < FAST_HOLD_MS;
  return true;
}
