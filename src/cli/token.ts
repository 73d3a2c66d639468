import { secretKey } from "../auth/key.ts";
import { mintToken } from "../auth/token.ts";
import { streamPath } from "../core/stream-path.ts";
import { post, Refusal } from "./api.ts";
import { addressOf, checkNames, DEFAULT_URL, durationOf, parse } from "./command.ts";
import { needSecret, SECRET_HELP } from "./credential.ts";
import { EXIT, type ExitCode, exitCodes } from "./exit.ts";
import { print } from "./terminal.ts";

const OPTIONS = {
  url: { type: "string", default: DEFAULT_URL },
  "secret-file": { type: "string" },
  ttl: { type: "string" },
  user: { type: "string" },
  offline: { type: "boolean", default: false },
  app: { type: "string", default: "default" },
  address: { type: "boolean", default: false },
  json: { type: "boolean", default: false },
} as const;

const OFFLINE_TTL_MS = 3_600_000;
const YEAR_MS = 366 * 86_400_000;

export function help(): string {
  return `service-socket token <channel or pattern>...: makes a token that lets its holder listen

  service-socket token news "room.*" --user ann --ttl 10m
  curl -N "$(service-socket token news --address)"

It asks the gateway, or with --offline signs the token itself, for which no gateway need run. Prints the token.

  --ttl <duration>       How long it holds, in whole seconds. Default: what the gateway is set to; offline 1h. A gateway
                         takes tokens of up to 24h, unless it is set otherwise.
  --user <name>          Who listens: for renewing and revoking.
  --address              Prints the stream's address with the token in it, ready for an EventSource.
  --offline              Signs it here, with the secret.
  --app <id>             Of whose secret it is, with --offline. Default: default.
  --url <address>        The gateway. Default: ${DEFAULT_URL}.
  --secret-file <path>   File that holds the app's secret.
  --json                 One JSON object: {"channel":…,"token":…,"expires_at":…,"url":…}

${SECRET_HELP}

${exitCodes(
  [EXIT.ok, "made"],
  [EXIT.usage, "the command was not understood"],
  [EXIT.data, "the gateway refuses the channels, the user or the ttl"],
  [EXIT.unavailable, "the gateway does not answer, or takes nothing right now"],
  [EXIT.noPermission, "the secret is refused"],
  [EXIT.config, "there is no secret"],
)}
`;
}

/** As `POST /channel/subscribe` answers it. */
interface Made {
  readonly channel: string | readonly string[];
  readonly token: string;
  readonly expires_at: string;
  readonly url: string;
}

export async function run(argv: readonly string[]): Promise<ExitCode> {
  const { values, words } = parse("token", argv, OPTIONS);
  checkNames("token", words);
  const ttlMs = values.ttl === undefined ? null : durationOf("token", "--ttl", values.ttl, 1000, YEAR_MS);
  const wanted: Wanted = {
    channels: [...new Set(words)],
    ttlSeconds: ttlMs === null ? null : Math.floor(ttlMs / 1000),
    user: values.user,
    url: addressOf("token", values.url),
    secret: needSecret(values["secret-file"], process.env),
  };
  const made = values.offline ? sign(wanted, values.app) : await ask(wanted);
  await print(`${values.json ? JSON.stringify(made) : values.address ? made.url : made.token}\n`);
  return EXIT.ok;
}

interface Wanted {
  readonly channels: readonly string[];
  readonly ttlSeconds: number | null;
  readonly user: string | undefined;
  readonly url: string;
  readonly secret: string;
}

async function ask({ channels, ttlSeconds, user, url, secret }: Wanted): Promise<Made> {
  const body = JSON.stringify({ channel: channels, ttl: ttlSeconds, user });
  try {
    return await post<Made>(`${url}/channel/subscribe`, secret, body);
  } catch (error) {
    throw error instanceof Refusal ? error.asCommandError : error;
  }
}

function sign({ channels, ttlSeconds, user, url, secret }: Wanted, app: string): Made {
  const { token, expiresAt } = mintToken(secretKey(secret, app), {
    channels,
    user,
    ttlSeconds: ttlSeconds ?? OFFLINE_TTL_MS / 1000,
    now: Date.now(),
    jti: crypto.randomUUID(),
  });
  return {
    channel: channels.length === 1 ? channels[0]! : channels,
    token,
    expires_at: new Date(expiresAt).toISOString(),
    url: `${url}${streamPath(channels)}token=${token}`,
  };
}
