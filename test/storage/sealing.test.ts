import { expect, test } from "bun:test";
import { chmodSync, statSync } from "node:fs";
import { join } from "node:path";
import { StoreOpenError } from "../../src/storage/database.ts";
import { loadMasterKeyFile, parseMasterKey } from "../../src/storage/master-key.ts";
import { createSealing, isSameCheck } from "../../src/storage/sealing.ts";
import { countingBytes, MASTER_KEY, withFolder } from "../support/store.ts";

const OWNER = "endpoint:1";
const SECRET = { sign: [{ scheme: "standard", secret: "whsec_ünïcode" }] };

test("what was sealed opens for its owner", () => {
  const sealing = createSealing(MASTER_KEY, countingBytes());
  expect(sealing.open(OWNER, sealing.seal(OWNER, SECRET))).toEqual(SECRET);
});

test("the secret does not show in the sealed bytes, and two seals differ", () => {
  const sealing = createSealing(MASTER_KEY, countingBytes());
  const sealed = sealing.seal(OWNER, SECRET);
  expect(Buffer.from(sealed).includes("whsec")).toBe(false);
  expect(sealing.seal(OWNER, SECRET)).not.toEqual(sealed);
});

test("a change of any single byte is noticed", () => {
  const sealing = createSealing(MASTER_KEY, countingBytes());
  const sealed = sealing.seal(OWNER, SECRET);
  for (let index = 0; index < sealed.byteLength; index += 1) {
    const changed = Uint8Array.from(sealed);
    changed[index] = (changed[index] ?? 0) ^ 1;
    expect(() => sealing.open(OWNER, changed)).toThrow();
  }
  expect(() => sealing.open(OWNER, sealed.subarray(0, 20))).toThrow();
});

test("a sealed value does not open in another row or under another key", () => {
  const sealing = createSealing(MASTER_KEY, countingBytes());
  const sealed = sealing.seal(OWNER, SECRET);
  expect(() => sealing.open("endpoint:2", sealed)).toThrow();
  expect(() => sealing.open("source:1", sealed)).toThrow();
  expect(() => createSealing(new Uint8Array(32), countingBytes()).open(OWNER, sealed)).toThrow();
});

test("the check value tells keys apart", () => {
  const { checkValue } = createSealing(MASTER_KEY, countingBytes());
  expect(isSameCheck(checkValue, createSealing(MASTER_KEY, countingBytes()).checkValue)).toBe(true);
  expect(isSameCheck(checkValue, createSealing(new Uint8Array(32), countingBytes()).checkValue)).toBe(false);
  expect(isSameCheck(checkValue.subarray(1), checkValue)).toBe(false);
});

test("a master key of another length is refused", () => {
  expect(() => createSealing(new Uint8Array(16), countingBytes())).toThrow(StoreOpenError);
});

const KEY = Uint8Array.from({ length: 32 }, (_, index) => index * 8 + 3);
const BASE64 = Buffer.from(KEY).toString("base64");

test.each([
  ["base64", BASE64, KEY],
  ["base64 with a line end", `${BASE64}\n`, KEY],
  ["base64url without padding", Buffer.from(KEY).toString("base64url"), KEY],
  ["hex", Buffer.from(KEY).toString("hex"), KEY],
  ["upper-case hex", Buffer.from(KEY).toString("hex").toUpperCase(), KEY],
  ["nothing", "", null],
  ["16 bytes", Buffer.alloc(16).toString("base64"), null],
  ["33 bytes", Buffer.alloc(33).toString("base64"), null],
  ["words", "correct horse battery staple", null],
] as const)("a master key as %s", (_, text, expected) => {
  expect(parseMasterKey(text)).toEqual(expected);
});

test("an absent key file is created for its owner only, and read back the next time", () =>
  withFolder((folder) => {
    const path = join(folder, "postern.key");
    const made = loadMasterKeyFile(path, () => KEY);
    expect(made).toEqual({ key: KEY, isNew: true, warning: null });
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(loadMasterKeyFile(path, () => new Uint8Array(32))).toEqual({
      key: KEY,
      isNew: false,
      warning: null,
    });
  }));

test("a key file that others can read comes with a warning", () =>
  withFolder((folder) => {
    const path = join(folder, "postern.key");
    loadMasterKeyFile(path, () => KEY);
    chmodSync(path, 0o644);
    expect(loadMasterKeyFile(path, () => KEY).warning).toContain("644");
  }));

test("a key file with something else in it is refused, and not replaced", () =>
  withFolder(async (folder) => {
    const path = join(folder, "postern.key");
    await Bun.write(path, "not a key");
    expect(() => loadMasterKeyFile(path, () => KEY)).toThrow(StoreOpenError);
    expect(await Bun.file(path).text()).toBe("not a key");
  }));

test("a key file that cannot be made is refused with its path", () => {
  expect(() => loadMasterKeyFile("/nonexistent/postern.key", () => KEY)).toThrow("/nonexistent/postern.key");
});
