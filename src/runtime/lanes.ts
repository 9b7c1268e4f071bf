/**
 * Lanes: one per endpoint, each with its own concurrency, rate, pause and breaker, so that no backlog of one
 * delays another. A lane keeps a few numbers in memory and its backlog in the store: `nextDueAt` says when
 * something without a lease is next due, and claiming pages in a bounded window.
 *
 *   asleep     nothing due: in the wake heap at nextDueAt, or nowhere when the lane is empty
 *   blocked    due, but paused or disabled (an upsert wakes it), breaker, rest or rate (the heap wakes it),
 *              concurrency (its own release wakes it), or no global slot (the ring, served on every release)
 *   claiming   one claim is on its way to the store
 *
 * Two things keep the disk out of the way of a busy lane. A producer reserves its place before its insert
 * commits (`reserve`): the row is written as leased and the bytes in memory go out without being read back.
 * And a lane that has shown to be fast leases a window ahead of its slots (`ready`), so that a slot never
 * waits for a commit. A slow or new lane has none: what waits in a window is leased, in vain there.
 */
import type { Outcome } from "../domain/attempt.ts";
import type { Endpoint } from "../domain/endpoint.ts";
import type { SlowDown } from "../domain/pressure.ts";
import type { Timer } from "./clock.ts";
import {
  earliest,
  type Hold,
  isClosed,
  type Lane,
  type LaneOverview,
  type LanesOptions,
  newLane,
  overviewOf,
  type Place,
  type Reservation,
  redefine,
  WINDOW_BYTES_MAX,
  WINDOW_MAX,
} from "./lane.ts";
import { isFast } from "./slots.ts";
import { WakeHeap } from "./wake-heap.ts";

export type { LaneOverview } from "./lane.ts";

/** Bodies of one claim; a lane with huge bodies pages in fewer deliveries at a time. */
const CLAIM_BYTES_MAX = 8 * 1_048_576;
const CLAIM_ITEMS_MAX = 128;
/** After a claim that failed: the store is down, and its own probe runs at this pace. */
const CLAIM_RETRY_MS = 1_000;
/** Waiting lanes looked at per freed slot, so that a release costs the same however many wait. */
const RING_STEPS = 8;

export class Lanes<Claimed> {
  readonly #options: LanesOptions<Claimed>;
  readonly #lanes = new Map<number, Lane<Claimed>>();
  readonly #heap = new WakeHeap<Lane<Claimed>>();
  /** Lanes without a single slot that wait for a global one, longest waiting first. */
  readonly #ring = new Set<Lane<Claimed>>();
  /** Lanes that found their breaker closed to them, by its key. */
  readonly #breakerWaiters = new Map<string, Set<Lane<Claimed>>>();
  readonly #claims = new Set<Promise<void>>();
  #timer: { at: number; timer: Timer } | null = null;
  #windowBytes = 0;
  #isRunning = false;

  constructor(options: LanesOptions<Claimed>) {
    this.#options = options;
  }

  /** Begins to claim. `heads` is what the store holds from before. */
  start(heads: readonly { readonly lane: number; readonly nextDueAt: number }[]): void {
    this.#isRunning = true;
    const now = this.#options.clock.now();
    for (const head of heads) {
      this.noteDue(head.lane, head.nextDueAt);
      // What was interrupted may have been a drain.
      if (head.nextDueAt <= now) this.#lanes.get(head.lane)?.pace.beginDrain(now);
    }
    for (const lane of this.#lanes.values()) this.#pump(lane);
  }

  /**
   * Claims nothing more and gives back what waits in windows, and what a claim on its way still brings. What
   * was started goes on until it is released.
   */
  async stop(): Promise<void> {
    this.#isRunning = false;
    this.#timer?.timer.cancel();
    this.#timer = null;
    for (const lane of this.#lanes.values()) this.#emptyWindow(lane);
    await Promise.all(this.#claims);
  }

  /** Body bytes leased ahead of their slots, in all lanes together. */
  get windowBytes(): number {
    return this.#windowBytes;
  }

  /** Makes a lane known, or gives it its endpoint's new definition; wakes it, since it may be open now. */
  upsert(endpoint: Endpoint): void {
    const known = this.#lanes.get(endpoint.lane);
    const now = this.#options.clock.now();
    if (!known) return void this.#lanes.set(endpoint.lane, newLane(endpoint, now));
    redefine(known, endpoint, now);
    this.#pump(known);
  }

  /** Lets go of a lane whose endpoint was purged, unless something is in it after all. */
  forget(number: number): void {
    const lane = this.#lanes.get(number);
    if (!lane || lane.isClaiming || lane.use.inFlight + lane.ready.length + lane.promised > 0) return;
    if (this.#lanes.delete(number)) this.#heap.clear(lane);
  }

  /** Something without a lease is due then in this lane. Too early is harmless, it costs one empty claim. */
  noteDue(number: number, dueAt: number): void {
    const lane = this.#lanes.get(number);
    if (!lane) return;
    if (lane.isClaiming) lane.notedAt = Math.min(lane.notedAt ?? dueAt, dueAt);
    if (lane.nextDueAt !== null && lane.nextDueAt <= dueAt) return;
    lane.nextDueAt = dueAt;
    this.#pump(lane);
  }

  /**
   * Decides how a delivery that is about to be inserted is written. A place must end in begin() or abandon().
   */
  reserve(endpoint: Endpoint, dueAt: number, bytes: number): Reservation {
    const lane = this.#lanes.get(endpoint.lane);
    const { clock, breakers, slots } = this.#options;
    const now = clock.now();
    if (!lane) return { state: "queued" };
    if (isClosed(lane.endpoint)) return { state: "held" };
    const gate = breakers.gate(lane.endpoint, now);
    if (gate.kind === "closed") return { state: "held" };
    if (!this.#isRunning || dueAt > now || gate.kind === "probe") return { state: "queued" };
    if (lane.pace.restUntil(now) !== null) return { state: "queued" };
    const hasOlderWork = lane.isClaiming || (lane.nextDueAt !== null && lane.nextDueAt <= now);
    const monotonicMs = clock.monotonicMs();
    const waiting = lane.ready.length + lane.promised;
    if (waiting === 0 && !hasOlderWork) lane.pace.endDrain();
    if (waiting === 0 && !hasOlderWork && this.#startable(lane, now, monotonicMs) > 0) {
      lane.pace.take(1);
      const ticket = slots.take(lane.use, monotonicMs);
      return { state: "sending", place: { lane: endpoint.lane, ticket, bytes } };
    }
    // Half of the window stays for older work, so that it drains while new work keeps coming. If new work had
    // to queue behind it in the store, a lane that fell behind once would read everything back for ever.
    const room = this.#windowOf(lane, monotonicMs) / (hasOlderWork ? 2 : 1);
    if (waiting >= room) return { state: "queued" };
    lane.promised += 1;
    this.#windowBytes += bytes;
    return { state: "sending", place: { lane: endpoint.lane, ticket: null, bytes } };
  }

  /** The insert has committed: sends the delivery, or lets it wait in the window. */
  begin(claimed: Claimed, place: Place): void {
    const lane = this.#lanes.get(place.lane);
    if (place.ticket !== null) this.#options.start(claimed, { lane: place.lane, ticket: place.ticket });
    else if (lane) {
      lane.promised -= 1;
      lane.ready.push(claimed);
      this.#pump(lane);
    }
  }

  /** The insert did not happen. */
  abandon(place: Place): void {
    const lane = this.#lanes.get(place.lane);
    if (place.ticket !== null) this.release({ lane: place.lane, ticket: place.ticket }, false);
    else if (lane) {
      lane.promised -= 1;
      this.#windowBytes -= place.bytes;
      this.#pump(lane);
    }
  }

  /** Frees a slot. `isUsed` false: nothing was sent, so the lane's rate gets its token back too. */
  release(hold: Hold, isUsed: boolean): void {
    const lane = this.#lanes.get(hold.lane);
    if (!lane) return;
    const { slots, clock } = this.#options;
    slots.giveBack(lane.use, hold.ticket, { isUsed, monotonicMs: clock.monotonicMs() });
    if (!isUsed) lane.pace.giveBack(1);
    this.#serveRing();
    this.#pump(lane);
  }

  /**
   * A connected listener has taken over what holds the slot: others may have it, the lane still counts it.
   */
  handOver(hold: Hold): void {
    const lane = this.#lanes.get(hold.lane);
    if (!lane) return;
    const { slots, clock } = this.#options;
    slots.handOver(lane.use, hold.ticket, clock.monotonicMs());
    this.#serveRing();
    this.#pump(lane);
  }

  /** Nothing goes out of this lane before that instant. */
  rest(number: number, until: number): void {
    this.#lanes.get(number)?.pace.rest(until);
  }

  /** A breaker changed: all lanes that it guards look again. `isClosed`: they may go on, after an outage. */
  wakeAfterBreaker(endpoint: Endpoint, isClosed: boolean): void {
    const key = this.#options.breakers.key(endpoint);
    const lanes = this.#breakerWaiters.get(key) ?? new Set();
    this.#breakerWaiters.delete(key);
    const own = this.#lanes.get(endpoint.lane);
    if (own) lanes.add(own);
    if (isClosed) for (const lane of lanes) lane.pace.reopen(this.#options.clock.now());
    for (const lane of lanes) this.#pump(lane);
  }

  /** Somebody opened the lane: what it rested for is over, too. */
  reopen(number: number): void {
    const lane = this.#lanes.get(number);
    lane?.pace.reopen(this.#options.clock.now());
    if (lane) this.#pump(lane);
  }

  /** What an attempt brought may change the pace of its lane. True: the lane rests from now on. */
  noteOutcome(number: number, outcome: Outcome, slowDown: SlowDown | undefined): boolean {
    const lane = this.#lanes.get(number);
    return lane?.pace.note(outcome, slowDown, this.#options.clock.now()) ?? false;
  }

  overview(number: number): LaneOverview {
    return overviewOf(this.#lanes.get(number), this.#options.clock.now());
  }

  /** True when nothing is due and nothing is being claimed: what a virtual clock calls settled. */
  isSettled(now: number): boolean {
    const next = this.#heap.nextAt();
    if (next !== null && next <= now) return false;
    // A lane in the ring moves when a slot is freed, and the lane that holds one is not settled either.
    for (const lane of this.#lanes.values()) {
      if (lane.isClaiming || lane.use.inFlight > 0 || lane.promised > 0) return false;
      if (lane.ready.length > 0 && lane.pace.nextTokenAt(now) === null) return false;
    }
    return true;
  }

  #pump(lane: Lane<Claimed>): void {
    const now = this.#options.clock.now();
    if (!this.#isRunning || !this.#isOpen(lane, now)) {
      this.#emptyWindow(lane);
      return;
    }
    this.#startReady(lane, now);
    if (lane.isClaiming || lane.nextDueAt === null) return;
    if (lane.nextDueAt > now) {
      const tokenAt = lane.ready.length > 0 ? lane.pace.nextTokenAt(now) : null;
      this.#sleep(lane, Math.min(lane.nextDueAt, tokenAt ?? lane.nextDueAt));
      return;
    }
    this.#heap.clear(lane);
    const count = this.#claimable(lane, now);
    if (count === 0) return;
    const claim = this.#claim(lane, count, now);
    this.#claims.add(claim);
    void claim.then(() => this.#claims.delete(claim));
  }

  /** Whether anything may be sent; arranges the wake-up when the receiver or the breaker says no. */
  #isOpen(lane: Lane<Claimed>, now: number): boolean {
    if (isClosed(lane.endpoint)) return false;
    const restUntil = lane.pace.restUntil(now);
    const { nextDueAt } = lane;
    if (restUntil !== null && nextDueAt !== null) this.#sleep(lane, Math.max(restUntil, nextDueAt));
    const gate = this.#options.breakers.gate(lane.endpoint, now);
    if (gate.kind !== "closed") return restUntil === null;
    const key = this.#options.breakers.key(lane.endpoint);
    const waiters = this.#breakerWaiters.get(key);
    if (waiters) waiters.add(lane);
    else this.#breakerWaiters.set(key, new Set([lane]));
    if (gate.until !== null && nextDueAt !== null) this.#sleep(lane, Math.max(gate.until, nextDueAt));
    return false;
  }

  #startReady(lane: Lane<Claimed>, now: number): void {
    const { slots, clock, start, sizeOf } = this.#options;
    if (lane.ready.length === 0) return;
    const monotonicMs = clock.monotonicMs();
    const count = Math.min(lane.ready.length, this.#startable(lane, now, monotonicMs));
    if (count === 0) {
      this.#waitForSlot(lane, now);
      return;
    }
    lane.pace.take(count);
    // All slots are taken before anything starts: a start that ends at once comes back here through
    // release().
    const starting = lane.ready.splice(0, count).map((claimed) => {
      this.#windowBytes -= sizeOf(claimed);
      return { claimed, ticket: slots.take(lane.use, monotonicMs) };
    });
    if (lane.ready.length > 0) this.#waitForSlot(lane, now);
    for (const { claimed, ticket } of starting) start(claimed, { lane: lane.endpoint.lane, ticket });
  }

  /** How many attempts the lane may start at this instant. */
  #startable(lane: Lane<Claimed>, now: number, monotonicMs: number): number {
    const { endpoint, use, pace } = lane;
    let wanted = pace.concurrency - use.inFlight;
    if (this.#options.breakers.gate(endpoint, now).kind === "probe") wanted = Math.min(wanted, 1);
    if (wanted > 0) wanted = pace.available(wanted, now);
    return wanted < 1 ? 0 : this.#options.slots.allowance(use, wanted, monotonicMs);
  }

  /**
   * A lane that its rate holds back sleeps until the next token. Otherwise one with an attempt out is woken
   * by its own release, and one without has to be woken by somebody else's.
   */
  #waitForSlot(lane: Lane<Claimed>, now: number): void {
    const tokenAt = lane.pace.nextTokenAt(now);
    if (tokenAt !== null) this.#sleep(lane, tokenAt);
    else if (lane.use.inFlight === 0) this.#ring.add(lane);
  }

  /**
   * How many deliveries to lease now: what can start, and for a fast lane as much again as its window has
   * room.
   */
  #claimable(lane: Lane<Claimed>, now: number): number {
    const monotonicMs = this.#options.clock.monotonicMs();
    const startable = this.#startable(lane, now, monotonicMs);
    const waiting = lane.ready.length + lane.promised;
    const window = this.#windowOf(lane, monotonicMs);
    const count = Math.max(startable - waiting, 0) + Math.max(window - waiting, 0);
    if (startable === 0) this.#waitForSlot(lane, now);
    if (startable === 0 && lane.use.inFlight === 0) return 0;
    // A window is refilled by halves: claiming one by one would be a statement per delivery for nothing.
    if (startable === 0 && count < window / 2) return 0;
    return Math.min(count, CLAIM_ITEMS_MAX);
  }

  async #claim(lane: Lane<Claimed>, count: number, now: number): Promise<void> {
    const { store, clock } = this.#options;
    lane.isClaiming = true;
    lane.notedAt = null;
    let retryAt: number | null = null;
    try {
      const request = { lane: lane.endpoint.lane, now, limit: count, bytesMax: CLAIM_BYTES_MAX };
      const result = await store.claim(request);
      lane.nextDueAt = earliest(result.nextDueAt, lane.notedAt);
      if (lane.nextDueAt === null || lane.nextDueAt > clock.now()) lane.pace.endDrain();
      for (const claimed of result.claimed) {
        lane.ready.push(claimed);
        this.#windowBytes += this.#options.sizeOf(claimed);
      }
    } catch {
      // The store has said why to its own listener; here it only means: not now.
      retryAt = clock.now() + CLAIM_RETRY_MS;
    }
    lane.isClaiming = false;
    if (retryAt === null) this.#pump(lane);
    else this.#sleep(lane, retryAt);
  }

  #emptyWindow(lane: Lane<Claimed>): void {
    for (const claimed of lane.ready.splice(0)) {
      this.#windowBytes -= this.#options.sizeOf(claimed);
      this.#options.giveBack(claimed);
    }
  }

  /** Room for deliveries leased ahead of their slots. */
  #windowOf(lane: Lane<Claimed>, monotonicMs: number): number {
    if (!lane.pace.isFree || !isFast(lane.use, monotonicMs)) return 0;
    return this.#windowBytes < WINDOW_BYTES_MAX ? WINDOW_MAX : 0;
  }

  #serveRing(): void {
    let steps = 0;
    for (const lane of this.#ring) {
      if (steps++ >= RING_STEPS || this.#options.slots.used >= this.#options.slots.total) return;
      this.#ring.delete(lane);
      this.#pump(lane);
    }
  }

  #sleep(lane: Lane<Claimed>, at: number): void {
    this.#heap.set(lane, at);
    this.#arm();
  }

  #arm(): void {
    const at = this.#heap.nextAt();
    if (at === null || !this.#isRunning || (this.#timer !== null && this.#timer.at <= at)) return;
    this.#timer?.timer.cancel();
    this.#timer = { at, timer: this.#options.clock.setTimer(at, () => this.#wake()) };
  }

  #wake(): void {
    this.#timer = null;
    const now = this.#options.clock.now();
    // Taken out first: if the clock steps back meanwhile, a lane that goes to sleep again is not due at once.
    const due: Lane<Claimed>[] = [];
    for (let lane = this.#heap.takeDue(now); lane; lane = this.#heap.takeDue(now)) due.push(lane);
    for (const lane of due) this.#pump(lane);
    this.#arm();
  }
}
