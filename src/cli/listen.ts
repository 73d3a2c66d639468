import { TOKEN_ENV } from "../config/listener.ts";
import { streamPath } from "../core/stream-path.ts";
import { Backoff } from "./backoff.ts";
import { addressOf, checkNames, countOf, DEFAULT_URL, parse, usage } from "./command.ts";
import { findSecret, SECRET_HELP } from "./credential.ts";
import { EXIT, type ExitCode, exitCodes } from "./exit.ts";
import { type Following, follow } from "./follow.ts";
import { Writer } from "./writer.ts";

const OPTIONS = {
  url: { type: "string", default: DEFAULT_URL },
  token: { type: "string" },
  "secret-file": { type: "string" },
  last: { type: "string" },
  since: { type: "string" },
  after: { type: "string" },
  count: { type: "string" },
  format: { type: "string" },
  json: { type: "boolean", default: false },
} as const;

const RETRY_MS = 2000;
const RETRY_MOST_MS = 30_000;

export function help(): string {
  return `service-socket listen <channel or pattern>...: shows what is published

  service-socket listen news --last 10
  service-socket listen "room.*" --json | jq .data

Each message is a line on standard output; what else there is to say is on standard error. A stream that breaks is
resumed from the last id, at once or in a while, and what was missed is shown. What cannot be shown any more is told as
a gap. Ctrl-C ends it.

  --last <n>             Begin with the newest n messages that are kept.
  --since <time>         Begin with what was published since: 10m, 2030-01-31T12:00:00Z or earliest.
  --after <id>           Go on from an id that was seen before.
  --count <n>            End after n messages.
  --format data|full     \`data\` is the message's data alone, the default of one channel; \`full\` is its time, channel,
                         event and data.
  --json                 One JSON object a line: messages with channel, event, data, id and time, and what the stream
                         says itself with event (socket:gap, …), id and data.
  --token <token>        A listener's token; better set as ${TOKEN_ENV}. Without one the app's secret is used, and
                         without both only public channels can be listened to.
  --url <address>        The gateway. Default: ${DEFAULT_URL}.
  --secret-file <path>   File that holds the app's secret.

${SECRET_HELP}

${exitCodes(
  [EXIT.ok, "ended by Ctrl-C, by --count, or because nobody reads the output"],
  [EXIT.usage, "the command was not understood, or the gateway does not take an option"],
  [EXIT.unavailable, "the gateway does not answer at first; later it is waited for"],
  [EXIT.noPermission, "the token or secret is refused, has expired or was revoked"],
  [EXIT.config, "the secret file cannot be read"],
)}
`;
}

export async function run(argv: readonly string[]): Promise<ExitCode> {
  const { values, words } = parse("listen", argv, OPTIONS);
  checkNames("listen", words);
  const { last, since, after, format = "" } = values;
  if (!["", "data", "full"].includes(format)) throw usage("listen", "--format takes `data` or `full`.");
  const url = addressOf("listen", values.url);
  const query = new URLSearchParams({ format: "envelope" });
  if (last !== undefined) query.set("last", last);
  if (since !== undefined) query.set("since", since);
  if (after !== undefined) query.set("last_event_id", after);

  const stop = new AbortController();
  process.once("SIGINT", () => stop.abort());
  const isOneChannel = words.length === 1 && !words[0]!.includes("*");
  const following: Following = {
    address: `${url}${streamPath(words)}${query.toString()}`,
    welcome: `listening to ${words.join(", ")} on ${url}; Ctrl-C ends`,
    authorization: authorizationOf(values.token, values["secret-file"]),
    writer: new Writer({
      form: values.json ? "json" : format === "full" || (format === "" && !isOneChannel) ? "full" : "data",
      count: values.count === undefined ? Infinity : countOf("listen", "--count", values.count, 1),
    }),
    backoff: new Backoff(RETRY_MS, RETRY_MOST_MS),
    signal: stop.signal,
  };
  return await follow(following);
}

/** Null where there is neither a token nor a secret. */
function authorizationOf(token: string | undefined, secretFile: string | undefined): string | null {
  const given = token ?? (secretFile === undefined ? process.env[TOKEN_ENV] : undefined);
  if (given !== undefined && given !== "") {
    if (!/^[\w-]+\.[\w-]+\.[\w-]+$/.test(given))
      throw usage("listen", "the token is no token: three parts with dots between.");
    return `Bearer ${given}`;
  }
  const secret = findSecret(secretFile, process.env);
  return secret === null ? null : `key=${secret}`;
}
