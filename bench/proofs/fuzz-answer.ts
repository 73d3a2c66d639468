import { ERRORS, type ErrorType } from "../../src/core/errors.ts";

/** An answer that is as complete as it gets. */
export interface Answer {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  /** In latin1; of a stream what has come of it. */
  readonly body: string;
  readonly isStream: boolean;
  /** Bun's own: a head that says no more than its status. */
  readonly isBare: boolean;
}

const NAME = /^[!#$%&'*+.^`|~\w-]+$/;
/** What Bun answers by itself: to what is no HTTP, to a head that is too long, and to another version. */
const BARE: ReadonlySet<number> = new Set([400, 431, 505]);

/**
 * Reads an answer, after which nothing may come where it is `alone`; null while it is not whole. Throws on what is no
 * HTTP/1.1 (RFC 9112).
 */
export function readAnswer(text: string, method: string, alone: boolean): Answer | null {
  const end = text.indexOf("\r\n\r\n");
  if (end < 0) {
    if (!"HTTP/1.1 ".startsWith(text.slice(0, 9))) throw new Error(`no HTTP: ${text.slice(0, 40)}`);
    return null;
  }
  const [first = "", ...lines] = text.slice(0, end).split("\r\n");
  const status = Number(/^HTTP\/1\.1 (\d{3}) [ -~]*$/.exec(first)?.[1] ?? bad(`a status line: ${first}`));
  const rest = text.slice(end + 4);
  if (status < 200) return readAnswer(rest, method, alone);
  const headers = headersOf(lines);
  const isStream = headers.get("content-type") === "text/event-stream";
  const isBare = BARE.has(status) && !headers.has("content-type");
  const answer = { status, headers, isStream, isBare };
  if (method === "HEAD" || status === 204 || status === 304) return { ...answer, body: alone ? rest : "" };
  if (isBare) return { ...answer, body: alone ? rest : "" };
  const chunked = headers.get("transfer-encoding") === "chunked";
  if (isStream) return rest.includes("\n\n") ? { ...answer, body: chunked ? chunksOf(rest).body : rest } : null;
  if (chunked) {
    const { body, isWhole } = chunksOf(rest);
    return isWhole ? { ...answer, body } : null;
  }
  const length = Number(headers.get("content-length") ?? bad(`an end of the body of a ${status}`));
  if (rest.length > length && alone) bad("one answer, but more");
  return rest.length < length ? null : { ...answer, body: rest.slice(0, length) };
}

function headersOf(lines: readonly string[]): Map<string, string> {
  const headers = new Map<string, string>();
  for (const line of lines) {
    const colon = line.indexOf(":");
    const name = line.slice(0, colon);
    const value = line.slice(colon + 1).trim();
    // oxlint-disable-next-line no-control-regex -- which must not be there
    if (!NAME.test(name) || /[\u0000-\u001f\u007f]/.test(value)) bad(`a header: ${JSON.stringify(line)}`);
    if (headers.has(name.toLowerCase())) bad(`a header once: ${name}`);
    headers.set(name.toLowerCase(), value);
  }
  return headers;
}

function chunksOf(text: string): { body: string; isWhole: boolean } {
  let body = "";
  for (let at = 0; ;) {
    const end = text.indexOf("\r\n", at);
    if (end < 0) return { body, isWhole: false };
    const size = text.slice(at, end);
    if (!/^[0-9a-f]+$/i.test(size)) bad(`the size of a chunk: ${size.slice(0, 40)}`);
    const length = parseInt(size, 16);
    const next = end + 2 + length + 2;
    body += text.slice(end + 2, end + 2 + length);
    if (text.length < next) return { body, isWhole: false };
    if (!text.startsWith("\r\n", next - 2)) bad("the end of a chunk");
    if (length === 0) return { body, isWhole: true };
    at = next;
  }
}

/** What is wrong with an answer of this API; null for nothing. */
export function faultOf(answer: Answer, method: string): string | null {
  const { status, headers, body, isStream, isBare } = answer;
  if (isBare) return body === "" ? null : `a bare ${status} with a body`;
  if (status >= 500) return `a ${status}: ${body.slice(0, 300)}`;
  const id = headers.get("x-request-id");
  if (id === undefined) return "no X-Request-Id";
  if (method === "HEAD" || status === 204) return body === "" ? null : "a body where none may be";
  if (isStream)
    return status === 200 && /^(?::\n\n)*(?:retry: \d+\n|$)/.test(body)
      ? null
      : `a stream that begins ${body.slice(0, 80)}`;
  if (status === 302) return headers.get("location") === "console" && body === "" ? null : "a way to elsewhere";
  const type = headers.get("content-type");
  if (type === "text/html; charset=utf-8") return status === 200 ? null : `a page with ${status}`;
  if (type !== "application/json") return `content of the type ${type}`;
  return faultOfJson(JSON.parse(Buffer.from(body, "latin1").toString()) as Shape, status, id);
}

interface Shape {
  readonly code: number;
  readonly data: unknown;
  readonly message: string;
  readonly Error: null | { readonly type: ErrorType; readonly detail: string; readonly request_id: string };
}

function faultOfJson({ code, data, message, Error: error }: Shape, status: number, id: string): string | null {
  if (status === 200) return code === 0 && message === "Success" && error === null ? null : "another shape of success";
  const known = error === null ? undefined : ERRORS[error.type];
  const right =
    known?.status === status && code === status && known.message === message && JSON.stringify(data) === "{}";
  return right && error!.request_id === id && error!.detail !== "" ? null : `another shape of a ${status}`;
}

function bad(what: string): never {
  throw new Error(`not ${what}`);
}
