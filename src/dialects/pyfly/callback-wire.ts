/** PyFly's words for callbacks (its reference, section 2). Secrets are not among them. Pure. */
import type { AttemptRecord } from "../../domain/attempt.ts";
import type { CallbackConfig, CallbackExecution, CallbackStatus } from "../../domain/callback.ts";
import type { Principal } from "../../http/auth.ts";
import { HIDDEN, withoutCredentials } from "./domains.ts";
import { callbackId } from "./profile.ts";

/**
 * What a request to a target carries as its credentials is shown to keys that may change it, which send back
 * what they were given, and to no other.
 */
export function showConfig(config: CallbackConfig, { scope }: Pick<Principal, "scope">) {
  const isShown = scope === "admin";
  return {
    id: callbackId(config.id),
    tenant_id: config.tenant,
    name: config.name,
    enabled: config.isEnabled,
    subscriptions: config.subscriptions.map(({ eventType, targetUrl, headers }) => ({
      event_type: eventType,
      target_url: isShown ? targetUrl : withoutCredentials(targetUrl),
      headers: isShown ? headers : Object.fromEntries(Object.keys(headers).map((name) => [name, HIDDEN])),
    })),
    authorized_domains: config.authorizedDomains,
    has_secret: config.secret !== null,
    max_attempts: config.attemptsMax,
    backoff_ms: config.backoffMs,
    created_at: iso(config.createdAt),
    updated_at: iso(config.updatedAt),
  };
}

function statusOfExecution({ refusal, delivery }: CallbackExecution): CallbackStatus {
  if (refusal !== null) return "FAILED";
  if (delivery === null || delivery.finishedAt === null) return "PENDING";
  return delivery.state === "succeeded" ? "DELIVERED" : "FAILED";
}

/** JSON text: the payload in it is the stored text itself, since parsing would lose digits of its numbers. */
export function showExecution(execution: CallbackExecution, history?: readonly AttemptRecord[]): string {
  const { refusal, delivery, payload, ...fields } = execution;
  const status = statusOfExecution(execution);
  const head = JSON.stringify({
    id: callbackId(fields.id),
    config_id: callbackId(fields.configId),
    tenant_id: fields.tenant,
    event_type: fields.eventType,
    target_url: fields.targetUrl,
  });
  const tail = JSON.stringify({
    status,
    attempts: delivery === null ? 0 : delivery.attemptCount - delivery.refusedCount,
    last_error: refusal ?? lastError(delivery),
    response_status: delivery?.lastStatus ?? null,
    created_at: iso(fields.createdAt),
    delivered_at: status === "DELIVERED" ? iso(delivery?.finishedAt ?? null) : null,
    next_attempt_at: status === "PENDING" ? iso(delivery?.dueAt ?? null) : null,
    ...(history === undefined ? {} : { history: history.map(showAttempt) }),
  });
  return `${head.slice(0, -1)},"payload":${payload ?? "null"},${tail.slice(1)}`;
}

function lastError(delivery: CallbackExecution["delivery"]): string | null {
  if (delivery === null) return null;
  const isGivenUp = delivery.state === "cancelled" || delivery.state === "discarded";
  return delivery.lastError ?? (isGivenUp ? delivery.state : null);
}

function showAttempt(attempt: AttemptRecord) {
  return {
    attempt: attempt.number,
    started_at: iso(attempt.startedAt),
    duration_ms: attempt.durationMs,
    response_status: attempt.status,
    error: attempt.error,
  };
}

function iso(at: number | null): string | null {
  return at === null ? null : new Date(at).toISOString();
}
