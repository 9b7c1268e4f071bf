/** Where deliveries may go and through what, per project and per endpoint: keys, and what they mean. */

import { type Static, Type } from "@sinclair/typebox";
import { duration, hostOrCidr, proxyUrl, SECRET, secretFile, secretText } from "./values.ts";

/** In place, or in a file. */
const Pem = Type.Union([secretText(SECRET.pem), Type.Object({ file: secretFile(SECRET.pem) })]);

const ClientTls = Type.Object({ cert: Pem, key: Pem, ca: Type.Optional(Pem) });

export const EGRESS_KEYS = {
  allow_private: Type.Optional(Type.Array(hostOrCidr())),
  proxy: Type.Optional(proxyUrl({})),
  tls: Type.Optional(ClientTls),
};

export const ProjectEgress = Type.Object({
  allow_private: EGRESS_KEYS.allow_private,
  timeout: Type.Optional(duration()),
  proxy: EGRESS_KEYS.proxy,
});

export interface EndpointEgressConfig {
  /** What may be reached although private; null: anything, because the operator wrote the URL. */
  readonly allowPrivate: readonly string[] | null;
  /** Null: the project's or the general one; "": none. */
  readonly proxy: string | null;
  readonly tls: { readonly cert: string; readonly key: string; readonly ca: string | null } | null;
}

/** Null: as [egress] says. */
export interface ProjectEgressConfig {
  readonly allowPrivate: readonly string[] | null;
  readonly timeoutMs: number | null;
  readonly proxy: string | null;
}

interface DeclaredKeys {
  readonly allow_private?: readonly string[] | undefined;
  readonly proxy?: string | undefined;
  readonly tls?: Static<typeof ClientTls> | undefined;
}

export function toEndpointEgress({ allow_private, proxy, tls }: DeclaredKeys): EndpointEgressConfig {
  return {
    allowPrivate: allow_private ?? null,
    proxy: proxy ?? null,
    tls:
      tls === undefined
        ? null
        : { cert: pemOf(tls.cert), key: pemOf(tls.key), ca: tls.ca === undefined ? null : pemOf(tls.ca) },
  };
}

export function toProjectEgress(declared: Static<typeof ProjectEgress>): ProjectEgressConfig {
  const { allow_private, timeout, proxy } = declared;
  return { allowPrivate: allow_private ?? null, timeoutMs: timeout ?? null, proxy: proxy ?? null };
}

function pemOf(declared: Static<typeof Pem>): string {
  return typeof declared === "string" ? declared : declared.file;
}
