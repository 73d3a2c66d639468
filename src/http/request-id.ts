import { nextRequestId } from "./answer.ts";

/** What is kept of it with the request. */
const ID = Symbol("request id");
type Known = Request & { [ID]?: string };

/**
 * Of ids that callers chose only these are taken: whatever else it may be, an id of this form breaks no line of a log and
 * no header, and is too short for a token.
 */
const GIVEN = /^[\w.-]{8,64}$/;

/**
 * The id of a request, the same whenever it is asked for: in the answer's `X-Request-Id`, in an error, and in every line
 * of the log that belongs to the request. It is the caller's own `X-Request-Id` where that has the form.
 */
export function requestIdOf(request: Known): string {
  return (request[ID] ??= givenId(request) ?? nextRequestId());
}

/**
 * The id of the stream that a request opens: the request's, unless its caller chose that. Two streams must not have one
 * id, and nobody may choose an id that another stream is renewed or revoked by.
 */
export function streamIdOf(request: Request): string {
  return givenId(request) === null ? requestIdOf(request) : nextRequestId();
}

function givenId(request: Request): string | null {
  const given = request.headers.get("x-request-id");
  return given !== null && GIVEN.test(given) ? given : null;
}
