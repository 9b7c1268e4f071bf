/**
 * What the configuration says of each project to this dialect, and the one endpoint per project that its
 * hooks go to. A project without a word about it is not served.
 */
import type { Endpoint } from "../../domain/endpoint.ts";
import { AppError } from "../../domain/errors.ts";
import type { RetryRule } from "../../domain/policy.ts";
import type { PosthookSettings, ProjectSettings } from "../../domain/project-settings.ts";
import type { DialectContext } from "../../http/dialect.ts";
import type { EndpointDraft } from "../../runtime/endpoints.ts";
import { DOOR, ENDPOINT_NAME, PROFILE_NAME, type ProjectExtra } from "./spec.ts";

/** Section 8. */
const TIMEOUT_MS = 10_000;
/** RFC 6761: never resolves. What has no domain is not sent there; the engine only wants an address. */
const NO_URL = "http://domain.invalid";
const JITTER = 0.25;

export interface PosthookProject {
  readonly project: string;
  readonly settings: PosthookSettings;
  readonly endpoint: Endpoint;
}

type Context = Pick<DialectContext, "directory" | "endpoints" | "nextId">;

export class Projects {
  readonly #context: Context;
  #settings = new Map<string, PosthookSettings>();

  constructor(context: Context) {
    this.#context = context;
  }

  /** Makes every project's endpoint what its settings say. Hooks of one that lost them still go out. */
  async reconcile(projects: readonly ProjectSettings[]): Promise<void> {
    const { directory, endpoints, nextId } = this.#context;
    const settings = new Map<string, PosthookSettings>();
    for (const { project, posthook } of projects) if (posthook) settings.set(project, posthook);
    for (const [project, posthook] of settings) {
      const known = directory.endpointNamed(project, ENDPOINT_NAME);
      const draft = toDraft(project, posthook, known?.id ?? nextId());
      if (!known || !isSame(draft, known)) await endpoints.put(draft);
    }
    this.#settings = settings;
  }

  allowsListening(project: string): boolean {
    return this.#settings.get(project)?.hasWebsocket ?? false;
  }

  /** Throws forbidden for a project that the configuration does not open to Posthook's clients. */
  get(project: string): PosthookProject {
    const settings = this.#settings.get(project);
    const endpoint = this.#context.directory.endpointNamed(project, ENDPOINT_NAME);
    if (!settings || !endpoint) {
      throw new AppError("forbidden", "this project has no posthook table in the configuration");
    }
    return { project, settings, endpoint };
  }
}

function toDraft(project: string, settings: PosthookSettings, id: string): EndpointDraft {
  const { domain, signingKeys, authorization, isAsync, concurrency } = settings;
  const extra: ProjectExtra = { domain, isAsync };
  return {
    id,
    project,
    name: ENDPOINT_NAME,
    door: DOOR,
    profile: PROFILE_NAME,
    url: domain ?? NO_URL,
    headers: authorization === null ? {} : { Authorization: authorization },
    sign: [{ scheme: "posthook", secrets: [...signingKeys] }],
    retry: toRule(settings.retry),
    concurrency,
    rate: null,
    timeoutMs: TIMEOUT_MS,
    breaker: { failures: 0, recoveryMs: TIMEOUT_MS },
    pacing: { slowStart: false },
    isDeclared: true,
    extra: JSON.stringify(extra),
  };
}

function toRule({ retries, strategy, delayMs, factor, delayMaxMs, hasJitter }: PosthookSettings["retry"]) {
  const isFixed = strategy === "fixed";
  return {
    kind: "exponential",
    delayMs,
    factor: isFixed ? 1 : factor,
    delayMaxMs: isFixed ? delayMs : Math.max(delayMs, delayMaxMs),
    attemptsMax: 1 + retries,
    ageMaxMs: null,
    jitter: hasJitter ? JITTER : 0,
  } satisfies RetryRule;
}

function isSame(draft: EndpointDraft, known: Endpoint): boolean {
  return Object.entries(draft).every(
    ([key, value]) => JSON.stringify(value) === JSON.stringify(known[key as keyof Endpoint]),
  );
}
