import type { Server } from "bun";
import { ApiError } from "./core/errors.ts";
import { failure } from "./http/answer.ts";
import { MethodNotAllowed } from "./http/errors.ts";
import { health } from "./http/health.ts";
import { pathOf } from "./http/path.ts";
import { requestIdOf } from "./http/request-id.ts";
import { CONTENT_TYPE, exposition } from "./metrics/exposition.ts";
import { METRICS, type Source } from "./metrics/table.ts";

/** How often an address that was taken is asked for again: the process that has it may be the one before this. */
const ASK_AGAIN_MS = 2000;
/** Longer than the minute that is the longest usual time between two scrapes. */
const IDLE_TIMEOUT_S = 75;

/**
 * The listener for whoever operates the node: `/metrics` and `/healthz`. It has an address of its own, so that no
 * listener and no publisher ever reaches it. When that cannot be had, one warning says so and the node serves without;
 * it is asked for again until it is there.
 */
export class AdminListener {
  readonly #source: Source;
  #server: Server<unknown> | null = null;
  #again: Timer | null = null;
  #warned = false;

  /** Listens at once where it can; never throws. */
  constructor(source: Source) {
    this.#source = source;
    this.#listen();
  }

  /** Null while it does not listen. */
  get url(): string | null {
    return this.#server?.url.origin ?? null;
  }

  async stop(): Promise<void> {
    if (this.#again !== null) clearTimeout(this.#again);
    await this.#server?.stop(true);
    this.#server = null;
  }

  #listen(): void {
    const { log, settings, unexpected } = this.#source.gateway;
    const { adminHost: host, adminPort: port } = settings;
    if (port === "off") return;
    try {
      this.#server = Bun.serve({
        hostname: host,
        port,
        idleTimeout: IDLE_TIMEOUT_S,
        reusePort: false,
        development: false,
        fetch: (request) => this.#answer(request),
      });
      if (this.#warned) log("info", "metrics are served", { url: this.url });
    } catch (error) {
      if (!this.#warned) log("warn", "metrics are not served: their address cannot be had", { host, port, error });
      this.#warned = true;
      this.#again = setTimeout(
        unexpected.guard(() => this.#listen()),
        ASK_AGAIN_MS,
      );
    }
  }

  #answer(request: Request): Response {
    const { log } = this.#source.gateway;
    const id = requestIdOf(request);
    try {
      const path = pathOf(request);
      if (path !== "/metrics" && path !== "/healthz") {
        throw new ApiError("not_found", "This listener has `/metrics` and `/healthz`.");
      }
      if (request.method !== "GET" && request.method !== "HEAD") throw new MethodNotAllowed("GET, HEAD");
      if (path === "/healthz") return health(request);
      const headers = { "Content-Type": CONTENT_TYPE, "Cache-Control": "no-store", "X-Request-Id": id };
      return new Response(exposition(METRICS, this.#source), { headers });
    } catch (error) {
      const headers: Record<string, string> = error instanceof MethodNotAllowed ? { Allow: error.allow } : {};
      return failure(
        error,
        id,
        (request, unexpected) => log("error", "unexpected error", { request, error: unexpected }),
        {
          headers,
        },
      );
    }
  }
}
