/** `postern doctor`: whether this machine and this configuration are ready, one line per finding. */
import type { Command } from "commander";
import type { Config } from "../config/config.ts";
import { formatIssue } from "../config/issue.ts";
import { SystemClock } from "../runtime/clock.ts";
import { checkEgress, checkNames } from "./doctor-network.ts";
import { checkPorts } from "./doctor-ports.ts";
import { checkClock, checkPermissions, checkSqlite, checkStorePlace } from "./doctor-system.ts";
import { type Finding, fail, ok, type Status } from "./finding.ts";
import { addConfigOption, type ConfigOption, readSettings } from "./settings.ts";
import { action, EXIT, type ExitCode, print, printJson } from "./terminal.ts";

interface DoctorOptions extends ConfigOption {
  readonly json?: boolean;
}

export function addDoctorCommand(program: Command): void {
  addConfigOption(program.command("doctor"))
    .description("examine clock, disk, SQLite, ports, names, endpoints and file permissions")
    .option("--json", "print JSON")
    .action(action(examine));
}

async function examine({ config: file, json }: DoctorOptions): Promise<ExitCode> {
  const findings: Finding[] = [];
  const report = (found: readonly Finding[]) => {
    findings.push(...found);
    if (!json) for (const finding of found) print(showFinding(finding));
  };
  report(await checkClock(new SystemClock()));
  report(checkSqlite());
  const loaded = readSettings(file);
  if (loaded.ok) {
    report([ok("config", `${file} is valid`)]);
    await examineConfig(loaded.config, report);
  } else {
    const [first] = loaded.errors;
    const more = loaded.errors.length > 1 ? ` (and ${loaded.errors.length - 1} more, see postern check)` : "";
    report([fail("config", `${first ? formatIssue(first, file) : `${file} is invalid`}${more}`)]);
  }
  const isHealthy = findings.every(({ status }) => status !== "fail");
  if (json) printJson({ ok: isHealthy, findings });
  return isHealthy ? EXIT.ok : EXIT.failed;
}

async function examineConfig(config: Config, report: (found: readonly Finding[]) => void): Promise<void> {
  report(checkPermissions(config));
  report(checkStorePlace(config, new SystemClock()));
  report(await checkPorts(config));
  report(await checkNames(config));
  report(await checkEgress(config));
}

const LABELS = { ok: "ok  ", warn: "warn", fail: "FAIL" } as const satisfies Record<Status, string>;

function showFinding({ status, subject, detail }: Finding): string {
  return `${LABELS[status]}  ${subject.padEnd(11)} ${detail}`;
}
