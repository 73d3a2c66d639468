import { isChannel } from "../core/channel.ts";
import { ApiError, type ErrorType } from "../core/errors.ts";
import { type Json, JsonError, parseJson, TooManyElements } from "../core/json.ts";
import { readBody } from "./body.ts";
import type { BodyRoom } from "./body-room.ts";
import { type Fields, type Given, JsonFields, type Place, repeated, textOf } from "./fields.ts";
import { type Pair, pairsOf } from "./urlencoded.ts";

export interface BodyLimits {
  /** 0 means no limit. */
  readonly maxBodyBytes: number;
  readonly maxJsonDepth: number;
  readonly room: BodyRoom;
}

/** The parameters of a query string. `url` is a request's whole URL. Throws ApiError `parameter_invalid`. */
export function queryParameters(url: string): Parameters {
  return new Parameters(queryPairs(url), [], null);
}

/**
 * The parameters of a request: of its query string and of its body, which is a JSON object, an urlencoded form or
 * nothing. A JSON array is taken only of messages, of at most so many, where `maxBatch` is given; it is
 * `Parameters.document` then.
 *
 * Rejects with ApiError: as `readBody` does, `unsupported_media_type` for any other content type, `body_invalid` for
 * JSON that is broken, too deep or of another shape, `batch_invalid` for too many messages, `parameter_invalid` for an
 * encoding that is not UTF-8.
 */
export async function readParameters(
  request: Request,
  limits: BodyLimits,
  { maxBatch }: { readonly maxBatch?: number } = {},
): Promise<Parameters> {
  const query = queryPairs(request.url);
  const type = bodyType(request.headers.get("content-type"));
  const text = await readBody(request, limits.maxBodyBytes, limits.room);
  if (text === "") return new Parameters(query, [], null);
  if (type === "form") return new Parameters(query, pairsOf(text), null);
  if (type === null) throw unsupported("A body needs a Content-Type.");

  const json = parseBody(text, limits.maxJsonDepth, maxBatch);
  const takesArray = maxBatch !== undefined;
  if (typeof json.value !== "object" || json.value === null || (Array.isArray(json.value) && !takesArray)) {
    throw notTaken(takesArray);
  }
  return new Parameters(query, [], json);
}

/** A channel's name, checked. Throws ApiError `channel_invalid` of that field. */
export function channelOf(name: string | undefined, field = "channel"): string {
  if (name !== undefined && isChannel(name)) return name;
  const detail = "A channel takes 1 to 200 printable ASCII characters without space and `*`.";
  throw new ApiError("channel_invalid", detail, field);
}

/** The accessors throw ApiError: `parameter_repeated`, and for a value of the wrong kind the type that is given. */
export class Parameters implements Fields {
  readonly #query: readonly Pair[];
  readonly #form: readonly Pair[];
  readonly #object: JsonFields | null;
  /** The body, when it is JSON. */
  readonly document: Json | null;

  constructor(query: readonly Pair[], form: readonly Pair[], document: Json | null) {
    this.#query = query;
    this.#form = form;
    this.document = document;
    const object = document !== null && !Array.isArray(document.value);
    this.#object = object ? new JsonFields(document.text, document.value, document.members) : null;
  }

  field(name: string): string {
    return name;
  }

  given(name: string): Given | undefined {
    if (this.#query.length === 0 && this.#object !== null) return this.#object.given(name);
    const inQuery = named(this.#query, name, "query");
    const inForm = named(this.#form, name, "body");
    if (inQuery.length > 1) throw repeated(name, "twice in the query");
    if (inForm.length > 1) throw repeated(name, "twice in the body");
    const inBody = this.#object === null ? inForm[0] : this.#object.given(name);
    if (inQuery.length > 0 && inBody !== undefined) throw repeated(name, "in the query and in the body");
    return inQuery[0] ?? inBody;
  }

  /** Where it is given, if anywhere; the query first. Never throws. */
  place(name: string): Place | undefined {
    if (this.#query.some((pair) => pair.name === name)) return "query";
    const inBody = this.#form.some((pair) => pair.name === name) || this.#object?.has(name) === true;
    return inBody ? "body" : undefined;
  }

  /** Undefined when it is absent, or null in JSON. */
  text(name: string, type?: ErrorType): string | undefined {
    return textOf(this.given(name), type);
  }

  /**
   * Several strings: a parameter of a query or form that is repeated there, or a JSON array of strings; a single string
   * is a list of one. Undefined when it is absent, or null in JSON.
   */
  list(name: string, type: ErrorType = "parameter_invalid"): string[] | undefined {
    const pairs = named(this.#query, name, "query");
    const form = named(this.#form, name, "body");
    const object = this.#object?.given(name);
    if (pairs.length > 0 && (form.length > 0 || object !== undefined)) {
      throw repeated(name, "in the query and in the body");
    }
    if (object === undefined) {
      const all = pairs.length > 0 ? pairs : form;
      return all.length === 0 ? undefined : all.map((given) => given.value as string);
    }
    if (!Array.isArray(object.value)) {
      const text = textOf(object, type, "a string or an array of strings");
      return text === undefined ? undefined : [text];
    }
    return object.value.map((value: unknown, i) => {
      if (typeof value === "string" && value.isWellFormed()) return value;
      throw new ApiError(type, `\`${name}\` takes a string or an array of strings.`, `${name}[${i}]`);
    });
  }

  /** A whole number: a JSON number, or decimal digits in a query or form. Undefined when absent, or null in JSON. */
  integer(name: string, min: number, max: number): number | undefined {
    const given = this.given(name);
    if (given === undefined || given.value === null) return undefined;
    const { value } = given;
    const number = given.json === null && /^(0|[1-9][0-9]{0,15})$/.test(value as string) ? Number(value) : value;
    if (typeof number === "number" && Number.isSafeInteger(number) && number >= min && number <= max) return number;
    throw new ApiError("parameter_invalid", `\`${name}\` takes a whole number from ${min} to ${max}.`, given.field);
  }
}

function queryPairs(url: string): Pair[] {
  const start = url.indexOf("?");
  if (start === -1) return [];
  const end = url.indexOf("#", start);
  return pairsOf(url.slice(start + 1, end === -1 ? url.length : end));
}

function named(pairs: readonly Pair[], name: string, place: Place): Given[] {
  const found: Given[] = [];
  for (const pair of pairs) {
    if (pair.name === name) found.push({ field: name, place, value: pair.value, json: null });
  }
  return found;
}

function parseBody(text: string, maxDepth: number, maxBatch: number | undefined): Json {
  try {
    return parseJson(text, maxDepth, maxBatch === 0 ? Infinity : (maxBatch ?? 0));
  } catch (error) {
    if (error instanceof TooManyElements) throw maxBatch === undefined ? notTaken(false) : tooManyMessages(maxBatch);
    throw error instanceof JsonError ? new ApiError("body_invalid", `The body ${error.message}.`) : error;
  }
}

function notTaken(takesArray: boolean): ApiError {
  return new ApiError("body_invalid", `The body takes a JSON ${takesArray ? "array or object" : "object"}.`);
}

export function tooManyMessages(maxBatch: number): ApiError {
  return new ApiError("batch_invalid", `A batch takes at most ${maxBatch} messages.`, "body");
}

const TYPES = "A body is `application/json` or `application/x-www-form-urlencoded`, in UTF-8";

/** Null when the request names no content type. */
function bodyType(header: string | null): "json" | "form" | null {
  if (header === null) return null;
  if (header === "application/json") return "json";
  const [type, ...attributes] = header.split(";").map((piece) => piece.trim().toLowerCase());
  for (const attribute of attributes) {
    if (attribute.startsWith("charset=") && !/^charset="?utf-?8"?$/.test(attribute)) throw unsupported(`${TYPES}.`);
  }
  if (type === "application/json") return "json";
  if (type === "application/x-www-form-urlencoded") return "form";
  throw unsupported(type?.startsWith("multipart/") === true ? `${TYPES}; multipart is not taken.` : `${TYPES}.`);
}

function unsupported(detail: string): ApiError {
  return new ApiError("unsupported_media_type", detail);
}
