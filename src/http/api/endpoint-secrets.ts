/** The secrets that an endpoint signs with: shown on request, added, rotated with an overlap, removed. */
import { type Static, type TObject, Type } from "@sinclair/typebox";
import { DAY, parseDuration } from "../../domain/duration.ts";
import type { Endpoint } from "../../domain/endpoint.ts";
import { AppError } from "../../domain/errors.ts";
import { publicKeysOf, type Secret, type SignSpec } from "../../domain/signature/index.ts";
import { newSecret } from "../../domain/signature/new-secret.ts";
import { addSecret, removeSecret, rotateSecret, secretName } from "../../domain/signature/signing-keys.ts";
import type { ApiDeps } from "./deps.ts";
import { SCHEMES, SECRET_TEXT } from "./endpoint-schemas.ts";
import { requireEndpoint } from "./endpoints.ts";
import { queryOf } from "./query.ts";
import { type ApiRoute, defineRoute } from "./route.ts";
import { INSTANT, MOMENT, named, nullable, oneOf, readMoment, showInstant } from "./schemas.ts";

export const SIGNING_SECRET = named("SigningSecret", {
  id: Type.String({ description: "Names the secret; says nothing about it." }),
  scheme: oneOf(SCHEMES),
  value: nullable(Type.String({ description: "Null unless it was just made, or asked for with reveal." })),
  publicKey: nullable(Type.String({ description: "What receivers verify standard-ed25519 with." })),
  until: nullable(INSTANT),
});

const SECRETS = Type.Object({ data: Type.Array(SIGNING_SECRET) }, { additionalProperties: false });

const NEW_SECRET = {
  scheme: Type.Optional(oneOf(SCHEMES, "The endpoint's first when left out.")),
  value: Type.Optional(SECRET_TEXT),
};

const ADD = Type.Object(
  { ...NEW_SECRET, until: Type.Optional(MOMENT) },
  { additionalProperties: false, description: "Without value, a secret is made." },
);

const ROTATE = Type.Object(
  {
    ...NEW_SECRET,
    overlap: Type.Optional(
      Type.String({ description: 'How long the old secrets go on signing: "24h" when left out; "0s": not.' }),
    ),
  },
  { additionalProperties: false },
);

const REMOVE = Type.Object({ id: Type.String() }, { additionalProperties: false });

/** Long enough for a change of hands; the secrets do not go on for ever. */
const OVERLAP_MAX_MS = 90 * DAY;

export function endpointSecretRoutes(deps: ApiDeps): ApiRoute[] {
  const { directory, clock, random } = deps;
  const made = (sign: Endpoint["sign"], words: Static<typeof ADD>) => {
    const scheme = words.scheme ?? sign[0]?.scheme ?? "standard";
    const value = words.value ?? newSecret(scheme, (length) => random.bytes(length));
    const until = words.until === undefined ? {} : { until: readMoment("until", words.until) };
    return { scheme, secret: { value, ...until }, now: clock.wallNow() };
  };
  return [
    defineRoute({
      method: "GET",
      path: "/endpoints/:id/secrets",
      operationId: "listSigningSecrets",
      summary: "List the secrets that an endpoint signs with",
      tag: "endpoints",
      scope: "admin",
      query: queryOf({ reveal: Type.Optional(oneOf(["true", "false"], "Whether to show their values.")) }),
      answer: SECRETS,
      errors: ["not_found"],
      handle: ({ principal: { project }, id, query }) => {
        const { sign } = requireEndpoint(directory, project, id);
        return { data: showSecrets(sign, () => query.reveal === "true") };
      },
    }),
    changeRoute(deps, {
      path: "/endpoints/:id/secrets",
      operationId: "addSigningSecret",
      summary: "Sign with one secret more",
      description: "Of a scheme that the endpoint lacks, too: so receivers can change over.",
      body: ADD,
      edit: (sign, body) => addSecret(sign, made(sign, body)),
    }),
    changeRoute(deps, {
      path: "/endpoints/:id/secrets/rotate",
      operationId: "rotateSigningSecret",
      summary: "Sign with a new secret, and with the old ones for a while yet",
      description:
        "Standard Webhooks carries the signatures of both. A scheme with one signature goes on with the " +
        "old secret until the overlap ends.",
      body: ROTATE,
      edit: (sign, { overlap = "24h", ...body }) => {
        const overlapMs = parseDuration(overlap);
        if (overlapMs === null || overlapMs > OVERLAP_MAX_MS) {
          throw new AppError("invalid_request", 'overlap: a duration such as "24h" is expected, 90d at most');
        }
        const secret = made(sign, body);
        return rotateSecret(sign, { ...secret, until: secret.now + overlapMs });
      },
    }),
    changeRoute(deps, {
      path: "/endpoints/:id/secrets/remove",
      operationId: "removeSigningSecret",
      summary: "Sign with a secret no more",
      description: "From the next attempt on. With the last one of a scheme, the scheme goes.",
      body: REMOVE,
      edit: (sign, { id }) => removeSecret(sign, id),
    }),
  ];
}

interface SecretChange<B extends TObject> {
  readonly path: string;
  readonly operationId: string;
  readonly summary: string;
  readonly description?: string;
  readonly body: B;
  readonly edit: (sign: Endpoint["sign"], body: Static<B>) => SignSpec[];
}

/** A route that edits the signatures of an endpoint, and shows the secrets that were not there before. */
function changeRoute<B extends TObject>(
  { objects, directory }: ApiDeps,
  { edit, ...facts }: SecretChange<B>,
): ApiRoute {
  return defineRoute({
    ...facts,
    method: "POST",
    tag: "endpoints",
    scope: "admin",
    query: queryOf({}),
    answer: SECRETS,
    errors: ["not_found", "gone", "declared_in_config", "storage_unavailable"],
    handle: async ({ principal: { project }, id, body }) => {
      const endpoint = requireEndpoint(directory, project, id);
      const before = new Set<string>();
      const changed = await objects.updateEndpoint(endpoint.id, ({ sign }) => {
        for (const { secrets } of sign) for (const { value } of secrets) before.add(value);
        return { sign: edit(sign, body) };
      });
      return { data: showSecrets(changed.sign, ({ value }) => !before.has(value)) };
    },
  });
}

export function showSecrets(
  sign: readonly SignSpec[],
  isShown: (secret: Secret) => boolean,
): Static<typeof SIGNING_SECRET>[] {
  return sign.flatMap((spec) => {
    const publicKeys = publicKeysOf([spec]);
    return spec.secrets.map((secret, index) => ({
      id: secretName(secret),
      scheme: spec.scheme,
      value: isShown(secret) ? secret.value : null,
      publicKey: publicKeys[index] ?? null,
      until: secret.until === undefined ? null : showInstant(secret.until),
    }));
  });
}
