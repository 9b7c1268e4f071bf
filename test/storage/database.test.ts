import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { statSync } from "node:fs";
import { join } from "node:path";
import {
  APPLICATION_ID,
  FIRST_STATEMENTS,
  openReader,
  openWriter,
  requireSqlite,
  StoreOpenError,
} from "../../src/storage/database.ts";
import { MIGRATIONS, migrate } from "../../src/storage/migrate.ts";
import { withFolder } from "../support/store.ts";

function pragma(db: Database, name: string): unknown {
  return Object.values(db.query<Record<string, unknown>, []>(`PRAGMA ${name}`).get() ?? {})[0];
}

test("the first statements of a new file take effect", () =>
  withFolder((folder) => {
    const path = join(folder, "a.db");
    const db = openWriter({ path, durability: "fsync" });
    migrate(db);
    db.close();
    const again = new Database(path);
    expect(pragma(again, "page_size")).toBe(8_192);
    expect(pragma(again, "auto_vacuum")).toBe(2);
    expect(pragma(again, "application_id")).toBe(APPLICATION_ID);
    expect(pragma(again, "journal_mode")).toBe("wal");
    again.close();
  }));

test("a new store is for its owner only, with its write-ahead log", () =>
  withFolder((folder) => {
    const path = join(folder, "a.db");
    const db = openWriter({ path, durability: "fsync" });
    migrate(db);
    const modes = [path, `${path}-wal`, `${path}-shm`].map((file) => statSync(file).mode & 0o777);
    db.close();
    expect(modes).toEqual([0o600, 0o600, 0o600]);
  }));

test("their order matters: after WAL, auto_vacuum would be ignored", () =>
  withFolder((folder) => {
    const db = new Database(join(folder, "a.db"));
    for (const statement of FIRST_STATEMENTS.toReversed()) db.run(statement);
    db.run("CREATE TABLE t (a)");
    expect(pragma(db, "auto_vacuum")).toBe(0);
    db.close();
  }));

test.each([
  ["fsync", 2],
  ["relaxed", 1],
] as const)("durability %s sets synchronous to %i", (durability, expected) =>
  withFolder((folder) => {
    const db = openWriter({ path: join(folder, "a.db"), durability });
    expect(pragma(db, "synchronous")).toBe(expected);
    db.close();
  }));

test("a reader cannot write", () =>
  withFolder((folder) => {
    const path = join(folder, "a.db");
    const writer = openWriter({ path, durability: "fsync" });
    migrate(writer);
    const reader = openReader(path);
    expect(() => reader.run("DELETE FROM event")).toThrow();
    reader.close();
    writer.close();
  }));

test("a file of another program is refused and left alone", () =>
  withFolder((folder) => {
    const path = join(folder, "other.db");
    const other = new Database(path, { create: true });
    other.run("CREATE TABLE t (a)");
    other.close();
    expect(() => openWriter({ path, durability: "fsync" })).toThrow(StoreOpenError);
    const again = new Database(path);
    expect(pragma(again, "journal_mode")).toBe("delete");
    again.close();
  }));

test("a file that is no database is refused", () =>
  withFolder(async (folder) => {
    const path = join(folder, "text.db");
    await Bun.write(path, "not a database, but long enough to be read as the header of one ".repeat(20));
    expect(() => openWriter({ path, durability: "fsync" })).toThrow(StoreOpenError);
  }));

test("a file in a folder that does not exist is refused with its path", () => {
  expect(() => openWriter({ path: "/nonexistent/a.db", durability: "fsync" })).toThrow("/nonexistent/a.db");
});

test.each(["3.51.2", "3.50.99", "2.99.99"])("SQLite %s is too old", (version) => {
  expect(() => requireSqlite(version)).toThrow(StoreOpenError);
});

test.each(["3.51.3", "3.51.10", "3.54.1", "4.0.0"])("SQLite %s will do", (version) => {
  expect(() => requireSqlite(version)).not.toThrow();
});

test("migrations run once, in order, and record their number", () => {
  const db = new Database(":memory:");
  const steps = ["CREATE TABLE a (x)", "ALTER TABLE a ADD COLUMN y"];
  expect(migrate(db, steps.slice(0, 1))).toBe(0);
  expect(migrate(db, steps)).toBe(1);
  expect(migrate(db, steps)).toBe(2);
  db.run("INSERT INTO a (x, y) VALUES (1, 2)");
  expect(pragma(db, "user_version")).toBe(2);
});

test("a migration that fails leaves the version and the schema of the one before", () => {
  const db = new Database(":memory:");
  expect(() => migrate(db, ["CREATE TABLE a (x)", "CREATE TABLE b (x); CREATE TABLE a (x)"])).toThrow();
  expect(pragma(db, "user_version")).toBe(1);
  expect(db.query("SELECT name FROM sqlite_schema").all()).toEqual([{ name: "a" }]);
});

test("a file newer than the program is refused", () => {
  const db = new Database(":memory:");
  db.run(`PRAGMA user_version = ${MIGRATIONS.length + 1}`);
  expect(() => migrate(db)).toThrow(StoreOpenError);
});
