/**
 * One route of the native API, as a value: what it is called, who may call it, what it takes and what it
 * answers. The same value mounts the route and describes it in the OpenAPI document, so the two cannot drift
 * apart.
 */
import type { Static, TObject, TSchema } from "@sinclair/typebox";
import type { KeyScope } from "../../domain/access.ts";
import { AppError, type ErrorCode } from "../../domain/errors.ts";
import type { Principal } from "../auth.ts";
import type { BodyReader } from "../body.ts";
import { createQueryReader } from "./query.ts";

export const TAGS = ["events", "deliveries", "rejections", "endpoints", "sources", "server"] as const;

interface RouteFacts {
  readonly method: "GET" | "POST";
  /** Below /_/api; at most one parameter, named id. */
  readonly path: string;
  readonly operationId: string;
  readonly summary: string;
  readonly description?: string;
  readonly tag: (typeof TAGS)[number];
  readonly scope: KeyScope;
  /** Codes beyond those that every route may answer. */
  readonly errors: readonly ErrorCode[];
}

interface ApiCall<Query> {
  readonly principal: Principal;
  /** What stands in the path for :id; empty for a path without. */
  readonly id: string;
  readonly query: Query;
}

interface RouteDefinition<Q extends TObject, A extends TSchema> extends RouteFacts {
  readonly query: Q;
  readonly answer: A;
  readonly handle: (call: ApiCall<Static<Q>>) => Static<A> | Promise<Static<A>>;
}

export interface ApiRoute extends RouteFacts {
  readonly query: TObject;
  readonly answer: TSchema;
  readonly run: (call: {
    readonly principal: Principal;
    readonly id: string;
    readonly search: string;
  }) => unknown;
}

/**
 * Compiles a route. Its `run` returns, or resolves with, what the answer schema says; it throws AppErrors.
 */
export function defineRoute<Q extends TObject, A extends TSchema>(
  definition: RouteDefinition<Q, A>,
): ApiRoute {
  const { handle, ...facts } = definition;
  const readQuery = createQueryReader(definition.query);
  return {
    ...facts,
    run: ({ principal, id, search }) =>
      handle({ principal, id, query: readQuery(new URLSearchParams(search)) }),
  };
}

/** Far above any body that these routes take. */
const BODY_BYTES_MAX = 65_536;
const utf8 = new TextDecoder("utf-8", { fatal: true });

/**
 * For the routes that take no payload: accepts an absent body, or the empty object that some clients send
 * anyway. Anything else was meant to do something that would not happen, so it is refused.
 */
export async function checkNoPayload(request: Request, bodies: BodyReader): Promise<void> {
  const body = await bodies.read(request, BODY_BYTES_MAX);
  if (body === "too_large") throw new AppError("body_too_large", "this path takes no body");
  if (body === "too_slow") throw new AppError("request_timeout", "the body did not arrive in time");
  if (body === "broken") throw new AppError("invalid_request", "the body broke off");
  if (body.byteLength === 0) return;
  const value = parseJson(body);
  const isEmptyObject =
    typeof value === "object" && value !== null && !Array.isArray(value) && Object.keys(value).length === 0;
  if (!isEmptyObject) throw new AppError("invalid_request", "this path takes no body, or an empty object");
}

function parseJson(body: Uint8Array): unknown {
  try {
    return JSON.parse(utf8.decode(body));
  } catch (cause) {
    throw new AppError("invalid_request", "the body is no JSON", { cause });
  }
}
