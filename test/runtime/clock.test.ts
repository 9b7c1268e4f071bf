import { afterEach, expect, setSystemTime, test } from "bun:test";
import { HOUR } from "../../src/domain/duration.ts";
import { SystemClock } from "../../src/runtime/clock.ts";

afterEach(() => void setSystemTime());

/** Resolves with what the clock shows when the timer fires. */
function fired(clock: SystemClock, at: number): Promise<number> {
  return new Promise((resolve) => void clock.setTimer(at, () => resolve(clock.now())));
}

test("a timer fires when the clock leaps over its instant, as after a suspension", async () => {
  const clock = new SystemClock(5);
  const at = clock.now() + HOUR;
  const firing = fired(clock, at);
  setSystemTime(at + HOUR);
  expect(await firing).toBeGreaterThanOrEqual(at);
});

test("a timer never fires before its instant, though the clock is set back while it waits", async () => {
  const clock = new SystemClock(1);
  const at = clock.now() + 5;
  let isEarly = true;
  const firing = fired(clock, at).finally(() => {
    expect(isEarly).toBe(false);
  });
  // The clock stands still from here on, an hour before; real time goes on past the five milliseconds.
  setSystemTime(at - HOUR);
  const since = clock.monotonicMs();
  while (clock.monotonicMs() - since < 20) await fired(clock, at - HOUR);
  isEarly = false;
  setSystemTime(at);
  expect(await firing).toBeGreaterThanOrEqual(at);
});
