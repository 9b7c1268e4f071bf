/** What the file says of callbacks, made so: at the start and on every reload. */
import type { CallbackConfig } from "../../domain/callback.ts";
import type { DeclaredCallbackConfig } from "../../domain/project-settings.ts";
import type { Configs } from "./configs.ts";

/**
 * Creates, updates and removes the declared configs of a project. Returns those that were changed or removed,
 * in which something may still wait.
 */
export async function applyDeclared(
  configs: Configs,
  project: string,
  declared: readonly DeclaredCallbackConfig[],
): Promise<readonly CallbackConfig[]> {
  const left = new Map(
    configs
      .list(project)
      .filter(({ door }) => door === "config")
      .map((config) => [keyOf(config), config]),
  );
  const changed: CallbackConfig[] = [];
  for (const draft of declared) {
    const config = left.get(keyOf(draft));
    left.delete(keyOf(draft));
    if (!config) await configs.create(project, { ...draft, id: null }, "config");
    else if (!isSame(config, draft)) changed.push(await configs.update(config, draft));
  }
  for (const config of left.values()) {
    await configs.remove(config);
    changed.push(config);
  }
  return changed;
}

function keyOf({ tenant, name }: { readonly tenant: string; readonly name: string }): string {
  return JSON.stringify([tenant, name]);
}

function isSame(config: CallbackConfig, draft: DeclaredCallbackConfig): boolean {
  const told = ({ subscriptions, authorizedDomains, ...rest }: DeclaredCallbackConfig) =>
    JSON.stringify([
      rest.secret,
      rest.isEnabled,
      rest.attemptsMax,
      rest.backoffMs,
      authorizedDomains.map(({ domain, description }) => [domain, description]),
      subscriptions.map(({ eventType, targetUrl, headers }) => [
        eventType,
        targetUrl,
        Object.entries(headers).sort(([a], [b]) => (a < b ? -1 : 1)),
      ]),
    ]);
  return told(config) === told(draft);
}
