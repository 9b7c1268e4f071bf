/** Log lines on an output that cannot always be written. */
import { expect, test } from "bun:test";
import { createLog, type LogLevel } from "../../src/runtime/log.ts";
import { FakeClock } from "../support/fake-clock.ts";

/** A log on an output that takes what `takes` says: everything, so many bytes at a time, or an error. */
function start(level: LogLevel = "info") {
  const clock = new FakeClock();
  const output = { text: "", takes: Number.POSITIVE_INFINITY as number | string, writes: 0 };
  const log = createLog(level, clock, (bytes) => {
    output.writes += 1;
    if (typeof output.takes === "string") throw Object.assign(new Error("no"), { code: output.takes });
    const part = bytes.subarray(0, output.takes);
    output.text += Buffer.from(part).toString();
    return part.length;
  });
  const events = () =>
    output.text
      .split("\n")
      .slice(0, -1)
      .map((line) => {
        const { event, lines, n } = JSON.parse(line) as { event: string; lines?: number; n?: number };
        return lines === undefined ? `${event} ${n}` : `${event} ${lines}`;
      });
  return { clock, output, log, events };
}

test("Lines wait for each other half a second, and errors are no exception", () => {
  const { clock, output, log, events } = start();
  log.info("a", { n: 1 });
  log.error("b", { n: 2 });
  expect(output.writes).toBe(0);
  clock.advance(500);
  expect([output.writes, events()]).toEqual([1, ["a 1", "b 2"]]);
});

test("At the level debug every line is written at once", () => {
  const { log, events } = start("debug");
  log.debug("a", { n: 1 });
  expect(events()).toEqual(["a 1"]);
});

test("An output that takes a part at a time gets all of it in order", () => {
  const { output, log, events } = start();
  output.takes = 7;
  for (let n = 0; n < 300; n += 1) log.info("a", { n });
  log.flush();
  expect(events()).toEqual(Array.from({ length: 300 }, (_, n) => `a ${n}`));
});

test.each(["EPIPE", "ENOSPC", "EIO"])("%s ends nothing: what was lost is counted and told", (code) => {
  const { clock, output, log, events } = start();
  output.takes = code;
  for (let n = 0; n < 3; n += 1) log.info("a", { n });
  log.flush();
  log.info("a", { n: 3 });
  clock.advance(500);
  output.takes = Number.POSITIVE_INFINITY;
  log.info("a", { n: 4 });
  clock.advance(500);
  expect(events()).toEqual(["log.lost 4", "a 4"]);
});

test("A full pipe holds lines back, a megabyte of them, and loses what comes then", () => {
  const { clock, output, log, events } = start();
  output.takes = "EAGAIN";
  const filling = "x".repeat(1_000);
  for (let n = 0; n < 2_000; n += 1) log.info("a", { n, filling });
  expect(output.writes).toBeLessThan(10);
  output.takes = Number.POSITIVE_INFINITY;
  clock.advance(500);
  clock.advance(500);
  const told = events();
  const kept = told.filter((line) => line.startsWith("a ")).length;
  expect(kept).toBeGreaterThan(900);
  expect(told).toContain(`log.lost ${2_000 - kept}`);
  expect(told.filter((line) => line.startsWith("a "))).toEqual(
    Array.from({ length: kept }, (_, n) => `a ${n}`),
  );
});
