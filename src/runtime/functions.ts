/**
 * The functions that applications registered, and the verbs on them that every door shares: register,
 * start, pause, resume, change, remove. What is defined lives in the directory (endpoints) and in the store
 * (schedules); this service owns the applications' own facts and the order of changes: those of one project
 * are made one after the other, each as a whole or not at all.
 */
import type { Endpoint } from "../domain/endpoint.ts";
import { AppError } from "../domain/errors.ts";
import {
  type AppFunction,
  type FunctionHost,
  type FunctionOverrides,
  type FunctionStyle,
  type FunctionWords,
  functionEndpointName,
  functionNameOf,
  readFunctionExtra,
  toFunction,
} from "../domain/function.ts";
import type { Id } from "../domain/id.ts";
import type { Clock } from "./clock.ts";
import type { Directory } from "./directory.ts";
import {
  awaitFunction,
  type ChangeContext,
  type FunctionTarget,
  holdFunction,
  moveFunction,
  pauseFunction,
  putFunction,
  retireFunction,
  targetOf,
} from "./function-changes.ts";
import type { Log } from "./log.ts";
import type { FunctionChange, FunctionStore } from "./ports.ts";
import type { Random } from "./random.ts";
import type { CheckTarget } from "./target-check.ts";
import type { Timers } from "./timers.ts";

/** What the file says of a project's functions. */
export interface FunctionSettings {
  /** Where they are, as long as no registration says so; null: a registration has to. */
  readonly endpointUrl: string | null;
  /** Whether a registration may say otherwise. */
  readonly isPinned: boolean;
  /** Null: one is made, and shown with the project. */
  readonly secret: string | null;
  readonly timezone: string;
}

export interface FunctionsOptions {
  readonly store: FunctionStore;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly nextId: () => Id;
  readonly directory: Directory;
  readonly timers: Timers;
  readonly checkTarget: CheckTarget;
  readonly onEndpointChanged: (endpoint: Endpoint) => void;
  readonly onScheduleChanged: () => void;
  /** Lets go what was held for an endpoint. */
  readonly onEndpointOpened: (endpoint: Endpoint) => void;
}

export interface Registration {
  readonly functions: readonly FunctionWords[];
  /** Replaces what is known, unless the file pins it. */
  readonly endpointUrl?: string;
}

export interface StartInput {
  /** JSON text, or null for none. */
  readonly payload: string | null;
  readonly dueAt: number;
  /** The number of the execution that it was started for. */
  readonly parentSeq?: number;
}

/** What may be changed by hand. */
export interface FunctionPatch extends FunctionOverrides {
  readonly schedule?: string;
  readonly isPaused?: boolean;
}

const NO_SETTINGS: FunctionSettings = { endpointUrl: null, isPinned: false, secret: null, timezone: "UTC" };
const SECRET_BYTES = 32;

export class Functions {
  readonly #options: FunctionsOptions;
  #style: FunctionStyle | null = null;
  readonly #hosts = new Map<string, FunctionHost>();
  readonly #settings = new Map<string, FunctionSettings>();
  /** The end of each project's line of changes. */
  readonly #lines = new Map<string, Promise<unknown>>();

  constructor(options: FunctionsOptions) {
    this.#options = options;
  }

  /** Reads the applications. Called once, before anything else, by the protocol that registers them. */
  async load(style: FunctionStyle): Promise<void> {
    this.#style = style;
    for (const host of await this.#options.store.loadFunctionHosts()) this.#hosts.set(host.project, host);
  }

  host(project: string): FunctionHost | undefined {
    return this.#hosts.get(project);
  }

  hosts(): FunctionHost[] {
    return [...this.#hosts.values()];
  }

  /** Returns the project's application, made with a secret of its own if there is none yet. */
  ensureHost(project: string, change: { readonly title?: string } = {}): Promise<FunctionHost> {
    return this.#inLine(project, () => this.#ensureHost(project, change.title));
  }

  /** Changes what is known of an application; its functions follow. */
  changeHost(
    project: string,
    change: Partial<Pick<FunctionHost, "title" | "domain" | "endpointUrl" | "secret">>,
  ): Promise<FunctionHost> {
    return this.#inLine(project, async () => {
      const host = { ...(await this.#ensureHost(project)), ...change };
      await this.#checkTarget(host);
      return this.#moveHost(host);
    });
  }

  /** Takes all functions out of service and forgets the application. */
  removeHost(project: string): Promise<void> {
    return this.#inLine(project, async () => {
      const host = this.#hosts.get(project);
      if (!host) return;
      const context = this.#context(host);
      const living = (await this.list(project)).filter(({ endpoint }) => endpoint.deletedAt === null);
      await this.#apply(living.flatMap((one) => retireFunction(one, context)));
      await this.#options.store.removeFunctionHost(project);
      this.#hosts.delete(project);
    });
  }

  /**
   * Applies what the file says of one project, and readies it for the functions that sources name: what comes
   * for one that nobody has registered is held.
   */
  declare(project: string, settings: FunctionSettings): Promise<void> {
    return this.#inLine(project, async () => {
      this.#settings.set(project, settings);
      const awaited = this.#targeted(project);
      const isUsed = settings.secret !== null || settings.endpointUrl !== null || awaited.size > 0;
      if (!isUsed && !this.#hosts.has(project)) return;
      const host = await this.#ensureHost(project);
      const url = settings.isPinned ? settings.endpointUrl : (host.endpointUrl ?? settings.endpointUrl);
      await this.#moveHost({ ...host, endpointUrl: url, secret: settings.secret ?? host.secret });
      await this.#awaitAll(host, awaited);
    });
  }

  /** All functions of a project, the inactive included, in the order in which they came. */
  async list(project: string): Promise<AppFunction[]> {
    const endpoints = this.#options.directory.endpointsOf(
      project,
      (endpoint) => functionNameOf(endpoint) !== null,
    );
    return Promise.all(endpoints.map((endpoint) => this.#read(endpoint)));
  }

  /** By id, the inactive included. AppError: not_found. */
  async find(project: string, id: Id): Promise<AppFunction> {
    const endpoint = this.#options.directory.endpoint(id);
    if (endpoint?.project !== project || functionNameOf(endpoint) === null) throw noFunction();
    return this.#read(endpoint);
  }

  /** By name, the newest of that name. AppError: not_found. */
  async findNamed(project: string, name: string): Promise<AppFunction> {
    const found = (await this.list(project)).findLast((one) => one.name === name);
    if (!found) throw noFunction();
    return found;
  }

  /**
   * Makes the project's functions those of the registration: new ones appear, known ones keep their id and
   * history, those that are missing go out of service. Functions made by hand stay as they are. Returns
   * them in the order of the registration.
   */
  register(project: string, { functions, endpointUrl }: Registration): Promise<AppFunction[]> {
    return this.#inLine(project, async () => {
      const host = await this.#hostFor(project, endpointUrl);
      await this.#checkTarget(host);
      const context = this.#context(host);
      const known = new Map((await this.list(project)).map((one) => [one.name, one]));
      // Of two entries of one name the last one counts.
      const wanted = new Map(functions.map((words) => [words.name, words]));
      const changes = this.#hostChanges(host, context.now);
      for (const [name, words] of wanted) {
        const existing = known.get(name) ?? null;
        if (existing?.origin === "manual" && existing.endpoint.deletedAt === null) {
          throw new AppError("conflict", `A job named "${name}" was made by hand`);
        }
        changes.push(...putFunction(targetOf(words, existing), existing, context));
        if (existing?.isAwaited)
          changes.push({ verb: "setEndpointDisabled", id: existing.id, disabled: null });
      }
      for (const existing of known.values()) {
        if (wanted.has(existing.name)) continue;
        if (existing.origin === "sdk" && existing.status !== "inactive") {
          changes.push(...this.#vanish(existing, context));
        } else if (existing.endpoint.url !== (host.endpointUrl ?? "")) {
          changes.push(...moveFunction(existing, context));
        }
      }
      await this.#apply(changes);
      this.#options.log.info("functions.registered", { project, count: wanted.size });
      const now = new Map((await this.list(project)).map((one) => [one.name, one]));
      return functions.flatMap(({ name }) => now.get(name) ?? []);
    });
  }

  /** Makes a function by hand. AppError: conflict when the name is taken. */
  create(project: string, words: FunctionWords): Promise<AppFunction> {
    return this.#inLine(project, async () => {
      const host = await this.#ensureHost(project);
      const existing = (await this.list(project)).findLast(({ name }) => name === words.name) ?? null;
      if (existing !== null && existing.status !== "inactive") {
        throw new AppError("conflict", `A job named "${words.name}" exists already`);
      }
      const target = { ...targetOf(words, null), origin: "manual" as const };
      await this.#apply(putFunction(target, existing, this.#context(host)));
      return this.findNamed(project, words.name);
    });
  }

  /** What is set here outlasts registrations that do not mention it. */
  change(given: AppFunction, patch: FunctionPatch): Promise<AppFunction> {
    return this.#inLine(given.project, async () => {
      const existing = await this.find(given.project, given.id);
      const { schedule = existing.schedule, isPaused = existing.isPaused, ...overrides } = patch;
      const context = this.#context(await this.#ensureHost(given.project));
      const target: FunctionTarget = {
        ...existing,
        ...overrides,
        schedule,
        isPaused,
        overrides: { ...existing.overrides, ...overrides },
      };
      const changes = putFunction(target, existing, context);
      if (isPaused !== existing.isPaused) changes.push(...pauseFunction(existing, target, context));
      await this.#apply(changes);
      return this.find(given.project, given.id);
    });
  }

  /** Takes a function out of service; its history stays. */
  remove(given: AppFunction): Promise<AppFunction> {
    return this.#inLine(given.project, async () => {
      const existing = await this.find(given.project, given.id);
      const context = this.#context(await this.#ensureHost(given.project));
      if (existing.endpoint.deletedAt === null) await this.#apply(retireFunction(existing, context));
      return this.find(given.project, given.id);
    });
  }

  /**
   * Starts an execution of a function in service by its name, now or later. Resolves with its id once it is
   * stored. AppError: not_found.
   */
  start(project: string, name: string, input: StartInput): Promise<Id> {
    const endpoint = this.#options.directory.endpointNamed(project, functionEndpointName(name));
    const isKnown = endpoint !== undefined && functionNameOf(endpoint) !== null;
    if (!isKnown || readFunctionExtra(endpoint).isAwaited) throw noFunction();
    return this.run(endpoint, input);
  }

  /** As above, whatever its state. */
  run(endpoint: Endpoint, { payload, dueAt, parentSeq }: StartInput): Promise<Id> {
    const body = payload === null ? new Uint8Array(0) : Buffer.from(payload);
    const draft = { payload: { headers: "{}", body }, dueAt };
    return this.#options.timers.create(endpoint, parentSeq === undefined ? draft : { ...draft, parentSeq });
  }

  async #read(endpoint: Endpoint): Promise<AppFunction> {
    const { scheduleId } = readFunctionExtra(endpoint);
    const schedule = scheduleId === null ? null : await this.#options.store.scheduleById(scheduleId);
    return toFunction(endpoint, schedule);
  }

  #context(host: FunctionHost): ChangeContext {
    const { clock, nextId } = this.#options;
    const style = this.#style;
    if (style === null) throw new Error("functions were changed before they were loaded");
    const settings = this.#settings.get(host.project) ?? NO_SETTINGS;
    const isDeclared = settings.endpointUrl !== null && settings.endpointUrl === host.endpointUrl;
    return { host, style, timezone: settings.timezone, isDeclared, now: clock.now(), nextId };
  }

  async #ensureHost(project: string, title = project): Promise<FunctionHost> {
    const known = this.#hosts.get(project);
    if (known) return known;
    const { clock, random, nextId, store } = this.#options;
    const now = clock.now();
    const settings = this.#settings.get(project) ?? NO_SETTINGS;
    const host: FunctionHost = {
      ...{ id: nextId(), project, title, domain: null, endpointUrl: settings.endpointUrl },
      secret: settings.secret ?? Buffer.from(random.bytes(SECRET_BYTES)).toString("hex"),
      ...{ createdAt: now, updatedAt: now },
    };
    await store.together([{ verb: "putFunctionHost", host }]);
    this.#hosts.set(project, host);
    return host;
  }

  /** The application as a registration leaves it; not stored yet. */
  async #hostFor(project: string, endpointUrl: string | undefined): Promise<FunctionHost> {
    const host = await this.#ensureHost(project);
    const isPinned = this.#settings.get(project)?.isPinned ?? false;
    return endpointUrl === undefined || endpointUrl === "" || isPinned ? host : { ...host, endpointUrl };
  }

  /** As for every endpoint that an API makes; what stays where it is was judged before. */
  async #checkTarget(host: FunctionHost): Promise<void> {
    const url = URL.parse(host.endpointUrl ?? "");
    if (url === null || this.#hosts.get(host.project)?.endpointUrl === host.endpointUrl) return;
    const { style, isDeclared } = this.#context(host);
    await this.#options.checkTarget(url, { project: host.project, door: style.door, isDeclared });
  }

  #hostChanges(host: FunctionHost, now: number): FunctionChange[] {
    const isSame = JSON.stringify(this.#hosts.get(host.project)) === JSON.stringify(host);
    return isSame ? [] : [{ verb: "putFunctionHost", host: { ...host, updatedAt: now } }];
  }

  async #moveHost(host: FunctionHost): Promise<FunctionHost> {
    const context = this.#context(host);
    const functions = await this.list(host.project);
    const changes = this.#hostChanges(host, context.now);
    await this.#apply([...changes, ...functions.flatMap((one) => moveFunction(one, context))]);
    return this.#hosts.get(host.project) ?? host;
  }

  /** A function that a source names stays where its events can wait for it. */
  #vanish(existing: AppFunction, context: ChangeContext): FunctionChange[] {
    if (!this.#targeted(existing.project).has(existing.name)) return retireFunction(existing, context);
    const target = { ...existing, isAwaited: true, isPaused: false };
    return [...putFunction(target, existing, context), holdFunction(existing.id, context)];
  }

  /** The functions that sources of a project name. */
  #targeted(project: string): Set<string> {
    const sources = this.#options.directory.sources().filter((source) => source.project === project);
    const names = sources.flatMap(({ to }) =>
      to.flatMap((target) => (target.kind === "endpoint" ? (functionNameOf(target) ?? []) : [])),
    );
    return new Set(names);
  }

  async #awaitAll({ project }: FunctionHost, names: ReadonlySet<string>): Promise<void> {
    const context = this.#context(await this.#ensureHost(project));
    const known = new Map((await this.list(project)).map((one) => [one.name, one]));
    const changes = [...names].flatMap((name) => {
      const existing = known.get(name) ?? null;
      return existing?.endpoint.deletedAt === null ? [] : awaitFunction(name, existing, context);
    });
    await this.#apply(changes);
  }

  /** All or nothing; then what runs is told. */
  async #apply(changes: readonly FunctionChange[]): Promise<void> {
    if (changes.length === 0) return;
    const { store, directory, onEndpointChanged, onEndpointOpened, onScheduleChanged } = this.#options;
    const results = await store.together(changes);
    for (const [index, { verb }] of changes.entries()) {
      if (verb === "putFunctionHost") {
        const host = results[index] as FunctionHost;
        this.#hosts.set(host.project, host);
      } else if (verb === "putEndpoint" || verb === "retireEndpoint" || verb === "setEndpointDisabled") {
        const endpoint = results[index] as Endpoint | null;
        if (endpoint === null) continue;
        const wasHeld = directory.endpoint(endpoint.id)?.disabledAt ?? null;
        onEndpointChanged(endpoint);
        if (wasHeld !== null && endpoint.disabledAt === null) onEndpointOpened(endpoint);
      }
    }
    onScheduleChanged();
  }

  #inLine<Result>(project: string, change: () => Promise<Result>): Promise<Result> {
    const before = this.#lines.get(project) ?? Promise.resolve();
    const mine = before.then(change, change);
    this.#lines.set(project, mine);
    return mine;
  }
}

function noFunction(): AppError {
  return new AppError("not_found", "there is no such function in this project");
}
