/** Values for tests, consistent and boring: a test names only what it is about. */
import type { Database } from "bun:sqlite";
import type { AttemptRecord } from "../../src/domain/attempt.ts";
import {
  type DeliveryPosition,
  type DeliveryState,
  hasQueueRow,
  isFinal,
  type NewDelivery,
  type NewPayload,
} from "../../src/domain/delivery.ts";
import type { NewEvent } from "../../src/domain/event.ts";
import type { Id } from "../../src/domain/id.ts";
import { STANDARD_RETRY } from "../../src/domain/policy.ts";
import { DEFAULT_BREAKER } from "../../src/domain/pressure.ts";
import type { NewRejection } from "../../src/domain/rejection.ts";
import type { Target } from "../../src/domain/source.ts";
import type { DeclaredSubscription } from "../../src/runtime/reconcile.ts";
import type { EndpointDefinition, SourceDefinition } from "../../src/storage/contract.ts";
import { idBytes } from "../../src/storage/ids.ts";

export const NOW = Date.UTC(2026, 0, 1);
export const LANE = 1;

let count = 0;

/** Unique and ascending within a test run, like real ids. */
export function newId(): Id {
  count += 1;
  return `0190000000007000${(0x8000_0000_0000 + count).toString(16).padStart(16, "8")}`;
}

export function newPayload(text = '{"hello":"world"}'): NewPayload {
  return { headers: '{"content-type":"application/json"}', body: Buffer.from(text) };
}

/** Shares its event's payload unless one is given. */
export function newDelivery(change: Partial<NewDelivery> = {}): NewDelivery {
  return {
    id: newId(),
    project: "default",
    lane: LANE,
    endpointId: newId(),
    profile: "native",
    state: "queued",
    dueAt: NOW,
    spec: null,
    payload: null,
    ...change,
  };
}

export function newEvent(change: Partial<NewEvent> = {}): NewEvent {
  return {
    id: newId(),
    project: "default",
    sourceSeq: 1,
    type: null,
    tenant: null,
    receivedAt: NOW,
    remoteAddress: "192.0.2.1",
    ...newPayload(),
    dedupe: null,
    deliveries: [],
    ...change,
  };
}

export function newRejection(change: Partial<NewRejection> = {}): NewRejection {
  return {
    id: newId(),
    project: "default",
    sourceSeq: 1,
    reason: "signature_mismatch",
    detail: "The signature does not match.",
    diagnosis: null,
    receivedAt: NOW,
    method: "POST",
    url: "/in/orders",
    remoteAddress: "192.0.2.1",
    headers: "{}",
    body: Buffer.from("{}"),
    isBodyCut: false,
    ...change,
  };
}

export function newAttempt(change: Partial<AttemptRecord> = {}): AttemptRecord {
  return {
    number: 1,
    startedAt: NOW,
    durationMs: 12,
    outcome: "succeeded",
    status: 200,
    failure: null,
    error: null,
    excerpt: null,
    detail: null,
    ...change,
  };
}

export function newEndpoint(change: Partial<EndpointDefinition> = {}): EndpointDefinition {
  const id = newId();
  return {
    id,
    project: "default",
    name: `endpoint-${id}`,
    door: "config",
    profile: "native",
    url: "http://127.0.0.1:3000/webhooks",
    headers: {},
    sign: [],
    retry: STANDARD_RETRY,
    concurrency: 16,
    rate: null,
    timeoutMs: 30_000,
    breaker: DEFAULT_BREAKER,
    ...change,
  };
}

/** A source as tests write it: targets by name alone, and the answer's status without the rest. */
export type SourceChange = Partial<Omit<SourceDefinition, "to">> & {
  readonly to?: readonly (string | Target)[];
  readonly respondStatus?: number;
};

export function sourceFields({ to, respondStatus, ...rest }: SourceChange): Partial<SourceDefinition> {
  const targets = to?.map(
    (target): Target =>
      typeof target === "string" ? { kind: "endpoint", name: target, when: null } : target,
  );
  return {
    ...rest,
    ...(targets === undefined ? {} : { to: targets }),
    ...(respondStatus === undefined ? {} : { respond: { status: respondStatus, headers: {}, body: null } }),
  };
}

export function newSource(change: SourceChange = {}): SourceDefinition {
  const id = newId();
  return {
    id,
    project: "default",
    name: `source-${id}`,
    door: "config",
    verify: [{ scheme: "none" }],
    challenge: null,
    allowCidrs: [],
    rate: null,
    dedupe: null,
    eventType: null,
    mode: "forward",
    to: [],
    whilePaused: "refuse",
    respond: { status: 202, headers: {}, body: null },
    methods: ["POST"],
    bodyBytesMax: null,
    ...sourceFields(change),
  };
}

/** As a file declares it; a store wants an id and a door besides. */
export function newSubscription(change: Partial<DeclaredSubscription> = {}): DeclaredSubscription {
  return {
    project: "default",
    name: `subscription-${newId()}`,
    tenant: "",
    eventTypes: ["*"],
    endpoint: "app",
    ...change,
  };
}

export interface StoredDelivery {
  readonly state: DeliveryState;
  readonly seq?: number;
  readonly lane?: number;
  readonly dueAt?: number;
  readonly lease?: number;
  readonly attemptCount?: number;
  readonly budgetStart?: number;
  readonly finishedAt?: number;
  readonly createdAt?: number;
  readonly project?: string;
  readonly hasPayload?: boolean;
  readonly eventSeq?: number | null;
}

/** Writes a delivery straight into the file, in any state, with the rows that the state needs. */
export function storeDelivery(db: Database, change: StoredDelivery): DeliveryPosition & { readonly id: Id } {
  const { state, lane = LANE, budgetStart = 0, createdAt = NOW, eventSeq = null } = change;
  const attemptCount = change.attemptCount ?? (["retrying", "awaiting", "dead"].includes(state) ? 1 : 0);
  const id = newId();
  const dueAt = hasQueueRow(state) ? (change.dueAt ?? NOW) : null;
  const lease = state === "sending" ? (change.lease ?? 1) : null;
  const last = db.query<{ seq: number | null }, []>("SELECT max(seq) AS seq FROM delivery").get();
  const seq = change.seq ?? (last?.seq ?? 0) + 1;
  if (eventSeq === null && change.hasPayload !== false) {
    db.query("INSERT INTO payload (seq, headers, body) VALUES (?, '{}', x'7b7d')").run(seq);
  }
  db.query(
    `INSERT INTO delivery (seq, id, project, event_seq, payload_seq, endpoint_seq, profile, state,
       attempt_count, budget_start, created_at, scheduled_at, due_at, finished_at)
     VALUES (?, ?, ?, ?, ?, ?, 'native', ?, ?, ?, ?, ?, ?, ?)`,
  ).run(
    seq,
    idBytes(id),
    change.project ?? "default",
    eventSeq,
    eventSeq ?? seq,
    lane,
    state,
    attemptCount,
    budgetStart,
    createdAt,
    createdAt,
    dueAt,
    isFinal(state) ? (change.finishedAt ?? NOW) : null,
  );
  if (dueAt !== null) {
    db.query("INSERT INTO queue (lane, due_at, delivery_seq, lease) VALUES (?, ?, ?, ?)").run(
      state === "awaiting" ? 0 : lane,
      dueAt,
      seq,
      lease,
    );
  }
  return { id, seq, lane, state, dueAt, lease, attemptCount, budgetStart, policyState: null };
}
