/**
 * The two commands that `serve` prints when the echo receiver is on: one that sends a correctly signed event,
 * one that shows what became of it. Both can be pasted into a shell as they are.
 */
import type { Config, HmacVerifyConfig, SourceConfig } from "../config/config.ts";
import type { Random } from "../runtime/random.ts";
import { localUrl } from "./settings.ts";

const DEVELOPMENT_KEY = "dev-key-change-me";

/**
 * Returns the lines to print; none when the configuration, which was read from `file`, has nothing to
 * demonstrate.
 */
export function demoLines(config: Config, random: Random, file = "./config.toml"): string[] {
  if (!config.dev.echo) return [];
  const found = findDemo(config.sources);
  if (!found) return [];
  const { source, rule } = found;
  const base = localUrl(config.server.listen);
  // A fresh id for every start: pasting the command twice then shows the deduplication, pasting the next one
  // does not.
  const id = Buffer.from(random.bytes(4)).toString("hex");
  const body = JSON.stringify({ id: `evt_${id}`, type: "demo.hello", text: "Hello from Postern" });
  const signature = `${rule.prefix}${sign(rule, body)}`;
  const headers = `-H 'Content-Type: application/json' -H '${rule.header}: ${signature}'`;
  return [
    "Send a signed event:",
    `  curl -i '${base}/in/${source.name}' ${headers} -d '${body}'`,
    "Show its delivery:",
    `  ${showDelivery(config, source.project, file)}`,
  ];
}

/**
 * The first source whose signature covers nothing but the body; those with timestamps would soon be stale.
 */
function findDemo(sources: readonly SourceConfig[]): { source: SourceConfig; rule: HmacVerifyConfig } | null {
  for (const source of sources) {
    const [rule, ...others] = source.verify;
    if (others.length > 0 || rule?.scheme !== "hmac" || rule.template !== "{body}") continue;
    if (source.to.length > 0 && source.methods.includes("POST")) return { source, rule };
  }
  return null;
}

function sign(rule: HmacVerifyConfig, body: string): string {
  const secret = rule.secrets[0]?.value ?? "";
  return new Bun.CryptoHasher(rule.algorithm, secret).update(body).digest(rule.encoding);
}

/** Only the development key may stand on a screen; with any other the command line reads it from the file. */
function showDelivery({ server, projects }: Config, projectId: string, file: string): string {
  const keys = projects.find(({ id }) => id === projectId)?.apiKeys ?? [];
  const isDevelopment = keys.some(({ key }) => key === DEVELOPMENT_KEY);
  if (!isDevelopment) {
    return `postern deliveries list --limit 1${file === "./config.toml" ? "" : ` --config '${file}'`}`;
  }
  const url = `${localUrl(server.listen)}/_/api/deliveries?limit=1`;
  return `curl '${url}' -H 'Authorization: Bearer ${DEVELOPMENT_KEY}'`;
}
