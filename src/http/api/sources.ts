/** Sources: definition without secrets, pause and resume. */
import { type Static, Type } from "@sinclair/typebox";
import { AppError } from "../../domain/errors.ts";
import { showId } from "../../domain/id.ts";
import { formatSelector, type Source } from "../../domain/source.ts";
import type { ApiDeps } from "./deps.ts";
import { pageOfLiving } from "./page.ts";
import { findSource, PAGE_QUERY, queryOf } from "./query.ts";
import { type ApiRoute, defineRoute } from "./route.ts";
import { INSTANT, named, nullable, oneOf, pageOf, showInstant, showOptionalInstant } from "./schemas.ts";

const WHEN = Type.Unknown({ description: "The conditions on an event as the file has them; null: none." });
const ENDPOINT_TARGET = Type.Object(
  { kind: Type.Literal("endpoint"), name: Type.String(), when: WHEN },
  { additionalProperties: false },
);
const EVENTS_TARGET = Type.Object(
  { kind: Type.Literal("events"), tenant: Type.String(), when: WHEN },
  { additionalProperties: false, description: "Every matching subscription of the tenant." },
);

const SOURCE = named("Source", {
  id: Type.String({ examples: ["src_01970000000070008000000000000000"] }),
  name: Type.String(),
  door: Type.String(),
  ingestUrl: Type.String({ description: "Where senders deliver to." }),
  verify: Type.Array(Type.String(), { description: "Schemes; a request must pass all." }),
  dedupe: nullable(
    Type.Object(
      {
        by: Type.Array(Type.Array(Type.String()), {
          description: "The first group that is present as a whole counts.",
        }),
        windowMs: Type.Integer(),
      },
      { additionalProperties: false },
    ),
  ),
  eventType: nullable(Type.String({ examples: ["json:type", "header:x-github-event"] })),
  orderingKey: nullable(Type.String({ examples: ["json:customer.id"] })),
  respond: Type.Object(
    {
      status: Type.Integer(),
      headers: Type.Record(Type.String(), Type.String()),
      body: nullable(Type.String({ description: "Null: the receipt." })),
    },
    { additionalProperties: false, description: "The answer to an accepted request." },
  ),
  methods: Type.Array(Type.String()),
  bodyBytesMax: nullable(Type.Integer({ description: "Null: the server's own limit." })),
  challenge: nullable(Type.String({ description: "Answered besides those that verify implies." })),
  allowCidrs: Type.Array(Type.String(), { description: "Networks that may send; empty: everyone." }),
  rate: nullable(
    Type.Object({ perSecond: Type.Number(), burst: Type.Number() }, { additionalProperties: false }),
  ),
  mode: oneOf(["forward", "pull"], "pull: events wait to be fetched and acknowledged"),
  to: Type.Array(Type.Union([ENDPOINT_TARGET, EVENTS_TARGET]), {
    description: "Who gets a copy of each event.",
  }),
  whilePaused: oneOf(
    ["refuse", "accept"],
    "accept: requests are stored, and nothing is sent until the resume",
  ),
  state: oneOf(["active", "paused", "retired"]),
  pausedAt: nullable(INSTANT),
  counters: Type.Object(
    {
      accepted: Type.Integer(),
      duplicates: Type.Integer(),
      rejected: Type.Record(Type.String(), Type.Integer(), { description: "By reason." }),
    },
    { additionalProperties: false, description: "Since the server started." },
  ),
  createdAt: INSTANT,
  updatedAt: INSTANT,
  retiredAt: nullable(INSTANT),
});

function showSource(source: Source, { publicUrl, metrics }: ApiDeps): Static<typeof SOURCE> {
  const { dedupe, eventType, pausedAt, deletedAt } = source;
  const { accepted = 0, duplicates = 0, rejected = {} } = metrics.sources.get(source.name) ?? {};
  return {
    id: showId("source", source.id),
    name: source.name,
    door: source.door,
    ingestUrl: `${publicUrl}/in/${source.name}`,
    verify: source.verify.map(({ scheme }) => scheme),
    dedupe:
      dedupe === null
        ? null
        : { by: dedupe.selectors.map((group) => group.map(formatSelector)), windowMs: dedupe.windowMs },
    eventType: eventType === null ? null : formatSelector(eventType),
    orderingKey: source.orderingKey ? formatSelector(source.orderingKey) : null,
    respond: { ...source.respond, headers: { ...source.respond.headers } },
    methods: [...source.methods],
    bodyBytesMax: source.bodyBytesMax,
    challenge: source.challenge?.kind ?? null,
    allowCidrs: [...source.allowCidrs],
    rate: source.rate === null ? null : { ...source.rate },
    mode: source.mode,
    to: source.to.map((target) => ({ ...target })),
    whilePaused: source.whilePaused,
    state: deletedAt !== null ? "retired" : pausedAt === null ? "active" : "paused",
    pausedAt: showOptionalInstant(pausedAt),
    counters: { accepted, duplicates, rejected: { ...rejected } },
    createdAt: showInstant(source.createdAt),
    updatedAt: showInstant(source.updatedAt),
    retiredAt: showOptionalInstant(deletedAt),
  };
}

export function sourceRoutes(deps: ApiDeps): ApiRoute[] {
  const { directory, commands } = deps;
  const find = (project: string, text: string): Source => {
    const source = findSource(directory, project, text);
    if (!source) throw new AppError("not_found", "there is no such source in this project");
    return source;
  };
  const shared = { tag: "sources", answer: SOURCE, query: queryOf({}) } as const;
  const change = (verb: "pause" | "resume", summary: string, description: string) =>
    defineRoute({
      ...shared,
      method: "POST",
      path: `/sources/:id/${verb}`,
      operationId: `${verb}Source`,
      summary,
      description,
      scope: "admin",
      errors: ["not_found", "gone", "storage_unavailable"],
      handle: async ({ principal: { project }, id }) => {
        const source = find(project, id);
        if (source.deletedAt !== null) throw new AppError("gone", "this source is no longer in service");
        return showSource(await commands.setSourcePaused(source, verb === "pause"), deps);
      },
    });
  return [
    defineRoute({
      method: "GET",
      path: "/sources",
      operationId: "listSources",
      summary: "List sources in service, oldest first",
      tag: "sources",
      scope: "read",
      query: queryOf(PAGE_QUERY),
      answer: pageOf(SOURCE),
      errors: [],
      handle: ({ principal: { project }, query }) => {
        const own = directory.sources().filter((source) => source.project === project);
        const { data, nextCursor } = pageOfLiving(own, ({ seq }) => seq, query);
        return { data: data.map((source) => showSource(source, deps)), nextCursor };
      },
    }),
    defineRoute({
      ...shared,
      method: "GET",
      path: "/sources/:id",
      operationId: "getSource",
      summary: "Show a source, by id or name",
      scope: "read",
      errors: ["not_found"],
      handle: ({ principal: { project }, id }) => showSource(find(project, id), deps),
    }),
    change("pause", "Refuse requests to a source", "Senders get 503 and come back later."),
    change("resume", "Take requests to a source again", "Nothing that was refused comes back by itself."),
  ];
}
