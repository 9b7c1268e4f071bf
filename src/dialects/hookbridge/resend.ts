/**
 * Sending again: what is allowed in which status, for messages of both directions (protocol sections 7.4 to
 * 7.6). The refusals are Faults; bulk calls count them.
 */
import { isFinal } from "../../domain/delivery.ts";
import { HOUR } from "../../domain/duration.ts";
import { AppError } from "../../domain/errors.ts";
import type { HistoryEntry } from "../../domain/history.ts";
import type { HookbridgeSettings } from "../../domain/project-settings.ts";
import { Fault } from "./answer.ts";
import { readSpec } from "./objects.ts";
import type { Service } from "./service.ts";

/** Sends a message again under its id with a fresh retry budget; what waits already is left to wait. */
export async function replay(
  service: Service,
  entry: HistoryEntry,
  settings: Pick<HookbridgeSettings, "replaysMax">,
): Promise<void> {
  const { commands, directory } = service.context;
  const { state, project, id } = entry;
  if (entry.deletedAt !== null) throw new Fault("MESSAGE_DELETED", "the message was deleted");
  if (state === "sending" || state === "awaiting") {
    throw new Fault("DELIVERY_IN_PROGRESS", "the message is being delivered");
  }
  if (state === "retrying" && entry.lastStatus === 429) {
    throw new Fault("RETRY_IN_PROGRESS", "the message is about to be sent again");
  }
  if (state === "queued" || state === "held" || state === "stored" || state === "fetched") return;
  if (entry.replayCount >= settings.replaysMax) {
    throw new Fault("REPLAY_LIMIT_EXCEEDED", `a message can be replayed ${settings.replaysMax} times`);
  }
  checkPayload(entry, service);
  const endpoint = entry.lane > 0 ? directory.endpointOfLane(entry.lane) : undefined;
  if (endpoint && endpoint.deletedAt !== null) {
    throw new Fault("ENDPOINT_NOT_FOUND", "the endpoint of this message was deleted");
  }
  try {
    if (!isFinal(state)) await commands.cancel(project, id);
    if (entry.lane > 0) await commands.replay(project, id);
    else {
      await commands.restore(project, id);
      const source = directory.sourceOfSeq(-entry.lane);
      if (source) service.onStored(source);
    }
  } catch (error) {
    // It began to be sent between the look and the change.
    if (error instanceof AppError && error.code === "invalid_state") {
      throw new Fault("DELIVERY_IN_PROGRESS", "the message is being delivered");
    }
    throw error;
  }
}

function checkPayload({ payload, spec, createdAt }: HistoryEntry, service: Service): void {
  const hours = spec === null ? undefined : readSpec(spec).retentionHours;
  const isExpired = hours !== undefined && createdAt + hours * HOUR <= service.context.clock.now();
  if (isExpired) throw new Fault("RETENTION_EXPIRED", "the payload's retention is over");
  if (payload === null) throw new Fault("PAYLOAD_UNAVAILABLE", "the payload is no longer kept");
}

/** Returns when it is due now. Only what waits for a retry can be hurried. */
export async function retryNow(service: Service, entry: HistoryEntry): Promise<number> {
  checkWaits(entry);
  const { dueAt } = await service.context.commands.retryNow(entry.project, entry.id);
  return dueAt ?? service.context.clock.now();
}

/** Gives a message up that waits for a retry: it becomes a dead letter. */
export async function cancelRetry(service: Service, entry: HistoryEntry): Promise<void> {
  checkWaits(entry);
  await service.context.commands.cancel(entry.project, entry.id);
}

function checkWaits({ state, deletedAt }: HistoryEntry): void {
  if (deletedAt !== null) throw new Fault("MESSAGE_DELETED", "the message was deleted");
  if (state === "retrying") return;
  throw new Fault("INVALID_STATUS", "only a message that is pending_retry can be changed so");
}
