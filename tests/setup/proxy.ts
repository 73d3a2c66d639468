import type { Gateway } from "./gateway.ts";

/** A proxy in front of a gateway, of the kind that answers 502 when it is told to. */
export interface Proxy extends AsyncDisposable {
  readonly url: string;
  /** From now on every request is answered 502, and every stream that is open breaks off. */
  fail(): void;
  /** From now on requests reach the gateway again. */
  recover(): void;
  /** Resolves at the next request that is answered 502. */
  failed(): Promise<void>;
}

/** Passes the `Host` on, so that the addresses that the gateway gives lead through the proxy. */
export function startProxy(gateway: Gateway): Proxy {
  let failing = false;
  let refused = Promise.withResolvers<void>();
  const open = new Set<() => void>();

  async function pass(request: Request): Promise<Response> {
    if (failing) {
      refused.resolve();
      refused = Promise.withResolvers<void>();
      return new Response("Bad Gateway", { status: 502 });
    }
    const { pathname, search } = new URL(request.url);
    const { method, headers, body, signal } = request;
    const answer = await fetch(`${gateway.url}${pathname}${search}`, { method, headers, body, signal });
    return new Response(answer.body && breakable(answer.body), answer);
  }

  function breakable(body: ReadableStream<Uint8Array>): ReadableStream<Uint8Array> {
    const reader = body.getReader();
    const end = () => void reader.cancel().catch(() => undefined);
    open.add(end);
    return new ReadableStream({
      pull: async (controller) => {
        const { done, value } = await reader.read().catch(() => ({ done: true, value: undefined }));
        if (value !== undefined) controller.enqueue(value);
        if (!done) return;
        open.delete(end);
        controller.close();
      },
      cancel: end,
    });
  }

  const server = Bun.serve({ hostname: "127.0.0.1", port: 0, idleTimeout: 0, fetch: pass });
  return {
    url: `http://127.0.0.1:${server.port}`,
    fail: () => {
      failing = true;
      for (const end of open) end();
    },
    recover: () => void (failing = false),
    failed: () => refused.promise,
    [Symbol.asyncDispose]: () => server.stop(true),
  };
}
