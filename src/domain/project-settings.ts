/**
 * What the operator says of a project to the dialects, as the configuration has it: each dialect reads its
 * own member and none other. Every default is filled in; a member is absent where the file has no such table.
 */
export interface ProjectSettings {
  readonly project: string;
  readonly pingback?: PingbackSettings;
  readonly pyfly?: PyflySettings;
  /** The [[callback_config]] tables of the project. */
  readonly callbackConfigs?: readonly DeclaredCallbackConfig[];
  readonly hookbridge?: HookbridgeSettings;
  readonly posthook?: PosthookSettings;
}

export interface PingbackSettings {
  /** Where the functions are, until a registration says otherwise; null: a registration has to. */
  readonly endpointUrl: string | null;
  /** No registration may say otherwise. */
  readonly isPinned: boolean;
  /** Null: one is made and shown with the project. */
  readonly secret: string | null;
  /** Cron expressions are read in it. */
  readonly timezone: string;
  /** The longest timeout that a function may ask for. */
  readonly timeoutMaxMs: number;
}

export interface PyflySettings {
  /** Of one attempt. */
  readonly timeoutMs: number;
  readonly breaker: {
    /** Consecutive attempts without any answer. */
    readonly failures: number;
    readonly recoveryMs: number;
    readonly scope: "origin" | "global";
  };
}

/** A [[callback_config]] of the file; tenant and name tell it from the others of its project. */
export interface DeclaredCallbackConfig {
  readonly tenant: string;
  readonly name: string;
  readonly isEnabled: boolean;
  readonly secret: string | null;
  readonly attemptsMax: number;
  readonly backoffMs: number;
  readonly authorizedDomains: readonly { readonly domain: string; readonly description: string }[];
  readonly subscriptions: readonly {
    readonly eventType: string;
    readonly targetUrl: string;
    readonly headers: Readonly<Record<string, string>>;
  }[];
}

export interface HookbridgeSettings {
  /** Endpoints may be http:// and private; the egress rules still decide when it comes to sending. */
  readonly allowHttp: boolean;
  /** What X-Webhook-Timestamp tells: when the message was accepted, or when it is sent. */
  readonly signingTime: "accepted" | "attempt";
  /** All retry delays are multiplied by it; for tests. */
  readonly retryScale: number;
  readonly attemptsMax: number;
  /** Replays of one message. */
  readonly replaysMax: number;
  readonly timeoutMs: number;
  /** Requests to the API per minute; 0: no limit. */
  readonly requestsPerMinute: number;
}

export interface PosthookSettings {
  /** What listeners are told; the project's id when null. */
  readonly name: string | null;
  /** Where paths are appended to, without a trailing slash; null: hooks go to listeners only. */
  readonly domain: string | null;
  /** The first signs, the others sign along until their date. */
  readonly signingKeys: readonly { readonly value: string; readonly until?: number }[];
  /** Sent as the Authorization header. */
  readonly authorization: string | null;
  /** Every delivery offers to be acknowledged later. */
  readonly isAsync: boolean;
  readonly hasWebsocket: boolean;
  /** For hooks that bring no policy of their own. */
  readonly retry: {
    readonly retries: number;
    readonly strategy: "fixed" | "exponential";
    readonly delayMs: number;
    readonly factor: number;
    readonly delayMaxMs: number;
    readonly hasJitter: boolean;
  };
  /** Hooks that may be scheduled in a calendar month; null: no limit. */
  readonly quota: number | null;
  readonly concurrency: number;
}
