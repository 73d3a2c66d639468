import { ApiError } from "../core/errors.ts";
import type { BodyRoom } from "./body-room.ts";

/**
 * The text of a request's body; "" when it has none.
 *
 * `maxBytes` counts bytes as sent; 0 means no limit. Nothing is read of a body whose Content-Length is over it, and
 * never more than one chunk past it of a body without. The server's own limit (`maxRequestBodySize`) must be above
 * `maxBytes`, because the answer it gives is not in the API's shape.
 *
 * What is announced by Content-Length takes room from the beginning, what is not as it comes, until all is read.
 *
 * Rejects with ApiError `payload_too_large`, `unsupported_media_type` (a Content-Encoding other than `identity`),
 * `body_invalid` (not UTF-8), `bad_request` (the body broke off) or `unavailable` (there is no room).
 */
export async function readBody(request: Request, maxBytes: number, room: BodyRoom): Promise<string> {
  const encoding = request.headers.get("content-encoding");
  if (encoding !== null && encoding.toLowerCase() !== "identity") {
    throw new ApiError("unsupported_media_type", "The body must come as it is, without a Content-Encoding.");
  }

  const limit = maxBytes === 0 ? Infinity : maxBytes;
  const length = request.headers.get("content-length");
  if (length !== null && Number(length) > limit) throw tooLarge(limit);
  const bytes = length === null ? await gather(request, limit, room) : await receive(request, Number(length), room);
  // A standard Request made by a program can carry a Content-Length that is not its body's.
  if (bytes.byteLength > limit) throw tooLarge(limit);
  try {
    return UTF_8.decode(bytes);
  } catch {
    throw new ApiError("body_invalid", "The body is not valid UTF-8.");
  }
}

/** A byte order mark is dropped, as RFC 8259 section 8.1 allows. */
const UTF_8 = new TextDecoder("utf-8", { fatal: true });

async function receive(request: Request, length: number, room: BodyRoom): Promise<Uint8Array> {
  room.take(length);
  try {
    return await request.bytes().catch(brokeOff);
  } finally {
    room.give(length);
  }
}

async function gather(request: Request, limit: number, room: BodyRoom): Promise<Uint8Array> {
  if (request.body === null) return new Uint8Array();
  const reader = request.body.getReader();
  const chunks: Uint8Array[] = [];
  let size = 0;
  try {
    while (true) {
      const chunk = await reader.read().catch(brokeOff);
      if (chunk.done) return Buffer.concat(chunks, size);
      if (size + chunk.value.byteLength > limit) throw tooLarge(limit);
      room.take(chunk.value.byteLength);
      size += chunk.value.byteLength;
      chunks.push(chunk.value);
    }
  } catch (error) {
    await reader.cancel().catch(() => undefined); // the refusal is told, whatever becomes of the rest
    throw error;
  } finally {
    room.give(size);
  }
}

function brokeOff(): never {
  throw new ApiError("bad_request", "The body broke off before its end.");
}

function tooLarge(limit: number): ApiError {
  return new ApiError("payload_too_large", `A body takes at most ${limit} bytes.`);
}
