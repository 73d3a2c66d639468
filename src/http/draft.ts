import { ApiError } from "../core/errors.ts";
import { elementsOf, JsonError, parseJson, type Span } from "../core/json.ts";
import type { Draft } from "../core/message.ts";
import { type Fields, JsonFields, textOf } from "./fields.ts";
import { channelOf, type Parameters, tooManyMessages } from "./parameters.ts";

/** Every limit: 0 means none. */
export interface DraftLimits {
  /** Of one message, in bytes of UTF-8. */
  readonly maxDataBytes: number;
  /** Messages in a batch. */
  readonly maxBatch: number;
  readonly maxJsonDepth: number;
}

/**
 * A draft from `channel`, `event` and `data`.
 *
 * `event` absent, null or `message` is the default, which needs no name. `data` absent is the empty text; of JSON a
 * string is taken as it is and any other value, null too, as the JSON text that was given; of a query or form it is
 * text. Throws ApiError `channel_invalid`, `event_invalid`, `data_invalid`, `payload_too_large` or
 * `parameter_repeated`, each with the field.
 */
export function draftFrom(fields: Fields, limits: DraftLimits): Draft {
  const channel = channelOf(textOf(fields.given("channel"), "channel_invalid"), fields.field("channel"));
  const event = eventOf(fields);
  const given = fields.given("data");
  const json = given === undefined || typeof given.value === "string" ? null : given.json;
  const data = json === null ? (textOf(given, "data_invalid") ?? "") : json();
  if (limits.maxDataBytes !== 0 && isLonger(data, limits.maxDataBytes)) {
    const detail = `The data of a message takes at most ${limits.maxDataBytes} bytes.`;
    throw new ApiError("payload_too_large", detail, fields.field("data"));
  }
  return { channel, event, data, json: json !== null };
}

/**
 * The drafts of a batch, in order: the array that is the JSON body itself, or `body` in a JSON object, or as JSON text
 * in `body` of the query or form. An empty array gives no drafts.
 *
 * Throws ApiError `batch_invalid` (field `body`, or `body[3]` for an element that is no object) when it is absent, no
 * array or too long, and for a bad message as `draftFrom` does, with a field such as `body[3].event`.
 */
export function batchFrom(parameters: Parameters, limits: DraftLimits): Draft[] {
  const { text, values, elements } = arrayOf(parameters, limits);
  if (limits.maxBatch !== 0 && elements.length > limits.maxBatch) {
    throw tooManyMessages(limits.maxBatch);
  }
  return elements.map((element, i) => {
    const value = values[i];
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      throw new ApiError("batch_invalid", `\`body[${i}]\` takes an object.`, `body[${i}]`);
    }
    const fields = taking(`body[${i}]`, () => new JsonFields(text, value, element, `body[${i}].`));
    return draftFrom(fields, limits);
  });
}

interface Elements {
  readonly text: string;
  readonly values: readonly unknown[];
  readonly elements: readonly Span[];
}

function arrayOf(parameters: Parameters, limits: DraftLimits): Elements {
  const { document } = parameters;
  const given = parameters.given("body");
  if (document !== null && Array.isArray(document.value)) {
    if (given !== undefined) {
      throw new ApiError("parameter_repeated", "`body` is given in the query and as the body itself.", "body");
    }
    return { text: document.text, values: document.value, elements: document.elements };
  }
  if (given === undefined || given.value === null) throw notAnArray();
  if (given.json !== null) {
    if (!Array.isArray(given.value)) throw notAnArray();
    const text = given.json();
    return { text, values: given.value, elements: elementsOf(text, { start: 0, end: text.length }) };
  }
  const json = taking("body", () => parseJson(given.value as string, limits.maxJsonDepth, limits.maxBatch || Infinity));
  if (!Array.isArray(json.value)) throw notAnArray();
  return { text: json.text, values: json.value, elements: json.elements };
}

/** What is wrong with the JSON of the batch, told with the field where it is. */
function taking<T>(field: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof JsonError)) throw error;
    throw new ApiError("batch_invalid", `\`${field}\` ${error.message}.`, field);
  }
}

// An event's name is one line of the stream (WHATWG HTML 9.2.6), so no control character may stand in it.
// U+2028 and U+2029 end no line there. Half a surrogate pair (Cs) cannot be written as UTF-8.
const EVENT = /^[^\p{Cc}\p{Cs}]{1,200}$/u;

function eventOf(fields: Fields): string | null {
  const event = textOf(fields.given("event"), "event_invalid");
  if (event === undefined || event === "message") return null;
  const field = fields.field("event");
  if (!EVENT.test(event)) {
    throw new ApiError("event_invalid", "An event takes 1 to 200 characters without control characters.", field);
  }
  if (event.startsWith("socket:")) {
    throw new ApiError("event_invalid", "Events that start with `socket:` are the service's own.", field);
  }
  if (event === "error" || event === "open") {
    const detail = `The event \`${event}\` would be taken for EventSource's own \`on${event}\`.`;
    throw new ApiError("event_invalid", detail, field);
  }
  return event;
}

/** Whether the text has more bytes of UTF-8; it is counted only where its length leaves that open. */
function isLonger(text: string, maxBytes: number): boolean {
  return text.length > maxBytes || (text.length * 3 > maxBytes && Buffer.byteLength(text) > maxBytes);
}

function notAnArray(): ApiError {
  return new ApiError("batch_invalid", "`body` takes an array of messages.", "body");
}
