/** Where in a request a value is found, as data: for deduplication, the event type and filters. */

/**
 * A place in a request that yields a string: a header's value, a query parameter (the first, when repeated),
 * a member of the JSON body by its path, or the hash of the whole body.
 */
export type Selector =
  | { readonly kind: "header"; readonly name: string }
  | { readonly kind: "query"; readonly name: string }
  | { readonly kind: "json"; readonly path: readonly string[] }
  | { readonly kind: "body" };

/** Returns a selector as the configuration writes it: "header:x-key", "query:id", "json:data.id", "body". */
export function formatSelector(selector: Selector): string {
  if (selector.kind === "body") return "body";
  return `${selector.kind}:${selector.kind === "json" ? selector.path.join(".") : selector.name}`;
}

export interface DedupeRule {
  /** The first group whose parts are all present makes the key; the parts of a group are joined. */
  readonly selectors: readonly (readonly Selector[])[];
  readonly windowMs: number;
}
