/**
 * Secrets at rest: JSON sealed with AES-256-GCM under a key derived from the master key. What a sealed value
 * belongs to (table and id) is authenticated with it, so a value copied to another row does not open there.
 *
 * Layout: version 1 (1 byte), nonce (12), tag (16), ciphertext. Nonces are random: far below the 2^32 values
 * per key that NIST SP 800-38D section 8.3 allows for random nonces of 96 bits.
 */
import { createCipheriv, createDecipheriv, hkdfSync, timingSafeEqual } from "node:crypto";
import { StoreOpenError } from "./database.ts";

export const MASTER_KEY_BYTES = 32;
const VERSION = 1;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const HEADER_BYTES = 1 + NONCE_BYTES + TAG_BYTES;

export interface Sealing {
  /** Seals the JSON of a value; `owner` names the row, for example `endpoint:<id>`. */
  seal(owner: string, value: unknown): Uint8Array;
  /** Throws when the bytes were changed, belong to another row, or were sealed under another key. */
  open(owner: string, sealed: Uint8Array): unknown;
  /** What a store keeps to recognise its key; tells nothing about it. */
  readonly checkValue: Uint8Array;
}

export function createSealing(masterKey: Uint8Array, randomBytes: (length: number) => Uint8Array): Sealing {
  if (masterKey.byteLength !== MASTER_KEY_BYTES) {
    throw new StoreOpenError(
      `the master key must have ${MASTER_KEY_BYTES} bytes, not ${masterKey.byteLength}`,
    );
  }
  const key = derive(masterKey, "postern seal v1");
  return {
    checkValue: derive(masterKey, "postern check v1"),
    seal(owner, value) {
      const nonce = randomBytes(NONCE_BYTES);
      const cipher = createCipheriv("aes-256-gcm", key, nonce).setAAD(Buffer.from(owner));
      const text = Buffer.concat([cipher.update(JSON.stringify(value), "utf8"), cipher.final()]);
      return Buffer.concat([Buffer.of(VERSION), nonce, cipher.getAuthTag(), text]);
    },
    open(owner, sealed) {
      if (sealed.byteLength < HEADER_BYTES || sealed[0] !== VERSION)
        throw new Error(`${owner}: not a sealed value`);
      const nonce = sealed.subarray(1, 1 + NONCE_BYTES);
      const decipher = createDecipheriv("aes-256-gcm", key, nonce, { authTagLength: TAG_BYTES });
      decipher.setAAD(Buffer.from(owner)).setAuthTag(sealed.subarray(1 + NONCE_BYTES, HEADER_BYTES));
      const text = Buffer.concat([decipher.update(sealed.subarray(HEADER_BYTES)), decipher.final()]);
      return JSON.parse(text.toString("utf8"));
    },
  };
}

export function isSameCheck(stored: Uint8Array, current: Uint8Array): boolean {
  return stored.byteLength === current.byteLength && timingSafeEqual(stored, current);
}

function derive(masterKey: Uint8Array, purpose: string): Uint8Array {
  return new Uint8Array(hkdfSync("sha256", masterKey, new Uint8Array(0), purpose, MASTER_KEY_BYTES));
}
