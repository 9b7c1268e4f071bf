import { describe, expect, test } from "bun:test";
import { callCommand } from "./run-command.ts";

const preview = (...args: string[]) => callCommand(["schedules", "preview", ...args]);

describe("A preview", () => {
  test("shows the local time, the offset, the instant, and what DST did", async () => {
    const args = ["0 2 * * *", "--tz", "Europe/Berlin", "--from", "2026-03-28", "--count", "3"];
    expect(await preview(...args)).toEqual({
      stdout: [
        "LOCAL TIME           OFFSET  UTC                       NOTE",
        "2026-03-28T02:00:00  +01:00  2026-03-28T01:00:00.000Z  -",
        "2026-03-29T03:00:00  +02:00  2026-03-29T01:00:00.000Z  gap: moved from 02:00",
        "2026-03-30T02:00:00  +02:00  2026-03-30T00:00:00.000Z  -",
        "",
      ].join("\n"),
      stderr: "",
      exitCode: 0,
    });
  });

  test.each([
    {
      name: "a fold runs once, in the first pass",
      args: ["30 2 * * *", "--tz", "Europe/Berlin", "--from", "2026-10-25", "--count", "2"],
      runs: [
        ["2026-10-25T00:30:00.000Z", "fold: first of two"],
        ["2026-10-26T01:30:00.000Z", null],
      ],
    },
    {
      name: "half an hour is missing on Lord Howe",
      args: ["15 2 * * *", "--tz", "Australia/Lord_Howe", "--from", "2026-10-04", "--count", "1"],
      runs: [["2026-10-03T15:30:00.000Z", "gap: moved from 02:15"]],
    },
    {
      name: "an interval is counted from where the preview begins",
      args: ["--every", "90m", "--from", "2026-01-01T00:10:00Z", "--count", "2"],
      runs: [
        ["2026-01-01T00:10:00.000Z", null],
        ["2026-01-01T01:40:00.000Z", null],
      ],
    },
    {
      name: "a single local time runs once, and inside a gap after it",
      args: ["--at", "2026-03-08T02:30:00", "--tz", "America/New_York", "--from", "2026-03-01"],
      runs: [["2026-03-08T07:00:00.000Z", "gap: moved from 02:30"]],
    },
    {
      name: "start and end bound it",
      args: ["0 0 * * *", "--start", "2026-01-02", "--end", "2026-01-04", "--from", "2026-01-01"],
      runs: [
        ["2026-01-02T00:00:00.000Z", null],
        ["2026-01-03T00:00:00.000Z", null],
      ],
    },
    {
      name: "without a zone it is UTC",
      args: ["0 12 L * *", "--from", "2028-02-01", "--count", "1"],
      runs: [["2028-02-29T12:00:00.000Z", null]],
    },
  ])("$name", async ({ args, runs }) => {
    const { stdout, exitCode } = await preview(...args, "--json");
    const shown = JSON.parse(stdout) as { runs: { at: string; note: string | null }[] };
    const told: unknown[] = shown.runs.map(({ at, note }) => [at, note]);
    expect(told).toEqual([...runs]);
    expect(exitCode).toBe(0);
  });

  test("that has nothing left says so", async () => {
    const { stdout, stderr, exitCode } = await preview(
      "--at",
      "2026-01-01T00:00:00Z",
      "--from",
      "2026-02-01",
    );
    expect({ stdout, exitCode }).toEqual({ stdout: "", exitCode: 0 });
    expect(stderr).toContain("No run from 2026-02-01T00:00:00.000Z on.");
  });

  test.each([
    [["61 2 * * *"], 1, "cron: "],
    [["0 2 * * *", "--tz", "Europe/Bielefeld"], 1, '--tz: "Europe/Bielefeld" is no IANA time zone'],
    [["0 2 * * *", "--every", "15m"], 1, "--every: stands beside cron"],
    [["--every", "soon"], 1, "--every: "],
    [["0 2 * * *", "--from", "tomorrow"], 1, "--from: "],
    [[], 1, "give one of cron, every and at"],
    [["0 2 * * *", "--count", "0"], 2, "a whole number from 1 to 1000"],
  ])("%p is refused", async (args, exitCode, reason) => {
    const result = await preview(...args);
    expect(result.stderr).toContain(reason);
    expect({ stdout: result.stdout, exitCode: result.exitCode }).toEqual({ stdout: "", exitCode });
  });
});
