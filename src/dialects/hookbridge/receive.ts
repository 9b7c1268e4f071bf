/**
 * The door for what providers send (protocol section 12.2): POST /v1/webhooks/receive/<id>/<secret>. The
 * engine judges and stores; this door checks the path's secret before, and says everything in HookBridge's
 * words.
 */
import type { RejectionReason } from "../../domain/rejection.ts";
import { equalText } from "../../domain/signature/keyring.ts";
import type { Source } from "../../domain/source.ts";
import type { Door, RequestContext } from "../../http/door.ts";
import { answerChallenge, receiveInbound } from "../../http/inbound.ts";
import type { IngestResult } from "../../runtime/ingest.ts";
import { answerData, answerError, answerFault, Fault } from "./answer.ts";
import { DOOR, readSourceExtra } from "./objects.ts";
import { RECEIVE_PATH } from "./receiving.ts";
import { PAYLOAD_BYTES_MAX } from "./send.ts";
import type { Service } from "./service.ts";
import { readUuid, showUuid } from "./wire.ts";

/** The eight codes that are documented; what is paused has none. */
const REASON_CODE: Readonly<Record<RejectionReason, string | null>> = {
  invalid_method: "invalid_method",
  ip_not_allowed: "ip_not_allowed",
  rate_limited: null,
  body_too_large: "payload_too_large",
  missing_signature: "hmac_failed",
  malformed_signature: "hmac_failed",
  signature_mismatch: "hmac_failed",
  timestamp_out_of_tolerance: "hmac_failed",
  missing_token: "static_token_failed",
  token_mismatch: "static_token_failed",
  paused: null,
  invalid_secret: "invalid_secret",
  source_deleted: "endpoint_deleted",
};

/** Null: not among the codes of HookBridge's list. */
export function reasonCode(reason: RejectionReason): string | null {
  return REASON_CODE[reason];
}

/** Bodiless by definition (RFC 9110 sections 15.3.5 and 15.3.6). */
const BODILESS: ReadonlySet<number> = new Set([204, 205]);

export function createReceiveDoor(service: Service): Door {
  const claims = [`${RECEIVE_PATH}*`];
  return {
    name: "HookBridge ingest",
    claims: { main: claims, ingest: claims },
    async handle(request, context) {
      try {
        return await receive(request, context, service);
      } catch (error) {
        return answerFault(error, context, service.context.log);
      }
    },
  };
}

async function receive(request: Request, context: RequestContext, service: Service): Promise<Response> {
  const { ingest, bodies, directory } = service.context;
  const [idText = "", secret = ""] = context.path.slice(RECEIVE_PATH.length).split("/");
  const id = readUuid(idText);
  const source = id === null ? undefined : directory.source(id);
  // Of an endpoint that never was, no project can be told: a rejection of nobody's would be read by nobody.
  if (source?.door !== DOOR) throw new Fault("NOT_FOUND", "no such endpoint");
  const parts = { source, ingest, bodies, bodyBytesMax: PAYLOAD_BYTES_MAX };
  const objection = objectionTo(source, { method: request.method, secret });
  if (objection !== null) {
    const { method, headers } = request;
    // Without the path: what stands there may be most of a secret.
    const refused = { method, url: RECEIVE_PATH, headers, body: null, remoteAddress: context.clientAddress };
    return answerResult(ingest.refuse(source, objection, refused), source, context);
  }
  if (!readSourceExtra(source).isActive) return answerPaused(context, null);
  const result = await receiveInbound(request, redacted(context), parts);
  if (result.kind === "accepted") service.onStored(source);
  return answerResult(result, source, context);
}

/** The context as the engine may store it: the secret in the path is not part of the request's URL. */
function redacted(context: RequestContext): RequestContext {
  return {
    requestId: context.requestId,
    role: context.role,
    path: RECEIVE_PATH,
    search: context.search,
    peerAddress: context.peerAddress,
    clientAddress: context.clientAddress,
    holdOpen: () => context.holdOpen(),
  };
}

interface Objection {
  readonly reason: RejectionReason;
  readonly detail: string;
}

/** In this order: method, whether it is there, the secret (protocol section 12.2). */
function objectionTo(source: Source, sent: { method: string; secret: string }): Objection | null {
  if (sent.method !== "POST") return { reason: "invalid_method", detail: "this endpoint takes POST" };
  if (source.deletedAt !== null) return { reason: "source_deleted", detail: "this endpoint was deleted" };
  if (equalText(sent.secret, source.secret ?? "")) return null;
  return { reason: "invalid_secret", detail: "the secret in the path is not this endpoint's" };
}

function answerResult(result: IngestResult, source: Source, context: RequestContext): Response {
  switch (result.kind) {
    case "accepted": {
      const { status } = source.respond;
      if (BODILESS.has(status)) return new Response(null, { status });
      return answerData(context, { message_id: showUuid(result.id) }, { status });
    }
    case "challenged":
      return answerChallenge(result);
    case "refused": {
      const { reason, status, detail, retryAfterMs } = result;
      if (reason === "paused") return answerPaused(context, retryAfterMs);
      const code = (reasonCode(reason) ?? reason).toUpperCase();
      const answer = answerError(context, { status, code, message: detail, retryAfterMs });
      if (status === 405) answer.headers.set("allow", "POST");
      return answer;
    }
    default:
      return result satisfies never;
  }
}

const PAUSED_RETRY_AFTER_MS = 60_000;

function answerPaused(context: RequestContext, retryAfterMs: number | null): Response {
  return answerError(context, {
    status: 503,
    code: "ENDPOINT_PAUSED",
    message: "this endpoint is paused",
    retryAfterMs: retryAfterMs ?? PAUSED_RETRY_AFTER_MS,
  });
}
