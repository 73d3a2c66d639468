import { version } from "../../../package.json";
import type { Operation } from "./operation.ts";

/** A route as the framework lists it; what it says of itself is its `detail`. */
export interface DocumentedRoute {
  readonly method: string;
  readonly path: string;
  readonly hooks: { readonly detail?: Operation | typeof HIDDEN };
}

/** Of a route that is no part of the API. */
export const HIDDEN = { hide: true } as const;

const DESCRIPTION = `Publish with one authenticated POST; listen with \`EventSource\` or \`curl -N\`.

Every answer but a stream is \`{"code":0,"data":{…},"message":"Success","Error":null}\`. An error has its HTTP status as \`code\`,
and in \`Error\` a stable \`type\`, a \`detail\` that says what to do, the \`field\` at fault, and the request's id.

Every address answers \`OPTIONS\` with \`Allow\`, and every \`GET\` address \`HEAD\`; another method is 405
\`method_not_allowed\`, an address that there is not 404 \`not_found\`, both in the same shape. To a request line and headers of more
than 16,384 bytes or 198 fields the runtime itself answers 431, and 400 to what is no HTTP, without a body.`;

const CREDENTIALS = {
  secret: { type: "apiKey", in: "header", name: "Authorization", description: "The app's secret: `key=<secret>`." },
  bearer: {
    type: "http",
    scheme: "bearer",
    description: "The app's secret; for a stream also a listener's token.",
  },
  token: { type: "apiKey", in: "query", name: "token", description: "A listener's token." },
  cookie: {
    type: "apiKey",
    in: "cookie",
    name: "__Host-socket-default",
    description: "A listener's token, as `POST /channel/cookie` sets it; the name ends with the app's id.",
  },
};

const TAGS = [
  { name: "Publishing", description: "For the app's backend." },
  { name: "Tokens", description: "What grants a listener its channels." },
  { name: "Streams", description: "For listeners." },
  { name: "Reading", description: "For the app's backend." },
  { name: "Health", description: "For probes." },
];

/** The OpenAPI 3.1 document of these routes, as JSON. `publicUrl` is null where users see the address of the request. */
export function openApi(routes: readonly DocumentedRoute[], publicUrl: string | null): string {
  const paths: Record<string, Record<string, Operation>> = {};
  for (const { method, path, hooks } of routes) {
    const { detail } = hooks;
    if (detail === undefined) throw new Error(`${method} ${path} is not documented.`);
    if ("hide" in detail) continue;
    (paths[path.replaceAll(/:([a-z]+)/g, "{$1}")] ??= {})[method.toLowerCase()] = detail;
  }
  return JSON.stringify({
    openapi: "3.1.0",
    info: {
      title: "Service Socket",
      version,
      summary: "A self-hosted gateway for Server-Sent Events.",
      description: DESCRIPTION,
      license: { name: "MIT", identifier: "MIT" },
    },
    servers: [{ url: publicUrl ?? "/" }],
    tags: TAGS,
    paths,
    components: { securitySchemes: CREDENTIALS },
  });
}
