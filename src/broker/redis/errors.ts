import { ApiError } from "../../core/errors.ts";

/** Nothing came of a command, because the server could not be reached or did not answer. */
export class Away extends Error {
  override readonly name = "Away";
  /** The command was sent: it may have run all the same, or may still. */
  readonly sent: boolean;

  constructor(sent: boolean, cause?: unknown) {
    super("the store does not answer", { cause });
    this.sent = sent;
  }
}

/** What cannot pass: the start is refused with it. */
export class Refusal extends Error {
  override readonly name = "Refusal";
}

/** The first word of an error that Redis answered: `READONLY`, `OOM`. Empty for any other error. */
export function codeOf(error: unknown): string {
  const text = error instanceof Error ? error.message : "";
  return /^[A-Z]+(?= )/.exec(text)?.[0] ?? "";
}

/** This server does not serve the app now; another may, or this one later. */
const ELSEWHERE = new Set([
  "MOVED",
  "ASK",
  "TRYAGAIN",
  "CLUSTERDOWN",
  "READONLY",
  "LOADING",
  "MASTERDOWN",
  "UNBLOCKED",
]);

export function isElsewhere(error: unknown): boolean {
  return ELSEWHERE.has(codeOf(error));
}

const NEVER = new Set(["WRONGPASS", "NOAUTH", "NOPERM"]);

export function isForGood(error: unknown): boolean {
  return error instanceof Refusal || NEVER.has(codeOf(error));
}

export function awayError(): ApiError {
  return new ApiError("unavailable", "The store cannot be reached now; nothing was kept.");
}

export function unknownError(): ApiError {
  const detail =
    "The store did not answer, so that it is not known whether this was kept; sent again with the same " +
    "`Idempotency-Key`, it is kept once.";
  return new ApiError("unavailable", detail);
}
