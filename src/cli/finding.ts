/** One line of the doctor's report. Only `fail` makes the command fail. */

export type Status = "ok" | "warn" | "fail";

export interface Finding {
  readonly status: Status;
  /** What was examined, in a word. */
  readonly subject: string;
  readonly detail: string;
}

export const ok = (subject: string, detail: string): Finding => ({ status: "ok", subject, detail });
export const warn = (subject: string, detail: string): Finding => ({ status: "warn", subject, detail });
export const fail = (subject: string, detail: string): Finding => ({ status: "fail", subject, detail });
