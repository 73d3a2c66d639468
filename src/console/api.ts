/** What the page was given. It stands in memory, and in `sessionStorage` only where the user asks for it. */
export type Credential =
  | { readonly kind: "secret"; readonly text: string }
  | { readonly kind: "token"; readonly text: string; readonly channels: readonly string[] }
  /** Public channels, and the doctor. */
  | { readonly kind: "none" };

/** An answer that is an error, in its own words. */
export class Refusal extends Error {
  /** 0 where there was no answer at all. */
  readonly status: number;
  readonly field: string | undefined;

  constructor(status: number, message: string, field?: string) {
    super(message);
    this.status = status;
    this.field = field;
  }

  /** Whether the same may be taken later. */
  get passes(): boolean {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }
}

interface Answer<Data> {
  readonly code: number;
  readonly data: Data;
  readonly message: string;
  readonly Error: null | { readonly detail: string; readonly field?: string };
}

/** Where the gateway is: the page's own address up to `console`, so that it stands below a path of a proxy as well. */
export const BASE = location.href.replace(/[?#].*$/s, "").replace(/\/[^/]*$/, "");

/** The API of the gateway that served the page, as the credential's holder sees it. */
export class Api {
  readonly credential: Credential;
  /** Whom the tokens name that this page asks for: it finds its own streams by it, and can renew them. */
  readonly user = `console-${randomHex(3)}`;

  constructor(credential: Credential) {
    this.credential = credential;
  }

  get hasSecret(): boolean {
    return this.credential.kind === "secret";
  }

  /** Rejects with a Refusal. */
  get<Data>(path: string, parameters: Readonly<Record<string, string>> = {}): Promise<Data> {
    const query = new URLSearchParams(parameters).toString();
    return this.#ask<Data>("GET", query === "" ? path : `${path}?${query}`, {});
  }

  /** `body` is JSON text, so that it can hold data just as it was typed. Rejects with a Refusal. */
  post<Data>(path: string, body: string, headers: Readonly<Record<string, string>> = {}): Promise<Data> {
    return this.#ask<Data>("POST", path, { ...headers, "Content-Type": "application/json" }, body);
  }

  /** A token for channels, by the secret. */
  async subscribe(channels: readonly string[]): Promise<{ token: string; url: string; expires_at: string }> {
    return await this.post("/channel/subscribe", JSON.stringify({ channel: channels, user: this.user }));
  }

  async #ask<Data>(method: string, path: string, headers: Record<string, string>, body?: string): Promise<Data> {
    const { credential } = this;
    if (credential.kind === "secret") headers["Authorization"] = `key=${credential.text}`;
    const sent = new Headers(headers); // what no header can hold is told as that
    const response = await fetch(`${BASE}${path}`, {
      method,
      headers: sent,
      ...(body === undefined ? {} : { body }),
      cache: "no-store",
      credentials: "omit",
    }).catch(() => null);
    if (response === null) throw new Refusal(0, "The gateway does not answer.");
    return await read<Data>(response);
  }
}

/** What an answer holds. Rejects with a Refusal where it is an error, or none of this API. */
export async function read<Data>(response: Response): Promise<Data> {
  const answer = (await response.json().catch(() => null)) as Answer<Data> | null;
  if (answer === null || typeof answer.code !== "number") {
    throw new Refusal(response.status, `Something between answered ${response.status}, which is not the gateway.`);
  }
  if (answer.code === 0) return answer.data;
  const { message, Error: error } = answer;
  throw new Refusal(answer.code, `${message} ${error?.detail ?? ""}`.trim(), error?.field);
}

/** Not `crypto.randomUUID`, which pages that came by plain HTTP from another machine do not have. */
export function randomHex(bytes: number): string {
  return [...crypto.getRandomValues(new Uint8Array(bytes))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * What was typed in: the address of a stream, of which the token counts, since this page reaches its own host only; a
 * token; or else a secret. Throws where an address holds no token.
 */
export function credentialOf(typed: string): Credential {
  const text = typed.trim();
  if (text === "") return { kind: "none" };
  if (/^https?:/i.test(text)) {
    const token = URL.parse(text)?.searchParams.get("token") ?? null;
    if (token === null) throw new Error("This address holds no token.");
    return tokenOf(token) ?? { kind: "token", text: token, channels: [] };
  }
  return tokenOf(text) ?? { kind: "secret", text };
}

/** A JWT with a list of channels; only the gateway can say whether it is a good one. */
function tokenOf(text: string): Credential | null {
  const claims = /^[\w-]+\.([\w-]+)\.[\w-]+$/.exec(text)?.[1];
  if (claims === undefined) return null;
  try {
    const { channels } = JSON.parse(atob(claims.replaceAll("-", "+").replaceAll("_", "/"))) as { channels?: unknown };
    if (!Array.isArray(channels)) return null;
    return { kind: "token", text, channels: channels.filter((name) => typeof name === "string") };
  } catch {
    return null;
  }
}
