/** Events of the standard, and of systems that send whatever an application gave them. */
import type { SampleShape } from "./types.ts";

const TYPES = ["invoice.paid", "order.created", "user.updated"];

/** https://github.com/standard-webhooks/standard-webhooks, spec, "Payload structure". */
export const standard: SampleShape = {
  types: TYPES,
  make: ({ type, hex, at }) => ({
    json: { type, timestamp: new Date(at).toISOString(), data: { id: hex, amount: 2_000, currency: "usd" } },
  }),
};

/** An application's own event, with what most of them have in common. */
export const plain: SampleShape = {
  types: TYPES,
  make: ({ type, uuid, at }) => ({
    headers: { "X-Idempotency-Key": uuid },
    json: { id: uuid, type, createdAt: new Date(at).toISOString(), data: { amount: 2_000, currency: "usd" } },
  }),
};

/** HookBridge sends the payload that it was given, under an id of its own. */
export const hookbridge: SampleShape = {
  types: TYPES,
  make: (seed) => ({ headers: { "X-Webhook-Id": seed.uuid }, json: plain.make(seed).json }),
};

/** Posthook wraps the payload in the hook that it belongs to. */
export const posthook: SampleShape = {
  types: TYPES,
  make: ({ type, uuid, at }) => {
    const now = new Date(at).toISOString();
    return {
      headers: { "Posthook-Id": uuid },
      json: {
        id: uuid,
        path: "/webhooks/sample",
        postAt: now,
        postedAt: now,
        data: { type, amount: 2_000, currency: "usd" },
        createdAt: now,
        updatedAt: now,
      },
    };
  },
};
