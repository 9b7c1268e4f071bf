/**
 * Points in time as text: RFC 3339 with an offset, or a local date and time without one. Strict, and pure.
 */

/**
 * RFC 3339 section 5.6. Seconds stop at 59: epoch milliseconds cannot tell a leap second from its neighbour.
 */
const TIME = "(?:[01]\\d|2[0-3]):[0-5]\\d";
const INSTANT = new RegExp(`^\\d{4}-\\d\\d-\\d\\d[Tt]${TIME}:[0-5]\\d(?:\\.\\d{1,9})?(?:[Zz]|[+-]${TIME})$`);
const LOCAL = new RegExp(`^\\d{4}-\\d\\d-\\d\\dT${TIME}:[0-5]\\d$`);
const DATE = /^\d{4}-\d\d-\d\d$/;

/**
 * Returns epoch milliseconds of an RFC 3339 timestamp; fractions below a millisecond are cut off. Null when
 * it is none: no offset, a space for the T, 30 February, a leap second, more than nine digits of fraction.
 */
export function parseInstant(text: string): number | null {
  if (!INSTANT.test(text)) return null;
  try {
    // Temporal takes more than RFC 3339 (annotations, offsets with seconds), which the pattern has kept out.
    return Temporal.Instant.from(text).epochMilliseconds;
  } catch {
    return null;
  }
}

/**
 * Returns a local time as `wallMs` (see zone.ts), from "2026-12-01T09:00:00" exactly: no offset, no fraction.
 * Null when it is none.
 */
export function parseLocal(text: string): number | null {
  return LOCAL.test(text) ? parseInstant(`${text}Z`) : null;
}

/** Returns the first moment of a date ("2026-12-01") as `wallMs`; null when it is none. */
export function parseDate(text: string): number | null {
  return DATE.test(text) ? parseInstant(`${text}T00:00:00Z`) : null;
}
