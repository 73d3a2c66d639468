/** A proxy that does to streams what proxies do to them. */
export interface HoldingOptions {
  /** Where requests go. */
  readonly to: string;
  /** Collects what comes of a stream and passes it on so often only. */
  readonly holdMs?: number;
  /** Breaks a stream off after so long. */
  readonly cutMs?: number;
}

export interface HoldingProxy extends AsyncDisposable {
  readonly url: string;
}

/** Passes the `Host` on, and everything but streams as it is. */
export function startHoldingProxy({ to, holdMs, cutMs }: HoldingOptions): HoldingProxy {
  async function pass(request: Request): Promise<Response> {
    const { pathname, search } = new URL(request.url);
    const { method, headers, body, signal } = request;
    const answer = await fetch(`${to}${pathname}${search}`, { method, headers, body, signal, redirect: "manual" });
    const isStream = answer.headers.get("Content-Type") === "text/event-stream";
    return new Response(isStream && answer.body !== null ? hold(answer.body) : answer.body, answer);
  }

  function hold(body: ReadableStream<Uint8Array>): ReadableStream<Uint8Array> {
    const reader = body.getReader();
    const timers: ReturnType<typeof setInterval>[] = [];
    const end = () => {
      for (const timer of timers) clearInterval(timer);
      void reader.cancel().catch(() => undefined);
    };
    return new ReadableStream({
      start(controller) {
        let held: Uint8Array[] = [];
        const flush = () => {
          for (const bytes of held) controller.enqueue(bytes);
          held = [];
        };
        async function read(): Promise<void> {
          for (;;) {
            const { done, value } = await reader.read();
            if (done) break;
            held.push(value);
            if (holdMs === undefined) flush();
          }
          flush();
          end();
          controller.close();
        }
        if (holdMs !== undefined) timers.push(setInterval(flush, holdMs));
        if (cutMs !== undefined) timers.push(setTimeout(end, cutMs));
        read().catch(end);
      },
      cancel: end,
    });
  }

  const server = Bun.serve({ hostname: "127.0.0.1", port: 0, idleTimeout: 0, fetch: pass });
  return { url: `http://127.0.0.1:${server.port}`, [Symbol.asyncDispose]: () => server.stop(true) };
}
