/**
 * The callback configs, and what they make of the engine's endpoints. All of them are in memory: there are as
 * many as a team has customers.
 *
 * Every subscription has an endpoint of its own, so that targets are isolated from one another and headers
 * are sealed. A subscription that is gone, or whose config is, leaves its endpoint behind with a refusal,
 * which ends what was still to be sent; `retireLeftovers` takes it away once nothing of it waits.
 */
import type {
  CallbackConfig,
  CallbackConfigDefinition,
  CallbackSubscription,
} from "../../domain/callback.ts";
import { MINUTE } from "../../domain/duration.ts";
import type { Endpoint } from "../../domain/endpoint.ts";
import { AppError } from "../../domain/errors.ts";
import type { Id } from "../../domain/id.ts";
import type { PyflySettings } from "../../domain/project-settings.ts";
import type { DialectContext } from "../../http/dialect.ts";
import type { ConfigDraft } from "./config-draft.ts";
import { type CallbackTarget, CONFIG_DISABLED, PYFLY_PROFILE } from "./profile.ts";

const PYFLY_DOOR = "pyfly";
const SUBSCRIPTION_REMOVED = "Subscription removed";
/** The longest wait between two attempts, whatever the backoff (section 3). */
const BACKOFF_MAX_MS = 5 * MINUTE;
const CONCURRENCY = 16;

export type ConfigsContext = Pick<DialectContext, "clock" | "callbacks" | "directory" | "objects" | "nextId">;

type Draft = Omit<ConfigDraft, "id">;

export class Configs {
  readonly #context: ConfigsContext;
  readonly #settingsOf: (project: string) => PyflySettings;
  /** In the order in which they were made. */
  #configs = new Map<Id, CallbackConfig>();
  /** Ids of configs that are being made: two requests may choose the same one. */
  readonly #making = new Set<Id>();

  constructor(context: ConfigsContext, settingsOf: (project: string) => PyflySettings) {
    this.#context = context;
    this.#settingsOf = settingsOf;
  }

  async load(): Promise<void> {
    const configs = await this.#context.callbacks.loadCallbackConfigs();
    this.#configs = new Map(configs.map((config) => [config.id, config]));
  }

  list(project: string, tenant: string | null = null): CallbackConfig[] {
    return [...this.#configs.values()].filter(
      (config) => config.project === project && (tenant === null || config.tenant === tenant),
    );
  }

  /** Undefined for another project's. */
  find(project: string, id: Id): CallbackConfig | undefined {
    const config = this.#configs.get(id);
    return config?.project === project ? config : undefined;
  }

  /** Throws conflict when the chosen id is taken, target_blocked for a target that may not be called. */
  async create(project: string, { id, ...draft }: ConfigDraft, door = PYFLY_DOOR): Promise<CallbackConfig> {
    const chosen = id ?? this.#context.nextId();
    if (this.#configs.has(chosen) || this.#making.has(chosen)) {
      throw new AppError("conflict", "there is a config of this id already");
    }
    this.#making.add(chosen);
    try {
      const secret = draft.secret ?? null;
      return await this.#put({ ...draft, id: chosen, project, door, secret }, []);
    } finally {
      this.#making.delete(chosen);
    }
  }

  /** A draft without a secret keeps the one that is there. */
  async update(config: CallbackConfig, draft: Draft): Promise<CallbackConfig> {
    const secret = draft.secret === undefined ? config.secret : draft.secret;
    const { id, project, door } = config;
    const updated = await this.#put({ ...draft, id, project, door, secret }, config.subscriptions);
    const kept = new Set(updated.subscriptions.map(({ endpointId }) => endpointId));
    const removed = config.subscriptions.filter(({ endpointId }) => !kept.has(endpointId));
    for (const { endpointId } of removed) await this.#refuse(endpointId, SUBSCRIPTION_REMOVED);
    return updated;
  }

  async remove(config: CallbackConfig): Promise<void> {
    const { callbacks, clock } = this.#context;
    await callbacks.retireCallbackConfig(config.id, clock.now());
    this.#configs.delete(config.id);
    for (const { endpointId } of config.subscriptions) await this.#refuse(endpointId, CONFIG_DISABLED);
  }

  /** Makes the endpoints of a project what its settings say now. */
  async applySettings(project: string): Promise<void> {
    for (const config of this.list(project)) {
      for (const subscription of config.subscriptions) await this.#putEndpoint(config, subscription);
    }
  }

  /** Endpoints that no subscription uses any more. `isIdle` says whether nothing of one waits. */
  async retireLeftovers(isIdle: (endpoint: Endpoint) => Promise<boolean>): Promise<void> {
    const { directory, objects } = this.#context;
    const used = new Set(
      [...this.#configs.values()].flatMap(({ subscriptions }) => subscriptions.map((one) => one.endpointId)),
    );
    for (const endpoint of directory.endpoints()) {
      if (endpoint.door !== PYFLY_DOOR || endpoint.deletedAt !== null || used.has(endpoint.id)) continue;
      if (await isIdle(endpoint)) await objects.retireEndpoint(endpoint.id);
    }
  }

  /** Endpoints first: a config in the store must never name one that is not there. */
  async #put(plan: Plan, before: readonly CallbackSubscription[]): Promise<CallbackConfig> {
    const { callbacks, clock, objects } = this.#context;
    const { project, door } = plan;
    const isDeclared = door === "config";
    // All of them before any is made: what is refused for its last target must not have changed the first.
    await Promise.all(
      plan.subscriptions.map(({ targetUrl, headers }) =>
        objects.assertTarget(PYFLY_DOOR, { ...splitCredentials(targetUrl, headers), project, isDeclared }),
      ),
    );
    const free = [...before];
    const subscriptions: CallbackSubscription[] = [];
    for (const subscription of plan.subscriptions) {
      // The same target keeps its endpoint, and with it what waits there; each is used once.
      const index = free.findIndex(({ targetUrl }) => targetUrl === subscription.targetUrl);
      const [kept] = index === -1 ? [] : free.splice(index, 1);
      const endpointId = await this.#putEndpoint(plan, { ...subscription, endpointId: kept?.endpointId });
      subscriptions.push({ ...subscription, endpointId });
    }
    const config = await callbacks.putCallbackConfig({ ...plan, subscriptions }, clock.now());
    this.#configs.set(config.id, config);
    return config;
  }

  /** Makes the endpoint of a subscription, or what it should be of the one that is there; returns its id. */
  async #putEndpoint(
    { project, door, isEnabled, attemptsMax, backoffMs }: Omit<Plan, "subscriptions">,
    {
      endpointId,
      targetUrl,
      headers,
    }: Draft["subscriptions"][number] & { readonly endpointId?: Id | undefined },
  ): Promise<Id> {
    const { directory, objects, nextId } = this.#context;
    const { timeoutMs, breaker } = this.#settingsOf(project);
    const target: CallbackTarget = { refusal: isEnabled ? null : CONFIG_DISABLED };
    const definition = {
      ...splitCredentials(targetUrl, headers),
      profile: PYFLY_PROFILE.name,
      sign: [],
      retry: {
        kind: "exponential",
        delayMs: backoffMs,
        factor: 2,
        delayMaxMs: BACKOFF_MAX_MS,
        attemptsMax,
        ageMaxMs: null,
        jitter: 0,
      },
      concurrency: CONCURRENCY,
      rate: null,
      timeoutMs,
      // Its wait does not grow from probe to probe.
      breaker: { ...breaker, recoveryMaxMs: breaker.recoveryMs },
      isDeclared: door === "config",
      extra: JSON.stringify(target),
    } as const;
    const known = endpointId === undefined ? undefined : directory.endpoint(endpointId);
    if (!known || known.deletedAt !== null) {
      const made = { ...definition, project, name: `callback_${nextId()}` };
      return (await objects.createEndpoint(PYFLY_DOOR, made)).id;
    }
    // Each change costs a commit and asks for the target's address, which a reload must not do for all.
    if (!isSame(known, definition)) await objects.updateEndpoint(known.id, () => definition);
    return known.id;
  }

  async #refuse(endpointId: Id, refusal: string): Promise<void> {
    const { directory, objects } = this.#context;
    const endpoint = directory.endpoint(endpointId);
    if (!endpoint || endpoint.deletedAt !== null) return;
    const target: CallbackTarget = { refusal };
    await objects.updateEndpoint(endpointId, () => ({ extra: JSON.stringify(target) }));
  }
}

/** A config on its way to the store: its subscriptions have no endpoints yet. */
type Plan = Omit<CallbackConfigDefinition, "subscriptions"> & Pick<Draft, "subscriptions">;

function isSame(endpoint: Endpoint, definition: Partial<Endpoint>): boolean {
  const names = Object.keys(definition) as (keyof Endpoint)[];
  return names.every((name) => JSON.stringify(endpoint[name]) === JSON.stringify(definition[name]));
}

/** PyFly's client sends the user of a URL as Basic credentials; endpoints take them as a header only. */
function splitCredentials(targetUrl: string, headers: Readonly<Record<string, string>>) {
  const url = new URL(targetUrl);
  const { username, password } = url;
  if (username === "" && password === "") return { url: url.href, headers };
  url.username = "";
  url.password = "";
  const pair = `${decodePart(username)}:${decodePart(password)}`;
  const Authorization = `Basic ${Buffer.from(pair).toString("base64")}`;
  const isGiven = Object.keys(headers).some((name) => name.toLowerCase() === "authorization");
  return { url: url.href, headers: isGiven ? headers : { ...headers, Authorization } };
}

/** What is no encoding stays as it is. */
function decodePart(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
