/**
 * Every error of the API: a stable type, its HTTP status and its sentence. The only place where they are made; answers,
 * logs and documents read from this table.
 */
export const ERRORS = {
  bad_request: { status: 400, message: "The request is not well formed." },
  parameter_invalid: { status: 400, message: "A parameter is missing or wrong." },
  parameter_repeated: { status: 400, message: "A parameter is given more than once." },
  channel_invalid: { status: 400, message: "The channel is missing or its name is not valid." },
  event_invalid: { status: 400, message: "The event name is not valid." },
  data_invalid: { status: 400, message: "The data is not valid." },
  batch_invalid: { status: 400, message: "The batch of messages is missing or not valid." },
  body_invalid: { status: 400, message: "The request body is not valid." },
  unauthorized: { status: 401, message: "The credential is missing or not valid." },
  forbidden: { status: 403, message: "The credential does not allow this." },
  not_found: { status: 404, message: "There is no such address." },
  stream_not_found: { status: 404, message: "There is no such stream." },
  method_not_allowed: { status: 405, message: "The address does not take this method." },
  idempotency_conflict: { status: 409, message: "The idempotency key was used with other content." },
  payload_too_large: { status: 413, message: "The request is larger than allowed." },
  unsupported_media_type: { status: 415, message: "The content type of the body is not supported." },
  limit_exceeded: { status: 429, message: "A limit is reached." },
  internal: { status: 500, message: "An unexpected error happened." },
  unavailable: { status: 503, message: "The service cannot take this right now." },
} as const satisfies Record<string, { status: number; message: string }>;

export type ErrorType = keyof typeof ERRORS;

/** A refusal that the caller is told about. Everything else that is thrown is `internal` and told to the log only. */
export class ApiError extends Error {
  override readonly name = "ApiError";
  readonly type: ErrorType;
  /** Helps the caller: which parameter, and what it takes. Holds no secret and no inner state. */
  readonly detail: string;
  /** The parameter at fault, as the caller wrote it: `channel`, `body[3].event`. */
  readonly field: string | undefined;
  /** How long to wait before asking again, where that is known: of a type with status 429 or 503. Else 0. */
  readonly retryAfterMs: number;

  constructor(type: ErrorType, detail: string, field?: string, retryAfterMs = 0) {
    super(`${type}: ${detail}`);
    this.type = type;
    this.detail = detail;
    this.field = field;
    this.retryAfterMs = retryAfterMs;
  }

  get status(): number {
    return ERRORS[this.type].status;
  }
}
