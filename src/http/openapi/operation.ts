import { type TSchema, Type } from "@sinclair/typebox";
import { ERRORS, type ErrorType } from "../../core/errors.ts";

/** A part of an OpenAPI 3.1 document, as JSON. */
export type Part = Readonly<Record<string, unknown>>;

/** What a route says of itself, as its `detail`. */
export interface Operation {
  readonly operationId: string;
  readonly tags: readonly string[];
  readonly summary: string;
  readonly description: string;
  readonly security: readonly Part[];
  readonly parameters: readonly Part[];
  readonly requestBody?: Part;
  readonly responses: Part;
}

/** Limits of the settings that schemas tell; undefined where there is none, or it differs between apps. */
export interface Most {
  readonly ttlSeconds: number;
  /** On one stream, and in one token. */
  readonly channels: number | undefined;
  readonly batch: number | undefined;
  /** Messages of a first replay. */
  readonly replay: number | undefined;
}

/** What can be asked of an operation; of each the document says which credentials it takes. */
export const SECRET: readonly Part[] = [{ secret: [] }, { bearer: [] }];
export const LISTENER: readonly Part[] = [{ token: [] }, { bearer: [] }, { secret: [] }, { cookie: [] }, {}];
export const ANYONE: readonly Part[] = [];

export const JSON_TYPE = "application/json";
export const FORM_TYPE = "application/x-www-form-urlencoded";

export function query(name: string, schema: TSchema, more: Part = {}): Part {
  return { name, in: "query", required: false, schema, ...more };
}

export function path(name: string, schema: TSchema): Part {
  return { name, in: "path", required: true, schema };
}

export function header(name: string, description: string, schema: TSchema): Part {
  return { name, in: "header", required: false, description, schema };
}

/** A body as JSON, or as a form where a schema can tell what one may hold. */
export function body(json: TSchema, example: unknown, form?: TSchema): Part {
  const forms = form === undefined ? {} : { [FORM_TYPE]: { schema: form } };
  return { required: true, content: { [JSON_TYPE]: { schema: json, example }, ...forms } };
}

const REQUEST_ID = {
  description: "The id of the request: its own `X-Request-Id` if that has 8 to 64 letters, digits, `.`, `-`, `_`.",
  required: true,
  schema: Type.String({ pattern: String.raw`^[\w.-]{8,64}$` }),
};

export function response(description: string, content: Part, headers: Part = {}): Part {
  return { description, headers: { "X-Request-Id": REQUEST_ID, ...headers }, content };
}

/** The one shape of every answer but a stream, with what it worked out. */
export function success(description: string, data: TSchema, example: unknown, headers: Part = {}): Part {
  const schema = Type.Object({
    code: Type.Literal(0),
    data,
    message: Type.Literal("Success"),
    Error: Type.Null(),
  });
  const value = { code: 0, data: example, message: "Success", Error: null };
  return response(description, { [JSON_TYPE]: { schema, example: value } }, headers);
}

/** Errors that an answer of any operation may be, beside its own. */
const EVERYWHERE: readonly ErrorType[] = ["internal"];

/** The answers of the errors that an operation knows, by status. */
export function failures(...types: readonly ErrorType[]): Part {
  const byStatus = Map.groupBy([...types, ...EVERYWHERE], (type) => ERRORS[type].status);
  return Object.fromEntries(
    [...byStatus].sort(([a], [b]) => a - b).map(([status, of]) => [status, failure(status, of)]),
  );
}

function failure(status: number, types: readonly ErrorType[]): Part {
  const schema = Type.Object({
    code: Type.Literal(status),
    data: Type.Object({}),
    message: Type.Union(types.map((type) => Type.Literal(ERRORS[type].message))),
    Error: Type.Object({
      type: Type.Union(types.map((type) => Type.Literal(type))),
      detail: Type.String({ description: "What to do: which parameter, and what it takes." }),
      field: Type.Optional(Type.String({ description: "The parameter at fault, as it was written." })),
      request_id: Type.String({ description: "The answer's `X-Request-Id`." }),
    }),
  });
  const examples = Object.fromEntries(
    types.map((type) => [type, { summary: ERRORS[type].message, value: example(type) }]),
  );
  const headers = {
    ...(status === 401 && { "WWW-Authenticate": { required: true, schema: Type.Literal("Bearer") } }),
    ...((status === 429 || status === 503) && {
      "Retry-After": { description: "Seconds.", required: true, schema: Type.String({ pattern: "^[1-9][0-9]*$" }) },
    }),
  };
  const description = types.map((type) => `\`${type}\`: ${ERRORS[type].message}`).join(" ");
  return response(description, { [JSON_TYPE]: { schema, examples } }, headers);
}

function example(type: ErrorType) {
  const { status, message } = ERRORS[type];
  const detail = type === "internal" ? "The request id finds it in the server's log." : message;
  return { code: status, data: {}, message, Error: { type, detail, request_id: "c4db27438c20854c" } };
}
