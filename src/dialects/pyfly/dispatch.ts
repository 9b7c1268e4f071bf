/**
 * An event to everybody who asked for it (PyFly reference, section 3): one execution per matching
 * subscription, stored in one transaction with the event and the deliveries that send it.
 */
import { createHmac } from "node:crypto";
import type {
  CallbackConfig,
  CallbackExecution,
  CallbackSubscription,
  NewCallbackExecution,
} from "../../domain/callback.ts";
import { AppError } from "../../domain/errors.ts";
import type { Id } from "../../domain/id.ts";
import type { DialectContext } from "../../http/dialect.ts";
import type { PreparedDelivery } from "../../runtime/intake.ts";
import type { Configs } from "./configs.ts";
import { isAuthorized, withoutCredentials } from "./domains.ts";
import { type CallbackSpec, CONFIG_DISABLED } from "./profile.ts";

const NOT_AUTHORIZED = "Domain not authorized";
const ANY_TYPE = "*";

export interface Dispatched {
  readonly project: string;
  readonly tenant: string;
  readonly eventType: string;
  /** Canonical. */
  readonly payload: string;
}

interface Match {
  readonly config: CallbackConfig;
  readonly subscription: CallbackSubscription;
}

export type DispatchContext = Pick<DialectContext, "clock" | "intake" | "directory" | "nextId" | "callbacks">;

export class Dispatch {
  readonly #context: DispatchContext;
  readonly #configs: Configs;

  constructor(context: DispatchContext, configs: Configs) {
    this.#context = context;
    this.#configs = configs;
  }

  /**
   * Resolves after the commit with the ids of the executions, in the order of configs and then subscriptions;
   * an empty list means that nobody asked, and nothing was stored. Rejects with an AppError, nothing stored.
   */
  async dispatch(event: Dispatched): Promise<readonly Id[]> {
    const matches = this.#configs
      .list(event.project, event.tenant)
      .filter((config) => config.isEnabled)
      .flatMap((config) =>
        config.subscriptions
          .filter(({ eventType }) => eventType === event.eventType || eventType === ANY_TYPE)
          .map((subscription) => ({ config, subscription })),
      );
    return this.#send(event, matches);
  }

  /** A new execution of the same payload, signed with today's secret. Throws gone, conflict. */
  async redeliver(execution: CallbackExecution): Promise<Id> {
    const { project, tenant, eventType, targetUrl, payload } = execution;
    const config = this.#configs.find(project, execution.configId);
    const subscription = config?.subscriptions.find((one) => withoutCredentials(one.targetUrl) === targetUrl);
    if (!config || !subscription) {
      throw new AppError("conflict", "its config has no subscription with this target any more");
    }
    if (!config.isEnabled) throw new AppError("conflict", `its config is disabled: ${CONFIG_DISABLED}`);
    if (payload === null) throw new AppError("gone", "its payload is no longer kept");
    const [id] = await this.#send({ project, tenant, eventType, payload }, [{ config, subscription }]);
    return id as Id;
  }

  async #send(event: Dispatched, matches: readonly Match[]): Promise<readonly Id[]> {
    if (matches.length === 0) return [];
    const { clock, intake } = this.#context;
    const body = Buffer.from(event.payload);
    const executions = matches.map((match) => this.#execution(match));
    const deliveries = matches.flatMap((match, index) => {
      const execution = executions[index] as NewCallbackExecution;
      return execution.refusal === null ? [this.#delivery(match, execution.id, { event, body })] : [];
    });
    await intake.accept(
      {
        project: event.project,
        sourceSeq: null,
        type: event.eventType,
        tenant: event.tenant,
        receivedAt: clock.now(),
        remoteAddress: null,
        body,
        dedupe: null,
        callbacks: executions,
        payload: { headers: {}, body },
      },
      { kind: "prepared", deliveries },
    );
    return executions.map(({ id }) => id);
  }

  #execution({ config, subscription: { targetUrl } }: Match): NewCallbackExecution {
    const domains = config.authorizedDomains.map(({ domain }) => domain);
    return {
      id: this.#context.nextId(),
      configId: config.id,
      targetUrl: withoutCredentials(targetUrl),
      refusal: isAuthorized(targetUrl, domains) ? null : NOT_AUTHORIZED,
    };
  }

  #delivery(
    { config: { secret }, subscription }: Match,
    id: Id,
    { event, body }: { readonly event: Dispatched; readonly body: Uint8Array },
  ): PreparedDelivery {
    const endpoint = this.#context.directory.endpoint(subscription.endpointId);
    if (!endpoint) throw new Error(`the endpoint ${subscription.endpointId} of a subscription is missing`);
    const signature = secret === null ? null : signCallback(secret, body);
    const spec: CallbackSpec = { eventType: event.eventType, signature };
    return { id, endpoint, spec: JSON.stringify(spec) };
  }
}

/** Section 5: the value of X-Pyfly-Signature. The secret is used as UTF-8 text. */
export function signCallback(secret: string, body: Uint8Array): string {
  return `sha256=${createHmac("sha256", secret).update(body).digest("hex")}`;
}
