/**
 * What each schedule does around a change of the clocks. `fires` lists every fire after `after` in order, as
 * local time with its offset. The zones' transitions (UTC) are in the headings; the results were worked out
 * by hand.
 */

export interface DstCase {
  readonly does: string;
  readonly cron: string;
  readonly after: string;
  readonly fires: readonly string[];
}

export interface ZoneCases {
  readonly zone: string;
  readonly cases: readonly DstCase[];
}

/** Gap 2026-03-29 02:00 to 03:00 (01:00Z); fold 2026-10-25 03:00 to 02:00 (01:00Z). */
const BERLIN: ZoneCases = {
  zone: "Europe/Berlin",
  cases: [
    {
      does: "moves a fixed time to the gap's end, and back to its own time the next day",
      cron: "30 2 * * *",
      after: "2026-03-28T00:00:00Z",
      fires: ["2026-03-28T02:30:00+01:00", "2026-03-29T03:00:00+02:00", "2026-03-30T02:30:00+02:00"],
    },
    {
      does: "moves the first missing minute as well",
      cron: "0 2 * * *",
      after: "2026-03-28T12:00:00Z",
      fires: ["2026-03-29T03:00:00+02:00", "2026-03-30T02:00:00+02:00"],
    },
    {
      does: "leaves the last minute before the gap alone",
      cron: "59 1 * * *",
      after: "2026-03-28T12:00:00Z",
      fires: ["2026-03-29T01:59:00+01:00", "2026-03-30T01:59:00+02:00"],
    },
    {
      does: "fires once for several fixed minutes in the gap",
      cron: "0,15,30 2 * * *",
      after: "2026-03-28T12:00:00Z",
      fires: ["2026-03-29T03:00:00+02:00", "2026-03-30T02:00:00+02:00", "2026-03-30T02:15:00+02:00"],
    },
    {
      does: "makes one of a moved run and one that is due at the gap's end anyway",
      cron: "0 2,3 * * *",
      after: "2026-03-28T12:00:00Z",
      fires: ["2026-03-29T03:00:00+02:00", "2026-03-30T02:00:00+02:00", "2026-03-30T03:00:00+02:00"],
    },
    {
      does: "catches up the missing one of two fixed hours",
      cron: "30 2,14 * * *",
      after: "2026-03-28T20:00:00Z",
      fires: ["2026-03-29T03:00:00+02:00", "2026-03-29T14:30:00+02:00", "2026-03-30T02:30:00+02:00"],
    },
    {
      does: "moves a weekly run on the right day only",
      cron: "30 2 * * SUN",
      after: "2026-03-23T00:00:00Z",
      fires: ["2026-03-29T03:00:00+02:00", "2026-04-05T02:30:00+02:00"],
    },
    {
      does: "catches nothing up when the missing day is not one of its days",
      cron: "30 2 * * MON",
      after: "2026-03-28T00:00:00Z",
      fires: ["2026-03-30T02:30:00+02:00"],
    },
    {
      does: "goes on every quarter of an hour through the gap",
      cron: "*/15 * * * *",
      after: "2026-03-29T00:30:00Z",
      fires: ["2026-03-29T01:45:00+01:00", "2026-03-29T03:00:00+02:00", "2026-03-29T03:15:00+02:00"],
    },
    {
      does: "keeps an hourly run an hour apart through the gap",
      cron: "30 * * * *",
      after: "2026-03-29T00:00:00Z",
      fires: ["2026-03-29T01:30:00+01:00", "2026-03-29T03:30:00+02:00", "2026-03-29T04:30:00+02:00"],
    },
    {
      does: "fires once for a named hour that the gap swallows whole",
      cron: "*/15 2 * * *",
      after: "2026-03-28T12:00:00Z",
      fires: ["2026-03-29T03:00:00+02:00", "2026-03-30T02:00:00+02:00", "2026-03-30T02:15:00+02:00"],
    },
    {
      does: "fires once for a swallowed named hour beside another one",
      cron: "30-45/15 2,5 * * *",
      after: "2026-03-29T00:00:00Z",
      fires: ["2026-03-29T03:00:00+02:00", "2026-03-29T05:30:00+02:00", "2026-03-29T05:45:00+02:00"],
    },
    {
      does: "goes on behind the gap when a range of hours holds the missing one",
      cron: "30 1-3 * * *",
      after: "2026-03-29T00:00:00Z",
      fires: ["2026-03-29T01:30:00+01:00", "2026-03-29T03:30:00+02:00", "2026-03-30T01:30:00+02:00"],
    },
    {
      does: "goes on behind the gap when a step of hours meets the missing one",
      cron: "0 */2 * * *",
      after: "2026-03-28T22:59:59Z",
      fires: ["2026-03-29T00:00:00+01:00", "2026-03-29T04:00:00+02:00", "2026-03-29T06:00:00+02:00"],
    },
    {
      does: "fires a fixed time in the first pass of the fold only",
      cron: "30 2 * * *",
      after: "2026-10-24T12:00:00Z",
      fires: ["2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00"],
    },
    {
      does: "fires fixed minutes in the first pass of the fold only",
      cron: "0,30 2 * * *",
      after: "2026-10-24T12:00:00Z",
      fires: ["2026-10-25T02:00:00+02:00", "2026-10-25T02:30:00+02:00", "2026-10-26T02:00:00+01:00"],
    },
    {
      does: "does not take the second pass for a new day when asked in the middle of it",
      cron: "30 2 * * *",
      after: "2026-10-25T01:10:00Z",
      fires: ["2026-10-26T02:30:00+01:00"],
    },
    {
      does: "fires behind the fold as on any day",
      cron: "0 3 * * *",
      after: "2026-10-25T00:00:00Z",
      fires: ["2026-10-25T03:00:00+01:00", "2026-10-26T03:00:00+01:00"],
    },
    {
      does: "fires every half hour in both passes of the fold",
      cron: "*/30 * * * *",
      after: "2026-10-24T23:30:00Z",
      fires: [
        "2026-10-25T02:00:00+02:00",
        "2026-10-25T02:30:00+02:00",
        "2026-10-25T02:00:00+01:00",
        "2026-10-25T02:30:00+01:00",
        "2026-10-25T03:00:00+01:00",
      ],
    },
    {
      does: "fires hourly in both passes of the fold",
      cron: "@hourly",
      after: "2026-10-24T23:00:00Z",
      fires: ["2026-10-25T02:00:00+02:00", "2026-10-25T02:00:00+01:00", "2026-10-25T03:00:00+01:00"],
    },
    {
      does: "follows elapsed time in the fold within a named hour",
      cron: "*/30 2 * * *",
      after: "2026-10-25T00:15:00Z",
      fires: ["2026-10-25T02:30:00+02:00", "2026-10-25T02:00:00+01:00", "2026-10-25T02:30:00+01:00"],
    },
    {
      does: "moves a fixed second to the gap's end",
      cron: "15 30 2 * * *",
      after: "2026-03-28T12:00:00Z",
      fires: ["2026-03-29T03:00:00+02:00", "2026-03-30T02:30:15+02:00"],
    },
    {
      does: "goes on every 20 seconds through the gap",
      cron: "*/20 * * * * *",
      after: "2026-03-29T00:59:20Z",
      fires: ["2026-03-29T01:59:40+01:00", "2026-03-29T03:00:00+02:00", "2026-03-29T03:00:20+02:00"],
    },
    {
      does: "moves the yearly run that falls on the day of the gap",
      cron: "30 2 29 3 *",
      after: "2025-03-29T12:00:00Z",
      fires: ["2026-03-29T03:00:00+02:00", "2027-03-29T02:30:00+02:00"],
    },
    {
      does: "moves the last Sunday's run every spring and leaves the others",
      cron: "30 2 * * SUNL",
      after: "2026-02-23T00:00:00Z",
      fires: ["2026-03-29T03:00:00+02:00", "2026-04-26T02:30:00+02:00"],
    },
  ],
};

/** Gap 2026-03-08 02:00 to 03:00 (07:00Z); fold 2026-11-01 02:00 to 01:00 (06:00Z). */
const NEW_YORK: ZoneCases = {
  zone: "America/New_York",
  cases: [
    {
      does: "moves a fixed time to the gap's end",
      cron: "30 2 * * *",
      after: "2026-03-08T00:00:00Z",
      fires: ["2026-03-08T03:00:00-04:00", "2026-03-09T02:30:00-04:00"],
    },
    {
      does: "fires a fixed time in the first pass of the fold only",
      cron: "30 1 * * *",
      after: "2026-11-01T00:00:00Z",
      fires: ["2026-11-01T01:30:00-04:00", "2026-11-02T01:30:00-05:00"],
    },
    {
      does: "does not repeat the minute at which the fold begins",
      cron: "0 1 * * *",
      after: "2026-11-01T05:00:00Z",
      fires: ["2026-11-02T01:00:00-05:00"],
    },
    {
      does: "fires hourly in both passes of the fold",
      cron: "0 * * * *",
      after: "2026-11-01T04:00:00Z",
      fires: ["2026-11-01T01:00:00-04:00", "2026-11-01T01:00:00-05:00", "2026-11-01T02:00:00-05:00"],
    },
    {
      does: "keeps a working day's run at its local time over the gap",
      cron: "0 9 * * MON-FRI",
      after: "2026-03-06T12:00:00Z",
      fires: ["2026-03-06T09:00:00-05:00", "2026-03-09T09:00:00-04:00"],
    },
    {
      does: "moves the second Sunday's run, which is the gap's",
      cron: "5 2 * * SUN#2",
      after: "2026-03-01T12:00:00Z",
      fires: ["2026-03-08T03:00:00-04:00", "2026-04-12T02:05:00-04:00"],
    },
  ],
};

/** Half an hour: gap 2026-10-04 02:00 to 02:30 (15:30Z); fold 2026-04-05 02:00 to 01:30 (15:00Z). */
const LORD_HOWE: ZoneCases = {
  zone: "Australia/Lord_Howe",
  cases: [
    {
      does: "moves a fixed time to the end of a gap of half an hour",
      cron: "15 2 * * *",
      after: "2026-10-03T00:00:00Z",
      fires: ["2026-10-04T02:30:00+11:00", "2026-10-05T02:15:00+11:00"],
    },
    {
      does: "leaves the second half of the hour alone",
      cron: "45 2 * * *",
      after: "2026-10-03T00:00:00Z",
      fires: ["2026-10-04T02:45:00+11:00", "2026-10-05T02:45:00+11:00"],
    },
    {
      does: "catches nothing up in a named hour of which a part is left",
      cron: "*/20 2 * * *",
      after: "2026-10-03T00:00:00Z",
      fires: ["2026-10-04T02:40:00+11:00", "2026-10-05T02:00:00+11:00"],
    },
    {
      does: "fires once for a named hour whose runs all lie in the gap",
      cron: "0-25/5 2 * * *",
      after: "2026-10-03T00:00:00Z",
      fires: ["2026-10-04T02:30:00+11:00", "2026-10-05T02:00:00+11:00"],
    },
    {
      does: "fires a fixed time in the first pass of a fold of half an hour only",
      cron: "45 1 * * *",
      after: "2026-04-04T00:00:00Z",
      fires: ["2026-04-05T01:45:00+11:00", "2026-04-06T01:45:00+10:30"],
    },
    {
      does: "fires every quarter of an hour in both passes",
      cron: "*/15 * * * *",
      after: "2026-04-04T14:30:00Z",
      fires: [
        "2026-04-05T01:45:00+11:00",
        "2026-04-05T01:30:00+10:30",
        "2026-04-05T01:45:00+10:30",
        "2026-04-05T02:00:00+10:30",
      ],
    },
  ],
};

/** At midnight: gap 2018-11-04 00:00 to 01:00 (03:00Z); fold 2018-02-18 00:00 to 02-17 23:00 (02:00Z). */
const SAO_PAULO: ZoneCases = {
  zone: "America/Sao_Paulo",
  cases: [
    {
      does: "moves midnight to one o'clock when the day begins there",
      cron: "@daily",
      after: "2018-11-03T12:00:00Z",
      fires: ["2018-11-04T01:00:00-02:00", "2018-11-05T00:00:00-02:00"],
    },
    {
      does: "moves the weekly midnight of that Sunday",
      cron: "@weekly",
      after: "2018-10-29T00:00:00Z",
      fires: ["2018-11-04T01:00:00-02:00", "2018-11-11T00:00:00-02:00"],
    },
    {
      does: "goes on hourly behind a gap at midnight",
      cron: "@hourly",
      after: "2018-11-04T01:30:00Z",
      fires: ["2018-11-03T23:00:00-03:00", "2018-11-04T01:00:00-02:00", "2018-11-04T02:00:00-02:00"],
    },
    {
      does: "fires once in an hour before midnight that comes twice",
      cron: "30 23 * * *",
      after: "2018-02-17T12:00:00Z",
      fires: ["2018-02-17T23:30:00-02:00", "2018-02-18T23:30:00-03:00"],
    },
    {
      does: "comes to midnight once, after the second pass",
      cron: "0 0 * * *",
      after: "2018-02-17T12:00:00Z",
      fires: ["2018-02-18T00:00:00-03:00", "2018-02-19T00:00:00-03:00"],
    },
    {
      does: "has no gap any more in the years after",
      cron: "@daily",
      after: "2019-11-02T12:00:00Z",
      fires: ["2019-11-03T00:00:00-03:00", "2019-11-04T00:00:00-03:00"],
    },
  ],
};

/**
 * The whole of 2011-12-30 is missing: -10:00 to +14:00 at 10:00Z. Fold 2012-04-01 04:00 to 03:00 (03-31
 * 14:00Z).
 */
const APIA: ZoneCases = {
  zone: "Pacific/Apia",
  cases: [
    {
      does: "runs a missing day's fixed time at the first instant of the next day",
      cron: "0 9 * * *",
      after: "2011-12-29T00:00:00Z",
      fires: ["2011-12-29T09:00:00-10:00", "2011-12-31T00:00:00+14:00", "2011-12-31T09:00:00+14:00"],
    },
    {
      does: "makes one of the missing midnight and the next",
      cron: "@daily",
      after: "2011-12-29T12:00:00Z",
      fires: ["2011-12-31T00:00:00+14:00", "2012-01-01T00:00:00+14:00"],
    },
    {
      does: "runs once for several times of the missing day",
      cron: "0 9,17 * * *",
      after: "2011-12-29T20:00:00Z",
      fires: ["2011-12-29T17:00:00-10:00", "2011-12-31T00:00:00+14:00", "2011-12-31T09:00:00+14:00"],
    },
    {
      does: "runs a yearly time of exactly the missing day",
      cron: "0 9 30 12 *",
      after: "2011-06-01T00:00:00Z",
      fires: ["2011-12-31T00:00:00+14:00", "2012-12-30T09:00:00+14:00"],
    },
    {
      does: "runs a Friday's time, as the missing day was one",
      cron: "0 9 * * FRI",
      after: "2011-12-27T00:00:00Z",
      fires: ["2011-12-31T00:00:00+14:00", "2012-01-06T09:00:00+14:00"],
    },
    {
      does: "runs once for a named hour of the missing day",
      cron: "*/20 2 * * *",
      after: "2011-12-29T12:50:00Z",
      fires: ["2011-12-31T00:00:00+14:00", "2011-12-31T02:00:00+14:00"],
    },
    {
      does: "goes on every half hour as if there had been no day",
      cron: "*/30 * * * *",
      after: "2011-12-30T09:00:00Z",
      fires: ["2011-12-29T23:30:00-10:00", "2011-12-31T00:00:00+14:00", "2011-12-31T00:30:00+14:00"],
    },
    {
      does: "keeps an hourly run an hour apart over the missing day",
      cron: "30 * * * *",
      after: "2011-12-30T09:00:00Z",
      fires: ["2011-12-29T23:30:00-10:00", "2011-12-31T00:30:00+14:00"],
    },
    {
      does: "fires a fixed time in the first pass of the next fold only",
      cron: "15 3 * * *",
      after: "2012-03-31T00:00:00Z",
      fires: ["2012-04-01T03:15:00+14:00", "2012-04-02T03:15:00+13:00"],
    },
  ],
};

/** Back for Ramadan: fold 2026-02-15 03:00 to 02:00 (02:00Z); gap 2026-03-22 02:00 to 03:00 (02:00Z). */
const CASABLANCA: ZoneCases = {
  zone: "Africa/Casablanca",
  cases: [
    {
      does: "fires once in the fold before Ramadan",
      cron: "30 2 * * *",
      after: "2026-02-14T12:00:00Z",
      fires: ["2026-02-15T02:30:00+01:00", "2026-02-16T02:30:00+00:00"],
    },
    {
      does: "fires every half hour in both passes of that fold",
      cron: "*/30 * * * *",
      after: "2026-02-15T01:15:00Z",
      fires: ["2026-02-15T02:30:00+01:00", "2026-02-15T02:00:00+00:00", "2026-02-15T02:30:00+00:00"],
    },
    {
      does: "moves a fixed time to the end of the gap after Ramadan",
      cron: "30 2 * * *",
      after: "2026-03-21T12:00:00Z",
      fires: ["2026-03-22T03:00:00+01:00", "2026-03-23T02:30:00+01:00"],
    },
    {
      does: "fires once for a named hour in that gap",
      cron: "*/10 2 * * *",
      after: "2026-03-21T12:00:00Z",
      fires: ["2026-03-22T03:00:00+01:00", "2026-03-23T02:00:00+01:00"],
    },
  ],
};

/** Gap of two hours 2026-03-29 01:00 to 03:00 (01:00Z); fold 2026-10-25 03:00 to 01:00 (01:00Z). */
const TROLL: ZoneCases = {
  zone: "Antarctica/Troll",
  cases: [
    {
      does: "fires once for two hours that are both missing",
      cron: "30 1,2 * * *",
      after: "2026-03-28T12:00:00Z",
      fires: ["2026-03-29T03:00:00+02:00", "2026-03-30T01:30:00+02:00", "2026-03-30T02:30:00+02:00"],
    },
    {
      does: "fires fixed times in the first of two long passes only",
      cron: "30 1,2 * * *",
      after: "2026-10-24T12:00:00Z",
      fires: ["2026-10-25T01:30:00+02:00", "2026-10-25T02:30:00+02:00", "2026-10-26T01:30:00+00:00"],
    },
  ],
};

/** One minute past midnight: gap 2006-04-02 00:01 to 01:01; fold 2006-10-29 00:01 to 10-28 23:01 (02:31Z). */
const ST_JOHNS: ZoneCases = {
  zone: "America/St_Johns",
  cases: [
    {
      does: "runs a missing half past midnight at one minute past one",
      cron: "30 0 * * *",
      after: "2006-04-01T12:00:00Z",
      fires: ["2006-04-02T01:01:00-02:30", "2006-04-03T00:30:00-02:30"],
    },
    {
      does: "comes to midnight once although the clock shows it twice",
      cron: "0 0 * * *",
      after: "2006-10-28T12:00:00Z",
      fires: ["2006-10-29T00:00:00-02:30", "2006-10-30T00:00:00-03:30"],
    },
  ],
};

/** The zone changed its offset for good: gap 2018-05-04 23:30 to 05-05 00:00 (15:00Z). */
const PYONGYANG: ZoneCases = {
  zone: "Asia/Pyongyang",
  cases: [
    {
      does: "runs the missing last minutes of a day at midnight",
      cron: "45 23 * * *",
      after: "2018-05-04T00:00:00Z",
      fires: ["2018-05-05T00:00:00+09:00", "2018-05-05T23:45:00+09:00"],
    },
  ],
};

/** The second half of an hour is missing: gap 2016-05-01 02:30 to 03:00 (07:00Z). */
const CARACAS: ZoneCases = {
  zone: "America/Caracas",
  cases: [
    {
      does: "catches nothing up in a named hour that has begun before the gap",
      cron: "*/20 2 * * *",
      after: "2016-05-01T00:00:00Z",
      fires: ["2016-05-01T02:00:00-04:30", "2016-05-01T02:20:00-04:30", "2016-05-02T02:00:00-04:00"],
    },
    {
      does: "fires once for a named hour whose runs all lie in its missing half",
      cron: "40-50/5 2 * * *",
      after: "2016-05-01T00:00:00Z",
      fires: ["2016-05-01T03:00:00-04:00", "2016-05-02T02:40:00-04:00"],
    },
  ],
};

/** No transition at all. */
const UTC: ZoneCases = {
  zone: "UTC",
  cases: [
    {
      does: "knows no gap",
      cron: "30 2 * * *",
      after: "2026-03-28T12:00:00Z",
      fires: ["2026-03-29T02:30:00+00:00", "2026-03-30T02:30:00+00:00"],
    },
  ],
};

export const DST_CASES: readonly ZoneCases[] = [
  BERLIN,
  NEW_YORK,
  LORD_HOWE,
  SAO_PAULO,
  APIA,
  CASABLANCA,
  TROLL,
  ST_JOHNS,
  PYONGYANG,
  CARACAS,
  UTC,
];
