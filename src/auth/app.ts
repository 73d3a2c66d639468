import type { AppId, Retention } from "../broker/broker.ts";
import type { Limits } from "../config/apps.ts";
import { ConfigError } from "../config/error.ts";
import { type Algorithm, ALGORITHMS, fingerprintOf, type Key, type SigningKey } from "./key.ts";

/** A tenant. Holds keys made of its secrets, never the secrets. */
export interface App {
  readonly id: AppId;
  /** Fingerprints of the secrets that publish. */
  readonly secrets: ReadonlySet<string>;
  /** What verifies its tokens: its secrets, or in their place the keys that its settings name for tokens. */
  readonly keys: readonly Key[];
  /** The first of them that signs; null where all are public. */
  readonly signer: SigningKey | null;
  /** Names and patterns of channels that anyone may listen to. */
  readonly publicPatterns: readonly string[];
  /** Origins of pages that may open streams, or `*`. */
  readonly origins: readonly string[];
  /** Origins of pages that may open streams by a cookie; each is written out. */
  readonly cookieOrigins: readonly string[];
  readonly retention: Retention;
  readonly limits: Limits;
}

/** The app of a secret, with the secret's fingerprint. */
export interface SecretOwner {
  readonly app: App;
  readonly fingerprint: string;
}

/** Keys of one app. */
export interface KeysOfApp {
  readonly app: App;
  readonly keys: readonly Key[];
}

/** All apps of a node. */
export class Apps {
  /** The app where there is exactly one, else null. */
  readonly only: App | null;
  /** The apps whose listeners may come with a cookie. */
  readonly withCookies: readonly App[];
  /** Those for which some app has a key. */
  readonly algorithms: readonly Algorithm[];
  readonly #byId: ReadonlyMap<string, App>;
  readonly #bySecret: ReadonlyMap<string, SecretOwner>;
  readonly #byKid: ReadonlyMap<string, KeysOfApp>;

  /** `secrets` are the owners of secrets by their fingerprints. `openApps` makes both from settings. */
  constructor(apps: readonly [App, ...App[]], secrets: ReadonlyMap<string, SecretOwner>) {
    this.only = apps.length === 1 ? apps[0] : null;
    this.withCookies = apps.filter(({ cookieOrigins }) => cookieOrigins.length > 0);
    this.algorithms = ALGORITHMS.filter((one) => apps.some(({ keys }) => keys.some((key) => key.algorithm === one)));
    this.#byId = new Map(apps.map((app) => [app.id, app]));
    this.#bySecret = secrets;
    this.#byKid = kidsOf(apps);
  }

  /**
   * The app that a secret names, or null. What is compared is a digest, so that the time it takes tells nothing about
   * how much of a guess was right.
   */
  bySecret(secret: string): SecretOwner | null {
    return this.#bySecret.get(fingerprintOf(secret)) ?? null;
  }

  byId(id: string): App | null {
    return this.#byId.get(id) ?? null;
  }

  /** What the `kid` of a token names: an app, with all of its keys, or a key of one. */
  byKid(kid: string): KeysOfApp | null {
    return this.#byKid.get(kid) ?? null;
  }

  /** Some app's keys for an algorithm: what a token of no app is held against, so that it is answered as any other. */
  decoys(algorithm: string): readonly Key[] {
    for (const { keys } of this) {
      const found = keys.filter((key) => key.algorithm === algorithm);
      if (found.length > 0) return found;
    }
    return [];
  }

  /** In the order of the settings. */
  [Symbol.iterator](): IterableIterator<App> {
    return this.#byId.values();
  }
}

/** Throws ConfigError where a `kid` would name keys of two apps. */
function kidsOf(apps: readonly App[]): ReadonlyMap<string, KeysOfApp> {
  const kids = new Map<string, KeysOfApp>(apps.map((app) => [app.id, { app, keys: app.keys }]));
  for (const app of apps) {
    for (const key of app.keys) {
      if (key.id === null || key.id === app.id) continue;
      const other = kids.get(key.id);
      if (other !== undefined && other.app !== app) {
        throw new ConfigError(
          "apps",
          `the \`kid\` ${key.id} is of app ${app.id} and of app ${other.app.id}; it must name one`,
        );
      }
      kids.set(key.id, { app, keys: [...(other?.keys ?? []), key] });
    }
  }
  return kids;
}
