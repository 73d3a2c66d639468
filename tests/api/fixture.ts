import { expect } from "bun:test";
import { connect } from "node:net";
import { loadConfig } from "../../src/config.ts";
import { ERRORS, type ErrorType } from "../../src/core/errors.ts";
import type { Clock, Log } from "../../src/http/gateway.ts";
import { type RunningServer, startServer } from "../../src/server.ts";
import { conforms } from "../openapi/document.ts";

export const SECRET = "secret-of-the-default-app-in-these-tests";

export interface Options {
  /** Variables beside those that place the server: `{ SOCKET_RETRY: "100ms" }`. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Apps as the settings file has them, in place of the app `default` with SECRET; a reload reads them again. */
  readonly apps?: readonly Readonly<Record<string, unknown>>[];
  readonly clock?: Clock;
  readonly idleTimeoutSeconds?: number;
  /** Told what the server logs, beside the check that no line of it is an error. */
  readonly log?: Log;
}

/** The real server in this process on a free port, with messages in memory. Ends with `await using`. */
export async function serve({ settings = {}, apps, log, ...options }: Options = {}): Promise<Server> {
  const env = apps === undefined ? { APP_SECRET: SECRET } : { SOCKET_CONFIG: "apps.json" };
  const load = () =>
    loadConfig({
      argv: ["--host", "127.0.0.1"],
      env: { ...env, PORT: "0", SOCKET_BROKER: "memory:", SOCKET_DRAIN: "0", SOCKET_ADMIN_PORT: "off", ...settings },
      readFile: () => JSON.stringify({ apps }),
    });
  const unexpected: unknown[] = [];
  const running = await startServer(
    load(),
    (level, message, fields) => {
      if (level === "error") unexpected.push(fields);
      log?.(level, message, fields);
    },
    { load, ...options },
  );
  return new Server(running, unexpected);
}

export class Server implements AsyncDisposable {
  readonly url: string;
  readonly port: number;
  /** What the server logged as an error. */
  readonly unexpected: readonly unknown[];
  readonly #running: RunningServer;

  constructor(running: RunningServer, unexpected: readonly unknown[]) {
    this.#running = running;
    this.url = running.url;
    this.port = running.port;
    this.unexpected = unexpected;
  }

  /** Where its metrics are; null while they are nowhere. */
  get adminUrl(): string | null {
    return this.#running.adminUrl;
  }

  stop(): Promise<void> {
    return this.#running.stop();
  }

  reload(): Promise<void> {
    return this.#running.reload();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    expect(this.unexpected).toEqual([]);
  }
}

/** What a test needs of a server, which may be a process of its own. */
export interface Place {
  readonly url: string;
  readonly port: number;
}

/** A clock that stands until it is turned. */
export class HandClock implements Clock {
  /** 2030-01-01T00:00:00Z. */
  ms = Date.UTC(2030, 0, 1);
  readonly now = (): number => this.ms;
  readonly elapsed = (): number => this.ms;
  readonly random = (): number => 0.5;
}

export interface Call {
  /** Null sends no Authorization header. */
  readonly secret?: string | null;
  readonly json?: unknown;
  readonly form?: Readonly<Record<string, string>> | string;
  readonly body?: NonNullable<RequestInit["body"]>;
  readonly headers?: Readonly<Record<string, string>>;
}

/** One answer, checked to be in the API's one shape, and to be one that the OpenAPI document knows. */
export interface Result<Data> {
  readonly status: number;
  readonly headers: Headers;
  readonly data: Data;
  readonly error: { readonly type: ErrorType; readonly detail: string; readonly field?: string } | null;
}

/** A request of a backend: with the secret in its header, and any one kind of body. */
export function request(place: Place, method: string, path: string, call: Call = {}): Promise<Response> {
  const { secret = SECRET, json, form, body } = call;
  const headers: Record<string, string> = secret === null ? {} : { Authorization: `key=${secret}` };
  if (json !== undefined) headers["Content-Type"] = "application/json";
  if (form !== undefined) headers["Content-Type"] = "application/x-www-form-urlencoded";
  const text = typeof form === "object" ? new URLSearchParams(form).toString() : form;
  return fetch(`${place.url}${path}`, {
    method,
    headers: { ...headers, ...call.headers },
    body: json === undefined ? (text ?? body ?? null) : JSON.stringify(json),
  });
}

export async function call<Data = unknown>(
  place: Place,
  method: string,
  path: string,
  options?: Call,
): Promise<Result<Data>> {
  const response = await request(place, method, path, options);
  const { status, headers } = response;
  const body = response.clone();
  const result = await read<Data>(response);
  conforms(method, path.replace(/\?.*/s, ""), { status, headers, body: await body.json() });
  return result;
}

export function post<Data = unknown>(place: Place, path: string, options?: Call): Promise<Result<Data>> {
  return call<Data>(place, "POST", path, options);
}

/** Checks that an answer is in the one shape, whatever it says. */
export async function read<Data>(response: Response): Promise<Result<Data>> {
  const { status, headers } = response;
  expect(headers.get("Content-Type")).toBe("application/json");
  expect(headers.get("Cache-Control")).toBe("no-store");
  const requestId = headers.get("X-Request-Id");
  expect(requestId).toMatch(/^[\w.-]{8,64}$/);
  const body = (await response.json()) as { code: number; data: Data; message: string; Error: Result<Data>["error"] };
  if (status === 200) {
    expect(body).toEqual({ code: 0, data: body.data, message: "Success", Error: null });
    return { status, headers, data: body.data, error: null };
  }
  const { type, detail, field } = body.Error!;
  expect(detail.length).toBeGreaterThan(0);
  const error = { type, detail, ...(field === undefined ? {} : { field }) };
  expect(body as unknown).toEqual({
    code: status,
    data: {},
    message: ERRORS[type].message,
    Error: { ...error, request_id: requestId },
  });
  expect(status).toBe(ERRORS[type].status);
  return { status, headers, data: body.data, error };
}

export interface Sent {
  readonly id: string;
  readonly channel: string;
  readonly subscribers: number;
}

/** Publishes one message and gives its place. */
export async function publish(place: Place, channel: string, data: unknown, event?: string): Promise<Sent> {
  const { status, data: sent } = await post<Sent>(place, "/chat/send", { json: { channel, data, event } });
  expect(status).toBe(200);
  return sent;
}

export interface Kept {
  readonly channel: string;
  readonly event: string;
  readonly data: unknown;
  readonly id: string;
  readonly time: string;
}

export interface History {
  readonly channel: string;
  readonly messages: readonly Kept[];
  readonly through: string;
  readonly gap: null | Readonly<Record<string, unknown>>;
}

export async function history(place: Place, channel: string, query = ""): Promise<History> {
  const path = `/channel/${encodeURIComponent(channel)}/history${query}`;
  const { status, data } = await call<History>(place, "GET", path);
  expect(status).toBe(200);
  return data;
}

/** Streams that a message on the channel would reach. */
export async function subscribers(place: Place, channel: string, secret = SECRET): Promise<number> {
  const path = `/channel/${encodeURIComponent(channel)}`;
  return (await call<{ subscribers: number }>(place, "GET", path, { secret })).data.subscribers;
}

/**
 * Sends bytes as they are on a connection of its own, and gives all that comes back until `ends` matches it or the
 * connection is closed.
 */
export function raw(place: Place, bytes: string | Uint8Array, ends: RegExp): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = "";
    const connection = connect(place.port, "127.0.0.1", () => connection.write(bytes));
    connection.setEncoding("latin1");
    connection.on("data", (chunk: string) => {
      text += chunk;
      if (ends.test(text)) connection.destroy();
    });
    connection.on("close", () => resolve(text));
    connection.on("error", reject);
  });
}

/** A whole answer of the API, as `raw` gives it. */
export const WHOLE = /\r\n\r\n\{.*"Error":(null|\{.*\})\}$/s;
