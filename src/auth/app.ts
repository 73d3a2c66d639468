import type { AppId, Retention } from "../broker/broker.ts";
import { type AppSettings, type Limits, parseSecrets } from "../config/apps.ts";
import { ConfigError } from "../config/error.ts";
import { type Key, keyOf } from "./key.ts";
import { loadOrMakeSecret } from "./secret.ts";

/** A tenant. Holds keys made of its secrets, never the secrets. */
export interface App {
  readonly id: AppId;
  /** The first signs tokens, all are tried to verify one. */
  readonly keys: readonly [Key, ...Key[]];
  /** Names and patterns of channels that anyone may listen to. */
  readonly publicPatterns: readonly string[];
  /** Origins of pages that may open streams, or `*`. */
  readonly origins: readonly string[];
  /** Origins of pages that may open streams by a cookie; each is written out. */
  readonly cookieOrigins: readonly string[];
  readonly retention: Retention;
  readonly limits: Limits;
}

/** All apps of a node. */
export class Apps {
  readonly first: App;
  /** The app where there is exactly one, else null. */
  readonly only: App | null;
  /** The apps whose listeners may come with a cookie. */
  readonly withCookies: readonly App[];
  readonly #byId: ReadonlyMap<string, App>;
  readonly #byDigest: ReadonlyMap<string, App>;

  /** `digests` are those of `digestOf`, each with its app. `openApps` makes both from settings. */
  constructor(apps: readonly [App, ...App[]], digests: ReadonlyMap<string, App>) {
    this.first = apps[0];
    this.only = apps.length === 1 ? apps[0] : null;
    this.withCookies = apps.filter(({ cookieOrigins }) => cookieOrigins.length > 0);
    this.#byId = new Map(apps.map((app) => [app.id, app]));
    this.#byDigest = digests;
  }

  /**
   * The app that a secret names, or null. What is compared is a digest, so that the time it takes tells nothing about
   * how much of a guess was right.
   */
  bySecret(secret: string): App | null {
    return this.#byDigest.get(digestOf(secret)) ?? null;
  }

  byId(id: string): App | null {
    return this.#byId.get(id) ?? null;
  }

  /** In the order of the settings. */
  [Symbol.iterator](): IterableIterator<App> {
    return this.#byId.values();
  }
}

export interface OpenedApps {
  readonly apps: Apps;
  /** Secret files that were made now. */
  readonly made: readonly string[];
  /** Sentences for the log. */
  readonly warnings: readonly string[];
}

/**
 * Reads or makes the secret files that the settings name and makes every app's keys. Throws ConfigError for a file that
 * holds no secrets, for one that is missing where none may be made, because other nodes take the same, and for a secret
 * that two apps share: a secret names its app.
 */
export function openApps(settings: readonly AppSettings[], mayMake = true): OpenedApps {
  const [made, warnings]: [string[], string[]] = [[], []];
  const digests = new Map<string, App>();
  const apps: App[] = [];
  for (const one of settings) {
    const app = openApp(one, secretsOf(one, mayMake, made, warnings), digests);
    apps.push(app);
  }
  const [first, ...rest] = apps;
  if (first === undefined) throw new ConfigError("apps", "takes at least one app");
  return { apps: new Apps([first, ...rest], digests), made, warnings };
}

function secretsOf(settings: AppSettings, mayMake: boolean, made: string[], warnings: string[]): readonly string[] {
  const { secretFile } = settings;
  if (secretFile === null) return settings.secrets;
  const loaded = loadOrMakeSecret(secretFile, mayMake);
  if (loaded.made) made.push(secretFile);
  if (loaded.warning !== null) warnings.push(loaded.warning);
  return parseSecrets(loaded.text, secretFile);
}

function openApp(settings: AppSettings, secrets: readonly string[], digests: Map<string, App>): App {
  const { id, secretsFrom, publicChannels, corsOrigins, cookieOrigins, retention, limits } = settings;
  const [first, ...rest] = secrets.map((secret) => keyOf(secret, id));
  if (first === undefined) throw new ConfigError(secretsFrom, `app ${id} has no secret`);
  const app: App = Object.freeze({
    id,
    keys: [first, ...rest] as const,
    publicPatterns: publicChannels,
    origins: corsOrigins,
    cookieOrigins,
    retention,
    limits,
  });
  for (const secret of secrets) {
    const digest = digestOf(secret);
    const other = digests.get(digest);
    if (other !== undefined && other !== app) {
      throw new ConfigError(secretsFrom, `apps ${other.id} and ${id} have the same secret; each takes its own`);
    }
    digests.set(digest, app);
  }
  return app;
}

/** SHA-256 of a secret: 0.15 us with `Bun.SHA256`, 0.4 us with a `CryptoHasher`. */
function digestOf(secret: string): string {
  return Bun.SHA256.hash(secret, "base64");
}
