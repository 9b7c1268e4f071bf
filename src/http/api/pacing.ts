/** How an endpoint is paced, as the API shows it: every default filled in. */
import { type Static, Type } from "@sinclair/typebox";
import type { Endpoint } from "../../domain/endpoint.ts";
import { DEFAULT_PACING, ORDERINGS } from "../../domain/pacing.ts";
import { nullable, oneOf } from "./schemas.ts";

const CLOSED = { additionalProperties: false } as const;

export const PACING_SHOWN = Type.Object(
  {
    ordering: oneOf(ORDERINGS, "key: one at a time per ordering key; endpoint: one at a time."),
    poison: Type.Object(
      {
        kind: oneOf(["block", "park", "skip"], "What becomes of a line when its first is given up."),
        after: nullable(Type.Integer({ description: "skip: at the latest after so many attempts." })),
      },
      CLOSED,
    ),
    keyRate: nullable(Type.Object({ perSecond: Type.Number(), burst: Type.Number() }, CLOSED)),
    slowStart: Type.Boolean(),
    drainPerSecond: nullable(Type.Number()),
    disableAfterMs: Type.Union([Type.Integer(), Type.Null(), Type.Literal("default")], {
      description: "Disabled after so long of nothing but failures; null: never; default: as its profile.",
    }),
  },
  CLOSED,
);

export function showPacing({ pacing }: Endpoint): Static<typeof PACING_SHOWN> {
  const { ordering, poison, keyRate, slowStart, drainPerSecond } = { ...DEFAULT_PACING, ...pacing };
  return {
    ordering,
    poison: { kind: poison.kind, after: poison.kind === "skip" ? poison.after : null },
    keyRate: keyRate === null ? null : { ...keyRate },
    slowStart,
    drainPerSecond,
    disableAfterMs: pacing?.disableAfterMs === undefined ? "default" : pacing.disableAfterMs,
  };
}
