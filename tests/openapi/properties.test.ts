import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { request, SECRET, serve, type Server } from "../api/fixture.ts";
import { fitting, JUNK, nearly } from "./arbitrary.ts";
import { conforms, type Documented, misfit, OPERATIONS, type Parameter } from "./document.ts";

/** Requests to each operation in each property. */
const RUNS = Number(process.env["SOCKET_TEST_RUNS"] ?? 60);

/** Errors that say that a request has not the form that is documented. */
const OF_FORM = new Set([
  "bad_request",
  "parameter_invalid",
  "parameter_repeated",
  "channel_invalid",
  "event_invalid",
  "data_invalid",
  "batch_invalid",
  "body_invalid",
  "unsupported_media_type",
]);

let server: Server;
beforeAll(async () => {
  server = await serve({ settings: { SOCKET_COOKIE_ORIGINS: "https://example.com" } });
});
afterAll(() => server[Symbol.asyncDispose]());

interface Outcome {
  readonly status: number;
  /** The type of an error. */
  readonly error: string | null;
}

/** Asks, and checks that the answer is one that the document knows; a stream is left once it has begun. */
async function ask(method: string, path: string, call: Parameters<typeof request>[3] = {}): Promise<Outcome> {
  const response = await request(server, method, path, call);
  const { status, headers } = response;
  if (headers.get("Content-Type") === "text/event-stream") {
    await response.body!.cancel();
    conforms(method, path.replace(/\?.*/, ""), { status, headers, body: null });
    return { status, error: null };
  }
  const body = (await response.json()) as { Error: { type: string } | null };
  conforms(method, path.replace(/\?.*/, ""), { status, headers, body });
  expect(status).toBeLessThan(500);
  return { status, error: body.Error?.type ?? null };
}

/** What is documented is taken, or refused for what it means; what is not is refused. */
function judge(fits: boolean, { status, error }: Outcome): void {
  if (fits) expect(OF_FORM).not.toContain(error);
  else expect(status).toBeGreaterThanOrEqual(400);
}

const bodied = OPERATIONS.filter(({ operation }) => operation.requestBody !== undefined);
const queried = OPERATIONS.filter(({ operation }) => operation.parameters.some(({ in: place }) => place !== "header"));

describe("a body of JSON is taken exactly when it is as documented:", () => {
  test.each(bodied.map((one) => [one.operation.operationId, one] as const))(
    "%s",
    async (_id, { method, path, operation }) => {
      const { schema } = operation.requestBody!.content["application/json"]!;
      await fc.assert(
        fc.asyncProperty(nearly(schema), async (body) => {
          const json = JSON.stringify(body);
          fc.pre(!json.includes('"__proto__"')); // refused at any depth, which no schema can say
          const headers = { "Content-Type": "application/json" };
          judge(misfit(schema, body) === null, await ask(method, path, { body: json, headers }));
        }),
        { numRuns: RUNS },
      );
    },
    30_000,
  );
});

describe("a form is taken when it is as documented:", () => {
  const forms = bodied.filter(({ operation }) => "application/x-www-form-urlencoded" in operation.requestBody!.content);
  test.each(forms.map((one) => [one.operation.operationId, one] as const))(
    "%s",
    async (_id, { method, path, operation }) => {
      const { schema } = operation.requestBody!.content["application/x-www-form-urlencoded"]!;
      await fc.assert(
        fc.asyncProperty(fitting(schema), async (body) => {
          judge(true, await ask(method, path, { form: pairs(Object.entries(body as object)) }));
        }),
        { numRuns: RUNS },
      );
    },
    30_000,
  );
});

describe("a path and a query are taken exactly when they are as documented:", () => {
  test.each(queried.map((one) => [one.operation.operationId, one] as const))(
    "%s",
    async (_id, documented) => {
      await fc.assert(
        fc.asyncProperty(
          fc.record(arbitraries(documented), { requiredKeys: requiredOf(documented) }),
          async (values) => {
            fc.pre(isPossible(documented, values));
            const { operation, method } = documented;
            const fits = operation.parameters.every(({ name, schema }) => {
              return !(name in values) || misfit(schema, typed(schema, values[name]!)) === null;
            });
            // A stream takes one credential.
            const secret = "token" in values ? null : SECRET;
            judge(fits, await ask(method, addressOf(documented, values), { secret }));
          },
        ),
        { numRuns: RUNS },
      );
    },
    30_000,
  );
});

type Values = Readonly<Record<string, string | readonly string[]>>;

function arbitraries({ operation }: Documented): Record<string, fc.Arbitrary<string | readonly string[]>> {
  const asked = operation.parameters.filter(({ in: place }) => place !== "header");
  return Object.fromEntries(asked.map((parameter) => [parameter.name, written(parameter)]));
}

/** Values as they stand in an address. */
function written({ schema }: Parameter): fc.Arbitrary<string | readonly string[]> {
  const good = fitting(schema).map((value) => (Array.isArray(value) ? value.map(text) : text(value)));
  return fc.oneof({ weight: 6, arbitrary: good }, { weight: 1, arbitrary: JUNK.map(text) });
}

function text(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}

function requiredOf({ operation }: Documented): string[] {
  return operation.parameters.filter(({ required }) => required).map(({ name }) => name);
}

/** What a value of an address is to its schema: decimal digits are a number, one of several is a list. */
function typed({ type }: Parameter["schema"], value: string | readonly string[]): unknown {
  if (type === "array") return typeof value === "string" ? [value] : value;
  return type === "integer" && typeof value === "string" && /^(0|[1-9][0-9]{0,15})$/.test(value)
    ? Number(value)
    : value;
}

/** What URLs, or the words of the document, leave out. */
function isPossible({ path }: Documented, values: Values): boolean {
  if ("last" in values && "since" in values) return false;
  if (!path.includes("{channel}")) return true;
  const channel = values["channel"] as string;
  return channel !== "" && channel !== "." && channel !== "..";
}

function addressOf({ path, operation }: Documented, values: Values): string {
  const inPath = operation.parameters.find(({ in: place }) => place === "path")?.name;
  const given = Object.entries(values).filter(([name]) => name !== inPath);
  const query = pairs(given);
  const start = inPath === undefined ? path : path.replace(/\{[a-z]+\}/, encodeURIComponent(values[inPath] as string));
  return query === "" ? start : `${start}?${query}`;
}

function pairs(values: readonly (readonly [string, unknown])[]): string {
  const parts = values.flatMap(([name, value]) =>
    (Array.isArray(value) ? (value as unknown[]) : [value]).map((one) => [name, String(one)] as [string, string]),
  );
  return new URLSearchParams(parts).toString();
}
