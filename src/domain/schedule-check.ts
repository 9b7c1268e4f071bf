/** What the configuration alone cannot tell of a schedule: whether its times and headers mean something. */
import { headerProblem } from "./content.ts";
import { readPlan, type ScheduleSpec } from "./schedule-spec.ts";

export interface ScheduleFault {
  /** From the schedule on. */
  readonly path: readonly string[];
  readonly message: string;
}

interface Checkable {
  readonly timing: ScheduleSpec;
  readonly headers: Readonly<Record<string, string>>;
}

/** Returns every fault; none means that the schedule has a plan. */
export function checkSchedule({ timing, headers }: Checkable): ScheduleFault[] {
  // Any anchor will do: it moves runs and makes no plan wrong.
  const reading = readPlan(timing, 0);
  const problems = reading.ok ? [] : reading.problems;
  return [
    ...problems.map(({ key, problem }) => ({ path: [key], message: problem })),
    ...Object.entries(headers).flatMap(([name, value]) => {
      const problem = headerProblem(name, value);
      return problem === null ? [] : [{ path: ["headers", name], message: problem }];
    }),
  ];
}
