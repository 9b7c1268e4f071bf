/**
 * What a foreign protocol brings along. app.ts has one line per dialect and treats all of them alike: their
 * profiles join the engine's, their doors the server's, and their services start and stop with it.
 */

import type { ChangeListener } from "../domain/change.ts";
import type { DatedReads } from "../domain/dated.ts";
import type { ExportVerbs } from "../domain/export.ts";
import type { HistoryReads } from "../domain/history.ts";
import type { Id } from "../domain/id.ts";
import type { ProjectSettings } from "../domain/project-settings.ts";
import type { Profile } from "../domain/strategy.ts";
import type { Settling } from "../runtime/advance.ts";
import type { Dated } from "../runtime/dated.ts";
import type { EndpointWrites } from "../runtime/endpoints.ts";
import type { Intake } from "../runtime/intake.ts";
import type { Listeners } from "../runtime/listeners.ts";
import type { CallbackStore } from "../runtime/ports.ts";
import type { Probe } from "../runtime/probe.ts";
import type { Random } from "../runtime/random.ts";
import type { Sends } from "../runtime/sends.ts";
import type { SourceWrites } from "../runtime/sources.ts";
import type { Door } from "./door.ts";
import type { NativeDoorsOptions } from "./doors.ts";

/** Everything the native doors work with, and what only objects of a foreign making need. */
export interface DialectContext extends NativeDoorsOptions {
  readonly nextId: () => Id;
  readonly random: Random;
  readonly intake: Intake;
  readonly probe: Probe;
  readonly callbacks: CallbackStore;
  readonly endpoints: EndpointWrites;
  readonly sends: Sends;
  readonly sources: SourceWrites;
  readonly history: HistoryReads;
  readonly exports: ExportVerbs;
  /** What tokens in URLs are proven with. */
  readonly tokenKey: Uint8Array;
  readonly dated: Dated;
  readonly listeners: Listeners;
  /** Without a trailing slash; where WebSockets are opened. */
  readonly socketUrl: string;
  readonly datedReads: DatedReads;
  readonly keyUses: KeyUseStore;
  /** Has a listener told of every commit. */
  readonly onChanges: (listener: ChangeListener) => void;
}

/** When API keys were last used. */
export interface KeyUseStore {
  loadKeyUses(): Promise<readonly { readonly id: Id; readonly usedAt: number }[]>;
  noteKeyUse(id: Id, usedAt: number): Promise<void>;
}

export interface DialectServices {
  readonly doors: readonly Door[];
  /** Something that acts on its own when its time has come; a virtual clock waits for it. */
  readonly settling?: Settling;
  /**
   * Applies what the file says of every project. Called before the listeners open and on every reload, after
   * the declared objects. Throws AppError and changes nothing when it cannot.
   */
  reconcile?(projects: readonly ProjectSettings[]): Promise<void>;
  /** Called once, when the engine sends. */
  start?(): Promise<void>;
  /** Called once, before the engine stops. Resolves when nothing of it is under way. */
  stop?(): Promise<void>;
}

export interface Dialect {
  readonly name: string;
  /** Named as no other dialect's. Deliveries in the store name them, so a name stays for ever. */
  readonly profiles: readonly Profile[];
  /** Called once per start, after the store is open. */
  open(context: DialectContext): DialectServices;
}

/** Opens all of them, as one. The order of the list is the order of starting; stopping is its reverse. */
export function openDialects(dialects: readonly Dialect[], context: DialectContext): OpenDialects {
  return new OpenDialects(dialects.map((dialect) => dialect.open(context)));
}

export class OpenDialects {
  readonly #services: readonly DialectServices[];

  constructor(services: readonly DialectServices[]) {
    this.#services = services;
  }

  get doors(): readonly Door[] {
    return this.#services.flatMap(({ doors }) => doors);
  }

  isSettled(now: number): boolean {
    return this.#services.every(({ settling }) => settling?.isSettled(now) ?? true);
  }

  async reconcile(projects: readonly ProjectSettings[]): Promise<void> {
    for (const service of this.#services) await service.reconcile?.(projects);
  }

  async start(): Promise<void> {
    for (const service of this.#services) await service.start?.();
  }

  async stop(): Promise<void> {
    for (const service of this.#services.toReversed()) await service.stop?.();
  }
}
