/**
 * PyFly's inbound door: POST /api/v1/webhook/<source>. A source is an ordinary one of the configuration, with
 * its verification, its dedupe rule (PyFly's own is "header:X-Idempotency-Key" for 24 hours) and its targets,
 * which stand for PyFly's processors: each gets a delivery of its own, retried and parked apart from the
 * others. The door only answers in PyFly's way: 202 for a fresh event and 200 for a duplicate, whatever the
 * source says. Errors have the native envelope.
 */
import { AppError } from "../../domain/errors.ts";
import type { Source } from "../../domain/source.ts";
import type { BodyReader } from "../../http/body.ts";
import type { Door, RequestContext } from "../../http/door.ts";
import { answerFailure } from "../../http/errors.ts";
import { answerChallenge, receiveInbound } from "../../http/inbound.ts";
import type { Ingest, IngestResult } from "../../runtime/ingest.ts";
import { invalidSignature, showReceipt, statusOf } from "./wire.ts";

export interface PyflyDoorOptions {
  readonly ingest: Ingest;
  readonly bodies: BodyReader;
  /** For sources without a limit of their own. */
  readonly bodyBytesMax: number;
}

const PREFIX = "/api/v1/webhook/";

export function createPyflyDoor(options: PyflyDoorOptions): Door {
  const { ingest } = options;
  const claims = [`${PREFIX}*`];
  return {
    name: "PyFly webhooks",
    claims: { main: claims, ingest: claims },
    async handle(request, context) {
      const source = ingest.source(context.path.slice(PREFIX.length));
      if (!source) throw new AppError("not_found", "there is no source of this name");
      const result = await receiveInbound(request, context, { ...options, source });
      if (result.kind === "challenged") return answerChallenge(result);
      if (result.kind === "refused") return answerRefusal(result, source, context);
      const event = { ...result, source: source.name };
      return Response.json(showReceipt(event), { status: statusOf(event) });
    },
  };
}

function answerRefusal(
  { status, reason, detail, retryAfterMs }: Extract<IngestResult, { kind: "refused" }>,
  { name, methods }: Source,
  context: RequestContext,
): Response {
  const message = status === 401 ? invalidSignature(name) : detail;
  const headers: Record<string, string> = status === 405 ? { allow: methods.join(", ") } : {};
  const failure = { status, code: reason, message, details: { detail }, headers, retryAfterMs };
  return answerFailure(failure, context);
}
