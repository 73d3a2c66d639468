import { type AppSettings, defaultApp, fileApps } from "./config/apps.ts";
import { ConfigError } from "./config/error.ts";
import { SETTINGS, type Values } from "./config/schema.ts";
import {
  CONFIG_ENV,
  CONFIG_FLAG,
  fromArgv,
  fromEnv,
  fromTable,
  type Given,
  type Givens,
  valueOf,
} from "./config/sources.ts";
import { isSharedBroker, showDuration } from "./config/values.ts";

export { ConfigError } from "./config/error.ts";
export type { AppSettings, Limits } from "./config/apps.ts";

/**
 * Every setting of a node, checked and frozen. Names carry the unit (`heartbeatMs`, `historyBytes`); of limits 0 means
 * none. What an app may have of its own stands in `apps`; the same name beside it is what holds for apps that set none.
 */
export type Settings = Omit<Values, "appSecret" | "secretFile" | "tokenSecrets" | "tokenKeysFile"> & {
  /** The settings file; null where none is named. */
  readonly configFile: string | null;
  /** At least one. */
  readonly apps: readonly AppSettings[];
};

/** Where settings are read from; nothing else is looked at. */
export interface ConfigSources {
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Flags only, without the program and its command. */
  readonly argv?: readonly string[];
  /** The text of a file; throws when it cannot be read. Called for the settings file only, if one is named. */
  readonly readFile?: (path: string) => string;
}

/**
 * All settings, each from the first of: its flag, its environment variable, the settings file, its default.
 *
 * Throws ConfigError, one line, for a wrong value and for a setting that there is not: a flag, a key of the file, or a
 * variable that starts with `SOCKET_`. Makes and reads no secret file; `openApps` does.
 */
export function loadConfig({ env = {}, argv = [], readFile = refuse }: ConfigSources = {}): Settings {
  const flags = fromArgv(argv);
  const variables = fromEnv(env);
  const named = flags.file ?? variables.file;
  const file = named === null ? null : readTable(named, readFile);

  const sources: Givens[] = [flags.givens, variables.givens, file?.givens ?? new Map()];
  const values = Object.fromEntries(
    SETTINGS.map((setting) => {
      // All are checked, also those that another one overrides: a typo must not lie in wait.
      const found = sources.flatMap((givens) => givens.get(setting.key) ?? []).map((one) => valueOf(setting, one));
      return [setting.key, found[0] ?? (setting.schema.default as unknown)];
    }),
  ) as Values;

  const nameOf = (key: keyof Values): string | undefined => sources.find((givens) => givens.has(key))?.get(key)?.name;
  checkTogether(values, nameOf, file?.apps !== undefined);

  const { appSecret: _secret, secretFile: _file, tokenSecrets: _secrets, tokenKeysFile: _keys, ...rest } = values;
  // A default gives way to a lower limit; a setting that is over it was refused above.
  const tokenTtlMs = Math.min(values.tokenTtlMs, values.maxTokenTtlMs || Infinity);
  const apps =
    file?.apps === undefined
      ? [defaultApp(values, nameOf("appSecret") ?? "APP_SECRET")]
      : fileApps(file.apps, file.path, values);
  return freeze({ ...rest, tokenTtlMs, configFile: file?.path ?? null, apps });
}

/** What no setting can say alone. */
function checkTogether(values: Values, nameOf: (key: keyof Values) => string | undefined, fromFile: boolean): void {
  const secret = nameOf("appSecret");
  const secretFile = nameOf("secretFile");
  if (secret !== undefined && values.appSecret.length === 0) throw new ConfigError(secret, "is empty; takes a secret");
  if (secret !== undefined && secretFile !== undefined) {
    throw new ConfigError(secret, `cannot stand beside ${secretFile}; give one of them`);
  }
  const single = secret ?? secretFile;
  if (fromFile && single !== undefined) {
    throw new ConfigError(single, "cannot stand beside [[apps]] of the settings file; give the secret there");
  }
  if (isSharedBroker(values.broker) && !fromFile && single === undefined) {
    const name = nameOf("broker") ?? "SOCKET_BROKER";
    throw new ConfigError(name, "every node of a Redis takes the same secret; give APP_SECRET or SOCKET_SECRET_FILE");
  }
  if (values.workers > 1 && !isSharedBroker(values.broker)) {
    const name = nameOf("workers") ?? "SOCKET_WORKERS";
    throw new ConfigError(name, "takes 1 with memory: and sqlite:, which serve one process; several take redis://…");
  }
  for (const [one, other] of [
    ["tlsCert", "tlsKey"],
    ["tlsKey", "tlsCert"],
  ] as const) {
    if (values[one] === null || values[other] !== null) continue;
    throw new ConfigError(nameOf(one)!, "takes SOCKET_TLS_CERT and SOCKET_TLS_KEY together");
  }
  const { tokenTtlMs, maxTokenTtlMs } = values;
  const name = nameOf("tokenTtlMs");
  if (name !== undefined && maxTokenTtlMs !== 0 && tokenTtlMs > maxTokenTtlMs) {
    throw new ConfigError(name, `takes at most what SOCKET_MAX_TOKEN_TTL allows, ${showDuration(maxTokenTtlMs)}`);
  }
}

interface FileTable {
  readonly path: string;
  readonly givens: Givens;
  /** What stands under `apps`; undefined when nothing does. */
  readonly apps: unknown;
}

/** JSON for a name that ends in `.json`, else TOML. */
function readTable({ name, raw }: Given, readFile: (path: string) => string): FileTable {
  const path = String(raw);
  if (path === "") throw new ConfigError(name, "takes the path of a TOML or JSON file");
  let text: string;
  try {
    text = readFile(path);
  } catch (error) {
    throw new ConfigError(name, `takes the path of a TOML or JSON file; ${path} cannot be read (${reason(error)})`);
  }
  const json = path.toLowerCase().endsWith(".json");
  let table: unknown;
  try {
    table = json ? JSON.parse(text) : Bun.TOML.parse(text);
  } catch {
    // The parser's own sentence may quote the line at fault, and that line may hold a secret.
    throw new ConfigError(name, `takes the path of a TOML or JSON file; ${path} is not ${json ? "JSON" : "TOML"}`);
  }
  if (typeof table !== "object" || table === null || Array.isArray(table)) {
    throw new ConfigError(name, `takes the path of a file with a table of settings; ${path} holds something else`);
  }
  const given = table as Readonly<Record<string, unknown>>;
  return { path, givens: fromTable(given, path, "", undefined, ["apps"]), apps: given["apps"] };
}

function reason(error: unknown): string {
  return error instanceof Error ? ((error as { code?: string }).code ?? error.message) : "unknown reason";
}

function refuse(): never {
  throw new Error("no files here");
}

function freeze<T>(value: T): T {
  if (typeof value === "object" && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const part of Object.values(value)) freeze(part);
  }
  return value;
}

/** One row of the settings' table, for `--help` and documents. */
export interface SettingRow {
  readonly env: string;
  /** Null for what takes no flag. */
  readonly flag: string | null;
  /** The key in the settings file. */
  readonly file: string | null;
  readonly description: string;
  readonly takes: string;
  /** As its owner would write it, or in words what holds when it is not set. */
  readonly default: string;
  /** An app of the file may have its own. */
  readonly perApp: boolean;
}

/** Every setting, in the order in which documents show them. */
export function describeSettings(): readonly SettingRow[] {
  const rows = SETTINGS.map((setting) => ({
    env: setting.env,
    flag: setting.flag,
    file: setting.fileKey,
    description: setting.description,
    takes: setting.takes,
    default: setting.default,
    perApp: setting.perApp,
  }));
  const config: SettingRow = {
    env: CONFIG_ENV,
    flag: CONFIG_FLAG,
    file: null,
    description: "File with settings and apps.",
    takes: "the path of a TOML or JSON file",
    default: "none",
    perApp: false,
  };
  return [...rows, config];
}
