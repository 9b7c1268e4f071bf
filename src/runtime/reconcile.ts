/**
 * Makes the store agree with what the config file declares: creates, updates, and takes out of service what
 * is no longer declared. Objects that an API made are never touched. What an operator did at run time (pause,
 * disable) stays. Everything is checked before anything is written, so a file that cannot be applied changes
 * nothing.
 */
import type { ApiKey, Project } from "../domain/access.ts";
import type { Door, Endpoint, ProjectEgress } from "../domain/endpoint.ts";
import { AppError } from "../domain/errors.ts";
import type { Id } from "../domain/id.ts";
import type { ScheduleDefinition } from "../domain/schedule-definition.ts";
import type { Source } from "../domain/source.ts";
import type { Subscription } from "../domain/subscription.ts";
import type { Definitions } from "./directory.ts";
import type { ProjectDeadLetters } from "./notices.ts";
import { planSchedules, type ReconcileScheduleStore } from "./reconcile-schedules.ts";
import { isSame } from "./same-definition.ts";

/** What the file says of an object: no number, no identity, no run-time state. */
export type DeclaredEndpoint = Omit<
  Endpoint,
  "lane" | "id" | "door" | RunTime | "disabledAt" | "disabledReason"
>;
export type DeclaredSource = Omit<Source, "seq" | "id" | "door" | RunTime>;
export type DeclaredSubscription = Omit<Subscription, "seq" | "id" | "door" | RunTime>;
export type DeclaredKey = Pick<ApiKey, "project" | "hash" | "label" | "scope" | "hint">;
type RunTime = "pausedAt" | "createdAt" | "updatedAt" | "deletedAt";

export interface Declarations {
  readonly projects: readonly string[];
  readonly apiKeys: readonly DeclaredKey[];
  readonly endpoints: readonly DeclaredEndpoint[];
  readonly sources: readonly DeclaredSource[];
  readonly subscriptions: readonly DeclaredSubscription[];
  readonly schedules: readonly ScheduleDefinition[];
  /** By project; absent: none has rules of its own. Nothing of it is stored. */
  readonly egress?: ReadonlyMap<string, ProjectEgress>;
  /** When a project is told of its dead letters; others are by the default. */
  readonly deadLetters?: readonly ProjectDeadLetters[];
}

export interface ReconcileStore extends ReconcileScheduleStore {
  loadDefinitions(): Promise<Definitions>;
  putProject(definition: { name: string; door: Door }, now: number): Promise<Project>;
  putApiKey(definition: DeclaredKey & { id: Id; door: Door }, now: number): Promise<ApiKey>;
  putEndpoint(definition: DeclaredEndpoint & { id: Id; door: Door }, now: number): Promise<Endpoint>;
  putSource(definition: DeclaredSource & { id: Id; door: Door }, now: number): Promise<Source>;
  putSubscription(
    definition: DeclaredSubscription & { id: Id; door: Door },
    now: number,
  ): Promise<Subscription>;
  retireProject(name: string, now: number): Promise<Project | null>;
  retireApiKey(id: Id, now: number): Promise<ApiKey | null>;
  retireEndpoint(id: Id, now: number): Promise<Endpoint | null>;
  retireSource(id: Id, now: number): Promise<Source | null>;
  retireSubscription(id: Id, now: number): Promise<Subscription | null>;
}

export interface ReconcileResult {
  readonly created: readonly string[];
  readonly updated: readonly string[];
  readonly retired: readonly string[];
}

interface Plan {
  readonly created: string[];
  readonly updated: string[];
  readonly retired: string[];
  /** Submitted together, so that they share a commit. */
  readonly writes: (() => Promise<unknown>)[];
}

interface Context {
  readonly store: ReconcileStore;
  readonly nextId: () => Id;
  readonly now: number;
}

/**
 * Returns what changed, by "kind name". Throws AppError `conflict` when a name belongs to an API-made object.
 */
export async function reconcile(declared: Declarations, context: Context): Promise<ReconcileResult> {
  const existing = await context.store.loadDefinitions();
  const plan: Plan = { created: [], updated: [], retired: [], writes: [] };
  planProjects(declared, existing, { plan, context });
  planKeys(declared, existing, { plan, context });
  planNamed(declared.endpoints, existing.endpoints, {
    plan,
    nextId: context.nextId,
    kind: "endpoint",
    scopeOf: (item) => item.project,
    put: (item, id) => context.store.putEndpoint({ ...item, id, door: "config" }, context.now),
    retire: (id) => context.store.retireEndpoint(id, context.now),
  });
  planNamed(declared.sources, existing.sources, {
    plan,
    nextId: context.nextId,
    kind: "source",
    scopeOf: () => "",
    put: (item, id) => context.store.putSource({ ...item, id, door: "config" }, context.now),
    retire: (id) => context.store.retireSource(id, context.now),
  });
  planNamed(declared.subscriptions, existing.subscriptions, {
    plan,
    nextId: context.nextId,
    kind: "subscription",
    scopeOf: (item) => item.project,
    put: (item, id) => context.store.putSubscription({ ...item, id, door: "config" }, context.now),
    retire: (id) => context.store.retireSubscription(id, context.now),
  });
  await planSchedules(declared.schedules, { plan, context });
  await Promise.all(plan.writes.map((write) => write()));
  const { created, updated, retired } = plan;
  return { created, updated, retired };
}

function planProjects(
  declared: Declarations,
  existing: Definitions,
  { plan, context }: { plan: Plan; context: Context },
): void {
  const living = new Set(existing.projects.filter((p) => p.retiredAt === null).map((p) => p.name));
  for (const name of declared.projects) {
    if (living.has(name)) continue;
    plan.created.push(`project ${name}`);
    plan.writes.push(() => context.store.putProject({ name, door: "config" }, context.now));
  }
  for (const project of existing.projects) {
    const isGone = project.door === "config" && !declared.projects.includes(project.name);
    if (project.retiredAt !== null || !isGone) continue;
    plan.retired.push(`project ${project.name}`);
    plan.writes.push(() => context.store.retireProject(project.name, context.now));
  }
}

function planKeys(
  declared: Declarations,
  existing: Definitions,
  { plan, context }: { plan: Plan; context: Context },
): void {
  const known = new Map(existing.apiKeys.map((key) => [key.hash, key]));
  for (const key of declared.apiKeys) {
    const old = known.get(key.hash);
    const isSame =
      old?.deletedAt === null &&
      old.project === key.project &&
      old.label === key.label &&
      old.scope === key.scope;
    if (isSame) continue;
    if (old?.deletedAt === null && old.door !== "config") {
      throw new AppError(
        "conflict",
        `a key of ${old.project} was made through an API and is declared otherwise`,
      );
    }
    const shown = `key ${key.label ?? `of ${key.project}`}`;
    (old?.deletedAt === null ? plan.updated : plan.created).push(shown);
    const id = old?.id ?? context.nextId();
    plan.writes.push(() => context.store.putApiKey({ ...key, id, door: "config" }, context.now));
  }
  const hashes = new Set(declared.apiKeys.map((key) => key.hash));
  for (const key of existing.apiKeys) {
    if (key.door !== "config" || key.deletedAt !== null || hashes.has(key.hash)) continue;
    plan.retired.push(`key ${key.label ?? `of ${key.project}`}`);
    plan.writes.push(() => context.store.retireApiKey(key.id, context.now));
  }
}

interface Existing {
  readonly id: Id;
  readonly project: string;
  readonly name: string;
  readonly door: string;
  readonly createdAt: number;
  readonly deletedAt: number | null;
}

interface NamedPlan<D> {
  readonly plan: Plan;
  readonly nextId: () => Id;
  readonly kind: string;
  /** Names are unique within this. */
  readonly scopeOf: (item: { readonly project: string }) => string;
  readonly put: (item: D, id: Id) => Promise<unknown>;
  readonly retire: (id: Id) => Promise<unknown>;
}

function planNamed<D extends { readonly project: string; readonly name: string }>(
  declared: readonly D[],
  existing: readonly Existing[],
  { plan, nextId, kind, scopeOf, put, retire }: NamedPlan<D>,
): void {
  const keyOf = (item: { project: string; name: string }) => `${scopeOf(item)}/${item.name}`;
  const known = new Map<string, Existing>();
  // A living object wins over retired ones of its name; of those, the newest comes back with its history.
  for (const item of [...existing].sort((a, b) => a.createdAt - b.createdAt)) {
    const key = keyOf(item);
    if (known.get(key)?.deletedAt !== null || !known.has(key)) known.set(key, item);
  }
  const declaredKeys = new Set(declared.map(keyOf));
  for (const item of declared) {
    const old = known.get(keyOf(item));
    if (old && old.deletedAt === null && old.door !== "config") {
      throw new AppError(
        "conflict",
        `the ${kind} name "${item.name}" is taken by one that was made through an API; rename one of them`,
      );
    }
    // One made through an API and deleted since does not come back as the file's: its history is not the
    // file's.
    const reusable = old && old.door === "config" ? old : undefined;
    if (reusable && reusable.deletedAt === null && isSame(item, reusable)) continue;
    const isUpdate = reusable !== undefined && reusable.deletedAt === null;
    (isUpdate ? plan.updated : plan.created).push(`${kind} ${item.name}`);
    plan.writes.push(() => put(item, reusable?.id ?? nextId()));
  }
  for (const item of known.values()) {
    if (item.door !== "config" || item.deletedAt !== null || declaredKeys.has(keyOf(item))) continue;
    plan.retired.push(`${kind} ${item.name}`);
    plan.writes.push(() => retire(item.id));
  }
}
