/** The way of one request from a socket to a source, for every door that takes webhooks. */
import { AppError } from "../domain/errors.ts";
import type { Source } from "../domain/source.ts";
import type { Ingest, IngestResult } from "../runtime/ingest.ts";
import type { BodyReader } from "./body.ts";
import type { RequestContext } from "./door.ts";

export interface InboundParts {
  readonly source: Source;
  readonly ingest: Ingest;
  readonly bodies: BodyReader;
  /** For sources without a limit of their own. */
  readonly bodyBytesMax: number;
}

/**
 * Reads the body within the source's limit and has the request judged and stored. Throws request_timeout,
 * invalid_request when the body broke off, and as Ingest.receive().
 */
export async function receiveInbound(
  request: Request,
  context: RequestContext,
  { source, ingest, bodies, bodyBytesMax }: InboundParts,
): Promise<IngestResult> {
  const bytesMax = source.bodyBytesMax ?? bodyBytesMax;
  const body = await bodies.read(request, bytesMax);
  if (body === "too_slow") throw new AppError("request_timeout", "the body did not arrive in time");
  if (body === "broken") throw new AppError("invalid_request", "the body broke off");
  const inbound = {
    method: request.method,
    url: context.path + context.search,
    headers: request.headers,
    remoteAddress: context.clientAddress,
  };
  if (body !== "too_large") return ingest.receive(source, { ...inbound, body });
  const head = ingest.judgeHead(source, inbound);
  if (head !== null) return ingest.refuse(source, head, { ...inbound, body: null });
  const detail = `the body is larger than the ${bytesMax} bytes that this source takes`;
  return ingest.refuse(source, { reason: "body_too_large", detail }, { ...inbound, body: null });
}

/** Returns the answer to a provider's challenge, in whatever way the door answers everything else. */
export function answerChallenge({ answer }: Extract<IngestResult, { kind: "challenged" }>): Response {
  const { status, headers, body } = answer;
  return new Response(body === "" ? null : body, { status, headers });
}
