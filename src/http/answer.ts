import { ApiError, ERRORS } from "../core/errors.ts";

/** Told of every error that is no ApiError: the caller learns only the request's id, the log everything. */
export type LogError = (requestId: string, error: unknown) => void;

/** What an error's answer carries beside its type. */
export interface FailureOptions {
  /** More headers, such as `Allow` of a 405. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** `{"code":0,"data":…,"message":"Success","Error":null}` with status 200. `more` are further headers. */
export function success(data: unknown, requestId: string, more?: Readonly<Record<string, string>>): Response {
  return successJson(JSON.stringify(data), requestId, more);
}

/** As `success`, of data that is JSON text already. */
export function successJson(data: string, requestId: string, more?: Readonly<Record<string, string>>): Response {
  const sent = more === undefined ? headers(requestId) : { ...headers(requestId), ...more };
  return new Response(`{"code":0,"data":${data},"message":"Success","Error":null}`, { headers: sent });
}

/**
 * The one shape of an error, with the HTTP status as `code`. Only what an ApiError holds is told; of anything else that
 * was thrown the caller gets `internal` and the request's id, and `log` gets the error.
 *
 * A 401 carries `WWW-Authenticate` (RFC 9110 11.6.1), a 429 and a 503 `Retry-After`.
 */
export function failure(error: unknown, requestId: string, log: LogError, options: FailureOptions = {}): Response {
  const known = error instanceof ApiError;
  if (!known) log(requestId, error);
  const type = known ? error.type : "internal";
  const { status, message } = ERRORS[type];
  const detail = known ? error.detail : "The request id finds it in the server's log.";
  const field = known ? error.field : undefined;
  // JSON leaves out a field that is undefined.
  const body = { code: status, data: {}, message, Error: { type, detail, field, request_id: requestId } };
  const sent = headers(requestId);
  if (status === 401) sent["WWW-Authenticate"] = "Bearer";
  if (status === 429 || status === 503) sent["Retry-After"] = retryAfter(error);
  return new Response(JSON.stringify(body), { status, headers: { ...sent, ...options.headers } });
}

/** In whole seconds (RFC 9110 10.2.3), never too early. */
function retryAfter(error: unknown): string {
  const waitMs = error instanceof ApiError ? error.retryAfterMs : 0;
  return String(Math.max(1, Math.ceil(waitMs / 1000)));
}

/** An id that no other request has: 64 random bits. A count would tell each app how much the others ask. */
export function nextRequestId(): string {
  return crypto.getRandomValues(ID).toString("hex");
}

const ID = Buffer.alloc(8);

function headers(requestId: string): Record<string, string> {
  return { "Content-Type": "application/json", "X-Request-Id": requestId, "Cache-Control": "no-store" };
}
