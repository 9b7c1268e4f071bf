/**
 * The configuration as the program sees it: frozen, every default filled in, texts already read. Durations
 * are milliseconds, sizes bytes, instants epoch milliseconds; what may be absent is null, except in the
 * rules for signatures: those are the options of the schemes in domain/signature, where absent keys are
 * left out.
 */

import type { EndpointEgressConfig, ProjectEgressConfig } from "./egress-schema.ts";
import type { PosthookConfig } from "./posthook.ts";
import type { CallbackConfigConfig, PyflyConfig } from "./pyfly-schema.ts";
import type { ApiKeyScope, Durability, LogConfig } from "./schema.ts";
import type { SignPreset } from "./sign-schema.ts";
import type { ListenAddress, Selector } from "./values.ts";
import type { PresetScheme } from "./verify-schema.ts";

export type { ApiKeyScope, Durability, ListenAddress, LogConfig, Selector };

export interface Config {
  /** The absolute path of the file that this was read from. */
  readonly path: string;
  readonly server: ServerConfig;
  readonly store: StoreConfig;
  readonly egress: EgressConfig;
  readonly log: LogConfig;
  readonly dev: { /** Serve the echo receiver at /_/echo. */ readonly echo: boolean };
  /** In the order of the file; "default" is there even when the file does not name it. */
  readonly projects: readonly ProjectConfig[];
  readonly sources: readonly SourceConfig[];
  readonly endpoints: readonly EndpointConfig[];
  readonly subscriptions: readonly SubscriptionConfig[];
  readonly alerts: readonly AlertConfig[];
  readonly schedules: readonly ScheduleConfig[];
  readonly callbackConfigs: readonly CallbackConfigConfig[];
}

export interface ServerConfig {
  readonly listen: ListenAddress;
  readonly ingestListen: ListenAddress | null;
  readonly metricsListen: ListenAddress | null;
  /** A second way to everything that `listen` serves. Paths are absolute. */
  readonly tls: { readonly listen: ListenAddress; readonly cert: string; readonly key: string } | null;
  /** Without a trailing slash, like apiUrl; both follow `listen` when the file is silent. */
  readonly publicUrl: string;
  readonly apiUrl: string;
  /** Where WebSockets are opened: wss:// when there is TLS in any way. */
  readonly socketUrl: string;
  /** CIDR ranges. */
  readonly trustedProxies: readonly string[];
  readonly maxBodyBytes: number;
  /** How long a client may take to send its request. */
  readonly readTimeoutMs: number;
  /** How long a stop waits for attempts in flight. */
  readonly drainTimeoutMs: number;
}

export interface StoreConfig {
  /** Absolute. */
  readonly path: string;
  readonly durability: Durability;
  readonly masterKey: MasterKeyConfig;
  /** What secrets were sealed under before; they are sealed anew at the next start. */
  readonly masterKeyOld: MasterKeyConfig | null;
  readonly retention: RetentionConfig;
  readonly maxDiskBytes: number;
}

/**
 * `text` is 64 hexadecimal digits or base64 of 32 bytes. The file may not exist yet: the store creates it.
 */
export type MasterKeyConfig =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "file"; readonly path: string };

export interface RetentionConfig {
  readonly eventsMs: number;
  readonly deliveredMs: number;
  readonly deadMs: number;
  readonly rejectionsMs: number;
  readonly logsMs: number;
  readonly metricsMs: number;
}

export interface EgressConfig {
  /** What contains a slash is a CIDR range, the rest are host names in lower case. */
  readonly allowPrivate: readonly string[];
  readonly timeoutMs: number;
  readonly maxInFlight: number;
  readonly proxy: string | null;
}

export interface Secret {
  readonly value: string;
  /** Epoch milliseconds from which on it is no longer valid; absent: never. */
  readonly until?: number;
}

/** The first signs, all are valid. Never empty. */
export type Secrets = readonly Secret[];

export interface ApiKeyConfig {
  readonly key: string;
  readonly label: string | null;
  readonly scope: ApiKeyScope;
}

export interface ProjectConfig {
  readonly id: string;
  readonly apiKeys: readonly ApiKeyConfig[];
  /** Null: functions get their URL and secret by registration. */
  readonly pingback: PingbackConfig | null;
  /** So many deliveries given up within a window are worth an alert. */
  readonly deadLetters: { readonly count: number; readonly windowMs: number };
  /** Null: PyFly's own defaults. */
  readonly pyfly: PyflyConfig | null;
  /** Null: HookBridge's own defaults. */
  readonly hookbridge: HookbridgeConfig | null;
  /** Null: the project is closed to Posthook's clients. */
  readonly posthook: PosthookConfig | null;
  /** Null: as `egress` says. */
  readonly egress: ProjectEgressConfig | null;
}

export interface HookbridgeConfig {
  readonly allowHttp: boolean;
  readonly signingTime: "accepted" | "attempt";
  readonly retryScale: number;
  readonly attemptsMax: number;
  readonly replaysMax: number;
  readonly timeoutMs: number;
  readonly requestsPerMinute: number;
}

/** Where a project's functions are and how they are called. */
export interface PingbackConfig {
  readonly endpointUrl: string | null;
  readonly isPinned: boolean;
  readonly secret: string | null;
  readonly timezone: string;
  readonly timeoutMaxMs: number;
}

export type VerifyConfig =
  | { readonly scheme: "none" }
  | {
      readonly scheme: "token";
      /** Exactly one of `header` and `query` is set. */
      readonly header?: string;
      readonly query?: string;
      readonly secrets: Secrets;
    }
  | { readonly scheme: "basic"; readonly username: string /** Passwords. */; readonly secrets: Secrets }
  | HmacVerifyConfig
  | {
      readonly scheme: "hookbridge-inbound";
      readonly header: string;
      readonly timestampHeader?: string;
      /** Present together with timestampHeader. */
      readonly toleranceMs?: number;
      readonly secrets: Secrets;
    }
  | PresetVerifyConfig;

/** A provider's own way to sign. */
export interface PresetVerifyConfig {
  readonly scheme: PresetScheme;
  readonly secrets: Secrets;
  /** Present where the provider signs a time. */
  readonly toleranceMs?: number;
  /** Present where the provider signs the URL that it calls. */
  readonly publicUrl?: string;
}

export interface HmacVerifyConfig {
  readonly scheme: "hmac";
  readonly header: string;
  readonly algorithm: "sha1" | "sha256" | "sha512";
  readonly encoding: "hex" | "base64" | "base64url";
  /** What stands before the signature in the header, such as "sha256=". */
  readonly prefix: string;
  readonly prefixOptional: boolean;
  /** Between several signatures in one header, any of which may match. */
  readonly separator?: "," | " ";
  /** The signed text, with {body} and optionally {timestamp}, {id} and {url}. */
  readonly template: string;
  readonly timestampHeader?: string;
  readonly idHeader?: string;
  /** Present together with timestampHeader. */
  readonly toleranceMs?: number;
  /** Present when the template has {url}. */
  readonly publicUrl?: string;
  readonly secrets: Secrets;
}

export interface DedupeConfig {
  /** Tried in order, the first whose parts are all present wins; several parts are joined. */
  readonly selectors: readonly (readonly Selector[])[];
  readonly windowMs: number;
}

/** `secrets` are the verify token (meta) or the key that the answer is made with (x). */
export interface ChallengeConfig {
  readonly kind: "meta" | "x";
  readonly secrets: Secrets;
}

export interface RateConfig {
  readonly perSecond: number;
  readonly burst: number;
}

/**
 * A target of a source: an endpoint or a function of the same project, or a tenant of it whose subscriptions
 * decide.
 */
export type TargetConfig = (
  | { readonly kind: "endpoint" | "function"; readonly name: string }
  | { readonly kind: "events"; readonly tenant: string }
) & {
  /** The conditions as written; null: every event. What they may say is for `checkSource` to judge. */
  readonly when: unknown;
};

export interface RespondConfig {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** Null: the receipt. */
  readonly body: string | null;
}

export interface SourceConfig {
  readonly project: string;
  readonly name: string;
  /** All must pass. Never empty. */
  readonly verify: readonly VerifyConfig[];
  /** Beside what follows from `verify`; null: nothing. */
  readonly challenge: ChallengeConfig | null;
  /** CIDR ranges that may send; empty: everyone. */
  readonly allowCidrs: readonly string[];
  readonly rate: RateConfig | null;
  readonly dedupe: DedupeConfig | null;
  readonly eventType: Selector | null;
  readonly orderingKey: Selector | null;
  readonly mode: "forward" | "pull";
  readonly to: readonly TargetConfig[];
  /** What happens to requests while the source is paused: refused, or stored and held. */
  readonly whilePaused: "refuse" | "accept";
  readonly respond: RespondConfig;
  readonly methods: readonly string[];
  readonly maxBodyBytes: number;
}

export type SignConfig =
  | { readonly scheme: SignPreset; readonly secrets: Secrets }
  | {
      readonly scheme: "custom";
      readonly header: string;
      readonly algorithm: "sha1" | "sha256" | "sha512";
      readonly encoding: "hex" | "base64" | "base64url";
      readonly prefix: string;
      /** The signed text, with {body} and optionally {id} and {timestamp}. */
      readonly template: string;
      readonly timestampHeader?: string;
      readonly idHeader?: string;
      /** Between the signatures of several secrets; absent: one signature. */
      readonly separator?: "," | " ";
      readonly secrets: Secrets;
    };

/** `fixed` of the file is an exponential of factor 1, `delays` is a ladder. */
export type RetryConfig =
  | { readonly kind: "standard" }
  | { readonly kind: "ladder"; readonly delaysMs: readonly number[]; readonly jitter: number }
  | {
      readonly kind: "exponential";
      readonly delayMs: number;
      readonly factor: number;
      readonly delayMaxMs: number;
      /** The first attempt included. */
      readonly attemptsMax: number;
      readonly ageMaxMs: number | null;
      readonly jitter: number;
    };

export interface EndpointConfig extends EndpointEgressConfig {
  readonly project: string;
  readonly name: string;
  readonly url: string;
  readonly sign: readonly SignConfig[];
  readonly headers: Readonly<Record<string, string>>;
  readonly retry: RetryConfig;
  readonly concurrency: number;
  readonly rate: RateConfig | null;
  readonly timeoutMs: number;
  /** The endpoint that is told how each delivery ended; null: none. */
  readonly resultTo: string | null;
  /** Null: an answer is the whole answer. */
  readonly ack: { readonly deadlineMs: number; readonly deadlineMaxMs: number } | null;
  readonly breaker: BreakerConfig;
  readonly pacing: PacingConfig;
}

/** `failures` 0 and no `rate` switch it off. */
export interface BreakerConfig {
  readonly failures: number;
  readonly recoveryMs: number;
  readonly recoveryMaxMs: number;
  readonly rate?: { readonly ratio: number; readonly windowMs: number; readonly samplesMin: number };
}

export interface PacingConfig {
  readonly ordering: "none" | "key" | "endpoint";
  readonly poison:
    | { readonly kind: "block" | "park" }
    | {
        readonly kind: "skip" /** Failed attempts; null: when the retries are used up. */;
        readonly after: number | null;
      };
  readonly keyRate: RateConfig | null;
  readonly slowStart: boolean;
  readonly drainPerSecond: number | null;
  readonly disableAfterMs: number | null;
}

/** A subscription to the events that Postern makes itself. */
export interface AlertConfig {
  readonly project: string;
  readonly name: string;
  /** Their types. Never empty. */
  readonly on: readonly string[];
  /** Of the same project. */
  readonly endpoint: string;
}

export interface SubscriptionConfig {
  readonly project: string;
  readonly name: string;
  /** Exact types, prefixes ("invoice.*") and "*". Never empty. */
  readonly eventTypes: readonly string[];
  /** Empty: that of events which name none. */
  readonly tenant: string;
  /** Of the same project. */
  readonly endpoint: string;
}

export interface ScheduleConfig {
  readonly project: string;
  readonly name: string;
  /** The words of its times, as written; whether they mean something is for `checkSchedule` to judge. */
  readonly timing: {
    readonly cron?: string;
    readonly every?: string;
    readonly at?: string;
    readonly timezone: string;
    readonly start?: string;
    readonly end?: string;
    readonly jitter?: string;
  };
  readonly missed:
    | { readonly kind: "skip" }
    | { readonly kind: "once" }
    | { readonly kind: "all"; readonly max: number; readonly ageMaxMs: number };
  readonly overlap: "skip" | "queue" | "allow";
  /** Null: one for `skip` and `queue`, any number for `allow`. */
  readonly concurrency: number | null;
  /** The name of an endpoint of the same project. */
  readonly endpoint: string;
  readonly headers: Readonly<Record<string, string>>;
  /** At most one of the two is set. */
  readonly body: { readonly text?: string; readonly json?: unknown };
}
