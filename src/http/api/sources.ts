/** Sources: definition without secrets, pause and resume. */
import { type Static, Type } from "@sinclair/typebox";
import { AppError } from "../../domain/errors.ts";
import { showId } from "../../domain/id.ts";
import type { Selector, Source } from "../../domain/source.ts";
import type { ApiDeps } from "./deps.ts";
import { pageOfLiving } from "./page.ts";
import { findSource, PAGE_QUERY, queryOf } from "./query.ts";
import { type ApiRoute, defineRoute } from "./route.ts";
import { INSTANT, named, nullable, oneOf, pageOf, showInstant, showOptionalInstant } from "./schemas.ts";

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
  respondStatus: Type.Integer(),
  methods: Type.Array(Type.String()),
  bodyBytesMax: nullable(Type.Integer({ description: "Null: the server's own limit." })),
  to: Type.Array(Type.String(), { description: "Names of endpoints." }),
  state: oneOf(["active", "paused", "retired"]),
  pausedAt: nullable(INSTANT),
  createdAt: INSTANT,
  updatedAt: INSTANT,
  retiredAt: nullable(INSTANT),
});

function showSource(source: Source, publicUrl: string): Static<typeof SOURCE> {
  const { dedupe, eventType, pausedAt, deletedAt } = source;
  return {
    id: showId("source", source.id),
    name: source.name,
    door: source.door,
    ingestUrl: `${publicUrl}/in/${source.name}`,
    verify: source.verify.map(({ scheme }) => scheme),
    dedupe:
      dedupe === null
        ? null
        : { by: dedupe.selectors.map((group) => group.map(showSelector)), windowMs: dedupe.windowMs },
    eventType: eventType === null ? null : showSelector(eventType),
    respondStatus: source.respondStatus,
    methods: [...source.methods],
    bodyBytesMax: source.bodyBytesMax,
    to: [...source.to],
    state: deletedAt !== null ? "retired" : pausedAt === null ? "active" : "paused",
    pausedAt: showOptionalInstant(pausedAt),
    createdAt: showInstant(source.createdAt),
    updatedAt: showInstant(source.updatedAt),
    retiredAt: showOptionalInstant(deletedAt),
  };
}

function showSelector(selector: Selector): string {
  return selector.kind === "header" ? `header:${selector.name}` : `json:${selector.path.join(".")}`;
}

export function sourceRoutes({ directory, commands, publicUrl }: ApiDeps): ApiRoute[] {
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
        return showSource(await commands.setSourcePaused(source, verb === "pause"), publicUrl);
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
        return { data: data.map((source) => showSource(source, publicUrl)), nextCursor };
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
      handle: ({ principal: { project }, id }) => showSource(find(project, id), publicUrl),
    }),
    change("pause", "Refuse requests to a source", "Senders get 503 and come back later."),
    change("resume", "Take requests to a source again", "Nothing that was refused comes back by itself."),
  ];
}
