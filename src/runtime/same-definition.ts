/** Whether the config file says of an object what the store already has. */

/** Compares only what the file declares, with keys in a fixed order on both sides. */
export function isSame(declared: object, existing: object): boolean {
  const known = existing as Readonly<Record<string, unknown>>;
  return Object.entries(declared).every(([key, value]) => stableText(value) === stableText(known[key]));
}

function stableText(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) => {
    if (typeof inner !== "object" || inner === null || Array.isArray(inner)) return inner;
    return Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)));
  });
}
