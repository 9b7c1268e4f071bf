/** Client certificates, as far as one can tell before a receiver sees them. */

import { createPrivateKey, X509Certificate } from "node:crypto";

interface Pems {
  readonly cert: string;
  readonly key: string;
  readonly ca: string | null;
}

/** Returns why no connection could be made with these, or null. Dates are for the receiver to judge. */
export function certificateFault({ cert, key, ca }: Pems): string | null {
  const certificate = read(() => new X509Certificate(cert));
  if (!certificate) return "cert is no certificate in PEM form";
  const privateKey = read(() => createPrivateKey(key));
  if (!privateKey) return "key is no private key in PEM form without a passphrase";
  if (!certificate.checkPrivateKey(privateKey)) return "key does not belong to cert";
  if (ca !== null && !read(() => new X509Certificate(ca))) return "ca is no certificate in PEM form";
  return null;
}

function read<T>(parse: () => T): T | null {
  try {
    return parse();
  } catch {
    return null;
  }
}
