/** What a commit changed, as those who watch are told of it: counters by the minute, live streams. */
import type { NewDelivery, Transition } from "./delivery.ts";
import type { NewEvent } from "./event.ts";

/**
 * On disk when it is told. Nobody may keep the objects themselves for long: an event and an attempt carry
 * bytes. `createdAt` and `Transition.at` are engine time. Moves of whole lanes into and out of `held`, and
 * claims, are not told one by one.
 */
export type StoreChange =
  | { readonly kind: "accepted"; readonly seq: number; readonly event: NewEvent }
  | {
      readonly kind: "created";
      readonly seq: number;
      readonly delivery: NewDelivery;
      readonly createdAt: number;
    }
  | { readonly kind: "moved"; readonly change: Transition };

export type ChangeListener = (changes: readonly StoreChange[]) => void;
