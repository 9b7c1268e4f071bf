/** The one place where the file's words (snake_case, shorthands) become the program's (Config). Pure. */

import { DAY, HOUR } from "../domain/duration.ts";
import type {
  ApiKeyConfig,
  ChallengeConfig,
  Config,
  EndpointConfig,
  ListenAddress,
  PingbackConfig,
  ProjectConfig,
  RetryConfig,
  ScheduleConfig,
  Secret,
  ServerConfig,
  SignConfig,
  SourceConfig,
  StoreConfig,
  SubscriptionConfig,
  TargetConfig,
  VerifyConfig,
} from "./config.ts";
import { toBreaker, toPacing, toRate } from "./convert-pacing.ts";
import { toHookbridge } from "./dialect-convert.ts";
import { toEndpointEgress, toProjectEgress } from "./egress-schema.ts";
import { toPosthook } from "./posthook.ts";
import { toCallbackConfig, toPyfly } from "./pyfly-schema.ts";
import type { Declared, DeclaredRetry, DeclaredSecret } from "./schema.ts";
import type { DeclaredSign } from "./sign-schema.ts";
import { type DeclaredVerify, signsUrl } from "./verify-schema.ts";

type DeclaredSource = Declared["source"][number];
type DeclaredEndpoint = Declared["endpoint"][number];
type DeclaredSchedule = Declared["schedule"][number];
type DeclaredProject = Declared["project"][number];

/** What is there even when the file does not name it. */
const DEFAULT_PROJECT = {
  id: "default",
  apiKeys: [],
  deadLetters: { count: 100, windowMs: HOUR },
  pyfly: null,
  hookbridge: null,
  posthook: null,
  egress: null,
  pingback: null,
};

/** Returns the frozen configuration. `declared` must have been decoded and checked without a finding. */
export function toConfig(declared: Declared, path: string): Config {
  const { egress, dev, log } = declared;
  const projects = declared.project.map(toProject);
  const hasDefault = projects.some(({ id }) => id === "default");
  return freezeDeep({
    path,
    server: toServer(declared.server),
    store: toStore(declared.store),
    egress: {
      allowPrivate: egress.allow_private,
      timeoutMs: egress.timeout,
      maxInFlight: egress.max_in_flight,
      proxy: egress.proxy === "" ? null : egress.proxy,
    },
    log,
    dev,
    projects: hasDefault ? projects : [DEFAULT_PROJECT, ...projects],
    sources: declared.source.map((source) => toSource(source, declared.server)),
    schedules: declared.schedule.map(toSchedule),
    endpoints: declared.endpoint.map((endpoint) => toEndpoint(endpoint, declared)),
    subscriptions: declared.subscription.map(toSubscription),
    alerts: declared.alert,
    callbackConfigs: declared.callback_config.map(toCallbackConfig),
  });
}

function toServer(server: Declared["server"]): ServerConfig {
  const ownUrl = urlOf(server.listen);
  return {
    listen: server.listen,
    ingestListen: server.ingest_listen ?? null,
    metricsListen: server.metrics_listen ?? null,
    tls: server.tls ?? null,
    publicUrl: server.public_url ?? ownUrl,
    apiUrl: server.api_url ?? ownUrl,
    socketUrl: socketUrlOf(server.api_url ?? ownUrl, server.tls?.listen),
    trustedProxies: server.trusted_proxies,
    maxBodyBytes: server.max_body,
    readTimeoutMs: server.read_timeout,
    drainTimeoutMs: server.drain_timeout,
  };
}

/** A host has one name for all of its ports, so the API's name stands for the listener with TLS, too. */
function socketUrlOf(apiUrl: string, tls: ListenAddress | undefined): string {
  if (apiUrl.startsWith("https:") || tls === undefined) return apiUrl.replace(/^http/, "ws");
  return `wss://${new URL(apiUrl).hostname}:${tls.port}`;
}

/** Nobody can call a wildcard address, so a listener on one is named by its loopback address. */
function urlOf({ hostname, port }: ListenAddress): string {
  if (hostname === "0.0.0.0") return `http://127.0.0.1:${port}`;
  if (hostname === "::") return `http://[::1]:${port}`;
  return `http://${hostname.includes(":") ? `[${hostname}]` : hostname}:${port}`;
}

function toStore(store: Declared["store"]): StoreConfig {
  const { path, durability, master_key, master_key_old, retention, max_disk } = store;
  return {
    path,
    durability,
    masterKey: toMasterKey(master_key),
    masterKeyOld: master_key_old === undefined ? null : toMasterKey(master_key_old),
    retention: {
      eventsMs: retention.events,
      deliveredMs: retention.delivered,
      deadMs: retention.dead,
      rejectionsMs: retention.rejections,
      metricsMs: retention.metrics,
      logsMs: retention.logs,
    },
    maxDiskBytes: max_disk,
  };
}

function toMasterKey(declared: Declared["store"]["master_key"]): StoreConfig["masterKey"] {
  if (typeof declared === "string") return { kind: "text", text: declared };
  return { kind: "file", path: declared.file };
}

function toProject(declared: DeclaredProject): ProjectConfig {
  const { id, api_keys, dead_letters, pingback, pyfly, hookbridge, posthook, egress } = declared;
  return {
    id,
    apiKeys: api_keys.map(toApiKey),
    deadLetters: { count: dead_letters.count, windowMs: dead_letters.window },
    pingback: pingback === undefined ? null : toPingback(pingback),
    pyfly: pyfly === undefined ? null : toPyfly(pyfly),
    hookbridge: hookbridge === undefined ? null : toHookbridge(hookbridge),
    posthook: posthook === undefined ? null : toPosthook(posthook, posthook.signing_keys.map(toSecret)),
    egress: egress === undefined ? null : toProjectEgress(egress),
  };
}

function toPingback(pingback: NonNullable<DeclaredProject["pingback"]>): PingbackConfig {
  return {
    endpointUrl: pingback.endpoint_url ?? null,
    isPinned: pingback.pin_endpoint,
    secret: pingback.cron_secret ?? null,
    timezone: pingback.timezone,
    timeoutMaxMs: pingback.max_timeout,
  };
}

function toApiKey(declared: DeclaredProject["api_keys"][number]): ApiKeyConfig {
  if (typeof declared === "string") return { key: declared, label: null, scope: "admin" };
  return { key: declared.key ?? declared.file ?? "", label: declared.label ?? null, scope: declared.scope };
}

function toSecret(declared: DeclaredSecret): Secret {
  if (typeof declared === "string") return { value: declared };
  const { value, file = "", until } = declared;
  return { value: value ?? file, ...(until === undefined ? {} : { until }) };
}

interface SecretKeys {
  readonly secret?: DeclaredSecret;
  readonly password?: DeclaredSecret;
  readonly secrets?: readonly DeclaredSecret[];
}

/** Exactly one of the three is present, the decoder saw to that. */
function secretsOf({ secret, password, secrets }: SecretKeys): readonly Secret[] {
  const single = secret ?? password;
  return (secrets ?? (single === undefined ? [] : [single])).map(toSecret);
}

/** `url` is how senders reach the source, for signatures that cover it. */
function toVerify(rule: DeclaredVerify, url: string): VerifyConfig {
  switch (rule.scheme) {
    case "none":
      return { scheme: "none" };
    case "token": {
      const { scheme, header, query } = rule;
      const secrets = secretsOf(rule);
      return header === undefined ? { scheme, query: query ?? "", secrets } : { scheme, header, secrets };
    }
    case "basic":
      return { scheme: "basic", username: rule.username, secrets: secretsOf(rule) };
    case "hmac":
      return toHmac(rule, url);
    case "hookbridge-inbound": {
      const { scheme, header, timestamp_header: timestampHeader, tolerance: toleranceMs } = rule;
      const timed = timestampHeader === undefined ? {} : { timestampHeader, toleranceMs };
      return { scheme, header, ...timed, secrets: secretsOf(rule) };
    }
    default: {
      const { scheme, tolerance: toleranceMs, public_url: publicUrl = url } = rule;
      return {
        scheme,
        secrets: secretsOf(rule),
        ...(toleranceMs === undefined ? {} : { toleranceMs }),
        ...(signsUrl(scheme) ? { publicUrl } : {}),
      };
    }
  }
}

function toHmac(rule: Extract<DeclaredVerify, { scheme: "hmac" }>, url: string): VerifyConfig {
  const {
    scheme,
    header,
    algorithm,
    encoding,
    prefix,
    template,
    separator,
    public_url: publicUrl = url,
  } = rule;
  const { timestamp_header: timestampHeader, id_header: idHeader, tolerance: toleranceMs } = rule;
  return {
    scheme,
    header,
    algorithm,
    encoding,
    prefix,
    prefixOptional: rule.prefix_optional,
    template,
    ...(separator === undefined ? {} : { separator }),
    ...(timestampHeader === undefined ? {} : { timestampHeader, toleranceMs }),
    ...(idHeader === undefined ? {} : { idHeader }),
    ...(template.includes("{url}") ? { publicUrl } : {}),
    secrets: secretsOf(rule),
  };
}

type ServerKeys = Pick<Declared["server"], "listen" | "public_url" | "max_body">;

/** `source` must have been decoded and checked without a finding. */
export function toSource(source: DeclaredSource, server: ServerKeys): SourceConfig {
  const { project, name, verify, dedupe, event_type, respond, to, mode, methods, max_body } = source;
  const url = `${server.public_url ?? urlOf(server.listen)}/in/${name}`;
  return {
    project,
    name,
    verify: (Array.isArray(verify) ? verify : [verify]).map((rule) => toVerify(rule, url)),
    challenge: toChallenge(source.challenge),
    allowCidrs: source.allow_cidrs,
    rate: toRate(source.rate),
    dedupe: dedupe
      ? { selectors: dedupe.by.map((part) => (Array.isArray(part) ? part : [part])), windowMs: dedupe.window }
      : null,
    eventType: event_type ?? null,
    orderingKey: source.ordering_key ?? null,
    mode: mode ?? (to === undefined ? "pull" : "forward"),
    to: (to ?? []).map(toTarget),
    whilePaused: source.pause,
    respond: { status: respond.status, headers: respond.headers, body: respond.body ?? null },
    methods,
    maxBodyBytes: max_body ?? server.max_body,
  };
}

function toChallenge(challenge: DeclaredSource["challenge"]): ChallengeConfig | null {
  if (challenge === undefined) return null;
  if (challenge.scheme === "x") return { kind: "x", secrets: secretsOf(challenge) };
  return { kind: "meta", secrets: [toSecret(challenge.verify_token)] };
}

function toTarget(target: NonNullable<DeclaredSource["to"]>[number]): TargetConfig {
  if (!("kind" in target)) {
    const { endpoint = "", events, function: name, when } = target;
    if (events !== undefined) return { kind: "events", tenant: events, when };
    return name === undefined ? { kind: "endpoint", name: endpoint, when } : { kind: "function", name, when };
  }
  return { ...target, when: null };
}

function toSubscription({ event_types, ...rest }: Declared["subscription"][number]): SubscriptionConfig {
  return { ...rest, eventTypes: event_types };
}

function toRetry(rule: DeclaredRetry): RetryConfig {
  if ("delays" in rule) return { kind: "ladder", delaysMs: rule.delays, jitter: 0 };
  switch (rule.policy) {
    case "standard":
      return { kind: "standard" };
    case "fixed": {
      const { delay: delayMs, max_attempts: attemptsMax } = rule;
      return {
        kind: "exponential",
        delayMs,
        factor: 1,
        delayMaxMs: delayMs,
        attemptsMax,
        ageMaxMs: null,
        jitter: 0,
      };
    }
    case "exponential":
      return {
        kind: "exponential",
        delayMs: rule.delay,
        factor: rule.factor,
        delayMaxMs: rule.max_delay,
        attemptsMax: rule.max_attempts,
        ageMaxMs: rule.max_age ?? null,
        jitter: rule.jitter,
      };
  }
}

function toSign(rule: DeclaredSign): SignConfig {
  const secrets = secretsOf(rule);
  if (rule.scheme !== "custom") return { scheme: rule.scheme, secrets };
  const { scheme, header, algorithm, encoding, prefix, template, separator } = rule;
  const { timestamp_header: timestampHeader, id_header: idHeader } = rule;
  return {
    scheme,
    header,
    algorithm,
    encoding,
    prefix,
    template,
    ...(timestampHeader === undefined ? {} : { timestampHeader }),
    ...(idHeader === undefined ? {} : { idHeader }),
    ...(separator === undefined ? {} : { separator }),
    secrets,
  };
}

type Around = Pick<Declared, "egress" | "project">;

/** `endpoint` must have been decoded and checked without a finding. */
export function toEndpoint(endpoint: DeclaredEndpoint, around: Around): EndpointConfig {
  const { project, name, url, sign, headers, retry, concurrency, rate, timeout, breaker, ack } = endpoint;
  return {
    project,
    name,
    url,
    sign: sign.map(toSign),
    headers,
    retry: toRetry(retry),
    concurrency,
    rate: toRate(rate),
    timeoutMs: timeout ?? timeoutOf(project, around),
    ack: ack === undefined ? null : { deadlineMs: ack.deadline, deadlineMaxMs: ack.max_deadline },
    breaker: toBreaker(breaker),
    pacing: toPacing(endpoint),
    resultTo: endpoint.result_to ?? null,
    ...toEndpointEgress(endpoint),
  };
}

function timeoutOf(project: string, around: Around): number {
  const own = around.project.find(({ id }) => id === project)?.egress?.timeout;
  return own ?? around.egress.timeout;
}

/** What `all` means without numbers. */
const ALL = { policy: "all", max: 100, max_age: 7 * DAY } as const;

/** `schedule` must have been decoded without a finding. */
export function toSchedule(schedule: DeclaredSchedule): ScheduleConfig {
  const { project, name, cron, every, at, start, end, jitter, endpoint, headers } = schedule;
  const { timezone = "UTC" } = schedule;
  const given = Object.entries({ cron, every, at, start, end, jitter }).filter(
    ([, word]) => word !== undefined,
  );
  const words: Partial<ScheduleConfig["timing"]> = Object.fromEntries(given);
  const missed = schedule.missed === "all" ? ALL : schedule.missed;
  const { body } = schedule;
  return {
    project,
    name,
    timing: { ...words, timezone },
    missed:
      typeof missed === "string"
        ? { kind: missed }
        : { kind: "all", max: missed.max, ageMaxMs: missed.max_age },
    // To make up for every missed run and then skip all but the first would be an odd wish.
    overlap: schedule.overlap ?? (typeof missed === "string" ? "skip" : "queue"),
    concurrency: schedule.concurrency ?? null,
    endpoint,
    headers,
    body: body === undefined ? {} : typeof body === "string" ? { text: body } : { json: body },
  };
}

function freezeDeep<T>(value: T): T {
  if (typeof value === "object" && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const part of Object.values(value)) freezeDeep(part);
  }
  return value;
}
