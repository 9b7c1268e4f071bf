/**
 * One route of the native API, as a value: what it is called, who may call it, what it takes and what it
 * answers. The same value mounts the route and describes it in the OpenAPI document, so the two cannot drift
 * apart.
 */
import type { Static, TObject, TSchema } from "@sinclair/typebox";
import type { KeyScope } from "../../domain/access.ts";
import type { ErrorCode } from "../../domain/errors.ts";
import type { JsonText } from "../../domain/json-span.ts";
import type { Principal } from "../auth.ts";
import { checkNoPayload, createPayloadCheck } from "./payload.ts";
import { createQueryReader } from "./query.ts";

export const TAGS = [
  "events",
  "deliveries",
  "rejections",
  "endpoints",
  "subscriptions",
  "sources",
  "bulk",
  "schedules",
  "functions",
  "projects",
  "keys",
  "metrics",
  "server",
] as const;

interface RouteFacts {
  readonly method: "GET" | "POST" | "PATCH" | "DELETE";
  /** Below /_/api; at most one parameter, named id. */
  readonly path: string;
  readonly operationId: string;
  readonly summary: string;
  readonly description?: string;
  readonly tag: (typeof TAGS)[number];
  readonly scope: KeyScope;
  /** Concerns every project, so the key must be one of the operator's. */
  readonly isOperators?: boolean;
  /** The body carries what is to be sent, so it may be as large as that. */
  readonly isLarge?: boolean;
  /** Codes beyond those that every route may answer. */
  readonly errors: readonly ErrorCode[];
}

interface ApiCall<Query, Body> {
  readonly principal: Principal;
  /** What stands in the path for :id; empty for a path without. */
  readonly id: string;
  readonly query: Query;
  /** Of no use where the route has no body. */
  readonly body: Body;
  /** The same as it was written, for what is passed on. */
  readonly json: JsonText;
  /** Lets the answer take as long as it needs. */
  readonly holdOpen: () => void;
}

interface RouteDefinition<Q extends TObject, A extends TSchema, B extends TObject> extends RouteFacts {
  readonly query: Q;
  /** Absent: the route takes none. */
  readonly body?: B;
  readonly answer: A;
  readonly handle: (call: ApiCall<Static<Q>, Static<B>>) => Static<A> | Promise<Static<A>>;
}

export interface ApiRoute extends RouteFacts {
  readonly query: TObject;
  readonly body?: TObject;
  readonly answer: TSchema;
  readonly run: (call: {
    readonly principal: Principal;
    readonly id: string;
    readonly search: string;
    /** The body; the empty object when there is none. */
    readonly json: JsonText;
    readonly holdOpen: () => void;
  }) => unknown;
}

/**
 * Compiles a route. Its `run` returns, or resolves with, what the answer schema says; it throws AppErrors.
 */
export function defineRoute<Q extends TObject, A extends TSchema, B extends TObject = TObject>(
  definition: RouteDefinition<Q, A, B>,
): ApiRoute {
  const { handle, ...facts } = definition;
  const readQuery = createQueryReader(definition.query);
  const checkBody = definition.body === undefined ? null : createPayloadCheck(definition.body);
  return {
    ...facts,
    run: ({ search, ...call }) => {
      const query = readQuery(new URLSearchParams(search));
      if (checkBody !== null) return handle({ ...call, query, body: checkBody(call.json.value) });
      checkNoPayload(call.json.value);
      return handle({ ...call, query, body: {} as Static<B> });
    },
  };
}
