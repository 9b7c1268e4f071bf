/**
 * Alerts (pingback.md section 8, with its SELF readings): who is told when a function fails again and
 * again, takes too long, or runs late. An alert is an endpoint of ours, named `alert-<id>`, with its rule
 * in `extra`; firing one is an ordinary delivery to it, signed by nobody, retried like every native one.
 *
 * Judged after the commit that ends an execution, so a kill in that moment loses the judgement, never the
 * execution. Only webhooks: this server has no mail.
 */

import type { StoreChange } from "../../domain/change.ts";
import { isFinal, type Transition } from "../../domain/delivery.ts";
import { MINUTE, SECOND } from "../../domain/duration.ts";
import type { Endpoint } from "../../domain/endpoint.ts";
import { type Execution, executionStatus } from "../../domain/execution.ts";
import type { AppFunction } from "../../domain/function.ts";
import { functionNameOf } from "../../domain/function.ts";
import type { Id } from "../../domain/id.ts";
import { NATIVE_PROFILE } from "../../domain/native-profile.ts";
import { STANDARD_RETRY } from "../../domain/policy.ts";
import { DEFAULT_BREAKER } from "../../domain/pressure.ts";
import type { DialectContext } from "../../http/dialect.ts";
import { showExecution } from "./show.ts";
import { PINGBACK_NAME, showUuid } from "./wire.ts";

export const TRIGGER_TYPES = ["consecutive_failures", "duration_exceeded", "missed_run"] as const;
export type TriggerType = (typeof TRIGGER_TYPES)[number];

export interface AlertRule {
  /** Null: every function of the project. */
  readonly jobId: Id | null;
  readonly triggerType: TriggerType;
  /** Executions, seconds or minutes. */
  readonly triggerValue: number;
  readonly cooldownSeconds: number;
  readonly isEnabled: boolean;
  readonly lastFiredAt: number | null;
}

export interface Alert extends AlertRule {
  readonly endpoint: Endpoint;
}

const PREFIX = "alert-";
const TIMEOUT_MS = 30_000;
/** A streak is looked for among so many more executions, since those that wait are stepped over. */
const LOOK_BACK = 50;

export class Alerts {
  readonly #context: DialectContext;
  readonly #judging = new Set<Promise<void>>();
  /** By project. Every end of an execution asks, so they are not looked for among all endpoints each time. */
  readonly #known = new Map<string, readonly Alert[]>();

  constructor(context: DialectContext) {
    this.#context = context;
  }

  /** Those in service, oldest first. */
  list(project: string): readonly Alert[] {
    const known = this.#known.get(project);
    if (known) return known;
    const isOne = ({ name, door, deletedAt }: Endpoint) =>
      name.startsWith(PREFIX) && door === PINGBACK_NAME && deletedAt === null;
    const found = this.#context.directory.endpointsOf(project, isOne).map(toAlert);
    this.#known.set(project, found);
    return found;
  }

  find(project: string, id: Id | null): Alert | undefined {
    return this.list(project).find(({ endpoint }) => endpoint.id === id);
  }

  async create(project: string, url: string, rule: AlertRule): Promise<Alert> {
    const { objects, nextId } = this.#context;
    const endpoint = await objects.createEndpoint(PINGBACK_NAME, {
      ...{ project, name: PREFIX + nextId(), profile: NATIVE_PROFILE.name, url },
      ...{ headers: {}, sign: [], retry: STANDARD_RETRY, concurrency: 4, rate: null },
      ...{ timeoutMs: TIMEOUT_MS, breaker: DEFAULT_BREAKER, extra: JSON.stringify(rule) },
    });
    this.#known.delete(project);
    return toAlert(endpoint);
  }

  async change({ endpoint }: Alert, change: Partial<AlertRule> & { readonly url?: string }): Promise<Alert> {
    const { url, ...rule } = change;
    const changed = await this.#context.objects.updateEndpoint(endpoint.id, (current) => ({
      ...(url === undefined ? {} : { url }),
      extra: JSON.stringify({ ...ruleOf(current), ...rule }),
    }));
    this.#known.delete(endpoint.project);
    return toAlert(changed);
  }

  async remove({ endpoint }: Alert): Promise<void> {
    await this.#context.objects.retireEndpoint(endpoint.id);
    this.#known.delete(endpoint.project);
  }

  /** Told of every commit; looks at those that end an execution or begin a late one. */
  note(changes: readonly StoreChange[]): void {
    for (const change of changes) {
      if (change.kind === "moved" && isFinal(change.change.to)) this.#track(this.#ended(change.change));
      if (change.kind !== "created" || change.delivery.scheduleSeq === undefined) continue;
      const { lane, scheduledAt = change.createdAt } = change.delivery;
      this.#track(this.#ran(lane, change.createdAt - scheduledAt));
    }
  }

  isSettled(): boolean {
    return this.#judging.size === 0;
  }

  async stop(): Promise<void> {
    await Promise.all(this.#judging);
  }

  #track(judging: Promise<void> | null): void {
    if (judging === null) return;
    const tracked = judging
      .catch((error: unknown) => this.#context.log.warn("alert.not_judged", { error: String(error) }))
      .finally(() => this.#judging.delete(tracked));
    this.#judging.add(tracked);
  }

  /** Null when nobody wants to know. */
  #ended({ lane, to, attempt }: Transition): Promise<void> | null {
    const about = this.#about(lane, ["consecutive_failures", "duration_exceeded"]);
    if (about === null) return null;
    const durationMs = attempt?.durationMs ?? 0;
    return this.#eachOf(about, async ({ triggerType, triggerValue }) => {
      if (triggerType === "duration_exceeded") return durationMs > triggerValue * SECOND;
      return to === "dead" && (await this.#isStreak(about.endpoint, triggerValue));
    });
  }

  #ran(lane: number, lateMs: number): Promise<void> | null {
    const about = lateMs < MINUTE ? null : this.#about(lane, ["missed_run"]);
    return about && this.#eachOf(about, async ({ triggerValue }) => lateMs >= triggerValue * MINUTE);
  }

  #about(lane: number, types: readonly TriggerType[]): About | null {
    const endpoint = this.#context.directory.endpointOfLane(lane);
    if (!endpoint || functionNameOf(endpoint) === null) return null;
    const alerts = this.list(endpoint.project).filter(
      ({ jobId, isEnabled, triggerType }) =>
        isEnabled && types.includes(triggerType) && (jobId === null || jobId === endpoint.id),
    );
    return alerts.length === 0 ? null : { endpoint, alerts };
  }

  async #eachOf({ endpoint, alerts }: About, isMet: (alert: Alert) => Promise<boolean>): Promise<void> {
    for (const { endpoint: own } of alerts) {
      const alert = this.find(own.project, own.id);
      if (alert && !this.#isCooling(alert) && (await isMet(alert))) await this.#fire(alert, endpoint);
    }
  }

  #isCooling({ lastFiredAt, cooldownSeconds }: Alert): boolean {
    return lastFiredAt !== null && this.#context.clock.now() < lastFiredAt + cooldownSeconds * SECOND;
  }

  /** The newest ones that have ended, as many as it takes, and all of them failed. */
  async #isStreak({ project, lane }: Endpoint, count: number): Promise<boolean> {
    const limit = Math.min(count + LOOK_BACK, 500);
    const { data } = await this.#context.functionReads.listExecutions({ project, lane, limit });
    const ended = data.filter(({ state }) => isFinal(state)).slice(0, count);
    return ended.length === count && ended.every(({ state }) => executionStatus(state) === "failed");
  }

  async #fire(alert: Alert, target: Endpoint): Promise<void> {
    const { functions, functionReads, timers, clock, log } = this.#context;
    const now = clock.now();
    // First of all, or executions that end at the same moment would all fire.
    const fired = await this.change(alert, { lastFiredAt: now });
    const job = await functions.find(target.project, target.id);
    const { data } = await functionReads.listExecutions({
      project: job.project,
      lane: target.lane,
      limit: 1,
    });
    const body = JSON.stringify(showAlertNotice(fired, job, data[0] ?? null));
    const headers = JSON.stringify({ "content-type": "application/json" });
    await timers.create(fired.endpoint, { payload: { headers, body: Buffer.from(body) }, dueAt: now });
    log.warn("alert.fired", { project: job.project, function: job.name, trigger: alert.triggerType });
  }
}

interface About {
  readonly endpoint: Endpoint;
  readonly alerts: readonly Alert[];
}

function ruleOf({ extra }: Endpoint): AlertRule {
  return JSON.parse(extra ?? "{}") as AlertRule;
}

function toAlert(endpoint: Endpoint): Alert {
  return { ...ruleOf(endpoint), endpoint };
}

const WORDS: Readonly<Record<TriggerType, string>> = {
  consecutive_failures: "failed",
  duration_exceeded: "took too long",
  missed_run: "ran late",
};

/** `text` serves Slack, `content` Discord. */
function showAlertNotice(alert: Alert, job: AppFunction, execution: Execution | null) {
  const shown = execution === null ? null : showExecution(execution, () => job);
  const error = shown?.errorMessage ? `: ${shown.errorMessage}` : "";
  const text = `[Pingback] Job "${job.name}" ${WORDS[alert.triggerType]}${error}`;
  const { triggerType, triggerValue } = alert;
  return {
    ...{ text, content: text },
    alert: { id: showUuid(alert.endpoint.id), triggerType, triggerValue },
    job: { id: showUuid(job.id), name: job.name },
    project: job.project,
    execution: shown && {
      id: shown.id,
      status: shown.status,
      attempt: shown.attempt,
      error: shown.errorMessage,
    },
  };
}
