/**
 * Endpoints, subscriptions, projects and API keys, made and changed while the engine runs. Every door comes
 * through here with its own name, so that the rules are the same for all of them: what the config file
 * declares is changed there only, names are unique among what is in service, and a target that an API made
 * may not be private. Changes to one object follow one another: each edit sees what the one before it wrote.
 */
import {
  type ApiKey,
  type KeyScope,
  newKeyText,
  type Project,
  type ProjectObject,
} from "../domain/access.ts";
import type { Door, Endpoint } from "../domain/endpoint.ts";
import { AppError } from "../domain/errors.ts";
import { checkSigning } from "../domain/header-rules.ts";
import type { Id } from "../domain/id.ts";
import { isResultUrl, RESULT_DOOR, resultNameOf } from "../domain/result-note.ts";
import { isTypePattern, type Subscription } from "../domain/subscription.ts";
import type { Breakers } from "./breakers.ts";
import type { Clock } from "./clock.ts";
import type { Directory } from "./directory.ts";
import type { Log } from "./log.ts";
import type { Random } from "./random.ts";
import type { DeclaredEndpoint, DeclaredSubscription, ReconcileStore } from "./reconcile.ts";
import type { ResultEndpoints } from "./result-endpoints.ts";
import { type CheckTarget, readTarget } from "./target-check.ts";

export type ObjectStore = Pick<
  ReconcileStore,
  | "putEndpoint"
  | "putSubscription"
  | "putProject"
  | "putApiKey"
  | "retireEndpoint"
  | "retireSubscription"
  | "retireProject"
  | "retireApiKey"
> & {
  /** What it has beside endpoints, sources and subscriptions; the first few. */
  projectObjects(project: string): Promise<readonly ProjectObject[]>;
};

/** As many of what is in the way are named. */
const NAMED_MAX = 20;

interface Made {
  readonly id: Id;
  readonly door: Door;
}

export interface ObjectsOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly store: ObjectStore;
  readonly directory: Directory;
  readonly breakers: Pick<Breakers, "reset">;
  readonly checkTarget: CheckTarget;
  readonly results: Pick<ResultEndpoints, "ensure">;
  readonly log: Log;
  readonly nextId: () => Id;
  readonly onEndpointChanged: (endpoint: Endpoint) => void;
}

/** What an edit may give anew; the name stays, because subscriptions and schedules refer to it. */
export type EndpointChange = Partial<Omit<DeclaredEndpoint, "project" | "name">>;
export type SubscriptionChange = Partial<Omit<DeclaredSubscription, "project" | "name">>;

export interface NewKey {
  readonly project: string;
  readonly label: string | null;
  readonly scope: KeyScope;
  readonly hint?: string;
  /** The key itself, for doors whose keys have a form of their own; made here when absent. */
  readonly text?: string;
}

export class Objects {
  readonly #options: ObjectsOptions;
  /** The last change of each object that is being changed. */
  readonly #turns = new Map<Id, Promise<unknown>>();

  constructor(options: ObjectsOptions) {
    this.#options = options;
  }

  /**
   * Makes an endpoint. AppError: invalid_request (project, URL, signatures, headers), target_blocked,
   * conflict (the name is taken).
   */
  async createEndpoint(door: Door, definition: DeclaredEndpoint): Promise<Endpoint> {
    this.#assertProject(definition.project);
    return this.#putEndpoint({ ...definition, id: this.#options.nextId(), door });
  }

  /**
   * Throws what createEndpoint() would say of the target and the headers, and changes nothing: for callers
   * that make several endpoints or none.
   */
  async assertTarget(
    door: Door,
    { url, headers, ...owner }: Pick<DeclaredEndpoint, "project" | "url" | "headers" | "isDeclared">,
  ): Promise<void> {
    assertHeaders(headers);
    await this.#options.checkTarget(readTarget(url), { ...owner, door });
  }

  /** As above; also declared_in_config, gone, not_found. `edit` is given the endpoint as it then is. */
  updateEndpoint(id: Id, edit: (current: Endpoint) => EndpointChange): Promise<Endpoint> {
    return this.#inTurn(id, async () => {
      const current = assertOwn(this.#options.directory.endpoint(id), "endpoint");
      return this.#putEndpoint({ ...definitionOf(current), ...edit(current), id, door: current.door });
    });
  }

  /**
   * Takes an endpoint out of service; what was accepted for it is still sent. AppError: as above, and
   * conflict while subscriptions lead there, unless `withSubscriptions` takes those along.
   */
  retireEndpoint(id: Id, { withSubscriptions = false } = {}): Promise<Endpoint> {
    return this.#inTurn(id, async () => {
      const { directory, store, clock } = this.#options;
      const current = assertOwn(directory.endpoint(id), "endpoint");
      const { project, name } = current;
      const leading = directory.subscriptionsTo(project, name);
      const isFree = withSubscriptions
        ? leading.every(({ door }) => door !== "config")
        : leading.length === 0;
      if (!isFree) {
        const names = leading.slice(0, NAMED_MAX).map((subscription) => subscription.name);
        throw new AppError("conflict", `subscriptions lead to this endpoint: ${names.join(", ")}`, {
          details: { subscriptions: names },
        });
      }
      const { tellers, own } = this.#resultsOf(current);
      if (tellers.length > 0) {
        const names = tellers.slice(0, 20).map((teller) => teller.name);
        throw new AppError("conflict", `endpoints tell this one their results: ${names.join(", ")}`, {
          details: { endpoints: names },
        });
      }
      for (const subscription of leading) await this.retireSubscription(subscription.id);
      const retired = found(await store.retireEndpoint(id, clock.now()), "endpoint");
      this.#options.onEndpointChanged(retired);
      this.#note("retired", "endpoint", retired);
      for (const { id: resultId } of own) await this.retireEndpoint(resultId);
      return retired;
    });
  }

  /** AppError: invalid_request (project, patterns, no such endpoint), conflict (the name is taken). */
  async createSubscription(door: Door, definition: DeclaredSubscription): Promise<Subscription> {
    this.#assertProject(definition.project);
    return this.#putSubscription({ ...definition, id: this.#options.nextId(), door });
  }

  updateSubscription(id: Id, edit: (current: Subscription) => SubscriptionChange): Promise<Subscription> {
    return this.#inTurn(id, async () => {
      const current = assertOwn(this.#options.directory.subscription(id), "subscription");
      const { project, name, door, tenant, eventTypes, endpoint } = current;
      return this.#putSubscription({
        ...{ project, name, tenant, eventTypes, endpoint },
        ...edit(current),
        ...{ id, door },
      });
    });
  }

  retireSubscription(id: Id): Promise<Subscription> {
    return this.#inTurn(id, async () => {
      const { directory, store, clock } = this.#options;
      assertOwn(directory.subscription(id), "subscription");
      const retired = found(await store.retireSubscription(id, clock.now()), "subscription");
      directory.putSubscription(retired);
      this.#note("retired", "subscription", retired);
      return retired;
    });
  }

  /** AppError: conflict when there is one of that name in service. */
  async createProject(door: Door, name: string): Promise<Project> {
    const { directory, store, clock } = this.#options;
    if (directory.hasProject(name)) throw new AppError("conflict", `there is a project ${name} already`);
    const project = await store.putProject({ name, door }, clock.now());
    directory.putProject(project);
    this.#note("created", "project", { name, project: name });
    return project;
  }

  /**
   * Takes a project out of service, and its keys with it. AppError: not_found, declared_in_config, conflict
   * while anything else is in it; that is named.
   */
  async retireProject(name: string): Promise<Project> {
    const { directory, store, clock } = this.#options;
    const current = directory.project(name);
    if (!current) throw new AppError("not_found", `there is no project ${name}`);
    if (current.door === "config") throw declaredInConfig("project");
    await this.#assertEmpty(name);
    for (const key of directory.keysOf(name)) await this.#retireKey(key.id);
    const retired = found(await store.retireProject(name, clock.now()), "project");
    directory.putProject(retired);
    this.#note("retired", "project", { name, project: name });
    return retired;
  }

  async #assertEmpty(project: string): Promise<void> {
    const { directory, store } = this.#options;
    const own = (kind: string, objects: readonly { readonly project: string; readonly name: string }[]) =>
      objects.filter((object) => object.project === project).map(({ name }) => ({ kind, name }));
    const all = [
      ...own("endpoint", directory.endpoints()),
      ...own("source", directory.sources()),
      ...own("subscription", directory.subscriptions()),
      ...(await store.projectObjects(project)),
    ];
    if (all.length === 0) return;
    const objects = all.slice(0, NAMED_MAX);
    const names = objects.map(({ kind, name }) => `${kind} ${name}`).join(", ");
    const more = all.length > objects.length ? ", ..." : "";
    throw new AppError("conflict", `the project ${project} still has ${names}${more}`, {
      details: { objects },
    });
  }

  /** Makes an API key. Its text is in the answer and nowhere else: the store keeps a hash. */
  async createKey(door: Door, { text, ...given }: NewKey): Promise<{ key: ApiKey; text: string }> {
    const { directory, store, clock, random, nextId } = this.#options;
    this.#assertProject(given.project);
    const secret = text ?? newKeyText((length) => random.bytes(length));
    const hash = new Bun.CryptoHasher("sha256").update(secret).digest("hex");
    if (directory.keyByHash(hash)) throw new AppError("conflict", "there is such a key already");
    const key = await store.putApiKey({ ...given, hash, id: nextId(), door }, clock.now());
    directory.putKey(key);
    this.#note("created", "key", { name: key.label, project: key.project });
    return { key, text: secret };
  }

  /** Valid no more from the moment of the answer on. AppError: not_found, declared_in_config. */
  revokeKey(id: Id): Promise<ApiKey> {
    return this.#inTurn(id, () => {
      const key = this.#options.directory.key(id);
      if (!key) throw new AppError("not_found", "there is no such key");
      if (key.door === "config") throw declaredInConfig("key");
      return this.#retireKey(id);
    });
  }

  async #retireKey(id: Id): Promise<ApiKey> {
    const { directory, store, clock } = this.#options;
    const key = found(await store.retireApiKey(id, clock.now()), "key");
    directory.putKey(key);
    this.#note("retired", "key", { name: key.label, project: key.project });
    return key;
  }

  async #putEndpoint(definition: DeclaredEndpoint & Made): Promise<Endpoint> {
    const { directory, store, clock, breakers, onEndpointChanged } = this.#options;
    assertHeaders(definition.headers);
    const [fault] = checkSigning(definition);
    if (fault) throw new AppError("invalid_request", `${fault.path.join(".")}: ${fault.message}`);
    const url = readTarget(definition.url);
    await this.#options.checkTarget(url, definition);
    const result = await this.#resultTo(definition);
    const known = directory.endpoint(definition.id);
    const endpoint = await store.putEndpoint({ ...definition, ...result, url: url.href }, clock.now());
    // What failed at the old address says nothing about the new one.
    if (known && known.url !== endpoint.url) breakers.reset(known);
    onEndpointChanged(endpoint);
    this.#note(known ? "updated" : "created", "endpoint", endpoint);
    return endpoint;
  }

  async #putSubscription(definition: DeclaredSubscription & Made): Promise<Subscription> {
    const { directory, store, clock } = this.#options;
    const { project, endpoint, eventTypes, id } = definition;
    if (!directory.endpointNamed(project, endpoint)) {
      throw new AppError("invalid_request", `there is no endpoint "${endpoint}" in this project`);
    }
    const wrong = eventTypes.find((pattern) => !isTypePattern(pattern));
    if (wrong !== undefined || eventTypes.length === 0) {
      throw new AppError("invalid_request", "an event type, a prefix such as invoice.*, or * is expected", {
        details: { eventType: wrong ?? null },
      });
    }
    const isKnown = directory.subscription(id) !== undefined;
    const subscription = await store.putSubscription(definition, clock.now());
    directory.putSubscription(subscription);
    this.#note(isKnown ? "updated" : "created", "subscription", subscription);
    return subscription;
  }

  /** A URL has its endpoint before anything refers to it. */
  async #resultTo(definition: DeclaredEndpoint & Made): Promise<{ resultTo?: string }> {
    const { directory, results } = this.#options;
    const { project, name, resultTo, id } = definition;
    if (!resultTo) return {};
    if (isResultUrl(resultTo)) {
      const other = directory.endpointNamed(project, name);
      if (other && other.id !== id) throw new AppError("conflict", `there is an endpoint ${name} already`);
      return { resultTo: await results.ensure({ ...definition, by: "endpoint" }, resultTo) };
    }
    if (resultTo !== name && directory.endpointNamed(project, resultTo)) return {};
    const message = `resultTo: there is no other endpoint "${resultTo}" in this project`;
    throw new AppError("invalid_request", message);
  }

  /** Those that it would leave without anybody to tell, and those that were made for it alone. */
  #resultsOf({ id, project, name }: Endpoint): { tellers: Endpoint[]; own: Endpoint[] } {
    const others = this.#options.directory
      .endpoints()
      .filter((other) => other.project === project && other.id !== id);
    return {
      tellers: others.filter((other) => resultNameOf(other) === name),
      own: others.filter(({ door, signAs }) => door === RESULT_DOOR && signAs === name),
    };
  }

  #assertProject(project: string): void {
    if (this.#options.directory.hasProject(project)) return;
    throw new AppError("invalid_request", `there is no project ${project}`);
  }

  /** Runs `work` once what was asked of this object before has ended. */
  async #inTurn<Result>(id: Id, work: () => Promise<Result>): Promise<Result> {
    const before = this.#turns.get(id) ?? Promise.resolve();
    const turn = before.then(work, work);
    this.#turns.set(id, turn);
    try {
      return await turn;
    } finally {
      if (this.#turns.get(id) === turn) this.#turns.delete(id);
    }
  }

  #note(change: string, kind: string, { name, project }: { name: string | null; project: string }): void {
    this.#options.log.info("object.changed", { change, kind, name, project });
  }
}

function definitionOf(endpoint: Endpoint): DeclaredEndpoint {
  const { lane: _lane, id: _id, door: _door, ...rest } = endpoint;
  const { createdAt: _createdAt, updatedAt: _updatedAt, deletedAt: _deletedAt, ...living } = rest;
  const { pausedAt: _pausedAt, disabledAt: _disabledAt, disabledReason: _reason, ...definition } = living;
  return definition;
}

interface Owned {
  readonly door: Door;
  readonly deletedAt: number | null;
  readonly isDeclared?: boolean;
}

function assertOwn<T extends Owned>(object: T | undefined, kind: string): T {
  if (!object) throw new AppError("not_found", `there is no such ${kind}`);
  if (object.deletedAt !== null) throw new AppError("gone", `this ${kind} is no longer in service`);
  if (object.door === "config" || object.isDeclared === true) throw declaredInConfig(kind);
  return object;
}

function found<T>(object: T | null, kind: string): T {
  if (object === null) throw new AppError("not_found", `there is no such ${kind}`);
  return object;
}

function declaredInConfig(kind: string): AppError {
  return new AppError("declared_in_config", `this ${kind} is declared in the config file; change it there`);
}

function assertHeaders(headers: Readonly<Record<string, string>>): void {
  for (const [name, value] of Object.entries(headers)) {
    try {
      new Headers([[name, value]]);
    } catch (cause) {
      throw new AppError("invalid_request", `the header ${JSON.stringify(name)} cannot be sent`, { cause });
    }
  }
}
