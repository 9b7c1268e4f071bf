import { describe, expect, test } from "bun:test";
import { toDeclarations } from "../../src/declarations.ts";
import { configOf, errorsOf } from "./parse-text.ts";

const ENDPOINT = '[[endpoint]]\nname = "app"\nurl = "https://example.com/"\n';

/** The first line of the schedule is line 4. */
const file = (lines: string) => `${ENDPOINT}[[schedule]]\nname = "s"\nendpoint = "app"\n${lines}`;
const scheduleOf = (lines: string) => configOf(file(lines)).schedules[0];

test("a schedule reads to its words, policies and body", () => {
  expect(scheduleOf('cron = "0 3 * * *"\nbody = { kind = "nightly" }')).toEqual({
    project: "default",
    name: "s",
    timing: { cron: "0 3 * * *", timezone: "UTC" },
    missed: { kind: "once" },
    overlap: "skip",
    concurrency: null,
    endpoint: "app",
    headers: {},
    body: { json: { kind: "nightly" } },
  });
  expect(toDeclarations(configOf(file('every = "15m"\nbody = "hi"'))).schedules).toMatchObject([
    { activeMax: null, content: { headers: { "content-type": "text/plain; charset=utf-8" }, body: "hi" } },
  ]);
});

test("times may be TOML dates, local ones too", () => {
  expect(scheduleOf('at = 2099-12-01T09:00:00\ntimezone = "Europe/Berlin"')?.timing).toEqual({
    at: "2099-12-01T09:00:00",
    timezone: "Europe/Berlin",
  });
});

test("missed = all has its bounds, and lets runs queue unless told otherwise", () => {
  expect(scheduleOf('every = "1h"\nmissed = "all"')).toMatchObject({
    missed: { kind: "all", max: 100, ageMaxMs: 604_800_000 },
    overlap: "queue",
  });
  const bounded = 'every = "1h"\nmissed = { policy = "all", max = 3, max_age = "1d" }\noverlap = "allow"';
  expect(scheduleOf(bounded)).toMatchObject({
    missed: { kind: "all", max: 3, ageMaxMs: 86_400_000 },
    overlap: "allow",
  });
});

describe("What is wrong with a schedule is said with its line", () => {
  test.each([
    ['cron = "61 * * * *"', "7: schedule[0].cron: "],
    ['every = "0s"', "7: schedule[0].every: "],
    ['every = "1h"\ncron = "@daily"', "7: schedule[0].every: stands beside cron"],
    ['every = "1h"\ntimezone = "Mars/Phobos"', "8: schedule[0].timezone: "],
    ['every = "1h"\nheaders = { Cookie = "a" }', "8: schedule[0].headers.Cookie: Cookie is not sent on"],
    ['every = "1h"\n[[schedule]]\nname = "preview"\nevery = "1h"\nendpoint = "app"', "9: schedule[1].name: "],
    ["", "4: schedule[0].cron: give one of cron, every and at"],
    ['every = "1h"\nmissed = "al"', "8: schedule[0].missed: "],
    ['every = "1h"\n[[schedule]]\nname = "t"\nevery = "1h"\nendpoint = "ap"', "11: schedule[1].endpoint: "],
    ['every = "1h"\n[[schedule]]\nname = "s"\nevery = "1h"\nendpoint = "app"', "9: schedule[1].name: "],
  ])("%p", (lines, expected) => {
    expect(errorsOf(file(lines)).join("\n")).toStartWith(`config.toml:${expected}`);
  });
});
