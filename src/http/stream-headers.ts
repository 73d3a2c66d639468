import type { App } from "../auth/app.ts";
import { corsHeaders } from "./cors.ts";
import type { Gateway } from "./gateway.ts";
import { requestIdOf } from "./request-id.ts";

/** Jittered up to twice, so that those cut off together do not come back together. */
export function retryOf({ clock, settings }: Gateway, leastMs = 0): number {
  return Math.max(settings.retryMs, leastMs) * (1 + clock.random());
}

/** `no-transform` and `X-Accel-Buffering` keep proxies from compressing and from buffering what must flow. */
export function streamHeaders(gateway: Gateway, request: Request, app: App | null): Record<string, string> {
  return {
    "Content-Type": "text/event-stream",
    "Cache-Control": "no-store, no-transform",
    "X-Accel-Buffering": "no",
    "X-Request-Id": requestIdOf(request),
    ...corsHeaders(gateway, request, app),
  };
}
