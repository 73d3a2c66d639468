import { ApiError } from "../core/errors.ts";
import { nextRequestId, success } from "./answer.ts";
import type { Gateway } from "./gateway.ts";

/** `GET /healthz`: the process answers. */
export function health(): Response {
  return success({ status: "ok" }, nextRequestId());
}

/** `GET /readyz`: the node takes streams and publishes; 503 while it is being stopped or its store is away. */
export async function readiness({ broker, draining, log }: Gateway): Promise<Response> {
  if (draining) throw new ApiError("unavailable", "This node is being stopped.");
  await broker.check().catch((error: unknown) => {
    log("warn", "the store does not answer", { error });
    throw new ApiError("unavailable", "The store does not take messages right now.");
  });
  return success({ status: "ready" }, nextRequestId());
}
