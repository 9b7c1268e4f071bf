/**
 * Everything that was defined, in memory: what a request needs to find its source, key and endpoints without
 * reading the store. Filled at start, replaced piece by piece as definitions change. It decides nothing.
 */
import type { ApiKey, Project } from "../domain/access.ts";
import type { Endpoint } from "../domain/endpoint.ts";
import type { Id } from "../domain/id.ts";
import type { Source } from "../domain/source.ts";
import type { Subscription } from "../domain/subscription.ts";

export interface Definitions {
  readonly projects: readonly Project[];
  readonly apiKeys: readonly ApiKey[];
  readonly endpoints: readonly Endpoint[];
  readonly sources: readonly Source[];
  readonly subscriptions: readonly Subscription[];
}

export class Directory {
  readonly #projects = new Set<string>();
  readonly #keysByHash = new Map<string, ApiKey>();
  readonly #endpointsById = new Map<Id, Endpoint>();
  readonly #endpointsByLane = new Map<number, Endpoint>();
  readonly #endpointsByName = new Map<string, Endpoint>();
  readonly #sourcesByName = new Map<string, Source>();
  readonly #sourcesById = new Map<Id, Source>();
  readonly #sourcesBySeq = new Map<number, Source>();
  readonly #subscriptionsById = new Map<Id, Subscription>();
  readonly #subscriptionsByName = new Map<string, Subscription>();
  /** By project and tenant, in order of their number. */
  readonly #subscriptionsByTenant = new Map<string, Subscription[]>();

  replaceAll(definitions: Definitions): void {
    for (const map of [this.#keysByHash, this.#endpointsById, this.#endpointsByLane, this.#endpointsByName]) {
      map.clear();
    }
    this.#sourcesByName.clear();
    this.#sourcesById.clear();
    this.#sourcesBySeq.clear();
    this.#projects.clear();
    for (const project of definitions.projects) {
      if (project.retiredAt === null) this.#projects.add(project.name);
    }
    for (const key of definitions.apiKeys) {
      if (key.deletedAt === null) this.#keysByHash.set(key.hash, key);
    }
    for (const endpoint of definitions.endpoints) this.putEndpoint(endpoint);
    for (const source of definitions.sources) this.putSource(source);
    this.#replaceSubscriptions(definitions.subscriptions);
  }

  #replaceSubscriptions(subscriptions: readonly Subscription[]): void {
    this.#subscriptionsById.clear();
    this.#subscriptionsByName.clear();
    this.#subscriptionsByTenant.clear();
    for (const subscription of [...subscriptions].sort((a, b) => a.seq - b.seq)) {
      const { id, project, name, tenant, deletedAt } = subscription;
      this.#subscriptionsById.set(id, subscription);
      if (deletedAt !== null) continue;
      this.#subscriptionsByName.set(nameKey(project, name), subscription);
      const key = nameKey(project, tenant);
      const others = this.#subscriptionsByTenant.get(key);
      if (others) others.push(subscription);
      else this.#subscriptionsByTenant.set(key, [subscription]);
    }
  }

  putEndpoint(endpoint: Endpoint): void {
    this.#endpointsById.set(endpoint.id, endpoint);
    this.#endpointsByLane.set(endpoint.lane, endpoint);
    const key = nameKey(endpoint.project, endpoint.name);
    if (endpoint.deletedAt === null) this.#endpointsByName.set(key, endpoint);
    else if (this.#endpointsByName.get(key)?.id === endpoint.id) this.#endpointsByName.delete(key);
  }

  putSource(source: Source): void {
    this.#sourcesById.set(source.id, source);
    this.#sourcesBySeq.set(source.seq, source);
    if (source.deletedAt === null) this.#sourcesByName.set(source.name, source);
    else if (this.#sourcesByName.get(source.name)?.id === source.id) this.#sourcesByName.delete(source.name);
  }

  hasProject(project: string): boolean {
    return this.#projects.has(project);
  }

  keyByHash(hash: string): ApiKey | undefined {
    return this.#keysByHash.get(hash);
  }

  endpoint(id: Id): Endpoint | undefined {
    return this.#endpointsById.get(id);
  }

  /** Retired endpoints are found too: their deliveries still have to end. */
  endpointOfLane(lane: number): Endpoint | undefined {
    return this.#endpointsByLane.get(lane);
  }

  endpointNamed(project: string, name: string): Endpoint | undefined {
    return this.#endpointsByName.get(nameKey(project, name));
  }

  source(id: Id): Source | undefined {
    return this.#sourcesById.get(id);
  }

  /** Retired sources are found too: their events are still there. */
  sourceOfSeq(seq: number): Source | undefined {
    return this.#sourcesBySeq.get(seq);
  }

  sourceNamed(name: string): Source | undefined {
    return this.#sourcesByName.get(name);
  }

  /** Retired ones are found too. */
  subscription(id: Id): Subscription | undefined {
    return this.#subscriptionsById.get(id);
  }

  subscriptionNamed(project: string, name: string): Subscription | undefined {
    return this.#subscriptionsByName.get(nameKey(project, name));
  }

  /** Living subscriptions of one tenant, in order of their number. */
  subscriptionsOf(project: string, tenant: string): readonly Subscription[] {
    return this.#subscriptionsByTenant.get(nameKey(project, tenant)) ?? [];
  }

  /** Living endpoints, in order of their lane. */
  endpoints(): Endpoint[] {
    return [...this.#endpointsByName.values()].sort((a, b) => a.lane - b.lane);
  }

  sources(): Source[] {
    return [...this.#sourcesByName.values()].sort((a, b) => a.seq - b.seq);
  }

  subscriptions(): Subscription[] {
    return [...this.#subscriptionsByName.values()].sort((a, b) => a.seq - b.seq);
  }
}

/** Project names have no slash, so the second part may be any text. */
function nameKey(project: string, name: string): string {
  return `${project}/${name}`;
}
