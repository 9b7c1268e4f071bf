/** The command line of the measurements. */
import { Command, InvalidArgumentError } from "commander";

/** What can be measured, in the order of the table. */
export const PARTS = [
  "a",
  "b",
  "c",
  "d",
  "e",
  "f",
  "g",
  "h",
  "i",
  "j",
  "k",
  "l",
  "m",
  "n",
  "o",
  "p",
  "q",
  "r",
  "s",
  "t",
  "u",
  "v",
  "w",
  "x",
  "y",
  "z",
] as const;
export type Part = (typeof PARTS)[number];

export interface Options {
  readonly isQuick: boolean;
  readonly isJson: boolean;
  readonly isBuiltIn: boolean;
  readonly only: ReadonlySet<Part>;
  readonly limitSeconds: number;
  readonly rounds: number | undefined;
  readonly dir: string | undefined;
  readonly product: string | undefined;
  readonly rival: string | undefined;
}

const LIMIT_SECONDS = 420;
const QUICK_LIMIT_SECONDS = 100;
/** A rival runs in every round beside the ceiling and the product. */
const RIVAL_SECONDS = 60;

const PARTS_HELP = `
Parts:
  a  ceiling of group commit alone            b  Postern's ingest
  c  ceiling of ingest, forward, record       d  Postern's whole path
  e  acknowledgement at half of the peak      f  acknowledgement to first attempt, idle
  g  delivered per second beside a backlog    h  resident memory
  i  start to ready                           j  lateness of timers beside a backlog
  k  verification per scheme and size         l  dedupe with many keys remembered
  m  timers at 1,000/s, many pending          n  timers taken in per second
  o  100,000 crons due at once                p  a tick with nothing due
  q  1,000 endpoints, 100 of which hang       s  one event to 1, 10 and 100 endpoints
  r  functions: triggers, fan-out, crons, logs
  t  replay of many dead letters                u  lists and searches, few and many
  v  lists of the HookBridge door, few and many
  w  hooks scheduled, and listed              x  lateness of hooks beside a backlog
  y  hooks to one and to 100 listeners        z  memory of idle listeners`;

interface Parsed {
  readonly quick?: true;
  readonly json?: true;
  readonly builtIn?: true;
  readonly only?: ReadonlySet<Part>;
  readonly limit?: number;
  readonly rounds?: number;
  readonly dir?: string;
  readonly product?: string;
  readonly rival?: string;
}

/** Returns the options, or ends the process with 2 and the reason. */
export function readOptions(argv: readonly string[]): Options {
  const command = new Command("bench")
    .description("Measures Postern on this machine, beside the ceilings.")
    .option("--quick", "short rounds and 100,000 pending: a minute and a half, rougher numbers")
    .option("--json", "print the table as JSON")
    .option("--only <parts>", "measure only these, such as a,b,e", readParts)
    .option("--limit <seconds>", "give up what is not measured by then", readCount)
    .option(
      "--rounds <count>",
      "take so many turns; more for a noisy machine, with a longer --limit",
      readCount,
    )
    .option("--dir <folder>", "where the stores of the run are made; must be on the disk to measure")
    .option("--product <file>", "the executable, or a src/main.ts; default dist/postern, else src/main.ts")
    .option("--rival <file>", "another ceiling program (PORT, DB, SINK, MODE; /stat) beside ours")
    .option("--built-in", "generate load with bench/load.ts although wrk is installed")
    .addHelpText("after", PARTS_HELP)
    .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2));
  command.parse([...argv], { from: "user" });
  const parsed = command.opts<Parsed>();
  const isQuick = parsed.quick === true;
  const { rival } = parsed;
  const usual = (isQuick ? QUICK_LIMIT_SECONDS : LIMIT_SECONDS) + (rival === undefined ? 0 : RIVAL_SECONDS);
  return {
    isQuick,
    isJson: parsed.json === true,
    isBuiltIn: parsed.builtIn === true,
    only: parsed.only ?? new Set(PARTS),
    limitSeconds: parsed.limit ?? usual,
    rounds: parsed.rounds,
    dir: parsed.dir,
    product: parsed.product,
    rival,
  };
}

function readParts(given: string): ReadonlySet<Part> {
  const letters = given.split(",").map((letter) => letter.trim());
  const parts = PARTS.filter((part) => letters.includes(part));
  if (parts.length !== letters.length)
    throw new InvalidArgumentError(`;
expected;
letters;
of;
$;
{
  PARTS.join(",");
}
`);
  return new Set(parts);
}

function readCount(given: string): number {
  const count = Number(given);
  if (!Number.isInteger(count) || count <= 0)
    throw new InvalidArgumentError("expected a whole number above 0");
  return count;
}
