/** API keys in a store that no server has open. The store's own lock keeps the two apart. */
import { type ApiKey, newKeyText } from "../domain/access.ts";
import { createIdFactory, readId, showId } from "../domain/id.ts";
import { readMasterKeys } from "../master-keys.ts";
import { SystemClock } from "../runtime/clock.ts";
import { SystemRandom } from "../runtime/random.ts";
import { StoreOpenError } from "../storage/database.ts";
import { openStore, type Store } from "../storage/store.ts";
import { VERSION } from "./build-info.ts";
import { requireSettings } from "./settings.ts";
import type { Row } from "./table.ts";
import { CommandError, printError } from "./terminal.ts";

interface WantedKey {
  readonly project: string;
  readonly scope: ApiKey["scope"];
  readonly label: string | null;
}

/** The valid keys of a project, or of all of them. */
export function listKeysOffline(configPath: string, project: string | null): Promise<Row[]> {
  return withStore(configPath, async ({ store }) => {
    const { apiKeys } = await store.loadDefinitions();
    return apiKeys
      .filter((key) => key.deletedAt === null && (project === null || key.project === project))
      .map(showKey);
  });
}

/** Returns the key as the API shows a new one: with its text, which is in the answer only. */
export function createKeyOffline(configPath: string, wanted: WantedKey): Promise<Row> {
  return withStore(configPath, async ({ store, clock, random, declared }) => {
    const { projects } = await store.loadDefinitions();
    const living = projects.filter(({ retiredAt }) => retiredAt === null).map(({ name }) => name);
    if (![...living, ...declared].includes(wanted.project)) {
      throw new CommandError(`there is no project ${wanted.project}; there are ${declared.join(", ")}`);
    }
    const randomBytes = (length: number) => random.bytes(length);
    const nextId = createIdFactory({ now: () => clock.wallNow(), randomBytes }, store.newestId);
    const text = newKeyText(randomBytes);
    const hash = new Bun.CryptoHasher("sha256").update(text).digest("hex");
    const key = await store.putApiKey({ ...wanted, hash, id: nextId(), door: "native" }, clock.wallNow());
    return { ...showKey(key), key: text };
  });
}

/** Revokes all of them or none. */
export function revokeKeyOffline(configPath: string, ids: readonly string[]): Promise<Row[]> {
  return withStore(configPath, async ({ store, clock }) => {
    const { apiKeys } = await store.loadDefinitions();
    const keys = ids.map((shown) => {
      const key = apiKeys.find(({ id, deletedAt }) => id === readId("key", shown) && deletedAt === null);
      if (!key) throw new CommandError(`there is no key ${shown}`);
      if (key.door === "config") throw new CommandError(`${shown} is declared in the config file`);
      return key;
    });
    const revoked = await Promise.all(keys.map(({ id }) => store.retireApiKey(id, clock.wallNow())));
    return revoked.filter((key) => key !== null).map(showKey);
  });
}

interface Opened {
  readonly store: Store;
  readonly clock: SystemClock;
  readonly random: SystemRandom;
  /** The projects of the config file, which the store has after its next start at the latest. */
  readonly declared: readonly string[];
}

async function withStore<Result>(
  configPath: string,
  work: (opened: Opened) => Promise<Result>,
): Promise<Result> {
  const config = requireSettings(configPath);
  const clock = new SystemClock();
  const random = new SystemRandom();
  const log = { warn: (_event: string, fields: object = {}) => printError(Object.values(fields).join(" ")) };
  const store = open(() =>
    openStore({
      ...{ path: config.store.path, durability: config.store.durability, clock, version: VERSION },
      ...readMasterKeys(config.store, { random, log }),
      randomBytes: (length) => random.bytes(length),
    }),
  );
  try {
    return await work({ store, clock, random, declared: config.projects.map(({ id }) => id) });
  } finally {
    await store.close();
  }
}

function open(work: () => Store): Store {
  try {
    return work();
  } catch (error) {
    if (error instanceof StoreOpenError) throw new CommandError(error.message);
    throw error;
  }
}

function showKey({ id, project, label, scope, door, createdAt }: ApiKey): Row {
  return {
    ...{ id: showId("key", id), project, label, scope, door },
    createdAt: new Date(createdAt).toISOString(),
    revokedAt: null,
  };
}
