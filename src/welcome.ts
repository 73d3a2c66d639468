import { version } from "../package.json";
import type { Settings } from "./config.ts";

/** What is told of the server that was started. */
export interface Started {
  readonly port: number;
  /** Where metrics are; null where they are nowhere. */
  readonly adminUrl?: string | null;
  /** Files of secrets that were made. */
  readonly made?: readonly string[];
}

/** What is shown at start: lines to paste into another terminal in the same folder. Holds no secret. */
export function welcome(settings: Settings, { port, adminUrl = null, made = [] }: Started): string {
  const scheme = settings.tlsCert === null ? "http" : "https";
  const url = settings.publicUrl ?? `${scheme}://${shownHost(settings.host)}:${port}`;
  const [app] = settings.apps;
  const file = app!.secretFile;
  const secret = file === null ? "<the app's secret>" : `$(cat ${quoted(file)})`;
  const authorization = `-H "Authorization: key=${secret}"`;
  const lines = [
    `Service Socket ${version} listens on ${url}`,
    ...made.map((path) => `A secret was made for you: it is in ${path}`),
    "",
    "Listen, in another terminal in this folder:",
    `  curl -N ${authorization} ${url}/channel/news/stream`,
    "",
    "Publish, in a third one:",
    `  curl ${authorization} -d channel=news -d data=hello ${url}/chat/send`,
    "",
    `Or open ${url}/console in a browser.`,
    ...(adminUrl === null ? [] : ["", `Metrics are at ${adminUrl}/metrics`]),
    "",
  ];
  return `${lines.join("\n")}\n`;
}

/** An address that listens everywhere is reached as localhost. */
function shownHost(host: string): string {
  if (host === "0.0.0.0" || host === "::") return "localhost";
  return host.includes(":") ? `[${host}]` : host;
}

/** As a shell word. */
function quoted(path: string): string {
  return /^[\w./@%+=:,-]+$/.test(path) ? path : `'${path.replaceAll("'", String.raw`'\''`)}'`;
}
