/**
 * The OpenAPI 3.1 document, made of the same values that mount the routes. Its schema dialect is JSON Schema
 * 2020-12.
 */
import type { TSchema } from "@sinclair/typebox";
import { ERROR_STATUS, type ErrorCode } from "../../domain/errors.ts";
import { type ApiRoute, TAGS } from "./route.ts";
import { ERROR_ANSWER } from "./schemas.ts";

type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };
type JsonObject = { readonly [key: string]: Json };

export interface OpenApiInfo {
  readonly version: string;
  /** Without a trailing slash. */
  readonly apiUrl: string;
}

/** What any route may answer besides its own codes. */
const COMMON_ERRORS: readonly ErrorCode[] = [
  "invalid_request",
  "unauthorized",
  "forbidden",
  "internal_error",
];

/** Returns the document. Named schemas become components, everything else stays in place. */
export function createOpenApi(routes: readonly ApiRoute[], { version, apiUrl }: OpenApiInfo): JsonObject {
  const components = new Components();
  const paths: Record<string, Record<string, Json>> = {};
  for (const route of routes) {
    const path = `/_/api${route.path.replace(":id", "{id}")}`;
    paths[path] = { ...paths[path], [route.method.toLowerCase()]: operation(route, components) };
  }
  return {
    openapi: "3.1.0",
    info: {
      title: "Postern",
      version,
      summary: "Receives webhooks, sends them, and calls on time.",
      license: { name: "MIT", identifier: "MIT" },
    },
    servers: [{ url: apiUrl }],
    security: [{ bearer: [] }, { apiKey: [] }],
    tags: TAGS.map((name) => ({ name })),
    paths,
    components: {
      schemas: components.schemas,
      headers: {
        RequestId: {
          description: "Names this request in the log; the client's own X-Request-Id when it sent one.",
          schema: { type: "string" },
        },
      },
      securitySchemes: {
        bearer: { type: "http", scheme: "bearer" },
        apiKey: { type: "apiKey", in: "header", name: "X-API-Key" },
      },
    },
  };
}

function operation(route: ApiRoute, components: Components): Json {
  return {
    operationId: route.operationId,
    summary: route.summary,
    description: [route.description, needOf(route)].filter(Boolean).join(" "),
    tags: [route.tag],
    parameters: [...pathParameters(route), ...queryParameters(route, components)],
    ...requestBody(route, components),
    responses: {
      "200": answer("Done.", components.reference(route.answer)),
      ...errorAnswers(route, components),
    },
  };
}

function pathParameters({ path }: ApiRoute): Json[] {
  return path.includes(":id") ? [{ name: "id", in: "path", required: true, schema: { type: "string" } }] : [];
}

function queryParameters({ query }: ApiRoute, components: Components): Json[] {
  return Object.entries(query.properties).map(([name, schema]) => {
    const { description, ...rest } = components.reference(schema) as { description?: Json } & JsonObject;
    const isRequired = query.required?.includes(name) ?? false;
    return { name, in: "query", required: isRequired, ...(description ? { description } : {}), schema: rest };
  });
}

function requestBody({ body }: ApiRoute, components: Components): JsonObject {
  if (body === undefined) return {};
  const isRequired = (body.required?.length ?? 0) > 0;
  const content = { "application/json": { schema: components.reference(body) } };
  return { requestBody: { required: isRequired, content } };
}

function errorAnswers(route: ApiRoute, components: Components): Record<string, Json> {
  const codesByStatus = new Map<number, string[]>();
  for (const code of [...COMMON_ERRORS, ...route.errors]) {
    const status = ERROR_STATUS[code];
    codesByStatus.set(status, [...(codesByStatus.get(status) ?? []), code]);
  }
  const answers: Record<string, Json> = {};
  for (const [status, codes] of [...codesByStatus].sort(([a], [b]) => a - b)) {
    answers[String(status)] = answer(`Error: ${codes.join(", ")}.`, components.reference(ERROR_ANSWER));
  }
  return answers;
}

function answer(description: string, schema: Json): Json {
  return {
    description,
    headers: { "X-Request-Id": { $ref: "#/components/headers/RequestId" } },
    content: { "application/json": { schema } },
  };
}

/** Collects named schemas while others are written down. */
class Components {
  readonly schemas: Record<string, Json> = {};

  /** Returns what to write where `schema` is used: a reference for a named one, else the schema itself. */
  reference(schema: TSchema): Json {
    const { $id } = schema;
    if ($id === undefined) return this.#plain(schema);
    if (!($id in this.schemas)) {
      const { $id: _, ...unnamed } = schema;
      this.schemas[$id] = {};
      this.schemas[$id] = this.#plain(unnamed);
    }
    return { $ref: `#/components/schemas/${$id}` };
  }

  #plain(value: unknown): Json {
    if (Array.isArray(value)) return value.map((item: unknown) => this.#inner(item));
    if (typeof value !== "object" || value === null) return value as Json;
    const words = wordsOf(value);
    if (words !== null) return words;
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, this.#inner(inner)]));
  }

  #inner(value: unknown): Json {
    const isNamed = typeof value === "object" && value !== null && "$id" in value;
    return isNamed ? this.reference(value as TSchema) : this.#plain(value);
  }
}

/** A union of words reads better, and generates better code, as an enum. */
function wordsOf(value: object): Json | null {
  const { anyOf, ...rest } = value as { readonly anyOf?: readonly TSchema[] };
  if (!anyOf?.every((option) => typeof option.const === "string")) return null;
  return { ...(rest as JsonObject), type: "string", enum: anyOf.map((option) => option.const as string) };
}

function needOf({ scope, isOperators }: ApiRoute): string {
  return `Needs a key of scope ${scope}${isOperators === true ? ", of the project default" : ""}.`;
}
