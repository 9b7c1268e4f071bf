/**
 * Projects and API keys. Admin keys of the project `default` are the operator's: they make projects, and keys
 * of any project. Keys of another project see and change nothing but their own project.
 */
import { type Static, Type } from "@sinclair/typebox";
import { type ApiKey, KEY_SCOPES, type Project } from "../../domain/access.ts";
import { AppError } from "../../domain/errors.ts";
import { readId, showId } from "../../domain/id.ts";
import { assertOperator, isOperator, type Principal } from "../auth.ts";
import type { ApiDeps } from "./deps.ts";
import { NAME } from "./endpoint-schemas.ts";
import { pageOfLiving } from "./page.ts";
import { PAGE_QUERY, queryOf } from "./query.ts";
import { type ApiRoute, defineRoute } from "./route.ts";
import { INSTANT, named, nullable, oneOf, pageOf, showInstant, showOptionalInstant } from "./schemas.ts";

const PROJECT = named("Project", {
  name: Type.String(),
  door: Type.String({ description: "Where it was made: config or native." }),
  createdAt: INSTANT,
  retiredAt: nullable(INSTANT),
});

const KEY_MEMBERS = {
  id: Type.String({ examples: ["key_01970000000070008000000000000000"] }),
  project: Type.String(),
  label: nullable(Type.String()),
  scope: oneOf(KEY_SCOPES, "ingest publishes, read looks, admin may do everything"),
  door: Type.String({ description: "Where it was made: config, native, or a protocol." }),
  createdAt: INSTANT,
  revokedAt: nullable(INSTANT),
};

const KEY = named("ApiKey", KEY_MEMBERS);

const CREATED_KEY = named("CreatedApiKey", {
  ...KEY_MEMBERS,
  key: Type.String({ description: "The key itself: here and never again." }),
});

const NEW_KEY = Type.Object(
  {
    scope: Type.Optional(oneOf(KEY_SCOPES, "ingest when left out")),
    label: Type.Optional(Type.String({ minLength: 1, maxLength: 128 })),
    project: Type.Optional(Type.String({ description: "For keys of the project default only." })),
  },
  { additionalProperties: false },
);

function showProject({ name, door, createdAt, retiredAt }: Project): Static<typeof PROJECT> {
  return { name, door, createdAt: showInstant(createdAt), retiredAt: showOptionalInstant(retiredAt) };
}

function showKey({ id, project, label, scope, door, createdAt, deletedAt }: ApiKey): Static<typeof KEY> {
  return {
    ...{ id: showId("key", id), project, label, scope, door },
    createdAt: showInstant(createdAt),
    revokedAt: showOptionalInstant(deletedAt),
  };
}

function isSeenBy(principal: Principal, key: ApiKey): boolean {
  return isOperator(principal) || principal.project === key.project;
}

export function projectRoutes({ directory, objects }: ApiDeps): ApiRoute[] {
  const shared = { tag: "projects", answer: PROJECT, query: queryOf({}) } as const;
  return [
    defineRoute({
      method: "GET",
      path: "/projects",
      operationId: "listProjects",
      summary: "List projects in service, oldest first",
      description: "Keys of another project than default see their own.",
      tag: "projects",
      scope: "read",
      query: queryOf(PAGE_QUERY),
      answer: pageOf(PROJECT),
      errors: [],
      handle: ({ principal, query }) => {
        const seen = directory
          .projects()
          .filter(({ name }) => isOperator(principal) || name === principal.project);
        const { data, nextCursor } = pageOfLiving(seen, ({ seq }) => seq, query);
        return { data: data.map(showProject), nextCursor };
      },
    }),
    defineRoute({
      ...shared,
      method: "POST",
      path: "/projects",
      operationId: "createProject",
      summary: "Make a project",
      description: "With a key of the project default. It is of use once it has a key: POST /keys.",
      scope: "admin",
      body: Type.Object({ name: NAME }, { additionalProperties: false }),
      errors: ["conflict", "storage_unavailable"],
      handle: async ({ principal, body }) => {
        assertOperator(principal);
        return showProject(await objects.createProject("native", body.name));
      },
    }),
    defineRoute({
      ...shared,
      method: "DELETE",
      path: "/projects/:id",
      operationId: "deleteProject",
      summary: "Take a project out of service, and its keys with it",
      description: "With a key of the project default. Refused while endpoints or subscriptions are in it.",
      scope: "admin",
      errors: ["not_found", "declared_in_config", "conflict", "storage_unavailable"],
      handle: async ({ principal, id }) => {
        assertOperator(principal);
        return showProject(await objects.retireProject(id));
      },
    }),
  ];
}

export function keyRoutes({ directory, objects }: ApiDeps): ApiRoute[] {
  const shared = { tag: "keys", scope: "admin", query: queryOf({}) } as const;
  return [
    defineRoute({
      method: "GET",
      path: "/keys",
      operationId: "listKeys",
      summary: "List the API keys of a project that are valid, oldest first",
      tag: "keys",
      scope: "admin",
      query: queryOf({
        project: Type.Optional(Type.String({ description: "For keys of the project default only." })),
        ...PAGE_QUERY,
      }),
      answer: pageOf(KEY),
      errors: [],
      handle: ({ principal, query }) => {
        const project = query.project ?? principal.project;
        if (project !== principal.project) assertOperator(principal);
        // Their number is their place in the list: when one goes meanwhile, the next page may miss one.
        const keys = directory.keysOf(project).map((key, index) => ({ key, number: index + 1 }));
        const { data, nextCursor } = pageOfLiving(keys, ({ number }) => number, query);
        return { data: data.map(({ key }) => showKey(key)), nextCursor };
      },
    }),
    defineRoute({
      ...shared,
      method: "POST",
      path: "/keys",
      operationId: "createKey",
      summary: "Make an API key",
      description: "The answer is the only place where the key is ever shown.",
      body: NEW_KEY,
      answer: CREATED_KEY,
      errors: ["storage_unavailable"],
      handle: async ({ principal, body }) => {
        const { project = principal.project, label = null, scope = "ingest" } = body;
        if (project !== principal.project) assertOperator(principal);
        const { key, text } = await objects.createKey("native", { project, label, scope });
        return { ...showKey(key), key: text };
      },
    }),
    defineRoute({
      ...shared,
      method: "DELETE",
      path: "/keys/:id",
      operationId: "revokeKey",
      summary: "Revoke an API key",
      description: "It opens nothing any more from the answer on, the caller's own included.",
      answer: KEY,
      errors: ["not_found", "declared_in_config", "storage_unavailable"],
      handle: async ({ principal, id: shown }) => {
        const id = readId("key", shown);
        const key = id === null ? undefined : directory.key(id);
        if (!key || !isSeenBy(principal, key)) throw new AppError("not_found", "there is no such key");
        return showKey(await objects.revokeKey(key.id));
      },
    }),
  ];
}
