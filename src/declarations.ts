/** From the config file's words to the engine's: what app.ts hands to the reconciler. Pure. */
import type {
  AlertConfig,
  Config,
  EndpointConfig,
  RetryConfig,
  ScheduleConfig,
  SourceConfig,
  TargetConfig,
} from "./config/config.ts";
import { contentOf } from "./domain/content.ts";
import type { Filter } from "./domain/filter.ts";
import { functionEndpointName } from "./domain/function.ts";
import { NATIVE_PROFILE } from "./domain/native-profile.ts";
import { NOTICE_TENANT } from "./domain/notice.ts";
import { type RetryRule, STANDARD_RETRY } from "./domain/policy.ts";
import type { ProjectSettings } from "./domain/project-settings.ts";
import { isResultUrl, resultEndpoint } from "./domain/result-note.ts";
import type { ScheduleDefinition } from "./domain/schedule-definition.ts";
import type { Target } from "./domain/source.ts";
import type {
  Declarations,
  DeclaredEndpoint,
  DeclaredSource,
  DeclaredSubscription,
} from "./runtime/reconcile.ts";

export function toDeclarations(config: Config): Declarations {
  return {
    projects: config.projects.map((project) => project.id),
    apiKeys: config.projects.flatMap((project) =>
      project.apiKeys.map(({ key, label, scope }) => ({
        project: project.id,
        hash: sha256(key),
        label,
        scope,
      })),
    ),
    endpoints: config.endpoints.flatMap((endpoint) => [toEndpoint(endpoint), ...toResultEndpoint(endpoint)]),
    sources: config.sources.map(toSource),
    subscriptions: [...config.subscriptions, ...config.alerts.map(toAlert)],
    deadLetters: config.projects.map(({ id, deadLetters }) => ({ project: id, ...deadLetters })),
    schedules: config.schedules.map(toSchedule),
    egress: new Map(config.projects.flatMap(({ id, egress }) => (egress ? [[id, egress]] : []))),
  };
}

/** What every dialect is told of every project. */
export function toProjectSettings(config: Config): ProjectSettings[] {
  return config.projects.map(({ id, pingback, pyfly, hookbridge, posthook }) => ({
    project: id,
    ...(pingback === null ? {} : { pingback }),
    ...(pyfly === null ? {} : { pyfly }),
    ...(hookbridge === null ? {} : { hookbridge }),
    ...(posthook === null ? {} : { posthook }),
    callbackConfigs: config.callbackConfigs.filter(({ project }) => project === id),
  }));
}

/** An alert is a subscription. No declared one has a colon in its name, so the two never meet. */
function toAlert({ project, name, on, endpoint }: AlertConfig): DeclaredSubscription {
  return { project, name: `alert:${name}`, tenant: NOTICE_TENANT, eventTypes: on, endpoint };
}

function toEndpoint(endpoint: EndpointConfig): DeclaredEndpoint {
  const { project, name, url, headers, sign, concurrency, rate, timeoutMs, breaker } = endpoint;
  const { ack, pacing, tls, proxy, allowPrivate, resultTo } = endpoint;
  return {
    project,
    name,
    profile: NATIVE_PROFILE.name,
    url,
    headers,
    sign,
    retry: toRetry(endpoint.retry),
    concurrency,
    rate,
    timeoutMs,
    breaker,
    ack,
    pacing,
    tls,
    proxy,
    allowPrivate,
    resultTo,
  };
}

/** What the URL in its result_to stands for. */
function toResultEndpoint(endpoint: EndpointConfig): DeclaredEndpoint[] {
  const { resultTo } = endpoint;
  if (resultTo === null || !isResultUrl(resultTo)) return [];
  return [resultEndpoint({ ...endpoint, by: "endpoint" }, resultTo)];
}

function toSchedule({ concurrency, headers, body, ...schedule }: ScheduleConfig): ScheduleDefinition {
  return { ...schedule, activeMax: concurrency, content: contentOf({ ...body, headers }) };
}

function toSource({ maxBodyBytes, to, ...source }: SourceConfig): DeclaredSource {
  return { ...source, to: to.map(toTarget), bodyBytesMax: maxBodyBytes };
}

/** A configuration loads only when its conditions are filters: domain/source-check.ts has judged them. */
function toTarget({ when: given, ...target }: TargetConfig): Target {
  const when = given as Filter | null;
  if (target.kind === "events") return { ...target, when };
  const { kind, name } = target;
  return { kind: "endpoint", name: kind === "function" ? functionEndpointName(name) : name, when };
}

function toRetry(retry: RetryConfig): RetryRule {
  return retry.kind === "standard" ? STANDARD_RETRY : retry;
}

function sha256(text: string): string {
  return new Bun.CryptoHasher("sha256").update(text).digest("hex");
}
