/**
 * The breakers that are not in their resting state, by what they guard: an endpoint, or an origin that
 * several share. domain/pressure.ts decides; this file only keeps the states and says when a lane may go on.
 */
import type { Outcome } from "../domain/attempt.ts";
import type { Endpoint } from "../domain/endpoint.ts";
import type { Id } from "../domain/id.ts";
import {
  abandonProbe,
  type BreakerState,
  CLOSED,
  NATIVE_PRESSURE,
  type Pressure,
  recordOutcome,
  tryProbe,
} from "../domain/pressure.ts";
import type { Profile } from "../domain/strategy.ts";

export interface BreakersOptions {
  readonly profiles: ReadonlyMap<string, Profile>;
  /** Told of every opening, probing and closing; `isReset`: not by an outcome. */
  readonly onChange: (endpoint: Endpoint, from: BreakerState, to: BreakerState, isReset: boolean) => void;
}

/**
 * `open`: go on. `probe`: exactly one may go. `closed`: nothing until `until`, or until a probe is back
 * (null).
 */
export type BreakerGate =
  | { readonly kind: "open" }
  | { readonly kind: "probe" }
  | { readonly kind: "closed"; readonly until: number | null };

const GATE_OPEN: BreakerGate = { kind: "open" };

export class Breakers {
  readonly #options: BreakersOptions;
  readonly #states = new Map<string, BreakerState>();
  /** A definition is a value of its own, so that a changed one never finds the key of the old. */
  readonly #keys = new WeakMap<Endpoint, string>();

  constructor(options: BreakersOptions) {
    this.#options = options;
  }

  state(endpoint: Endpoint): BreakerState {
    return this.#states.get(this.key(endpoint)) ?? CLOSED;
  }

  /** How many are open or probing, of all that are not at rest. */
  counts(): { readonly open: number; readonly halfOpen: number } {
    let open = 0;
    let halfOpen = 0;
    for (const { kind } of this.#states.values()) {
      if (kind === "open") open += 1;
      else if (kind === "half_open") halfOpen += 1;
    }
    return { open, halfOpen };
  }

  /**
   * What an endpoint's lane may do now. A strategy that spends attempts on an open breaker never closes the
   * lane.
   */
  gate(endpoint: Endpoint, now: number): BreakerGate {
    if (this.#states.size === 0 || this.spends(endpoint)) return GATE_OPEN;
    const state = this.state(endpoint);
    if (state.kind === "closed") return GATE_OPEN;
    if (state.kind === "half_open") return { kind: "closed", until: null };
    return now >= state.retryAt ? { kind: "probe" } : { kind: "closed", until: state.retryAt };
  }

  /**
   * Asks leave for one attempt. False: the breaker is open, nothing may be sent; a lane should have parked
   * it, or the strategy spends the attempt. True may mean that this attempt is the probe.
   */
  admit(endpoint: Endpoint, now: number): boolean {
    if (this.#states.size === 0) return true;
    const state = this.state(endpoint);
    if (state.kind === "closed") return true;
    const probing = tryProbe(state, now);
    if (probing === null) return false;
    this.#set(endpoint, state, probing);
    return true;
  }

  /** Whether an open breaker uses up attempts of this endpoint instead of holding them back. */
  spends(endpoint: Endpoint): boolean {
    return this.#pressure(endpoint).onOpen === "spend";
  }

  /** The admitted attempt was never made. */
  abandon(endpoint: Endpoint, now: number): void {
    const state = this.state(endpoint);
    this.#set(endpoint, state, abandonProbe(state, now));
  }

  record(endpoint: Endpoint, outcome: Outcome, now: number): void {
    const state = this.state(endpoint);
    if (state === CLOSED && outcome.kind !== "failed" && endpoint.breaker.rate === undefined) return;
    const pressure = this.#pressure(endpoint);
    this.#set(endpoint, state, recordOutcome(state, outcome, { pressure, rule: endpoint.breaker, now }));
  }

  /** Forgets what happened: an operator resumed the endpoint, or its definition changed. */
  reset(endpoint: Endpoint): void {
    this.#set(endpoint, this.state(endpoint), CLOSED, true);
  }

  /** An endpoint's own breaker goes with it; one that it shared stays with the others. */
  forget(id: Id): void {
    this.#states.delete(id);
  }

  #set(endpoint: Endpoint, from: BreakerState, to: BreakerState, isReset = false): void {
    if (from === to) return;
    const key = this.key(endpoint);
    if (to === CLOSED) this.#states.delete(key);
    else this.#states.set(key, to);
    if (from.kind !== to.kind) this.#options.onChange(endpoint, from, to, isReset);
  }

  /** Names the breaker: endpoints of one key share it. A project never shares one with another. */
  key(endpoint: Endpoint): string {
    const known = this.#keys.get(endpoint);
    if (known !== undefined) return known;
    const { id, profile, project, url, breaker } = endpoint;
    const scope = breaker.scope ?? this.#pressure(endpoint).scope;
    const shared = `${profile}/${project}/${scope === "origin" ? new URL(url).origin : "*"}`;
    const key = scope === "endpoint" ? id : shared;
    this.#keys.set(endpoint, key);
    return key;
  }

  /** A dialect that is gone leaves endpoints behind. They wait, and must not stop the lanes of the others. */
  #pressure(endpoint: Endpoint): Pressure {
    return this.#options.profiles.get(endpoint.profile)?.pressure ?? NATIVE_PRESSURE;
  }
}
