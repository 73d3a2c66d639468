import type { Broker } from "../broker/broker.ts";
import { ApiError } from "../core/errors.ts";
import { success } from "./answer.ts";
import type { Gateway } from "./gateway.ts";
import { requestIdOf } from "./request-id.ts";

/** `GET /healthz`: the process answers. */
export function health(request: Request): Response {
  return success({ status: "ok" }, requestIdOf(request));
}

/** `GET /readyz`: the node takes streams and publishes; 503 while it is being stopped or its store is away. */
export async function readiness({ checkStore, draining, log }: Gateway, request: Request): Promise<Response> {
  if (draining) throw new ApiError("unavailable", "This node is being stopped.");
  await checkStore().catch((error: unknown) => {
    log("debug", "the store does not answer", { request: requestIdOf(request), error }); // what it suffers from it has told itself, once
    throw new ApiError("unavailable", "The store does not take messages right now.");
  });
  return success({ status: "ready" }, requestIdOf(request));
}

/** How long the store's answer counts. */
const CHECK_MS = 1000;

/** Asks the store at most once a second, however many ask: the address is open to all, and a check writes. */
export function storeCheck(broker: Pick<Broker, "check">, elapsed: () => number): () => Promise<void> {
  let answer: Promise<void> | null = null;
  let askedAtMs = 0;
  return () => {
    if (answer === null || elapsed() - askedAtMs >= CHECK_MS) {
      askedAtMs = elapsed();
      answer = broker.check();
    }
    return answer;
  };
}
