import type { Server } from "bun";
import { type Accepting, acceptingOf } from "./accepting.ts";
import type { Certificate } from "./certificate.ts";
import type { Settings } from "./config.ts";
import { Addresses } from "./http/address.ts";
import { failure, nextRequestId } from "./http/answer.ts";
import type { Gateway } from "./http/gateway.ts";
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
  /** Null serves HTTP. */
  readonly certificate: Certificate | null;
}

/** One server of the runtime, which has one certificate for its life. */
interface Serving {
  readonly server: Server<unknown>;
  /** Null where the system does not give it. */
  readonly socket: Accepting | null;
  /** Its answers close their connections, so that the end of it breaks none. */
  leaving: boolean;
}

/** What listens on the node's port, with one certificate after another. */
export class Listener {
  readonly #gateway: Gateway;
  readonly #options: ListenOptions;
  #now: Serving;
  /** Those with earlier certificates, which still have streams. */
  readonly #before = new Set<Serving>();
  readonly #timers = new Set<NodeJS.Timeout>();

  /** Resolves once it listens. */
  static async open(gateway: Gateway, options: ListenOptions): Promise<Listener> {
    const { port } = gateway.settings;
    return new Listener(gateway, options, await onPort(port, () => serve(gateway, port, options)));
  }

  private constructor(gateway: Gateway, options: ListenOptions, serving: Serving) {
    this.#gateway = gateway;
    this.#options = options;
    this.#now = serving;
    const { port, url } = serving.server;
    this.port = port!;
    this.url = url.origin;
  }

  readonly port: number;
  /** `http://127.0.0.1:3000`. */
  readonly url: string;

  /** Whether new connections can be made to wait, as `pause` does. */
  get canPause(): boolean {
    return this.#now.socket !== null;
  }

  /** New connections wait in the kernel's queue; those that are open go on. False when that cannot be. */
  pause(): boolean {
    return this.#now.socket?.pause() ?? false;
  }

  resume(): boolean {
    return this.#now.socket?.resume() ?? false;
  }

  endIdle(): void {
    for (const { server } of this.#all()) server.closeIdleConnections();
  }

  /**
   * New connections have this certificate from now on, and what is open goes on with the one that it has. False when that
   * takes a restart. Throws what the runtime does with a certificate that it does not take.
   *
   * The runtime gives a server one certificate. So another server is started, on a port that nobody knows, and given the
   * socket of the one before.
   */
  renew(certificate: Certificate): boolean {
    const before = this.#now;
    if (before.socket === null) return false;
    const next = serve(this.#gateway, 0, { ...this.#options, sharesPort: false, certificate });
    if (next.socket?.adopt(before.socket) !== true) {
      void next.server.stop(true);
      return false;
    }
    this.#now = next;
    this.#leave(before);
    return true;
  }

  /** Answers what is under way, and resolves when it is done. `force` breaks it off. */
  async stop(force: boolean): Promise<void> {
    for (const timer of this.#timers) clearTimeout(timer);
    await Promise.all(this.#all().map(({ server }) => server.stop(force)));
  }

  #all(): readonly Serving[] {
    return [this.#now, ...this.#before];
  }

  /** Ends what is idle when its time is over in any case, tells HTTP/2 to come anew, and waits for the last stream. */
  #leave(serving: Serving): void {
    serving.leaving = true;
    this.#before.add(serving);
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      void serving.server.stop().then(() => this.#before.delete(serving));
    }, this.#options.idleTimeoutSeconds * 1000);
    this.#timers.add(timer);
  }
}

function serve(
  gateway: Gateway,
  port: number,
  { idleTimeoutSeconds, sharesPort, certificate }: ListenOptions,
): Serving {
  const { settings, log } = gateway;
  const state = { leaving: false };
  const isLeaving = () => gateway.draining || state.leaving;
  const app = routes(gateway, new Addresses(settings.publicUrl, settings.trustedProxies), isLeaving);
  const listen = () =>
    app.listen({
      port,
      hostname: settings.host,
      idleTimeout: idleTimeoutSeconds,
      maxRequestBodySize: NO_BODY_LIMIT,
      reusePort: sharesPort,
      // Without TLS no browser speaks it.
      ...(certificate && { tls: { cert: certificate.cert, key: certificate.key }, http2: true }),
      // Of what no route could answer: Bun's own page for it shows the source.
      development: false,
      error: (error) =>
        failure(error, nextRequestId(), (request) => log("error", "unexpected error", { request, error })),
    });
  const socket = acceptingOf(listen);
  return Object.assign(state, { server: app.server as Server<unknown>, socket });
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
