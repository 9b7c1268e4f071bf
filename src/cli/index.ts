/** The command line: which commands there are, and what a wrong call looks like. */
import { Command, CommanderError } from "commander";
import { addBenchCommand } from "./bench.ts";
import { addBulkCommand } from "./bulk.ts";
import { addCheckCommand } from "./check.ts";
import { addClockCommand } from "./clock.ts";
import { addDeliveriesCommand } from "./deliveries.ts";
import { addDoctorCommand } from "./doctor.ts";
import { addEmitCommand } from "./emit.ts";
import { addEndpointsCommand } from "./endpoints.ts";
import { addEventsCommand } from "./events.ts";
import { addExecutionsCommand } from "./executions.ts";
import { addFunctionsCommand } from "./functions.ts";
import { addInitCommand } from "./init.ts";
import { addKeysCommand } from "./keys.ts";
import { addLogsCommand } from "./logs.ts";
import { addMasterKeyCommand } from "./master-key.ts";
import { addPauseCommands } from "./pause.ts";
import { addProjectsCommand } from "./projects.ts";
import { addRejectionsCommand } from "./rejections.ts";
import { addReloadCommand } from "./reload.ts";
import { addRepairCommands } from "./repair.ts";
import { addScheduleCommand } from "./schedule.ts";
import { addSchedulesCommand } from "./schedules.ts";
import { addSendCommand } from "./send.ts";
import { addServeCommand } from "./serve.ts";
import { addSourcesCommand } from "./sources.ts";
import { addSubscriptionsCommand } from "./subscriptions.ts";
import { addTailCommand } from "./tail.ts";
import { EXIT, printError, stackOf, watchOutput } from "./terminal.ts";
import { addTriggerCommand } from "./trigger.ts";
import { addVersionCommand } from "./version.ts";

function createProgram(): Command {
  const program = new Command("postern")
    .description("Receives webhooks and sends them: verified, stored, signed, retried.")
    .showHelpAfterError("(add --help for the options)")
    .showSuggestionAfterError()
    // Also stops commander from ending the process, which would cut off what is still being written.
    .exitOverride();
  addServeCommand(program);
  addCheckCommand(program);
  addDoctorCommand(program);
  addInitCommand(program);
  addReloadCommand(program);
  addEventsCommand(program);
  addRejectionsCommand(program);
  addSourcesCommand(program);
  addDeliveriesCommand(program);
  addRepairCommands(program);
  addBulkCommand(program);
  addEmitCommand(program);
  addSendCommand(program);
  addEndpointsCommand(program);
  addSubscriptionsCommand(program);
  addKeysCommand(program);
  addProjectsCommand(program);
  addPauseCommands(program);
  addTailCommand(program);
  addSchedulesCommand(program);
  addScheduleCommand(program);
  addFunctionsCommand(program);
  addExecutionsCommand(program);
  addLogsCommand(program);
  addTriggerCommand(program);
  addClockCommand(program);
  addMasterKeyCommand(program);
  addVersionCommand(program);
  addBenchCommand(program);
  for (const command of program.commands) command.copyInheritedSettings(program);
  return program;
}

/**
 * Runs one command and sets the exit code: 0 it worked, 1 it failed, 2 it was called wrongly. Never rejects.
 */
export async function runCommandLine(args: readonly string[]): Promise<void> {
  watchOutput(args[0]);
  try {
    await createProgram().parseAsync(args, { from: "user" });
  } catch (error) {
    if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? EXIT.ok : EXIT.usage;
    else {
      printError(stackOf(error));
      process.exitCode = EXIT.failed;
    }
  }
}
