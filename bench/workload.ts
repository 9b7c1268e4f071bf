/**
 * What every load generator sends to every program measured: one signed body of 1 KiB, a new key each time.
 */

export const SECRET = "secret";
const BODY_BYTES = 1_024;

/** Padded to exactly BODY_BYTES, so that every rate in the table is one of 1 KiB bodies. */
export const BODY = paddedBody({ id: "in_1042", type: "invoice.paid", amount: 129_900, currency: "EUR" });

/** Returns a JSON body of BODY_BYTES. */
export function paddedBody(fields: Readonly<Record<string, unknown>>): string {
  const bare = JSON.stringify({ ...fields, padding: "" });
  return JSON.stringify({ ...fields, padding: "x".repeat(BODY_BYTES - Buffer.byteLength(bare)) });
}

/** Returns the value of X-Signature: HMAC-SHA256 over the body, in hex. */
export function signatureOf(body: string): string {
  return new Bun.CryptoHasher("sha256", SECRET).update(body).digest("hex");
}

export const FIXED_HEADERS: Readonly<Record<string, string>> = {
  "Content-Type": "application/json",
  "X-Signature": signatureOf(BODY),
};

export const KEY_HEADER = "Idempotency-Key";
