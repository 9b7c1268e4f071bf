/**
 * Events that an API makes: one event, and a delivery for every subscription of its tenant that wants its
 * type, durable together. An event that nobody wants is stored all the same.
 *
 * An idempotency key holds for a day in its project. The same event again under it is answered with the first
 * one; another event under it is refused, because one of the two would be lost without a word.
 */
import type { NewDelivery } from "../domain/delivery.ts";
import { DAY } from "../domain/duration.ts";
import type { Endpoint } from "../domain/endpoint.ts";
import { AppError } from "../domain/errors.ts";
import { type Id, showId } from "../domain/id.ts";
import { matchesType } from "../domain/subscription.ts";
import type { Clock } from "./clock.ts";
import type { Directory } from "./directory.ts";
import type { Intake } from "./intake.ts";
import type { Log } from "./log.ts";

export interface PublisherOptions {
  readonly clock: Clock;
  readonly directory: Directory;
  readonly intake: Intake;
  readonly log: Log;
}

export interface PublishedEvent {
  readonly project: string;
  /** Visible ASCII: it travels in a header. */
  readonly type: string;
  /** Empty: of nobody in particular. */
  readonly tenant: string;
  /** JSON text, stored and sent byte for byte. */
  readonly data: Uint8Array;
  /** The caller's own name for the event. Without an idempotency key it is one. */
  readonly externalId: string | null;
  readonly idempotencyKey: string | null;
  /** For endpoints that keep the order of each key. */
  readonly orderingKey: string | null;
}

export type Published =
  | { readonly isDuplicate: false; readonly id: Id; readonly deliveries: readonly NewDelivery[] }
  | { readonly isDuplicate: true; readonly id: Id };

/** Names the type to receivers, whose body is the data alone. */
export const EVENT_TYPE_HEADER = "webhook-event-type";
const IDEMPOTENCY_MS = DAY;

export class Publisher {
  readonly #options: PublisherOptions;

  constructor(options: PublisherOptions) {
    this.#options = options;
  }

  /**
   * Resolves after the commit. AppError: conflict for another event under the same idempotency key;
   * overloaded, storage_unavailable.
   */
  async publish(event: PublishedEvent): Promise<Published> {
    const { clock, directory, intake, log } = this.#options;
    const { project, type, tenant, data, externalId, orderingKey } = event;
    const now = clock.now();
    const key = event.idempotencyKey ?? externalId;
    const headers = { "content-type": "application/json", [EVENT_TYPE_HEADER]: type };
    const accepted = await intake.accept(
      {
        ...{ project, type, externalId, orderingKey, sourceSeq: null, remoteAddress: null, dedupe: null },
        tenant: tenant === "" ? null : tenant,
        receivedAt: now,
        payload: { headers, body: data },
        body: data,
        ...(key === null
          ? {}
          : { idempotency: { key, digest: digestOf(event), expiresAt: now + IDEMPOTENCY_MS } }),
      },
      { kind: "send", endpoints: subscribersOf(directory, { project, tenant, type }) },
    );
    const { id } = accepted;
    if (!accepted.isDuplicate) return { isDuplicate: false, id, deliveries: accepted.deliveries };
    if (accepted.isOther === true) {
      const eventId = showId("event", id);
      throw new AppError("conflict", `another event came under this idempotency key before: ${eventId}`, {
        details: { eventId },
      });
    }
    log.debug("event.repeated", { event: showId("event", id) });
    return { isDuplicate: true, id };
  }
}

interface Subject {
  readonly project: string;
  readonly tenant: string;
  readonly type: string | null;
}

/** Where the subscriptions of a tenant lead that want an event of this type, one endpoint per match. */
export function subscribersOf(directory: Directory, { project, tenant, type }: Subject): Endpoint[] {
  return directory
    .subscriptionsOf(project, tenant)
    .filter(({ eventTypes }) => eventTypes.some((pattern) => matchesType(pattern, type)))
    .flatMap(({ endpoint }) => directory.endpointNamed(project, endpoint) ?? []);
}

/** Of all that makes two events the same one. */
function digestOf({ type, tenant, externalId, orderingKey, data }: PublishedEvent): Uint8Array {
  const facts = JSON.stringify([type, tenant, externalId, orderingKey]);
  return new Uint8Array(new Bun.CryptoHasher("sha256").update(facts).update(data).digest());
}
