import { CommandError, EXIT, type ExitCode } from "./exit.ts";

/** A gateway's error, or that there was no answer of a gateway. */
export class Refusal extends Error {
  override readonly name = "Refusal";
  /** Null where no answer came. */
  readonly status: number | null;
  /** A word of the API's table of errors; null of what is no gateway's answer. */
  readonly type: string | null;
  readonly field: string | null;
  /** What `Retry-After` says; null where it does not. */
  readonly retryAfterMs: number | null;

  constructor(
    message: string,
    { status = null, type = null, field = null, retryAfterMs = null }: Partial<Omit<Refusal, keyof Error>> = {},
  ) {
    super(message);
    this.status = status;
    this.type = type;
    this.field = field;
    this.retryAfterMs = retryAfterMs;
  }

  /** Whether the same request may be taken later: no answer, a limit, or a gateway that is away for now. */
  get willPass(): boolean {
    const { status } = this;
    return status === null || status === 429 || (status >= 502 && status <= 504);
  }

  /** With the exit code that fits. */
  get asCommandError(): CommandError {
    return new CommandError(codeOf(this), this.message);
  }
}

function codeOf({ status, type }: Refusal): ExitCode {
  if (status === 401 || status === 403) return EXIT.noPermission;
  return type === null || status === null || status === 429 || status >= 500 ? EXIT.unavailable : EXIT.data;
}

/** A gateway whose store stalls may take a while; one that is gone without a word never answers. */
const ANSWER_MS = 30_000;

/** `POST` of JSON with the app's secret. Resolves with `data` of the answer; rejects with Refusal. */
export async function post<Data>(
  url: string,
  secret: string,
  body: string,
  headers: Readonly<Record<string, string>> = {},
  withinMs = ANSWER_MS,
): Promise<Data> {
  const sent = { Authorization: `key=${secret}`, "Content-Type": "application/json", ...headers };
  // Not a redirect: the secret is for this address.
  const signal = AbortSignal.timeout(withinMs);
  const response = await reach(url, { method: "POST", headers: sent, body, redirect: "manual", signal });
  const text = await response.text().catch(() => {
    throw new Refusal(`${url} broke off its answer`);
  });
  const answer = parsed(text);
  if (response.ok && answer?.code === 0) return answer.data as Data;
  throw refusalOf(response, text);
}

/** `fetch` that rejects with Refusal where no answer comes; aborted for another reason than time, with that. */
export async function reach(url: string, init: RequestInit): Promise<Response> {
  try {
    return await fetch(url, init);
  } catch (error) {
    const { name, code, message } = error as { name?: string; code?: string; message?: string };
    if (init.signal?.aborted === true && name !== "TimeoutError") throw error;
    const why = name === "TimeoutError" ? "in time" : `(${code ?? message ?? "unknown reason"})`;
    throw new Refusal(`${new URL(url).origin} does not answer ${why}`);
  }
}

/** What an answer that is no success says; `text` is its body. */
export function refusalOf({ status, headers, url }: Response, text: string): Refusal {
  const retryAfter = headers.get("retry-after") ?? "";
  const retryAfterMs = /^\d{1,9}$/.test(retryAfter) ? Number(retryAfter) * 1000 : null;
  const error = parsed(text)?.Error;
  if (typeof error?.type !== "string") {
    const origin = URL.parse(url)?.origin ?? "the address";
    return new Refusal(`${origin} answers ${status}, and not as a gateway does`, { status, retryAfterMs });
  }
  const field = error.field ?? null;
  const message = `${error.type}: ${error.detail}${field === null ? "" : ` (${field})`}`;
  return new Refusal(message, { status, type: error.type, field, retryAfterMs });
}

interface Answer {
  readonly code?: number;
  readonly data?: unknown;
  readonly Error?: { readonly type?: string; readonly detail?: string; readonly field?: string } | null;
}

function parsed(text: string): Answer | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" ? value : null;
  } catch {
    return null;
  }
}
