/** PyFly's tables: `pyfly` of a project, and [[callback_config]]. Names and defaults are PyFly's own. */
import { type Static, Type } from "@sinclair/typebox";
import { count, oneOf, secretOf } from "./schema-parts.ts";
import {
  anyText,
  duration,
  extraHeaderName,
  headerValue,
  httpUrl,
  name,
  nonEmpty,
  SECRET,
  tenant,
} from "./values.ts";

/** How PyFly's callbacks of a project are sent. */
export interface PyflyConfig {
  readonly timeoutMs: number;
  readonly breaker: {
    readonly failures: number;
    readonly recoveryMs: number;
    readonly scope: "origin" | "global";
  };
}

export interface CallbackConfigConfig {
  readonly project: string;
  readonly tenant: string;
  readonly name: string;
  readonly isEnabled: boolean;
  /** Null: nothing is signed. */
  readonly secret: string | null;
  readonly attemptsMax: number;
  readonly backoffMs: number;
  readonly authorizedDomains: readonly { readonly domain: string; readonly description: string }[];
  readonly subscriptions: readonly {
    /** Exact, or "*". */
    readonly eventType: string;
    readonly targetUrl: string;
    readonly headers: Readonly<Record<string, string>>;
  }[];
}

export const Pyfly = Type.Object({
  timeout: duration({ default: "10s" }),
  breaker: Type.Object(
    {
      failures: count(5, 0),
      recovery: duration({ default: "30s" }),
      scope: oneOf(["origin", "global"], { default: "origin" }),
    },
    { default: {} },
  ),
});

const domain = () => nonEmpty('a host such as "customer.example.com"');

const CallbackSubscription = Type.Object({
  event_type: nonEmpty('an exact event type, or "*"'),
  target_url: httpUrl(),
  headers: Type.Record(Type.String(), headerValue(), { keys: extraHeaderName(), default: {} }),
});

export const CallbackConfig = Type.Object({
  project: name({ default: "default" }),
  tenant: tenant({ default: "" }),
  name: name(),
  enabled: Type.Boolean({ default: true }),
  secret: Type.Optional(secretOf(SECRET.any)),
  max_attempts: Type.Integer({ minimum: 1, maximum: 1_000, default: 5 }),
  backoff: duration({ default: "5s", minMs: 0 }),
  authorized_domains: Type.Array(
    Type.Union([domain(), Type.Object({ domain: domain(), description: anyText({ default: "" }) })]),
    { default: [] },
  ),
  subscriptions: Type.Array(CallbackSubscription, { default: [] }),
});

export function toPyfly({ timeout, breaker }: Static<typeof Pyfly>): PyflyConfig {
  const { failures, recovery, scope } = breaker;
  return { timeoutMs: timeout, breaker: { failures, recoveryMs: recovery, scope } };
}

export function toCallbackConfig(declared: Static<typeof CallbackConfig>): CallbackConfigConfig {
  const { project, tenant: owner, name: title, secret } = declared;
  return {
    project,
    tenant: owner,
    name: title,
    isEnabled: declared.enabled,
    secret: typeof secret === "string" ? secret : (secret?.value ?? secret?.file ?? null),
    attemptsMax: declared.max_attempts,
    backoffMs: declared.backoff,
    authorizedDomains: declared.authorized_domains.map((entry) =>
      typeof entry === "string" ? { domain: entry, description: "" } : entry,
    ),
    subscriptions: declared.subscriptions.map(({ event_type, target_url, headers }) => ({
      eventType: event_type,
      targetUrl: target_url,
      headers,
    })),
  };
}
