import { describe, expect, test } from "bun:test";
import { Advance, type Advanced } from "../../src/runtime/advance.ts";
import { VirtualClock } from "../../src/runtime/virtual-clock.ts";

const SETTLED = { isSettled: () => true, metrics: { attemptCount: 0 } };

interface Bounds {
  readonly stepsMax?: number;
  readonly realMsMax?: number;
}

function advanceTo(clock: VirtualClock, target: number, bounds: Bounds = {}): Promise<Advanced> {
  return new Advance({ clock, engine: SETTLED, ...bounds }).to(target);
}

describe("A virtual clock", () => {
  test("stands still", () => {
    const clock = new VirtualClock(1_000);
    expect([clock.now(), clock.now()]).toEqual([1_000, 1_000]);
    expect(clock.wallNow()).toBeGreaterThan(1_000);
  });

  test("fires what is due already without being moved", async () => {
    const clock = new VirtualClock(1_000);
    await new Promise<void>((resolve) => void clock.setTimer(1_000, resolve));
    expect(clock.nextTimerAt()).toBeNull();
  });

  test("does not go back", () => {
    const clock = new VirtualClock(1_000);
    clock.moveTo(500);
    expect(clock.now()).toBe(1_000);
  });
});

describe("An advance", () => {
  test("fires timers at their own instants, in order, those set on the way included", async () => {
    const clock = new VirtualClock(0);
    const fired: [string, number][] = [];
    const note = (name: string) => () => void fired.push([name, clock.now()]);
    clock.setTimer(30, note("late"));
    clock.setTimer(10, () => {
      note("early")();
      clock.setTimer(20, note("on the way"));
    });
    clock.setTimer(30, note("late too"));
    clock.setTimer(101, note("beyond"));
    const { now, stepCount, isComplete } = await advanceTo(clock, 100);
    expect(fired).toEqual([
      ["early", 10],
      ["on the way", 20],
      ["late", 30],
      ["late too", 30],
    ]);
    expect({ now, stepCount, isComplete }).toEqual({ now: 100, stepCount: 3, isComplete: true });
  });

  test("does not fire what an earlier timer of the same instant has cancelled", async () => {
    const clock = new VirtualClock(0);
    let isFired = false;
    clock.setTimer(10, () => later.cancel());
    const later = clock.setTimer(10, () => {
      isFired = true;
    });
    await advanceTo(clock, 20);
    expect(isFired).toBe(false);
  });

  test("waits at each instant until the engine has settled", async () => {
    const clock = new VirtualClock(0);
    let isBusy = false;
    const engine = { isSettled: () => !isBusy, metrics: { attemptCount: 0 } };
    const seen: number[] = [];
    clock.setTimer(10, () => {
      isBusy = true;
      clock.setWallTimer(5, () => {
        seen.push(clock.now());
        isBusy = false;
      });
    });
    await new Advance({ clock, engine }).to(1_000);
    expect(seen).toEqual([10]);
  });

  test("stops at its number of steps, and goes on when it is asked again", async () => {
    const clock = new VirtualClock(0);
    const tick = () => void clock.setTimer(clock.now() + 10, tick);
    tick();
    const first = await advanceTo(clock, 100, { stepsMax: 4 });
    expect(first).toMatchObject({ now: 40, stepCount: 4, isComplete: false });
    const second = await advanceTo(clock, 100);
    expect(second).toMatchObject({ from: 40, now: 100, stepCount: 6, isComplete: true });
  });

  test("gives up on what does not end, and says that it is not complete", async () => {
    const clock = new VirtualClock(0);
    const engine = { isSettled: () => false, metrics: { attemptCount: 0 } };
    const result = await new Advance({ clock, engine, realMsMax: 1 }).to(100);
    expect(result).toMatchObject({ now: 0, stepCount: 0, isComplete: false });
  });

  test("ends when the server stops", async () => {
    const clock = new VirtualClock(0);
    const engine = { isSettled: () => false, metrics: { attemptCount: 0 } };
    const advance = new Advance({ clock, engine });
    const walking = advance.to(100);
    advance.stop();
    await expect(walking).rejects.toMatchObject({ code: "shutting_down" });
  });
});
