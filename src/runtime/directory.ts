/**
 * Everything that was defined, in memory: what a request needs to find its source, key and endpoints without
 * reading the store. Filled at start, replaced piece by piece as definitions change. It decides nothing.
 */
import type { ApiKey, GoneObject, Project } from "../domain/access.ts";
import type { Endpoint, ProjectEgress } from "../domain/endpoint.ts";
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
  readonly #projects = new Map<string, Project>();
  readonly #keysByHash = new Map<string, ApiKey>();
  readonly #keysById = new Map<Id, ApiKey>();
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

  readonly #egressByProject = new Map<string, ProjectEgress>();

  replaceProjectEgress(egress: ReadonlyMap<string, ProjectEgress>): void {
    this.#egressByProject.clear();
    for (const [project, rules] of egress) this.#egressByProject.set(project, rules);
  }

  /** What the file says of a project's egress; undefined: nothing of its own. */
  egressOf(project: string): ProjectEgress | undefined {
    return this.#egressByProject.get(project);
  }

  replaceAll(definitions: Definitions): void {
    for (const map of [this.#keysByHash, this.#endpointsById, this.#endpointsByLane, this.#endpointsByName]) {
      map.clear();
    }
    this.#sourcesByName.clear();
    this.#sourcesById.clear();
    this.#sourcesBySeq.clear();
    this.#projects.clear();
    this.#keysById.clear();
    for (const project of definitions.projects) this.putProject(project);
    for (const key of definitions.apiKeys) this.putKey(key);
    for (const endpoint of definitions.endpoints) this.putEndpoint(endpoint);
    for (const source of definitions.sources) this.putSource(source);
    this.#replaceSubscriptions(definitions.subscriptions);
  }

  #replaceSubscriptions(subscriptions: readonly Subscription[]): void {
    this.#subscriptionsById.clear();
    this.#subscriptionsByName.clear();
    this.#subscriptionsByTenant.clear();
    for (const subscription of [...subscriptions].sort((a, b) => a.seq - b.seq)) {
      this.putSubscription(subscription);
    }
  }

  putSubscription(subscription: Subscription): void {
    const { id, project, name, tenant, deletedAt } = subscription;
    const before = this.#subscriptionsById.get(id);
    if (before?.deletedAt === null) this.#forgetSubscription(before);
    this.#subscriptionsById.set(id, subscription);
    if (deletedAt !== null) return;
    this.#subscriptionsByName.set(nameKey(project, name), subscription);
    const key = nameKey(project, tenant);
    const others = this.#subscriptionsByTenant.get(key);
    if (!others) return void this.#subscriptionsByTenant.set(key, [subscription]);
    others.push(subscription);
    if ((others.at(-2)?.seq ?? 0) > subscription.seq) others.sort((a, b) => a.seq - b.seq);
  }

  #forgetSubscription({ id, project, name, tenant }: Subscription): void {
    this.#subscriptionsByName.delete(nameKey(project, name));
    const key = nameKey(project, tenant);
    const others = this.#subscriptionsByTenant.get(key)?.filter((other) => other.id !== id) ?? [];
    if (others.length === 0) this.#subscriptionsByTenant.delete(key);
    else this.#subscriptionsByTenant.set(key, others);
  }

  putProject(project: Project): void {
    if (project.retiredAt === null) this.#projects.set(project.name, project);
    else this.#projects.delete(project.name);
  }

  /** A retired key is forgotten: it opens nothing from now on. */
  putKey(key: ApiKey): void {
    if (key.deletedAt === null) {
      this.#keysByHash.set(key.hash, key);
      this.#keysById.set(key.id, key);
    } else {
      this.#keysByHash.delete(key.hash);
      this.#keysById.delete(key.id);
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

  /** Lets go of what was purged. What came back into service under the same id meanwhile stays. */
  forget({ kind, id, seq }: GoneObject): void {
    if (kind === "subscription") {
      if (this.#subscriptionsById.get(id)?.deletedAt != null) this.#subscriptionsById.delete(id);
    } else if (kind === "source") {
      if (this.#sourcesById.get(id)?.deletedAt != null) this.#sourcesById.delete(id);
      this.#sourcesBySeq.delete(seq);
    } else {
      if (this.#endpointsById.get(id)?.deletedAt != null) this.#endpointsById.delete(id);
      this.#endpointsByLane.delete(seq);
    }
  }

  hasProject(project: string): boolean {
    return this.#projects.has(project);
  }

  project(name: string): Project | undefined {
    return this.#projects.get(name);
  }

  /** Living ones, in the order in which they were made. */
  projects(): Project[] {
    return [...this.#projects.values()].sort((a, b) => a.seq - b.seq);
  }

  keyByHash(hash: string): ApiKey | undefined {
    return this.#keysByHash.get(hash);
  }

  /** Living keys only, as everywhere here. */
  key(id: Id): ApiKey | undefined {
    return this.#keysById.get(id);
  }

  /** Oldest first. */
  keysOf(project: string): ApiKey[] {
    const own = [...this.#keysById.values()].filter((key) => key.project === project);
    return own.sort((a, b) => (a.id < b.id ? -1 : 1));
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

  /** The living endpoint of that name, or else the last one that there was. */
  lastNamed(project: string, name: string): Endpoint | undefined {
    const living = this.endpointNamed(project, name);
    return living ?? this.endpointsOf(project, (endpoint) => endpoint.name === name).at(-1);
  }

  /** Those of a project that are wanted, the retired included, in the order in which they came. */
  endpointsOf(project: string, isWanted: (endpoint: Endpoint) => boolean): Endpoint[] {
    return [...this.#endpointsById.values()]
      .filter((endpoint) => endpoint.project === project && isWanted(endpoint))
      .sort((a, b) => a.lane - b.lane);
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

  /** Living subscriptions that lead to an endpoint. */
  subscriptionsTo(project: string, endpoint: string): Subscription[] {
    return [...this.#subscriptionsByName.values()].filter(
      (subscription) => subscription.project === project && subscription.endpoint === endpoint,
    );
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
