import type { Server } from "bun";
import type { Settings } from "./config.ts";
import { type Accepting, acceptingOf } from "./accepting.ts";
import { DescriptorGuard, type Descriptors } from "./descriptors.ts";
import { Addresses } from "./http/address.ts";
import { failure, nextRequestId } from "./http/answer.ts";
import type { Gateway, Log } from "./http/gateway.ts";
import { routes } from "./http/routes.ts";

/** How often, and after what time again, a port that is in use is asked for: for one second. */
const PORT_ASKS = 11;
const PORT_ASK_MS = 100;
/** Bun's own limit answers without a body, so ours (`SOCKET_MAX_BODY_BYTES`) must always be met first. */
const NO_BODY_LIMIT = Number.MAX_SAFE_INTEGER;

export interface ListenOptions {
  readonly idleTimeoutSeconds: number;
  /** Whether other processes may listen on the same port. */
  readonly sharesPort: boolean;
}

export interface Listener {
  readonly server: Server<unknown>;
  /** Null where connections cannot be made to wait. */
  readonly accepting: Accepting | null;
}

/** Listens. */
export async function openListener(
  gateway: Gateway,
  { idleTimeoutSeconds, sharesPort }: ListenOptions,
): Promise<Listener> {
  const { settings, log } = gateway;
  const app = routes(gateway, new Addresses(settings.publicUrl, settings.trustedProxies));
  const listen = () =>
    app.listen({
      port: settings.port,
      hostname: settings.host,
      idleTimeout: idleTimeoutSeconds,
      maxRequestBodySize: NO_BODY_LIMIT,
      reusePort: sharesPort,
      // Of what no route could answer: Bun's own page for it shows the source.
      development: false,
      error: (error) =>
        failure(error, nextRequestId(), (request) => log("error", "unexpected error", { request, error })),
    });
  return await onPort(settings.port, () => {
    const accepting = acceptingOf(listen);
    return { server: app.server as Server<unknown>, accepting };
  });
}

/**
 * The port that is set, or any free one: one that no other program listens on, nor another gateway, which workers would
 * share it with and not notice. Rejects with one line when it is in use.
 */
export async function freePort({ host, port }: Pick<Settings, "host" | "port">): Promise<number> {
  return await onPort(port, () => {
    const probe = Bun.serve({ hostname: host, port, reusePort: false, fetch: () => new Response() });
    const free = probe.port!; // a server that was stopped has none
    void probe.stop(true);
    return free;
  });
}

/** Waits a moment for the port, since of a process that was killed the socket may outlive the store's lock. */
async function onPort<T>(port: number, listen: () => T): Promise<T> {
  for (let asked = 1; ; asked++) {
    try {
      return listen();
    } catch (error) {
      if ((error as { code?: unknown }).code !== "EADDRINUSE") throw error;
      if (asked === PORT_ASKS) throw new Error(`Port ${port} is in use by another program.`, { cause: error });
      await new Promise((resolve) => setTimeout(resolve, PORT_ASK_MS));
    }
  }
}

/** Null where the system tells no limit, or connections cannot be made to wait. */
export function guardOf(
  descriptors: Descriptors | null,
  { server, accepting }: Listener,
  log: Log,
): DescriptorGuard | null {
  if (descriptors === null) return null;
  if (accepting !== null) return new DescriptorGuard(descriptors, accepting, () => server.closeIdleConnections(), log);
  log("warn", "connections cannot be made to wait at the descriptor limit", { limit: descriptors.limit });
  return null;
}
