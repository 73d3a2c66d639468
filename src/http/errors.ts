import { ApiError } from "../core/errors.ts";
import { failure, nextRequestId } from "./answer.ts";
import { corsHeaders, isForPages } from "./cors.ts";
import type { Gateway } from "./gateway.ts";

/** The answer to whatever was thrown on the way: the only place where errors become answers. */
export function answerError(gateway: Gateway, request: Request, path: string, error: unknown): Response {
  const headers: Record<string, string> = isForPages(path) ? corsHeaders(gateway, request, null) : {};
  if (error instanceof MethodNotAllowed) headers["Allow"] = error.allow;
  gateway.meter.errors[error instanceof ApiError ? error.type : "internal"] += 1;
  const log = (requestId: string, unexpected: unknown) =>
    gateway.log("error", "unexpected error", { request: requestId, path, error: unexpected });
  return failure(error, nextRequestId(), log, { headers });
}

/** A known address with a method that it does not take (RFC 9110 15.5.6: `Allow` must be sent). */
export class MethodNotAllowed extends ApiError {
  readonly allow: string;

  constructor(allow: string) {
    super("method_not_allowed", `This address takes ${allow}.`);
    this.allow = allow;
  }
}
