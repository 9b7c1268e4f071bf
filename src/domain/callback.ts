/**
 * Callbacks as the store keeps them: who is told of which events of a tenant, and the executions that came of
 * it. The words are PyFly's (its reference, section 2); an execution that is sent is a delivery of the same
 * number, and its state is that delivery's.
 */
import type { DeliveryState } from "./delivery.ts";
import type { Door } from "./endpoint.ts";
import type { Id } from "./id.ts";
import type { Lookup } from "./reads.ts";

export interface CallbackSubscription {
  /** Exact and case-sensitive, or "*" for every type. */
  readonly eventType: string;
  readonly targetUrl: string;
  readonly headers: Readonly<Record<string, string>>;
  /** What sends to this target; its lane, breaker and headers are this subscription's alone. */
  readonly endpointId: Id;
}

export interface AuthorizedDomain {
  readonly domain: string;
  readonly description: string;
}

export interface CallbackConfig {
  readonly id: Id;
  readonly project: string;
  readonly door: Door;
  readonly tenant: string;
  readonly name: string;
  readonly isEnabled: boolean;
  readonly subscriptions: readonly CallbackSubscription[];
  /** Empty: no restriction. */
  readonly authorizedDomains: readonly AuthorizedDomain[];
  /** Null: nothing is signed. Never empty. */
  readonly secret: string | null;
  /** Tries in total, the first included. */
  readonly attemptsMax: number;
  readonly backoffMs: number;
  readonly createdAt: number;
  readonly updatedAt: number;
  readonly deletedAt: number | null;
}

/** An execution that does not exist yet; it is stored with the event that it is about. */
export interface NewCallbackExecution {
  readonly id: Id;
  readonly configId: Id;
  readonly targetUrl: string;
  /** Why nothing is sent; null when the delivery of the same id is. */
  readonly refusal: string | null;
}

export const CALLBACK_STATUSES = ["PENDING", "DELIVERED", "FAILED"] as const;
export type CallbackStatus = (typeof CALLBACK_STATUSES)[number];

/** The attempt that still says something: the last that failed, or the last that got an answer. */
export interface CallbackExecution {
  readonly seq: number;
  readonly id: Id;
  readonly project: string;
  readonly configId: Id;
  readonly tenant: string;
  readonly eventType: string;
  readonly targetUrl: string;
  readonly refusal: string | null;
  readonly createdAt: number;
  /** Null when nothing was to be sent. */
  readonly delivery: {
    /** Its endpoint's number. */
    readonly lane: number;
    readonly state: DeliveryState;
    readonly attemptCount: number;
    readonly dueAt: number | null;
    readonly finishedAt: number | null;
    /** Attempts that did not count for the product: refused before anything was sent. */
    readonly refusedCount: number;
    readonly lastStatus: number | null;
    readonly lastError: string | null;
  } | null;
  /** The text that is sent; null when retention or the disk budget took it. */
  readonly payload: string | null;
}

/** Definition without what the store adds. */
export type CallbackConfigDefinition = Omit<CallbackConfig, "createdAt" | "updatedAt" | "deletedAt">;

export interface CallbackLookup extends Lookup {
  /** As if the payload were no longer kept: for who only asks how it stands. */
  readonly withoutPayload?: boolean;
}

export interface CallbackFilter {
  readonly project: string;
  readonly configId?: Id;
  readonly eventType?: string;
  readonly status?: CallbackStatus;
  /** 1 to 1,000. */
  readonly limit: number;
  /** Only executions with a larger number; 0 for all. */
  readonly after: number;
}

export interface CallbackReads {
  /** Oldest first; may be shorter than the limit before the end, when the payloads are large. */
  listCallbackExecutions(filter: CallbackFilter): Promise<readonly CallbackExecution[]>;
  getCallbackExecution(lookup: CallbackLookup): Promise<CallbackExecution | null>;
}
