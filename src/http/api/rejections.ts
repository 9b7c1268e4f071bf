/** Rejections: requests that a source refused, with the reason and what was sent. */
import { type Static, Type } from "@sinclair/typebox";
import { AppError } from "../../domain/errors.ts";
import { type Id, readId, showId } from "../../domain/id.ts";
import type { RejectionDetail, RejectionRow } from "../../domain/reads.ts";
import { REJECTION_STATUS, type RejectionReason } from "../../domain/rejection.ts";
import type { Admit } from "../../runtime/admit.ts";
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

const DIAGNOSIS = named(
  "Diagnosis",
  {
    code: Type.Optional(Type.String({ examples: ["clock_skew", "old_secret", "body_reserialized"] })),
    sentence: Type.Optional(Type.String({ description: "The probable cause, and what would mend it." })),
    field: Type.Optional(Type.String({ description: "The header or parameter that it is about." })),
    skewSeconds: Type.Optional(Type.Number({ description: "Positive: the sender's clock is ahead." })),
    toleranceSeconds: Type.Optional(Type.Number()),
    oldSecretUntil: Type.Optional(INSTANT),
  },
  {
    additionalProperties: true,
    description: "Never a secret or a signature. More members depend on the code.",
  },
);

const REJECTION_MEMBERS = {
  id: Type.String({ examples: ["rej_01970000000070008000000000000000"] }),
  source: nullable(Type.String()),
  reason: oneOf(REASONS),
  detail: Type.String({ description: "One sentence." }),
  diagnosis: nullable(DIAGNOSIS),
  receivedAt: INSTANT,
  method: Type.String(),
  url: Type.String({ description: "Path and query, without the sender's credentials." }),
  remoteAddress: nullable(Type.String()),
  admission: nullable(
    Type.Object(
      {
        at: INSTANT,
        eventId: Type.String(),
        isForced: Type.Boolean({ description: "Against the verdict of the configuration of that time." }),
      },
      { additionalProperties: false, description: "When it was let in after all." },
    ),
  ),
};

const REJECTION = named("Rejection", REJECTION_MEMBERS);

const REJECTION_DETAIL = named("RejectionDetail", {
  ...REJECTION_MEMBERS,
  headers: Type.Record(Type.String(), Type.String()),
  body: Type.String(),
  bodyEncoding: BODY_ENCODING,
  isBodyCut: Type.Boolean({ description: "Only the first bytes were kept." }),
});

const ADMISSION = named("Admission", {
  eventId: Type.String({ examples: ["evt_01970000000070008000000000000000"] }),
  duplicate: Type.Boolean({ description: "The event was there before, and nothing is delivered again." }),
  forced: Type.Boolean({ description: "Today's configuration refuses it, or cannot tell." }),
});

function showRejection(row: RejectionRow, directory: Directory): Static<typeof REJECTION> {
  const { reason, detail, diagnosis, method, url, remoteAddress, admission } = row;
  return {
    id: showId("rejection", row.id),
    source: directory.sourceOfSeq(row.sourceSeq)?.name ?? null,
    reason,
    detail,
    diagnosis: showDiagnosis(diagnosis),
    receivedAt: showInstant(row.receivedAt),
    method,
    url,
    remoteAddress,
    admission:
      admission === null
        ? null
        : {
            at: showInstant(admission.at),
            eventId: showId("event", admission.eventId),
            isForced: admission.isForced,
          },
  };
}

/** What was stored is ours; only instants are written in another way there. */
function showDiagnosis(text: string | null): Static<typeof DIAGNOSIS> | null {
  const value = showJson(text);
  if (typeof value !== "object" || value === null) return null;
  const { oldSecretUntil, ...rest } = value as { readonly oldSecretUntil?: unknown };
  if (typeof oldSecretUntil !== "number") return rest;
  return { ...rest, oldSecretUntil: showInstant(oldSecretUntil) };
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

export function rejectionRoutes({ directory, reads, admit }: ApiDeps): ApiRoute[] {
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
        const found = await reads.getRejection({ project, id: readRejectionId(shown) });
        if (found === null) throw noRejection();
        return showDetail(found, directory);
      },
    }),
    admitRoute(admit),
  ];
}

function admitRoute(admit: Admit): ApiRoute {
  return defineRoute({
    method: "POST",
    path: "/rejections/:id/admit",
    operationId: "admitRejection",
    summary: "Let a refused request in after all",
    description:
      "What was stored is verified again under today's configuration of its source, at the time at which " +
      "it was received; 409 says why it still fails. With force it comes in anyway, which is recorded. 410 " +
      "when not all of its body was kept.",
    tag: "rejections",
    scope: "admin",
    query: queryOf({}),
    body: Type.Object({ force: Type.Optional(Type.Boolean()) }, { additionalProperties: false }),
    answer: ADMISSION,
    errors: ["not_found", "invalid_state", "gone", "overloaded", "storage_unavailable"],
    handle: async ({ principal: { project }, id: shown, body }) => {
      const input = { project, id: readRejectionId(shown), isForced: body.force ?? false };
      const { eventId, isDuplicate, isForced } = await admit(input);
      return { eventId: showId("event", eventId), duplicate: isDuplicate, forced: isForced };
    },
  });
}

function readRejectionId(text: string): Id {
  const id = readId("rejection", text);
  if (id === null) throw noRejection();
  return id;
}

function noRejection(): AppError {
  return new AppError("not_found", "there is no such rejection in this project");
}
