/** `postern schedules`: what runs on time, and what an operator can do to it. */
import type { Command } from "commander";
import { addPreviewCommand } from "./schedule-preview.ts";

export function addSchedulesCommand(program: Command): void {
  const schedules = program.command("schedules").description("look at what runs on time, and act on it");
  addPreviewCommand(schedules);
}
