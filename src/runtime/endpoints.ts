/** Endpoints that are made, changed and retired while the program runs: stored first, then in force. */
import type { Endpoint } from "../domain/endpoint.ts";
import type { Id } from "../domain/id.ts";
import type { Clock } from "./clock.ts";
import type { Directory } from "./directory.ts";
import type { CheckTarget } from "./target-check.ts";

type RunTime =
  | "lane"
  | "pausedAt"
  | "disabledAt"
  | "disabledReason"
  | "createdAt"
  | "updatedAt"
  | "deletedAt";
export type EndpointDraft = Omit<Endpoint, RunTime>;

export interface EndpointWritesOptions {
  readonly clock: Clock;
  readonly store: {
    putEndpoint(definition: EndpointDraft, now: number): Promise<Endpoint>;
    retireEndpoint(id: Id, now: number): Promise<Endpoint | null>;
  };
  readonly directory: Pick<Directory, "endpoint">;
  readonly checkTarget: CheckTarget;
  readonly onEndpointChanged: (endpoint: Endpoint) => void;
}

export class EndpointWrites {
  readonly #options: EndpointWritesOptions;

  constructor(options: EndpointWritesOptions) {
    this.#options = options;
  }

  /** AppError: target_blocked for a new target that is private and that no rule allows. */
  async put(definition: EndpointDraft): Promise<Endpoint> {
    const { clock, store, directory, checkTarget, onEndpointChanged } = this.#options;
    const isNewTarget = directory.endpoint(definition.id)?.url !== definition.url;
    if (isNewTarget) await checkTarget(new URL(definition.url), definition);
    const endpoint = await store.putEndpoint(definition, clock.now());
    onEndpointChanged(endpoint);
    return endpoint;
  }

  async retire(id: Id): Promise<void> {
    const { clock, store, onEndpointChanged } = this.#options;
    const endpoint = await store.retireEndpoint(id, clock.now());
    if (endpoint) onEndpointChanged(endpoint);
  }
}
