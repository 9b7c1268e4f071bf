import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { readMasterKeys, startKeyRotation } from "../../src/master-keys.ts";
import { KeyRotation } from "../../src/runtime/key-rotation.ts";
import { SILENT_LOG } from "../../src/runtime/log.ts";
import type { Store } from "../../src/storage/contract.ts";
import { StoreOpenError } from "../../src/storage/database.ts";
import { ownerOf, SEALED_COLUMNS } from "../../src/storage/sealed-columns.ts";
import { createSealing } from "../../src/storage/sealing.ts";
import { FIRST_RESEAL } from "../../src/storage/store.ts";
import { NOW, newEndpoint, newSource } from "../support/factory.ts";
import { countingBytes, openBareStore, openTestStore, withFolder } from "../support/store.ts";

const OLD = new Uint8Array(32).fill(1);
const NEW = new Uint8Array(32).fill(2);
const THIRD = new Uint8Array(32).fill(3);
const random = { bytes: (length: number) => new Uint8Array(length).fill(9), unit: () => 0 };
const means = { random, log: SILENT_LOG };

async function fill(store: Store, count: number): Promise<void> {
  const secrets = [{ value: "whsec_c2VjcmV0" }];
  for (let place = 0; place < count; place += 1) {
    await store.putEndpoint(newEndpoint({ name: `e${place}`, sign: [{ scheme: "standard", secrets }] }), NOW);
  }
  await store.putSource(newSource({ name: "in", verify: [{ scheme: "github", secrets }] }), NOW);
}

/** Reads every secret; throws when one does not open. */
async function secretsOf(store: Store): Promise<number> {
  const { endpoints, sources } = await store.loadDefinitions();
  return endpoints.filter(({ sign }) => sign.length === 1).length + sources.length;
}

function rotationOf(store: Store): KeyRotation<typeof FIRST_RESEAL> {
  return new KeyRotation({ store, first: FIRST_RESEAL, keyFile: null, ...means });
}

describe("The list of sealed columns", () => {
  test("has every column that holds something sealed, and no other", () => {
    const { db } = openBareStore();
    const found = db
      .query<{ name: string; column: string }, []>(
        `SELECT t.name, c.name AS column FROM pragma_table_list t, pragma_table_info(t.name) c
         WHERE t.type = 'table' AND c.name LIKE '%seal%' ORDER BY t.name`,
      )
      .all();
    const listed = SEALED_COLUMNS.map(({ table }) => table).sort();
    expect(found.map(({ name, column }) => `${name}.${column}`)).toEqual(
      listed.map((table) => `${table}.sealed`),
    );
  });

  test("names keys that are unique, so that every row is reached and none twice", () => {
    const { db } = openBareStore();
    for (const { table, key } of SEALED_COLUMNS) {
      const plan = db
        .query<{ detail: string }, []>(
          `EXPLAIN QUERY PLAN SELECT 1 FROM ${table} WHERE ${key} > 'x' ORDER BY ${key}`,
        )
        .all();
      expect(plan.map(({ detail }) => detail).join()).toMatch(/USING (COVERING )?INDEX|USING PRIMARY KEY/);
      expect(plan.map(({ detail }) => detail).join()).not.toContain("TEMP B-TREE");
    }
  });

  test("seals for owners that the rows themselves are opened with", async () => {
    await withFolder(async (folder) => {
      const path = join(folder, "postern.db");
      const store = openTestStore({ path, masterKey: OLD });
      await fill(store, 1);
      await store.close();
      const db = new Database(path);
      const sealing = createSealing(OLD, countingBytes());
      for (const { table, key } of SEALED_COLUMNS) {
        const rows = db
          .query<{ key: Uint8Array | string; sealed: Uint8Array }, []>(
            `SELECT ${key} AS key, sealed FROM ${table}`,
          )
          .all();
        for (const row of rows) expect(sealing.open(ownerOf(table, row.key), row.sealed)).toBeDefined();
      }
      db.close();
    });
  });
});

describe("A rotation", () => {
  test("seals everything anew; afterwards only the new key opens the store", async () => {
    await withFolder(async (folder) => {
      const path = join(folder, "postern.db");
      const store = openTestStore({ path, masterKey: OLD });
      await fill(store, 250);
      const before = store.tokenKey;
      expect(await rotationOf(store).rotate(NEW)).toBe(252);
      expect(store.isKeyRotating).toBe(false);
      expect(await secretsOf(store)).toBe(251);
      await store.close();
      expect(() => openTestStore({ path, masterKey: OLD })).toThrow(StoreOpenError);
      const again = openTestStore({ path, masterKey: NEW });
      expect(await secretsOf(again)).toBe(251);
      expect(again.tokenKey).toEqual(before);
      await again.close();
    });
  });

  test("leaves no old seal behind in the file", async () => {
    await withFolder(async (folder) => {
      const path = join(folder, "postern.db");
      const store = openTestStore({ path, masterKey: OLD });
      await fill(store, 120);
      const sealedOf = () => {
        const db = new Database(path, { readonly: true });
        const rows = db.query<{ sealed: Uint8Array }, []>("SELECT sealed FROM endpoint").all();
        db.close();
        return rows.map(({ sealed }) => Buffer.from(sealed));
      };
      const old = sealedOf();
      const hasAny = () => {
        const bytes = ["", "-wal"].map((suffix) =>
          existsSync(path + suffix) ? readFileSync(path + suffix) : Buffer.alloc(0),
        );
        return old.filter((sealed) => bytes.some((file) => file.includes(sealed))).length;
      };
      expect(hasAny()).toBe(120);
      await rotationOf(store).rotate(NEW);
      expect(hasAny()).toBe(0);
      await store.close();
    });
  });

  test("goes on beside other writes, and what is written meanwhile is under the new key", async () => {
    const store = openTestStore({ masterKey: OLD });
    await fill(store, 150);
    await store.beginKeyRotation(NEW);
    const first = await store.reseal(FIRST_RESEAL, 10);
    await store.putEndpoint(newEndpoint({ name: "late" }), NOW);
    expect(first).toMatchObject({ resealedCount: 10 });
    const rotation = rotationOf(store);
    rotation.resume();
    await until(() => !store.isKeyRotating);
    expect(store.hasMasterKey(NEW)).toBe(true);
    expect(store.hasMasterKey(OLD)).toBe(false);
    await store.close();
  });

  test("is refused beside another, for the same key, and without a place for a new one", async () => {
    const store = openTestStore({ masterKey: OLD });
    const rotation = rotationOf(store);
    const running = rotation.rotate(NEW);
    expect(() => rotation.rotate(THIRD)).toThrow("already");
    await running;
    expect(() => rotation.rotate(NEW)).toThrow("already");
    expect(() => rotation.rotate(null)).toThrow("configuration");
    await store.close();
  });
});

/** Every step of a rotation as a place to be killed at: how many steps were made before. */
const STEPS = [0, 1, 2, 3, 4, 5, 6, 7];

/** Makes so many steps and stops there, as a killed process would: what is committed is all that is left. */
async function makeSteps(store: Store, count: number): Promise<void> {
  if (count < 1) return;
  await store.beginKeyRotation(NEW);
  let cursor: typeof FIRST_RESEAL | null = FIRST_RESEAL;
  for (let step = 1; step < count; step += 1) {
    if (cursor === null) return store.finishKeyRotation();
    cursor = (await store.reseal(cursor, 10)).next;
  }
}

describe.each(STEPS)("Killed after %i steps", (steps) => {
  test("a store goes on with both keys, and needs only the new one then", async () => {
    await withFolder(async (folder) => {
      const path = join(folder, "postern.db");
      const store = openTestStore({ path, masterKey: OLD });
      await fill(store, 25);
      await makeSteps(store, steps);
      await store.close();
      const keys = { masterKey: NEW, previousKey: OLD };
      const again = openTestStore({ path, ...keys });
      expect(await secretsOf(again)).toBe(26);
      const rotation = rotationOf(again);
      rotation.resume();
      await until(() => !again.isKeyRotating);
      expect(await secretsOf(again)).toBe(26);
      await again.close();
      expect(await secretsOf(openTestStore({ path, masterKey: NEW }))).toBe(26);
    });
  });

  test("a store that has begun says which key is missing", async () => {
    await withFolder(async (folder) => {
      const path = join(folder, "postern.db");
      const store = openTestStore({ path, masterKey: OLD });
      await fill(store, 25);
      await makeSteps(store, steps);
      const isUnderWay = store.isKeyRotating;
      await store.close();
      if (!isUnderWay) return expect(steps === 0 || steps === 7).toBe(true);
      expect(() => openTestStore({ path, masterKey: OLD })).toThrow("the new key is missing");
      expect(() => openTestStore({ path, masterKey: NEW })).toThrow("the old key is missing");
    });
  });

  test("a key file ends up with the key that opens the store", async () => {
    await withFolder(async (folder) => {
      const file = join(folder, "postern.key");
      writeFileSync(file, Buffer.from(OLD).toString("base64"), { mode: 0o600 });
      const source = { kind: "file", path: file } as const;
      const config = { masterKey: source, masterKeyOld: null };
      const path = join(folder, "postern.db");
      const store = openTestStore({ path, ...readMasterKeys(config, means) });
      await fill(store, 25);
      writeFileSync(`${file}.next`, Buffer.from(NEW).toString("base64"), { mode: 0o600 });
      await makeSteps(store, steps);
      await store.close();

      const again = openTestStore({ path, ...readMasterKeys(config, means) });
      startKeyRotation(again, source, means);
      await until(() => !again.isKeyRotating && !existsSync(`${file}.next`));
      expect(await secretsOf(again)).toBe(26);
      await again.close();
      const last = openTestStore({ path, ...readMasterKeys(config, means) });
      expect(await secretsOf(last)).toBe(26);
      expect(last.hasMasterKey(steps === 0 ? OLD : NEW)).toBe(true);
      await last.close();
    });
  });
});

test("a key that is made for the rotation is private and is the store's afterwards", async () => {
  await withFolder(async (folder) => {
    const file = join(folder, "postern.key");
    const source = { kind: "file", path: file } as const;
    const config = { masterKey: source, masterKeyOld: null };
    const store = openTestStore(
      readMasterKeys(config, { ...means, random: { ...random, bytes: () => OLD } }),
    );
    await fill(store, 3);
    expect(await startKeyRotation(store, source, means).rotate(null)).toBe(5);
    expect(readFileSync(file, "utf8").trim()).toBe(Buffer.from(random.bytes(32)).toString("base64"));
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(existsSync(`${file}.next`)).toBe(false);
    await store.close();
  });
});

async function until(isTrue: () => boolean): Promise<void> {
  for (let turn = 0; turn < 2_000 && !isTrue(); turn += 1) await new Promise(setImmediate);
  expect(isTrue()).toBe(true);
}
