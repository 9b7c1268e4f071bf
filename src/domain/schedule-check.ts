/** What the configuration alone cannot tell of a schedule: whether its times and headers mean something. */
import { headerProblem } from "./content.ts";
import { readPlan, type ScheduleSpec } from "./schedule-spec.ts";

export interface ScheduleFault {
  /** From the schedule on. */
  readonly path: readonly string[];
  readonly message: string;
}

interface Checkable {
  readonly name: string;
  readonly timing: ScheduleSpec;
  readonly headers: Readonly<Record<string, string>>;
}

/** Returns every fault; none means that the schedule has a plan. */
export function checkSchedule({ name, timing, headers }: Checkable): ScheduleFault[] {
  // Any anchor will do: it moves runs and makes no plan wrong.
  const reading = readPlan(timing, 0);
  const problems = reading.ok ? [] : reading.problems;
  const nameProblem = scheduleNameProblem(name);
  return [
    ...(nameProblem === null ? [] : [{ path: ["name"], message: nameProblem }]),
    ...problems.map(({ key, problem }) => ({ path: [key], message: problem })),
    ...Object.entries(headers).flatMap(([name, value]) => {
      const problem = headerProblem(name, value);
      return problem === null ? [] : [{ path: ["headers", name], message: problem }];
    }),
  ];
}

/** Returns why a schedule cannot have this name; null: it can. The API has a path of that name. */
export function scheduleNameProblem(name: string): string | null {
  return name === "preview" ? '"preview" is the path of the preview; choose another name' : null;
}
