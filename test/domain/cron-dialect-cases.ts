/** The accepted cron dialect, frozen: a change here is a change of what users may write. */

export interface AcceptedCase {
  readonly means: string;
  readonly cron: string;
  /**
   * The first three fires in UTC after the start of 2026 (a Thursday), without seconds where they are zero.
   */
  readonly fires: readonly [string, string, string];
}

export const ACCEPTED: readonly AcceptedCase[] = [
  { means: "every minute", cron: "* * * * *", fires: ["01-01 00:01", "01-01 00:02", "01-01 00:03"] },
  { means: "a minute of an hour", cron: "30 9 * * *", fires: ["01-01 09:30", "01-02 09:30", "01-03 09:30"] },
  {
    means: "leading zeros",
    cron: "05 09 01 02 *",
    fires: ["02-01 09:05", "2027-02-01 09:05", "2028-02-01 09:05"],
  },
  { means: "a list", cron: "0,20,40 * * * *", fires: ["01-01 00:20", "01-01 00:40", "01-01 01:00"] },
  { means: "a range", cron: "0 22-23 * * *", fires: ["01-01 22:00", "01-01 23:00", "01-02 22:00"] },
  {
    means: "a range of one value",
    cron: "0 22-22 * * *",
    fires: ["01-01 22:00", "01-02 22:00", "01-03 22:00"],
  },
  { means: "a step", cron: "*/25 * * * *", fires: ["01-01 00:25", "01-01 00:50", "01-01 01:00"] },
  {
    means: "a step in a range",
    cron: "10-30/10 0 * * *",
    fires: ["01-01 00:10", "01-01 00:20", "01-01 00:30"],
  },
  {
    means: "a step from a value on",
    cron: "5/25 * * * *",
    fires: ["01-01 00:05", "01-01 00:30", "01-01 00:55"],
  },
  {
    means: "the largest step",
    cron: "*/60 */24 * * *",
    fires: ["01-02 00:00", "01-03 00:00", "01-04 00:00"],
  },
  { means: "a step of one", cron: "0 */1 * * *", fires: ["01-01 01:00", "01-01 02:00", "01-01 03:00"] },
  {
    means: "a list of all kinds",
    cron: "1,3-4,58/2 * * * *",
    fires: ["01-01 00:01", "01-01 00:03", "01-01 00:04"],
  },
  {
    means: "seconds in front",
    cron: "*/30 * * * * *",
    fires: ["01-01 00:00:30", "01-01 00:01", "01-01 00:01:30"],
  },
  {
    means: "names of months",
    cron: "0 0 1 mar,Apr-MAY *",
    fires: ["03-01 00:00", "04-01 00:00", "05-01 00:00"],
  },
  {
    means: "a step of months",
    cron: "0 0 1 */6 *",
    fires: ["07-01 00:00", "2027-01-01 00:00", "2027-07-01 00:00"],
  },
  {
    means: "a step from a month on",
    cron: "0 0 1 JUN/3 *",
    fires: ["06-01 00:00", "09-01 00:00", "12-01 00:00"],
  },
  {
    means: "names of days",
    cron: "0 0 * * mon,WED-Thu",
    fires: ["01-05 00:00", "01-07 00:00", "01-08 00:00"],
  },
  { means: "Sunday as 0", cron: "0 0 * * 0", fires: ["01-04 00:00", "01-11 00:00", "01-18 00:00"] },
  { means: "Sunday as 7", cron: "0 0 * * 7", fires: ["01-04 00:00", "01-11 00:00", "01-18 00:00"] },
  {
    means: "a range up to Sunday as 7",
    cron: "0 0 * * 6-7",
    fires: ["01-03 00:00", "01-04 00:00", "01-10 00:00"],
  },
  {
    means: "a range up to SUN",
    cron: "0 0 * * SAT-SUN",
    fires: ["01-03 00:00", "01-04 00:00", "01-10 00:00"],
  },
  {
    means: "a range from SUN",
    cron: "0 0 * * SUN-MON",
    fires: ["01-04 00:00", "01-05 00:00", "01-11 00:00"],
  },
  { means: "a step of days", cron: "0 0 * * */3", fires: ["01-03 00:00", "01-04 00:00", "01-07 00:00"] },
  {
    means: "a step in a range of days",
    cron: "0 0 * * 1-5/2",
    fires: ["01-02 00:00", "01-05 00:00", "01-07 00:00"],
  },
  {
    means: "? as any day of the month",
    cron: "0 0 ? * MON",
    fires: ["01-05 00:00", "01-12 00:00", "01-19 00:00"],
  },
  {
    means: "? as any day of the week",
    cron: "0 0 15 * ?",
    fires: ["01-15 00:00", "02-15 00:00", "03-15 00:00"],
  },
  { means: "? in both day fields", cron: "0 0 ? * ?", fires: ["01-02 00:00", "01-03 00:00", "01-04 00:00"] },
  {
    means: "the last day of the month",
    cron: "0 0 L * *",
    fires: ["01-31 00:00", "02-28 00:00", "03-31 00:00"],
  },
  {
    means: "the last day in a list",
    cron: "0 0 l,15 * *",
    fires: ["01-15 00:00", "01-31 00:00", "02-15 00:00"],
  },
  { means: "the last Friday", cron: "0 0 * * 5L", fires: ["01-30 00:00", "02-27 00:00", "03-27 00:00"] },
  {
    means: "the last Friday by name",
    cron: "0 0 * * FRIL",
    fires: ["01-30 00:00", "02-27 00:00", "03-27 00:00"],
  },
  {
    means: "the last Sunday as 7L",
    cron: "0 0 * * 7l",
    fires: ["01-25 00:00", "02-22 00:00", "03-29 00:00"],
  },
  { means: "the second Monday", cron: "0 0 * * 1#2", fires: ["01-12 00:00", "02-09 00:00", "03-09 00:00"] },
  {
    means: "the second Monday by name",
    cron: "0 0 * * mon#2",
    fires: ["01-12 00:00", "02-09 00:00", "03-09 00:00"],
  },
  {
    means: "a fifth Friday, where there is one",
    cron: "0 0 * * 5#5",
    fires: ["01-30 00:00", "05-29 00:00", "07-31 00:00"],
  },
  {
    means: "a list of both",
    cron: "0 0 * * 1#1,FRIL,6",
    fires: ["01-03 00:00", "01-05 00:00", "01-10 00:00"],
  },
  {
    means: "either restricted day field",
    cron: "0 0 13 * FRI",
    fires: ["01-02 00:00", "01-09 00:00", "01-13 00:00"],
  },
  {
    means: "either of L and a day",
    cron: "0 0 L * 5#1",
    fires: ["01-02 00:00", "01-31 00:00", "02-06 00:00"],
  },
  {
    means: "a step as a restriction",
    cron: "0 0 */10 * MON",
    fires: ["01-05 00:00", "01-11 00:00", "01-12 00:00"],
  },
  {
    means: "a full range as no restriction",
    cron: "0 0 1-31 * MON",
    fires: ["01-05 00:00", "01-12 00:00", "01-19 00:00"],
  },
  {
    means: "a full week as no restriction",
    cron: "0 0 9 * 1-7",
    fires: ["01-09 00:00", "02-09 00:00", "03-09 00:00"],
  },
  {
    means: "months that lack the day",
    cron: "0 0 31 * *",
    fires: ["01-31 00:00", "03-31 00:00", "05-31 00:00"],
  },
  {
    means: "29 February",
    cron: "0 0 29 2 *",
    fires: ["2028-02-29 00:00", "2032-02-29 00:00", "2036-02-29 00:00"],
  },
  {
    means: "an impossible date or a day",
    cron: "0 0 30 2 MON",
    fires: ["02-02 00:00", "02-09 00:00", "02-16 00:00"],
  },
  {
    means: "blanks and tabs",
    cron: "  0\t0  * * MON ",
    fires: ["01-05 00:00", "01-12 00:00", "01-19 00:00"],
  },
  { means: "@yearly", cron: "@yearly", fires: ["2027-01-01 00:00", "2028-01-01 00:00", "2029-01-01 00:00"] },
  {
    means: "@annually",
    cron: "@annually",
    fires: ["2027-01-01 00:00", "2028-01-01 00:00", "2029-01-01 00:00"],
  },
  { means: "@monthly", cron: "@monthly", fires: ["02-01 00:00", "03-01 00:00", "04-01 00:00"] },
  { means: "@weekly", cron: "@weekly", fires: ["01-04 00:00", "01-11 00:00", "01-18 00:00"] },
  { means: "@daily", cron: "@daily", fires: ["01-02 00:00", "01-03 00:00", "01-04 00:00"] },
  { means: "@midnight", cron: "@midnight", fires: ["01-02 00:00", "01-03 00:00", "01-04 00:00"] },
  { means: "@hourly in any case", cron: "@Hourly", fires: ["01-01 01:00", "01-01 02:00", "01-01 03:00"] },
];

export interface RefusedCase {
  readonly cron: string;
  /** Every problem, in the order of the fields. */
  readonly problems: readonly string[];
}

export const REFUSED: readonly RefusedCase[] = [
  { cron: "", problems: ["has 0 fields, not 5 (or 6 with seconds in front)"] },
  { cron: "* * * *", problems: ["has 4 fields, not 5 (or 6 with seconds in front)"] },
  { cron: "0 0 0 1 1 * 2026", problems: ["has 7 fields, not 5 (or 6 with seconds in front)"] },
  { cron: "60 * * * *", problems: ["minute: 60 is out of range, 0 to 59"] },
  { cron: "60 0 * * * *", problems: ["second: 60 is out of range, 0 to 59"] },
  { cron: "0 24 * * *", problems: ["hour: 24 is out of range, 0 to 23"] },
  { cron: "0 0 0 * *", problems: ["day-of-month: 0 is out of range, 1 to 31"] },
  { cron: "0 0 32 * *", problems: ["day-of-month: 32 is out of range, 1 to 31"] },
  { cron: "0 0 * 0 *", problems: ["month: 0 is out of range, 1 to 12"] },
  { cron: "0 0 * 13 *", problems: ["month: 13 is out of range, 1 to 12"] },
  { cron: "0 0 * * 8", problems: ["day-of-week: 8 is out of range, 0 to 7"] },
  {
    cron: "61 25 32 JUNE 9",
    problems: [
      "minute: 61 is out of range, 0 to 59",
      "hour: 25 is out of range, 0 to 23",
      "day-of-month: 32 is out of range, 1 to 31",
      'month: "JUNE" is not 1-12 or JAN-DEC',
      "day-of-week: 9 is out of range, 0 to 7",
    ],
  },
  { cron: "0 22-2 * * *", problems: ['hour: the range "22-2" runs backwards'] },
  { cron: "0 0 * * FRI-MON", problems: ['day-of-week: the range "FRI-MON" runs backwards'] },
  { cron: "0 0 * NOV-FEB *", problems: ['month: the range "NOV-FEB" runs backwards'] },
  { cron: "0 1-2-3 * * *", problems: ['hour: "1-2-3" is no range'] },
  { cron: "*/0 * * * *", problems: ['minute: the step "0" is not 1 to 60'] },
  { cron: "*/61 * * * *", problems: ['minute: the step "61" is not 1 to 60'] },
  { cron: "*/ * * * *", problems: ['minute: the step "" is not 1 to 60'] },
  { cron: "*/1.5 * * * *", problems: ['minute: the step "1.5" is not 1 to 60'] },
  { cron: "*/5/2 * * * *", problems: ['minute: "*/5/2" has two steps'] },
  { cron: "/5 * * * *", problems: ['minute: "" is not 0-59'] },
  { cron: "0 0 * * 1/2", problems: ["day-of-week: a step needs a range, such as 1-6/2"] },
  { cron: "1,,2 * * * *", problems: ["minute: a value is missing"] },
  { cron: "1, * * * *", problems: ["minute: a value is missing"] },
  { cron: "*,5 * * * *", problems: ['minute: "*,5" lists "*", which is every value'] },
  { cron: "-1 * * * *", problems: ['minute: "" is not 0-59'] },
  { cron: "1.5 * * * *", problems: ['minute: "1.5" is not 0-59'] },
  { cron: "001 * * * *", problems: ['minute: "001" is not 0-59'] },
  { cron: "٣ * * * *", problems: ["has a character that no field knows"] },
  { cron: "H * * * *", problems: ['minute: "H" is not 0-59'] },
  { cron: "JAN * * * *", problems: ['minute: "JAN" is not 0-59'] },
  { cron: "0 0 * MON *", problems: ['month: "MON" is not 1-12 or JAN-DEC'] },
  { cron: "0 0 * * MONDAY", problems: ['day-of-week: "MONDAY" is not 0-7 or SUN-SAT'] },
  { cron: "0 0 * * MON\n", problems: ["has a character that no field knows"] },
  { cron: "? 0 * * *", problems: ['minute: "?" stands only in a day field'] },
  { cron: "0 0 ?/2 * *", problems: ['day-of-month: "?/2" is not supported here'] },
  { cron: "0 0 15W * *", problems: ['day-of-month: "15W" is not supported here'] },
  { cron: "0 0 LW * *", problems: ['day-of-month: "LW" is not supported here'] },
  { cron: "0 0 L-3 * *", problems: ['day-of-month: "L-3" is not supported here'] },
  { cron: "0 0 * * L", problems: ['day-of-week: "L" is not supported here'] },
  { cron: "0 0 * * 5#L", problems: ['day-of-week: "5#L" counts from 1 to 5'] },
  { cron: "0 0 * * 1#6", problems: ['day-of-week: "1#6" counts from 1 to 5'] },
  { cron: "0 0 * * 1#0", problems: ['day-of-week: "1#0" counts from 1 to 5'] },
  { cron: "0 0 * * 1-5#2", problems: ['day-of-week: "1-5#2" is not supported here'] },
  { cron: "0 0 1 * +MON", problems: ['day-of-week: "+MON" is not supported here'] },
  { cron: "0 0 30 2 *", problems: ["never fires: no month has such a day"] },
  { cron: "0 0 31 4,6,9,11 *", problems: ["never fires: no month has such a day"] },
  { cron: "@every 15m", problems: ['@every 15m is an interval, not a cron expression: use every = "15m"'] },
  {
    cron: "@reboot",
    problems: [
      "@reboot is not an alias; there are @yearly @annually @monthly @weekly @daily @midnight @hourly",
    ],
  },
  { cron: "2026-01-01T00:00:00", problems: ["has 1 fields, not 5 (or 6 with seconds in front)"] },
  { cron: `${"1,".repeat(300)}1 * * * *`, problems: ["is longer than 500 characters"] },
];
