/** Fresh secrets, in the form that each scheme's receivers expect to be given. */
import type { SignSpec } from "./index.ts";

/** As many as SHA-256 has; Standard Webhooks asks for 24 to 64, an Ed25519 seed is exactly this long. */
const SECRET_BYTES = 32;

/** Returns a secret that signs under a scheme. `randomBytes` must be fit for keys. */
export function newSecret(scheme: SignSpec["scheme"], randomBytes: (length: number) => Uint8Array): string {
  const bytes = Buffer.from(randomBytes(SECRET_BYTES));
  switch (scheme) {
    case "standard":
      return `whsec_${bytes.toString("base64")}`;
    case "standard-ed25519":
      return `whsk_${bytes.toString("base64")}`;
    default:
      return bytes.toString("hex");
  }
}
