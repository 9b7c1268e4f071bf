/** What a timestamp that is off says about the clock that it came from. */
import type { Finding } from "./types.ts";

const HOUR_SECONDS = 3_600;
/** No zone is further from UTC. */
const ZONE_HOURS_MAX = 14;
/** How far from whole hours a clock may be that is right but for its zone. */
const ZONE_SLACK_SECONDS = 30;
/** A time in milliseconds that is read as seconds lies tens of thousands of years ahead. */
const UNIT_SECONDS_MIN = 100_000_000_000;

/** Explains a time that is further off than allowed. `skewSeconds` is positive when the sender is ahead. */
export function explainTime(skewSeconds: number, toleranceSeconds: number): Finding {
  const facts = { skewSeconds, toleranceSeconds };
  if (skewSeconds > UNIT_SECONDS_MIN) {
    const sentence = "The sender's timestamp is in milliseconds where seconds are expected.";
    return { code: "timestamp_unit", sentence, ...facts };
  }
  const distance = `${Math.abs(skewSeconds)} s ${skewSeconds > 0 ? "ahead of" : "behind"} our clock`;
  const sentence = `The signature is right, but its time is ${distance}: ${guess(skewSeconds)}.`;
  return { code: "clock_skew", sentence, ...facts };
}

function guess(skewSeconds: number): string {
  const hours = Math.round(skewSeconds / HOUR_SECONDS);
  const rest = Math.abs(skewSeconds - hours * HOUR_SECONDS);
  if (hours !== 0 && Math.abs(hours) <= ZONE_HOURS_MAX && rest <= ZONE_SLACK_SECONDS) {
    return "whole hours, so that the sender probably takes its local time for UTC";
  }
  if (skewSeconds > 0) return "the sender's clock is fast, or ours is slow";
  return "an old request was sent again, it waited too long on its way, or the sender's clock is slow";
}
