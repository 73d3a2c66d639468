import addFormats from "ajv-formats";
import Ajv, { type ValidateFunction } from "ajv/dist/2020.js";
import { loadConfig } from "../../src/config.ts";
import type { Addresses } from "../../src/http/address.ts";
import type { Gateway } from "../../src/http/gateway.ts";
import { openApi } from "../../src/http/openapi/document.ts";
import { routes } from "../../src/http/routes.ts";

export type Schema = Readonly<Record<string, unknown>>;

interface Content {
  readonly schema: Schema;
  readonly example?: unknown;
  readonly examples?: Readonly<Record<string, { readonly value: unknown }>>;
}

export interface Parameter {
  readonly name: string;
  readonly in: "path" | "query" | "header";
  readonly required: boolean;
  readonly schema: Schema;
}

export interface Response {
  readonly headers: Readonly<Record<string, { readonly required: boolean; readonly schema: Schema }>>;
  readonly content: Readonly<Record<string, Content>>;
}

export interface Operation {
  readonly operationId: string;
  readonly security: readonly Schema[];
  readonly parameters: readonly Parameter[];
  readonly requestBody?: { readonly content: Readonly<Record<string, Content>> };
  readonly responses: Readonly<Record<string, Response>>;
}

export interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
}

/** The document of the routes with all settings at their defaults; no server is needed for it. */
const { routes: listed } = routes({ settings: loadConfig() } as Gateway, {} as Addresses, () => false);
export const DOCUMENT = JSON.parse(openApi(listed, null)) as Document;

export interface Documented {
  readonly method: string;
  /** `/channel/{channel}`. */
  readonly path: string;
  readonly operation: Operation;
}

export const OPERATIONS: readonly Documented[] = Object.entries(DOCUMENT.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({ method: method.toUpperCase(), path, operation })),
);

const ajv = new Ajv({ strict: false, allErrors: true, coerceTypes: false });
addFormats(ajv);
const compiled = new Map<Schema, ValidateFunction>();

/** What is wrong with a value, in words; null for one that fits. */
export function misfit(schema: Schema, value: unknown): string | null {
  let validate = compiled.get(schema);
  if (validate === undefined) compiled.set(schema, (validate = ajv.compile(schema)));
  return validate(value) ? null : ajv.errorsText(validate.errors);
}

const strict = new Map<Schema, Schema>();

/** The same, but that objects take no members that the schema does not name. */
export function closed(schema: Schema): Schema {
  let found = strict.get(schema);
  if (found === undefined) strict.set(schema, (found = close(schema) as Schema));
  return found;
}

function close(part: unknown): unknown {
  if (Array.isArray(part)) return part.map(close);
  if (typeof part !== "object" || part === null) return part;
  const copy = Object.fromEntries(Object.entries(part).map(([key, value]) => [key, close(value)]));
  return "properties" in copy ? { ...copy, additionalProperties: false } : copy;
}

/** The operation that answers a request; null where the document has none. */
export function operationOf(method: string, path: string): Operation | null {
  const asked = method === "HEAD" ? "GET" : method;
  const found = OPERATIONS.filter((one) => {
    return one.method === asked && new RegExp(`^${one.path.replaceAll(/\{[a-z]+\}/g, "[^/]+")}$`).test(path);
  });
  // `/channel/subscribe` is an address of its own and none of a channel.
  return (found.find((one) => one.path === path) ?? found[0])?.operation ?? null;
}

/** Of an answer what the document speaks of. `body` is what its JSON holds; of a stream it is not looked at. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: unknown;
}

/** Throws unless the document knows the answer. Of a request that it does not know at all nothing is said. */
export function conforms(method: string, path: string, { status, headers, body }: Answer): void {
  const operation = operationOf(method, path);
  if (operation === null || (operation.operationId !== "channelState" && status === 405)) return;
  const where = `${method} ${path} answered ${status}`;
  const known = operation.responses[status];
  if (known === undefined) throw new Error(`${where}, which is not documented: ${JSON.stringify(body)}`);
  for (const [name, { required, schema }] of Object.entries(known.headers)) {
    const value = headers.get(name);
    if (value === null && !required) continue;
    const wrong = value === null ? "is absent" : misfit(schema, value);
    if (wrong !== null) throw new Error(`${where} with a ${name} that is not documented: ${wrong}`);
  }
  const type = headers.get("Content-Type")!;
  const content = known.content[type];
  if (content === undefined) throw new Error(`${where} as ${type}, which is not documented.`);
  if (type !== "application/json") return;
  const wrong = misfit(closed(content.schema), body);
  if (wrong !== null) throw new Error(`${where} not as documented: ${wrong}: ${JSON.stringify(body)}`);
}
