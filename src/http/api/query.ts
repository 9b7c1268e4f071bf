/** Query parameters: what lists can be asked for, and the strict reading of what was asked. */
import { type Static, type TObject, type TProperties, type TSchema, Type } from "@sinclair/typebox";
import { TypeCompiler } from "@sinclair/typebox/compiler";
import { AppError } from "../../domain/errors.ts";
import { ID_PREFIX, type IdKind, readId } from "../../domain/id.ts";
import type { PageInput, TimeRange } from "../../domain/reads.ts";
import type { Directory } from "../../runtime/directory.ts";

export const PAGE_QUERY = {
  cursor: Type.Optional(Type.String({ description: "nextCursor of the page before." })),
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 500, description: "50 when absent." })),
};

/** A date, or an instant of RFC 3339. A plus sign that was not escaped arrives as a blank. */
const INSTANT = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+ -]\d\d:\d\d))?$/;
const INSTANT_TEXT = "an ISO 8601 instant such as 2026-01-31T09:00:00Z, or a date (midnight UTC)";

export const TIME_QUERY = {
  since: Type.Optional(Type.String({ description: `From this instant on: ${INSTANT_TEXT}.` })),
  until: Type.Optional(Type.String({ description: `Before this instant: ${INSTANT_TEXT}.` })),
};

/** A query of exactly these parameters. */
export function queryOf<Members extends TProperties>(members: Members) {
  return Type.Object(members, { additionalProperties: false });
}

export type QueryReader<Q extends TObject> = (search: URLSearchParams) => Static<Q>;

/** Compiles the check of a query once. The reader throws invalid_request for anything it does not know. */
export function createQueryReader<Q extends TObject>(schema: Q): QueryReader<Q> {
  const check = TypeCompiler.Compile(schema);
  return (search) => {
    const values: Record<string, unknown> = {};
    for (const [name, text] of search) {
      const property = Object.hasOwn(schema.properties, name) ? schema.properties[name] : undefined;
      if (property === undefined) throw unknownParameter(name, Object.keys(schema.properties));
      if (Object.hasOwn(values, name)) throw badParameter(name, "is given twice");
      values[name] = property.type === "integer" && /^\d{1,15}$/.test(text) ? Number(text) : text;
    }
    if (check.Check(values)) return values;
    const name = check.Errors(values).First()?.path.slice(1) ?? "";
    throw badParameter(name, `must be ${expectation(schema.properties[name])}`);
  };
}

function expectation(property: TSchema | undefined): string {
  const options: unknown = property?.anyOf;
  if (Array.isArray(options)) return `one of ${options.map((option: TSchema) => option.const).join(", ")}`;
  if (property?.type === "integer") return `a whole number from ${property.minimum} to ${property.maximum}`;
  return "something else";
}

function unknownParameter(name: string, known: readonly string[]): AppError {
  const offer = known.length === 0 ? "this path takes none" : `this path takes ${known.join(", ")}`;
  return new AppError("invalid_request", `the query parameter "${name}" is unknown; ${offer}`, {
    details: { parameter: name, known },
  });
}

export function badParameter(name: string, problem: string): AppError {
  return new AppError("invalid_request", `the query parameter "${name}" ${problem}`, {
    details: { parameter: name },
  });
}

interface ListQuery {
  readonly cursor?: string | undefined;
  readonly limit?: number | undefined;
  readonly since?: string | undefined;
  readonly until?: string | undefined;
}

/** Returns the part of a filter that all lists share, without the members that were not asked for. */
export function readListQuery(query: ListQuery): PageInput & TimeRange {
  const { cursor, limit, since, until } = query;
  return {
    ...(cursor === undefined ? {} : { cursor }),
    ...(limit === undefined ? {} : { limit }),
    ...(since === undefined ? {} : { since: readInstantParameter("since", since) }),
    ...(until === undefined ? {} : { until: readInstantParameter("until", until) }),
  };
}

/** Returns the instant that a parameter names; throws invalid_request. */
export function readInstantParameter(name: string, text: string): number {
  const at = INSTANT.test(text) ? Date.parse(text.replace(" ", "+")) : Number.NaN;
  if (Number.isNaN(at)) throw badParameter(name, `must be ${INSTANT_TEXT}`);
  return at;
}

/** Returns the id behind a parameter; throws invalid_request when it is none of that kind. */
export function readIdParameter(name: string, kind: IdKind, text: string): string {
  const id = readId(kind, text);
  if (id === null) throw badParameter(name, `must be an id that begins with ${ID_PREFIX[kind]}`);
  return id;
}

/** Returns the endpoint of this project that a parameter names, retired ones by id only. */
export function readEndpointParameter(directory: Directory, project: string, text: string) {
  const endpoint = findEndpoint(directory, project, text);
  if (!endpoint) throw badParameter("endpoint", "names no endpoint of this project");
  return endpoint;
}

export function readSourceParameter(directory: Directory, project: string, text: string) {
  const source = findSource(directory, project, text);
  if (!source) throw badParameter("source", "names no source of this project");
  return source;
}

/** `text` is a shown id or a name. */
export function findEndpoint(directory: Directory, project: string, text: string) {
  const id = readId("endpoint", text);
  const endpoint =
    (id === null ? undefined : directory.endpoint(id)) ?? directory.endpointNamed(project, text);
  return endpoint?.project === project ? endpoint : undefined;
}

export function findSubscription(directory: Directory, project: string, text: string) {
  const id = readId("subscription", text);
  const subscription =
    (id === null ? undefined : directory.subscription(id)) ?? directory.subscriptionNamed(project, text);
  return subscription?.project === project ? subscription : undefined;
}

export function findSource(directory: Directory, project: string, text: string) {
  const id = readId("source", text);
  const source = (id === null ? undefined : directory.source(id)) ?? directory.sourceNamed(text);
  return source?.project === project ? source : undefined;
}
