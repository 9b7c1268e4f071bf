/** Rejections: requests that a source refused, with the reason and what was sent. */
import { type Static, Type } from "@sinclair/typebox";
import { AppError } from "../../domain/errors.ts";
import { readId, showId } from "../../domain/id.ts";
import type { RejectionDetail, RejectionRow } from "../../domain/reads.ts";
import { REJECTION_STATUS, type RejectionReason } from "../../domain/rejection.ts";
import type { Directory } from "../../runtime/directory.ts";
import type { ApiDeps } from "./deps.ts";
import { PAGE_QUERY, queryOf, readListQuery, readSourceParameter, TIME_QUERY } from "./query.ts";
import { type ApiRoute, defineRoute } from "./route.ts";
import {
  BODY_ENCODING,
  INSTANT,
  named,
  nullable,
  oneOf,
  pageOf,
  showBody,
  showInstant,
  showJson,
  showPage,
} from "./schemas.ts";

const REASONS = Object.keys(REJECTION_STATUS) as RejectionReason[];

const REJECTION_MEMBERS = {
  id: Type.String({ examples: ["rej_01970000000070008000000000000000"] }),
  source: nullable(Type.String()),
  reason: oneOf(REASONS),
  detail: Type.String({ description: "One sentence." }),
  diagnosis: Type.Unknown({ description: "What else is known about the cause, or null." }),
  receivedAt: INSTANT,
  method: Type.String(),
  remoteAddress: nullable(Type.String()),
};

const REJECTION = named("Rejection", REJECTION_MEMBERS);

const REJECTION_DETAIL = named("RejectionDetail", {
  ...REJECTION_MEMBERS,
  headers: Type.Record(Type.String(), Type.String()),
  body: Type.String(),
  bodyEncoding: BODY_ENCODING,
  isBodyCut: Type.Boolean({ description: "Only the first bytes were kept." }),
});

function showRejection(row: RejectionRow, directory: Directory): Static<typeof REJECTION> {
  const { reason, detail, diagnosis, method, remoteAddress } = row;
  return {
    id: showId("rejection", row.id),
    source: directory.sourceOfSeq(row.sourceSeq)?.name ?? null,
    reason,
    detail,
    diagnosis: showJson(diagnosis),
    receivedAt: showInstant(row.receivedAt),
    method,
    remoteAddress,
  };
}

function showDetail(detail: RejectionDetail, directory: Directory): Static<typeof REJECTION_DETAIL> {
  const { headers, isBodyCut } = detail;
  const { text, encoding } = showBody(detail.body, isBodyCut);
  return {
    ...showRejection(detail, directory),
    headers: { ...headers },
    body: text,
    bodyEncoding: encoding,
    isBodyCut,
  };
}

export function rejectionRoutes({ directory, reads }: ApiDeps): ApiRoute[] {
  return [
    defineRoute({
      method: "GET",
      path: "/rejections",
      operationId: "listRejections",
      summary: "List refused requests, newest first",
      tag: "rejections",
      scope: "read",
      query: queryOf({
        source: Type.Optional(Type.String({ description: "Name or id." })),
        reason: Type.Optional(oneOf(REASONS)),
        ...TIME_QUERY,
        ...PAGE_QUERY,
      }),
      answer: pageOf(REJECTION),
      errors: [],
      handle: ({ principal: { project }, query }) => {
        const { source, reason } = query;
        const filter = {
          project,
          ...readListQuery(query),
          ...(reason === undefined ? {} : { reason }),
          ...(source === undefined ? {} : { sourceSeq: readSourceParameter(directory, project, source).seq }),
        };
        return showPage(reads.listRejections(filter), (row) => showRejection(row, directory));
      },
    }),
    defineRoute({
      method: "GET",
      path: "/rejections/:id",
      operationId: "getRejection",
      summary: "Show a refused request",
      tag: "rejections",
      scope: "read",
      query: queryOf({}),
      answer: REJECTION_DETAIL,
      errors: ["not_found"],
      handle: async ({ principal: { project }, id: shown }) => {
        const id = readId("rejection", shown);
        const found = id === null ? null : await reads.getRejection({ project, id });
        if (found === null) throw new AppError("not_found", "there is no such rejection in this project");
        return showDetail(found, directory);
      },
    }),
  ];
}
