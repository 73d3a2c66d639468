import { ApiError } from "../core/errors.ts";
import { failure } from "./answer.ts";
import { corsHeaders, isForPages } from "./cors.ts";
import type { Gateway } from "./gateway.ts";
import { pathOf } from "./path.ts";
import { requestIdOf } from "./request-id.ts";

/** The answer to whatever was thrown on the way: the only place where errors become answers. */
export function answerError(gateway: Gateway, request: Request, path: string, error: unknown): Response {
  const headers: Record<string, string> = isForPages(path) ? corsHeaders(gateway, request, null) : {};
  if (error instanceof MethodNotAllowed) headers["Allow"] = error.allow;
  countError(gateway, request, error);
  const log = (requestId: string, unexpected: unknown) =>
    gateway.log("error", "unexpected error", { request: requestId, path, error: unexpected });
  return failure(error, requestIdOf(request), log, { headers });
}

/** What is told of a path, which may hold 16 KB of anything. */
const MAX_PATH = 200;

/** Counts a refusal. It is a line of its own only for who looks closely: whoever asks makes as many as they like. */
export function countError({ log, meter, settings }: Gateway, request: Request, error: unknown): void {
  const type = error instanceof ApiError ? error.type : "internal";
  meter.errors[type] += 1;
  if (settings.logLevel !== "debug") return;
  const { method } = request;
  log("debug", "refused", { request: requestIdOf(request), method, path: pathOf(request).slice(0, MAX_PATH), type });
}

/** A known address with a method that it does not take (RFC 9110 15.5.6: `Allow` must be sent). */
export class MethodNotAllowed extends ApiError {
  readonly allow: string;

  constructor(allow: string) {
    super("method_not_allowed", `This address takes ${allow}.`);
    this.allow = allow;
  }
}
