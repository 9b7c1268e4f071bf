/**
 * Which hosts a config may call (PyFly reference, section 6, with its SELF readings). Decided before any
 * network use, also before DNS. Pure.
 */

/** Returns whether the URL's host is one of the domains or below one. An empty list allows everything. */
export function isAuthorized(url: string, domains: readonly string[]): boolean {
  if (domains.length === 0) return true;
  const host = hostOf(url);
  if (host === null) return false;
  return domains.some((entry) => {
    const domain = entry.trim().toLowerCase().replace(/\.$/, "");
    if (domain === "") return false;
    // A suffix of an address names other machines, not a part of this one.
    return host === domain || (!isAddress(host) && host.endsWith(`.${domain}`));
  });
}

/**
 * Lower-case, without port and user information; null when there is none or the scheme is another. Read by
 * the same rules as what connects, or a URL could show one host here and mean another there. A host that ends
 * with a dot keeps it, and so matches nothing (the table of section 6).
 */
function hostOf(url: string): string | null {
  const parsed = URL.parse(url);
  if (parsed === null || (parsed.protocol !== "http:" && parsed.protocol !== "https:")) return null;
  return parsed.hostname === "" ? null : parsed.hostname;
}

function isAddress(host: string): boolean {
  return host.startsWith("[") || /^[\d.]+$/.test(host);
}

/** Stands for what is not shown. */
export const HIDDEN = "***";

/** The URL as executions keep and show it: its user and password are for the receiver only. */
export function withoutCredentials(url: string): string {
  return url.replace(/\/\/[^/?#]*@/, `//${HIDDEN}@`);
}
