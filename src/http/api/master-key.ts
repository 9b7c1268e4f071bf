/** The master key: changing it while everything runs. */
import { Type } from "@sinclair/typebox";
import type { ApiDeps } from "./deps.ts";
import { queryOf } from "./query.ts";
import { type ApiRoute, defineRoute } from "./route.ts";
import { named } from "./schemas.ts";

const ROTATE = Type.Object(
  {
    newKey: Type.Optional(
      Type.String({
        description:
          "32 bytes as base64 or 64 hexadecimal digits. Left out, one is made and kept in the key file.",
      }),
    ),
  },
  { additionalProperties: false },
);

const ROTATED = named("MasterKeyRotated", {
  resealed: Type.Integer({ description: "Values that were sealed under the old key." }),
  isKeyFileReplaced: Type.Boolean({
    description: "False: the key stands in the configuration, and the new one has to be put there.",
  }),
});

export function masterKeyRoutes(deps: ApiDeps): ApiRoute[] {
  return [
    defineRoute({
      method: "POST",
      path: "/master-key/rotate",
      operationId: "rotateMasterKey",
      summary: "Change the master key",
      description:
        "Seals every stored secret under a new key while the server works on, and answers when the old key " +
        "opens nothing any more. A process that is killed in between goes on at its next start.",
      tag: "server",
      scope: "admin",
      isOperators: true,
      query: queryOf({}),
      body: ROTATE,
      answer: ROTATED,
      errors: ["conflict", "storage_unavailable", "shutting_down"],
      handle: ({ body, holdOpen }) => {
        holdOpen();
        return deps.rotateMasterKey(body.newKey ?? null);
      },
    }),
  ];
}
