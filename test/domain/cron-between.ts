/** Every run of a cron in a range, as the program finds them, from either end. */
import { expect } from "bun:test";
import { type Cron, nextFireAt, parseCron, previousFireAt } from "../../src/domain/cron.ts";

export const ZONES = [
  "Europe/Berlin",
  "America/New_York",
  "Australia/Lord_Howe",
  "America/Sao_Paulo",
  "Africa/Casablanca",
  "Antarctica/Troll",
  "Asia/Pyongyang",
  "Asia/Gaza",
  "Asia/Kathmandu",
  "America/Havana",
  "America/Caracas",
  "UTC",
];

/** Null for a schedule of impossible dates only, which is refused. */
export function cronOf(text: string): Cron | null {
  const parsed = parseCron(text);
  if (parsed.ok) return parsed.cron;
  expect(parsed.problems).toEqual(["never fires: no month has such a day"]);
  return null;
}

export function firesBetween(cron: Cron, zone: string, range: readonly [number, number]): number[] {
  const fires: number[] = [];
  let at = nextFireAt(cron, zone, range[0] - 1);
  while (at !== null && at < range[1]) {
    fires.push(at);
    at = nextFireAt(cron, zone, at);
  }
  return fires;
}

export function firesBackBetween(cron: Cron, zone: string, range: readonly [number, number]): number[] {
  const fires: number[] = [];
  let at = previousFireAt(cron, zone, range[1]);
  while (at !== null && at >= range[0]) {
    fires.push(at);
    at = previousFireAt(cron, zone, at);
  }
  return fires.reverse();
}

export const show = (fires: readonly number[]) => fires.map((at) => new Date(at).toISOString());
