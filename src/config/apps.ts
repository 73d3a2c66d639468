import type { Retention } from "../broker/broker.ts";
import { ConfigError } from "./error.ts";
import { type SettingKey, SETTINGS, type Values } from "./schema.ts";
import { fromTable, splitList, valueOf } from "./sources.ts";

/** Limits of one app; 0 means none. */
export type Limits = Readonly<
  Pick<
    Values,
    | "maxDataBytes"
    | "maxBatch"
    | "maxChannelsPerStream"
    | "replayLimit"
    | "maxStreamsPerApp"
    | "maxStreamsPerIp"
    | "publishRate"
    | "publishRatePerIp"
    | "openRate"
    | "openRatePerIp"
  >
>;

/** One app as its owner set it. */
export interface AppSettings {
  readonly id: string;
  /** Where its secrets stand, as in an error: `APP_SECRET`, `apps[0].secrets in conf.toml`. */
  readonly secretsFrom: string;
  /** The first signs tokens, all are taken. Empty where `secretFile` holds them. */
  readonly secrets: readonly string[];
  /** Made on first start when it is missing. Null where `secrets` has them. */
  readonly secretFile: string | null;
  /** Where its secrets for tokens stand, as in an error. */
  readonly tokenSecretsFrom: string;
  /** What signs and verifies tokens in place of `secrets`, which then only publish; the first signs. */
  readonly tokenSecrets: readonly string[];
  /** A JWK Set, or public keys in PEM, that verify tokens as well. */
  readonly tokenKeysFile: string | null;
  readonly publicChannels: readonly string[];
  /** Origins of pages, or `*`. */
  readonly corsOrigins: readonly string[];
  /** Never `*`. */
  readonly cookieOrigins: readonly string[];
  readonly retention: Retention;
  readonly limits: Limits;
}

/** An app's id: it stands in tokens (`kid`), in addresses and in file names. */
const APP_ID = /^[a-z0-9][a-z0-9_-]{0,63}$/;

const OWN_KEYS = ["id", "secrets", "secret_file"];
const PER_APP = new Map(SETTINGS.filter((setting) => setting.perApp).map((one) => [one.fileKey, one]));

/** A secret: at least 32 characters (RFC 7518 3.2), such as can stand in a header and in a list with commas. */
function isSecret(text: string): boolean {
  return /^[\x21-\x2b\x2d-\x7e]{32,512}$/.test(text);
}

const SECRET_TAKES = "takes secrets of 32 to 512 printable ASCII characters without space and comma";

/** Secrets as a variable or a secret file holds them: one, or several parted by commas. Throws ConfigError. */
export function parseSecrets(text: string, name: string): readonly string[] {
  return checkSecrets(splitList(text), name);
}

function checkSecrets(secrets: unknown, name: string): readonly string[] {
  const list: unknown[] = Array.isArray(secrets) ? secrets : [];
  if (list.length === 0) throw new ConfigError(name, SECRET_TAKES);
  return list.map((secret, i) => {
    if (typeof secret === "string" && isSecret(secret)) return secret;
    throw new ConfigError(name, `${SECRET_TAKES}${list.length > 1 ? `; number ${i + 1} is not one` : ""}`);
  });
}

/** The one app of a node without `[[apps]]`. */
export function defaultApp(values: Values, secretsFrom: string): AppSettings {
  const secretFile = values.secretFile ?? `${values.dataFolder.replace(/\/+$/, "")}/secret`;
  const given = values.appSecret.length > 0;
  return appOf(values, {
    id: "default",
    secretsFrom: given ? secretsFrom : secretFile,
    secrets: given ? checkSecrets(values.appSecret, secretsFrom) : [],
    secretFile: given ? null : secretFile,
    tokenSecretsFrom: "SOCKET_TOKEN_SECRETS",
  });
}

/** The apps of the file; what an app does not set itself is as for the node. */
export function fileApps(list: unknown, file: string, values: Values): readonly AppSettings[] {
  if (!Array.isArray(list) || list.length === 0) {
    throw new ConfigError(`apps in ${file}`, "takes at least one app: [[apps]] with id, and secrets or secret_file");
  }
  const apps = list.map((table: unknown, i) => fileApp(table, file, `apps[${i}].`, values));
  const seen = new Set<string>();
  for (const [i, { id }] of apps.entries()) {
    if (seen.has(id)) throw new ConfigError(`apps[${i}].id in ${file}`, `another app is named ${id} as well`);
    seen.add(id);
  }
  return apps;
}

function fileApp(table: unknown, file: string, where: string, values: Values): AppSettings {
  if (typeof table !== "object" || table === null || Array.isArray(table)) {
    throw new ConfigError(`${where.slice(0, -1)} in ${file}`, "takes a table with id, and secrets or secret_file");
  }
  const given = table as Readonly<Record<string, unknown>>;
  const own = new Map<SettingKey, unknown>();
  const perApp = [...PER_APP.values()];
  for (const [key, value] of fromTable(given, file, where, PER_APP, OWN_KEYS)) {
    own.set(
      key,
      valueOf(
        perApp.find((setting) => setting.key === key)!,
        value,
      ),
    );
  }
  const { id, secrets, secret_file: secretFile } = given;
  if (typeof id !== "string" || !APP_ID.test(id)) {
    throw new ConfigError(
      `${where}id in ${file}`,
      "takes 1 to 64 of a-z, 0-9, _ and -, and starts with none of _ and -",
    );
  }
  if ((secrets === undefined) === (secretFile === undefined)) {
    throw new ConfigError(`${where}secrets in ${file}`, "an app takes one of secrets and secret_file");
  }
  if (secretFile !== undefined && (typeof secretFile !== "string" || secretFile === "")) {
    throw new ConfigError(`${where}secret_file in ${file}`, "takes a path");
  }
  return appOf(
    { ...values, ...(Object.fromEntries(own) as Partial<Values>) },
    {
      id,
      secretsFrom: secretFile ?? `${where}secrets in ${file}`,
      secrets: secretFile === undefined ? checkSecrets(secrets, `${where}secrets in ${file}`) : [],
      secretFile: secretFile ?? null,
      tokenSecretsFrom: `${where}token_secrets in ${file}`,
    },
  );
}

type Identity = Pick<AppSettings, "id" | "secretsFrom" | "secrets" | "secretFile" | "tokenSecretsFrom">;

function appOf(values: Values, identity: Identity): AppSettings {
  return {
    ...identity,
    tokenSecrets: values.tokenSecrets.length === 0 ? [] : checkSecrets(values.tokenSecrets, identity.tokenSecretsFrom),
    tokenKeysFile: values.tokenKeysFile,
    publicChannels: values.publicChannels,
    corsOrigins: values.corsOrigins,
    cookieOrigins: values.cookieOrigins,
    retention: {
      count: values.historyCount,
      ageMs: values.historyAgeMs,
      bytes: values.historyBytes,
      appBytes: values.appHistoryBytes,
      channels: values.maxChannels,
    },
    limits: {
      maxDataBytes: values.maxDataBytes,
      maxBatch: values.maxBatch,
      maxChannelsPerStream: values.maxChannelsPerStream,
      replayLimit: values.replayLimit,
      maxStreamsPerApp: values.maxStreamsPerApp,
      maxStreamsPerIp: values.maxStreamsPerIp,
      publishRate: values.publishRate,
      publishRatePerIp: values.publishRatePerIp,
      openRate: values.openRate,
      openRatePerIp: values.openRatePerIp,
    },
  };
}
