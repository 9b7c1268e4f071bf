/**
 * Tells subscribers of a project what happens to its endpoints: each notice is an event of the tenant
 * `postern`, stored and delivered like any other, if anybody subscribes to it. Nothing here can feed itself:
 * a notice about an endpoint never goes to that endpoint, notices that are given up do not count as dead
 * letters, and their number is bounded.
 */
import type { Endpoint } from "../domain/endpoint.ts";
import { type Id, showId } from "../domain/id.ts";
import {
  DEFAULT_DEAD_LETTERS,
  type DeadLetterRule,
  NOTICE_RATE,
  NOTICE_SPEC,
  NOTICE_TENANT,
  type NoticeType,
} from "../domain/notice.ts";
import type { BreakerState } from "../domain/pressure.ts";
import type { Clock, Timer } from "./clock.ts";
import type { Directory } from "./directory.ts";
import type { EventDraft, Intake } from "./intake.ts";
import type { Log } from "./log.ts";
import { EVENT_TYPE_HEADER, subscribersOf } from "./publisher.ts";
import { TokenBucket } from "./rate.ts";

export interface NoticesOptions {
  readonly clock: Clock;
  readonly directory: Directory;
  readonly intake: Intake;
  readonly log: Log;
  readonly nextId: () => Id;
}

export type ProjectDeadLetters = DeadLetterRule & { readonly project: string };

/** While the store refuses them, so often and so far apart; then the log is all there is. */
const TRIES = 60;
const RETRY_MS = 1_000;
/** Endpoints named in a notice about dead letters. */
const NAMED_MAX = 20;

interface DeadLetters {
  /** The newest, as many as the rule counts; the oldest of them is overwritten next. */
  readonly ring: { at: number; endpoint: string }[];
  next: number;
  toldAt: number | null;
}

export class Notices {
  readonly #options: NoticesOptions;
  readonly #rules = new Map<string, DeadLetterRule>();
  readonly #deadLetters = new Map<string, DeadLetters>();
  readonly #buckets = new Map<string, TokenBucket>();
  readonly #waiting = new Set<Timer>();
  #isStopped = false;

  constructor(options: NoticesOptions) {
    this.#options = options;
  }

  /** Projects that are not named are told by the default rule. */
  setRules(rules: readonly ProjectDeadLetters[]): void {
    for (const { project, count, windowMs } of rules) {
      const known = this.#rules.get(project);
      if (known?.count !== count || known.windowMs !== windowMs) this.#deadLetters.delete(project);
      this.#rules.set(project, { count, windowMs });
    }
  }

  opened(endpoint: Endpoint, { failures, retryAt }: BreakerState): void {
    const probeAt = new Date(retryAt).toISOString();
    this.#tell(endpoint, "endpoint.opened", { endpoint: shown(endpoint), failures, probeAt });
  }

  recovered(endpoint: Endpoint): void {
    this.#tell(endpoint, "endpoint.recovered", { endpoint: shown(endpoint) });
  }

  disabled(endpoint: Endpoint, reason: string): void {
    this.#tell(endpoint, "endpoint.disabled", { endpoint: shown(endpoint), reason });
  }

  /** Counts a delivery that was given up, and tells when that makes too many. */
  countDead({ project, name }: Endpoint, spec: string | null): void {
    if (spec === NOTICE_SPEC) return;
    const now = this.#options.clock.now();
    const { count, windowMs } = this.#rules.get(project) ?? DEFAULT_DEAD_LETTERS;
    const state = this.#deadLetters.get(project) ?? { ring: [], next: 0, toldAt: null };
    this.#deadLetters.set(project, state);
    state.ring[state.next] = { at: now, endpoint: name };
    state.next = (state.next + 1) % count;
    if (state.ring.length < count) return;
    const since = state.ring[state.next]?.at ?? now;
    if (now - since > windowMs || (state.toldAt !== null && now - state.toldAt <= windowMs)) return;
    state.toldAt = now;
    const data = { count, windowMs, since: new Date(since).toISOString(), endpoints: topOf(state.ring) };
    this.#tell({ project, id: null }, "dead_letters.threshold", data);
  }

  stop(): void {
    this.#isStopped = true;
    for (const timer of this.#waiting) timer.cancel();
    if (this.#waiting.size > 0) this.#options.log.warn("notice.lost", { count: this.#waiting.size });
    this.#waiting.clear();
  }

  #tell(about: { project: string; id: Id | null }, type: NoticeType, data: object): void {
    const { clock, log } = this.#options;
    const now = clock.now();
    const { project } = about;
    const bucket = this.#buckets.get(project) ?? new TokenBucket(NOTICE_RATE, now);
    this.#buckets.set(project, bucket);
    if (bucket.available(now) < 1) {
      log.warn("notice.suppressed", { project, type });
      return;
    }
    bucket.take(1);
    const timestamp = new Date(now).toISOString();
    const body = Buffer.from(JSON.stringify({ type, timestamp, data }));
    const headers = { "content-type": "application/json", [EVENT_TYPE_HEADER]: type };
    const draft: EventDraft = {
      ...{ project, type, tenant: NOTICE_TENANT, receivedAt: now, payload: { headers, body }, body },
      ...{ sourceSeq: null, remoteAddress: null, dedupe: null },
    };
    this.#submit(draft, about.id, TRIES);
  }

  /** The subscribers are looked up anew each time: they may have changed while the store was down. */
  #submit(draft: EventDraft, aboutId: Id | null, tries: number): void {
    const { directory, intake, nextId, log, clock } = this.#options;
    const { project, type } = draft;
    const deliveries = subscribersOf(directory, { project, tenant: NOTICE_TENANT, type })
      .filter(({ id }) => id !== aboutId)
      .map((endpoint) => ({ id: nextId(), endpoint, spec: NOTICE_SPEC }));
    // What happened is in the log in any case; an event that nobody gets would only fill the list of events.
    if (deliveries.length === 0) return;
    intake.accept(draft, { kind: "prepared", deliveries }).catch((error: unknown) => {
      if (tries <= 1 || this.#isStopped) {
        log.error("notice.not_stored", { project, type, error: String(error) });
        return;
      }
      const timer = clock.setWallTimer(RETRY_MS, () => {
        this.#waiting.delete(timer);
        this.#submit(draft, aboutId, tries - 1);
      });
      this.#waiting.add(timer);
    });
  }
}

function shown({ id, name }: Endpoint): { id: string; name: string } {
  return { id: showId("endpoint", id), name };
}

/** Those with the most first. */
function topOf(ring: readonly { readonly endpoint: string }[]): { name: string; count: number }[] {
  const counts = new Map<string, number>();
  for (const { endpoint } of ring) counts.set(endpoint, (counts.get(endpoint) ?? 0) + 1);
  return [...counts]
    .map(([name, count]) => ({ name, count }))
    .sort((a, b) => b.count - a.count)
    .slice(0, NAMED_MAX);
}
