/** What the dispatcher carries through an attempt, and what it makes of the end of one. */
import type { AckReport, Answer, AttemptRecord } from "../domain/attempt.ts";
import type { Endpoint } from "../domain/endpoint.ts";
import type { Interpretation, Profile } from "../domain/strategy.ts";
import type { Directory } from "./directory.ts";
import type { Hold } from "./lane.ts";
import type { Verdict } from "./listeners.ts";
import type { Claimed } from "./ports.ts";
import type { SendResult } from "./sender.ts";

export interface Attempt {
  readonly claimed: Claimed;
  readonly hold: Hold;
  readonly endpoint: Endpoint;
  readonly profile: Profile;
  readonly startedAt: number;
}

export interface Sent extends Attempt {
  readonly durationMs: number;
  readonly isSent: boolean;
  /** What the receiver reported before its answer was there. */
  readonly report: AckReport | null;
}

/** Given up, but reported on before: the report is what counts then. */
export const ABORTED: Answer = { kind: "error", failure: "transport", text: "the attempt was given up" };

export function toAnswer(result: SendResult): Answer {
  if (result.kind === "response") return result;
  const failure =
    result.reason === "timeout" || result.reason === "blocked" ? result.reason : ("transport" as const);
  return { kind: "error", failure, text: result.text, address: result.address };
}

/** The endpoint as it signs: one made for a URL has the keys of the endpoint that named it. */
export function withKeys(endpoint: Endpoint, directory: Pick<Directory, "lastNamed">): Endpoint {
  const { signAs, project } = endpoint;
  if (signAs === undefined) return endpoint;
  return { ...endpoint, sign: directory.lastNamed(project, signAs)?.sign ?? [] };
}

type Judgement = Pick<Interpretation, "outcome" | "detail">;

export function record(sent: Sent, answer: Answer | Verdict, { outcome, detail }: Judgement): AttemptRecord {
  const { claimed, startedAt, durationMs, profile } = sent;
  const body = answer.kind === "response" && answer.body.byteLength > 0 ? answer.body : null;
  return {
    number: claimed.position.attemptCount + 1,
    startedAt,
    durationMs,
    outcome: outcome.kind,
    status: answer.kind === "response" ? answer.status : null,
    failure: outcome.kind === "failed" ? outcome.failure : null,
    error: outcome.kind === "failed" ? outcome.text : null,
    excerpt: body === null ? null : body.subarray(0, profile.interpreter.excerptBytesMax),
    detail,
  };
}
