/** Endpoints that are made, changed and retired while the program runs: stored first, then in force. */
import type { Endpoint } from "../domain/endpoint.ts";
import type { Id } from "../domain/id.ts";
import type { Clock } from "./clock.ts";

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
  readonly onEndpointChanged: (endpoint: Endpoint) => void;
}

export class EndpointWrites {
  readonly #options: EndpointWritesOptions;

  constructor(options: EndpointWritesOptions) {
    this.#options = options;
  }

  async put(definition: EndpointDraft): Promise<Endpoint> {
    const { clock, store, onEndpointChanged } = this.#options;
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
