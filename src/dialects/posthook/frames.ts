/**
 * What is said over a WebSocket (reference sections 14.3 to 14.5). Pure. Every frame to a client is a JSON
 * object with a `type`, and a `hook` frame has every member of the right type: a damaged one ends the Python
 * listener for good and is dropped by Go's.
 */
import type { EnvelopeInput } from "../../domain/strategy.ts";
import { CALLBACK_MS, deliveryOf } from "./profile.ts";
import { attemptsMaxOf } from "./retry.ts";
import { specOf } from "./spec.ts";
import { showHookId, showTime, splice } from "./wire.ts";

export interface Welcome {
  readonly connectionId: string;
  readonly projectId: string;
  readonly projectName: string;
}

const utf8 = new TextDecoder();

export function connectedFrame({ connectionId, projectId, projectName }: Welcome, at: number): string {
  const serverTime = showTime(at);
  return JSON.stringify({ type: "connected", connectionId, projectId, projectName, serverTime });
}

export function pingFrame(at: number): string {
  return JSON.stringify({ type: "ping", timestamp: showTime(at) });
}

export function ackTimeoutFrame(hookId: string, attempt: number): string {
  return JSON.stringify({ type: "ack_timeout", hookId, attempt });
}

export function asyncAckFrame(hookId: string, input: EnvelopeInput, deadlineAt: number): string {
  const { ack: ackUrl, nack: nackUrl } = input.ackUrls(CALLBACK_MS);
  return JSON.stringify({ type: "async_ack", hookId, ackUrl, nackUrl, deadline: showTime(deadlineAt) });
}

export function closingFrame(message: string): string {
  return JSON.stringify({ type: "closing", reason: "shutdown", message });
}

/** 1-based, in the present retry budget: what clients and the hook object call an attempt. */
export function attemptOf({ attempt, attemptsBefore = 0 }: EnvelopeInput): number {
  return attempt - attemptsBefore;
}

/** Returns a delivery as a frame. `isForwarding`: with all that a POST of it would carry. */
export function hookFrame(input: EnvelopeInput, isForwarding: boolean): string {
  const { delivery, endpoint, payload, now, wallNow } = input;
  const { createdAt } = delivery;
  const attempt = attemptOf(input);
  const { ack: ackUrl, nack: nackUrl } = input.ackUrls(CALLBACK_MS);
  return splice(
    { type: "hook", id: showHookId(delivery.id), path: specOf(delivery.spec).path },
    utf8.decode(payload.body),
    {
      postAt: showTime(delivery.scheduledAt),
      postedAt: showTime(now),
      createdAt: showTime(createdAt),
      updatedAt: showTime(attempt === 1 ? createdAt : now),
      timestamp: Math.floor(wallNow / 1_000),
      attempt,
      maxAttempts: attemptsMaxOf(delivery.spec, endpoint.retry),
      ackUrl,
      nackUrl,
      ...(isForwarding ? { forwardRequest: forwardRequestOf(input) } : {}),
    },
  );
}

/** Section 14.4: all of them strings, the timestamp too. */
function forwardRequestOf(input: EnvelopeInput) {
  const { headers, body } = deliveryOf(input);
  const authorization = headers.get("authorization");
  const get = (name: string) => headers.get(name) ?? "";
  return {
    body,
    signature: get("x-ph-signature"),
    ...(authorization === null ? {} : { authorization }),
    posthookId: get("posthook-id"),
    posthookTimestamp: get("posthook-timestamp"),
    posthookSignature: get("posthook-signature"),
  };
}

export type ClientFrame =
  | { readonly type: "ack"; readonly hookId: string }
  | { readonly type: "nack"; readonly hookId: string; readonly error: string | null }
  | { readonly type: "accept"; readonly hookId: string; readonly timeout: number | null };

/** Null for everything that says nothing about a hook, be it a pong, an unknown type or no JSON at all. */
export function readFrame(text: string): ClientFrame | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  if (typeof value !== "object" || value === null) return null;
  const { type, hookId, error, timeout } = value as Readonly<Record<string, unknown>>;
  if (typeof hookId !== "string") return null;
  if (type === "ack") return { type, hookId };
  if (type === "nack") {
    return { type, hookId, error: typeof error === "string" && error !== "" ? error : null };
  }
  return type === "accept" ? { type, hookId, timeout: typeof timeout === "number" ? timeout : null } : null;
}
