/** The doctor on listeners: is each port free, or is it a Postern that has it? */
import { createServer } from "node:net";
import type { Config, ListenAddress } from "../config/config.ts";
import { type Finding, fail, ok } from "./finding.ts";
import { isPosternAt } from "./http-client.ts";
import { localUrl, showListen } from "./settings.ts";

export function checkPorts({ server }: Config): Promise<Finding[]> {
  const { listen, ingestListen, metricsListen, tls } = server;
  const addresses = [listen, ingestListen, metricsListen, tls?.listen ?? null].filter((one) => one !== null);
  return Promise.all(addresses.map(checkPort));
}

async function checkPort(address: ListenAddress): Promise<Finding> {
  const text = showListen(address);
  if (address.port === 0) return ok("port", `${text}: any free port`);
  const refusal = await tryListening(address);
  if (refusal === null) return ok("port", `${text} is free`);
  if (refusal !== "EADDRINUSE") return fail("port", `${text} cannot be listened on (${refusal})`);
  if (await isPosternAt(localUrl(address))) return ok("port", `${text} is in use by a running Postern`);
  return fail("port", `${text} is in use by another program`);
}

/** Returns null when the port could be had, else the system's error code. */
function tryListening({ hostname, port }: ListenAddress): Promise<string | null> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    server.listen({ host: hostname, port, exclusive: true }, () => server.close(() => resolve(null)));
  });
}
