/** Events: what was received, with headers, body and the deliveries that came of it. */
import { type Static, Type } from "@sinclair/typebox";
import { AppError } from "../../domain/errors.ts";
import { readId, showId } from "../../domain/id.ts";
import type { EventDetail, EventRow } from "../../domain/reads.ts";
import type { Directory } from "../../runtime/directory.ts";
import { DELIVERY, showDelivery } from "./deliveries.ts";
import type { ApiDeps } from "./deps.ts";
import { PAGE_QUERY, queryOf, readListQuery, readSourceParameter, TIME_QUERY } from "./query.ts";
import { type ApiRoute, defineRoute } from "./route.ts";
import {
  BODY_ENCODING,
  INSTANT,
  named,
  nullable,
  pageOf,
  showBody,
  showInstant,
  showPage,
} from "./schemas.ts";
import { searchPage } from "./search.ts";

const EVENT_MEMBERS = {
  id: Type.String({ examples: ["evt_01970000000070008000000000000000"] }),
  externalId: nullable(Type.String({ description: "What the caller of the API calls it." })),
  source: nullable(Type.String({ description: "Null for events that an API made." })),
  type: nullable(Type.String()),
  tenant: nullable(Type.String()),
  receivedAt: INSTANT,
  remoteAddress: nullable(Type.String()),
  sizeBytes: Type.Integer(),
};

const EVENT = named("Event", EVENT_MEMBERS);

const EVENT_DETAIL = named("EventDetail", {
  ...EVENT_MEMBERS,
  headers: nullable(
    Type.Record(Type.String(), Type.String(), { description: "Without the sender's credentials." }),
  ),
  body: nullable(Type.String({ description: "Null, like headers, when the disk budget took it." })),
  bodyEncoding: nullable(BODY_ENCODING),
  deliveries: Type.Array(DELIVERY, { description: "The oldest 200." }),
});

function showEvent(row: EventRow, directory: Directory): Static<typeof EVENT> {
  const source = row.sourceSeq === null ? undefined : directory.sourceOfSeq(row.sourceSeq);
  const { externalId, type, tenant, remoteAddress, sizeBytes } = row;
  return {
    id: showId("event", row.id),
    externalId,
    source: source?.name ?? null,
    type,
    tenant,
    receivedAt: showInstant(row.receivedAt),
    remoteAddress,
    sizeBytes,
  };
}

function showDetail(detail: EventDetail, directory: Directory): Static<typeof EVENT_DETAIL> {
  const { payload, deliveries } = detail;
  const body = payload === null ? null : showBody(payload.body);
  return {
    ...showEvent(detail, directory),
    headers: payload === null ? null : { ...payload.headers },
    body: body?.text ?? null,
    bodyEncoding: body?.encoding ?? null,
    deliveries: deliveries.map((row) => showDelivery(row, directory)),
  };
}

export function eventRoutes({ clock, directory, reads }: ApiDeps): ApiRoute[] {
  return [
    defineRoute({
      method: "GET",
      path: "/events",
      operationId: "listEvents",
      summary: "List received events, newest first",
      description: "With q it looks through bodies: a page may be short, even empty, and have a next one.",
      tag: "events",
      scope: "read",
      query: queryOf({
        source: Type.Optional(Type.String({ description: "Name or id." })),
        type: Type.Optional(Type.String()),
        q: Type.Optional(Type.String({ minLength: 2, maxLength: 200, description: "Part of the body." })),
        ...TIME_QUERY,
        ...PAGE_QUERY,
      }),
      answer: pageOf(EVENT),
      errors: [],
      handle: ({ principal: { project }, query }) => {
        const { source, type, q } = query;
        const filter = {
          project,
          ...readListQuery(query),
          ...(type === undefined ? {} : { type }),
          ...(source === undefined ? {} : { sourceSeq: readSourceParameter(directory, project, source).seq }),
        };
        const rows =
          q === undefined
            ? reads.listEvents(filter)
            : searchPage(clock, filter, (page) => reads.searchEvents({ ...filter, text: q, ...page }));
        return showPage(rows, (row) => showEvent(row, directory));
      },
    }),
    defineRoute({
      method: "GET",
      path: "/events/:id",
      operationId: "getEvent",
      summary: "Show an event with its body and deliveries",
      tag: "events",
      scope: "read",
      query: queryOf({}),
      answer: EVENT_DETAIL,
      errors: ["not_found"],
      handle: async ({ principal: { project }, id: shown }) => {
        const id = readId("event", shown);
        const found = id === null ? null : await reads.getEvent({ project, id });
        if (found === null) throw new AppError("not_found", "there is no such event in this project");
        return showDetail(found, directory);
      },
    }),
  ];
}
