/** What the routes share: the engine's verbs, the settings of a project, and how objects are looked up. */
import { MINUTE } from "../../domain/duration.ts";
import type { Endpoint } from "../../domain/endpoint.ts";
import { type Id, readId } from "../../domain/id.ts";
import type { HookbridgeSettings, ProjectSettings } from "../../domain/project-settings.ts";
import type { Source } from "../../domain/source.ts";
import { authenticate, type Principal } from "../../http/auth.ts";
import type { DialectContext } from "../../http/dialect.ts";
import type { RequestContext } from "../../http/door.ts";
import { Fault } from "./answer.ts";
import { FailedKeys } from "./failed-keys.ts";
import { DOOR, type EndpointExtra, readExtra } from "./objects.ts";
import { DEFAULT_SETTINGS, retryRule } from "./settings.ts";
import { readUuid } from "./wire.ts";

/** As many as a secret of 256 bits needs. */
const SECRET_BYTES = 32;

export class Service {
  readonly context: DialectContext;
  /** Told when something is stored for a source that nothing is sent from. */
  onStored: (source: Source) => void = () => {};
  #settings: ReadonlyMap<string, HookbridgeSettings> = new Map();

  /** The last change of each object that is being changed. */
  readonly #turns = new Map<Id, Promise<unknown>>();

  readonly #requests = new Map<string, { readonly minute: number; readonly count: number }>();
  readonly #failedKeys = new FailedKeys();
  readonly #usedAt = new Map<Id, number>();

  constructor(context: DialectContext) {
    this.context = context;
  }

  settingsOf(project: string): HookbridgeSettings {
    return this.#settings.get(project) ?? DEFAULT_SETTINGS;
  }

  /** Endpoints carry the settings that their deliveries follow, so those that differ are written anew. */
  async applySettings(projects: readonly ProjectSettings[]): Promise<void> {
    this.#settings = new Map(
      projects.flatMap(({ project, hookbridge }) => (hookbridge ? [[project, hookbridge] as const] : [])),
    );
    for (const endpoint of this.context.directory.endpoints()) {
      if (endpoint.door !== DOOR) continue;
      const { timeoutMs, signingTime, ...settings } = this.settingsOf(endpoint.project);
      const retry = retryRule({ ...settings, timeoutMs, signingTime });
      const extra = readExtra(endpoint);
      const isSame =
        JSON.stringify(endpoint.retry) === JSON.stringify(retry) &&
        endpoint.timeoutMs === timeoutMs &&
        extra.signingTime === signingTime;
      if (!isSame)
        await this.changeEndpoint(endpoint, { retry, timeoutMs, extra: { ...extra, signingTime } });
    }
  }

  /** Throws unauthorized without a valid key, and RATE_LIMITED to who went on too often without one. */
  authenticate(headers: Headers, { clientAddress }: Pick<RequestContext, "clientAddress">): Principal {
    try {
      return authenticate(headers, this.context.directory);
    } catch (error) {
      const retryAfterMs = this.#failedKeys.add(clientAddress, this.context.clock.wallNow());
      if (retryAfterMs === null) throw error;
      throw new Fault("RATE_LIMITED", "too many requests without a valid key", { retryAfterMs });
    }
  }

  /** Counts a request by whole minutes; throws BURST_LIMIT_EXCEEDED when the project has used its own up. */
  takeRequest(project: string): void {
    const { requestsPerMinute } = this.settingsOf(project);
    if (requestsPerMinute === 0) return;
    const now = this.context.clock.wallNow();
    const minute = Math.floor(now / MINUTE);
    const known = this.#requests.get(project);
    const count = known?.minute === minute ? known.count + 1 : 1;
    this.#requests.set(project, { minute, count });
    if (count <= requestsPerMinute) return;
    const retryAfterMs = (minute + 1) * MINUTE - now;
    throw new Fault("BURST_LIMIT_EXCEEDED", `at most ${requestsPerMinute} requests per minute`, {
      retryAfterMs,
    });
  }

  noteUse(key: Id): void {
    this.#usedAt.set(key, this.context.clock.now());
  }

  /** Since the start; null: not used since. */
  lastUsedAt(key: Id): number | null {
    return this.#usedAt.get(key) ?? null;
  }

  /** Runs `work` once what was asked of this object before has ended, so that each change sees the last. */
  async inTurn<Result>(id: Id, work: () => Promise<Result>): Promise<Result> {
    const before = this.#turns.get(id) ?? Promise.resolve();
    const turn = before.then(work, work);
    this.#turns.set(id, turn);
    try {
      return await turn;
    } finally {
      if (this.#turns.get(id) === turn) this.#turns.delete(id);
    }
  }

  changeEndpoint(
    endpoint: Endpoint,
    { extra, ...change }: Partial<Omit<Endpoint, "extra">> & { readonly extra?: EndpointExtra },
  ): Promise<Endpoint> {
    const { lane: _lane, pausedAt: _paused, disabledAt: _disabled, ...rest } = endpoint;
    const { disabledReason: _reason, createdAt: _created, updatedAt: _updated, ...more } = rest;
    const { deletedAt: _deleted, ...definition } = more;
    const written = extra === undefined ? {} : { extra: JSON.stringify(extra) };
    return this.context.endpoints.put({ ...definition, ...change, ...written });
  }

  /** Living outbound endpoints of a project, the newest first. */
  endpointsOf(project: string): Endpoint[] {
    return this.context.directory
      .endpoints()
      .filter((endpoint) => endpoint.project === project && isOutbound(endpoint))
      .reverse();
  }

  /** Throws ENDPOINT_NOT_FOUND, also for odd ids that begin right (protocol section 4). */
  endpoint(project: string, text: string): Endpoint {
    if (!text.startsWith("ep_")) throw new Fault("INVALID_REQUEST", "an endpoint id begins with ep_");
    const id = readId("endpoint", text);
    const endpoint = id === null ? undefined : this.context.directory.endpoint(id);
    if (!endpoint || endpoint.project !== project || endpoint.deletedAt !== null || !isOutbound(endpoint)) {
      throw new Fault("ENDPOINT_NOT_FOUND", "no such endpoint");
    }
    return endpoint;
  }

  /** An inbound or pull endpoint, deleted ones included: what was refused by one can still be asked for. */
  receivingSource(project: string, text: string): Source {
    const source = this.context.directory.source(readObjectId(text, "inbound endpoint"));
    if (source?.door === DOOR && source.project === project) return source;
    throw new Fault("NOT_FOUND", "no such inbound endpoint");
  }

  /** A new secret, made of letters that need no escaping anywhere. */
  secret(prefix: string): string {
    return prefix + Buffer.from(this.context.random.bytes(SECRET_BYTES)).toString("base64url");
  }
}

function isOutbound(endpoint: Endpoint): boolean {
  return endpoint.door === DOOR && readExtra(endpoint).kind === "outbound";
}

/** Throws NOT_FOUND for what is no UUID, too: clients ask with whatever they have (protocol section 7.2). */
export function readObjectId(text: string, what: string): Id {
  const id = readUuid(text);
  if (id === null) throw new Fault("NOT_FOUND", `no such ${what}`);
  return id;
}
