import { type AppSettings, parseSecrets } from "../config/apps.ts";
import { ConfigError } from "../config/error.ts";
import { type App, Apps, type SecretOwner } from "./app.ts";
import { fingerprintOf, type Key, secretKey, type SigningKey } from "./key.ts";
import { MAX_KEYS, parseKeyFile } from "./key-file.ts";
import { loadOrMakeSecret, loadSecret } from "./secret.ts";

export interface OpenedApps {
  readonly apps: Apps;
  /** Secret files that were made now. */
  readonly made: readonly string[];
  /** Sentences for the log. */
  readonly warnings: readonly string[];
}

/**
 * Reads the files of secrets and keys that the settings name, and makes every app's keys. A secret file that is missing
 * is made, unless `make` is false.
 *
 * Throws ConfigError for a file that holds none of what it should, and for a secret or key that two apps share: a secret
 * names its app, and who mints tokens for one app must not mint them for another. Nor may a key for tokens publish.
 */
export function openApps(settings: readonly AppSettings[], { make = true } = {}): OpenedApps {
  const opening = new Opening(make);
  const [first, ...rest] = settings.map((one) => opening.app(one));
  if (first === undefined) throw new ConfigError("apps", "takes at least one app");
  return { apps: new Apps([first, ...rest], opening.secrets), made: opening.made, warnings: opening.warnings };
}

class Opening {
  readonly secrets = new Map<string, SecretOwner>();
  readonly made: string[] = [];
  readonly warnings: string[] = [];
  readonly #owners = new Map<string, { readonly id: string; readonly use: "publishes" | "signs tokens" }>();
  readonly #make: boolean;

  constructor(make: boolean) {
    this.#make = make;
  }

  app(settings: AppSettings): App {
    const { id, secretsFrom, publicChannels, corsOrigins, cookieOrigins, retention, limits } = settings;
    const secrets = this.#secretsOf(settings);
    const fingerprints = secrets.map(fingerprintOf);
    for (const one of fingerprints) this.#claim(one, id, "publishes", secretsFrom);
    const keys = this.#tokenKeysOf(settings) ?? secrets.map((secret) => secretKey(secret, id));
    const app: App = Object.freeze({
      id,
      secrets: new Set(fingerprints),
      keys,
      signer: keys.find(signs) ?? null,
      publicPatterns: publicChannels,
      origins: corsOrigins,
      cookieOrigins,
      retention,
      limits,
    });
    for (const fingerprint of fingerprints) this.secrets.set(fingerprint, { app, fingerprint });
    return app;
  }

  #secretsOf({ secretFile, secrets }: AppSettings): readonly string[] {
    if (secretFile === null) return secrets;
    const loaded = loadOrMakeSecret(secretFile, this.#make);
    if (loaded.made) this.made.push(secretFile);
    if (loaded.warning !== null) this.warnings.push(loaded.warning);
    return parseSecrets(loaded.text, secretFile);
  }

  /** Null where the settings name none: then its secrets are its keys. */
  #tokenKeysOf({ id, tokenSecretsFrom, tokenSecrets, tokenKeysFile }: AppSettings): readonly Key[] | null {
    if (tokenSecrets.length === 0 && tokenKeysFile === null) return null;
    const keys: Key[] = tokenSecrets.map((secret) => secretKey(secret, id));
    for (const { fingerprint } of keys) this.#claim(fingerprint, id, "signs tokens", tokenSecretsFrom);
    if (tokenKeysFile !== null) keys.push(...this.#keysIn(tokenKeysFile, id));
    if (keys.length <= MAX_KEYS) return keys;
    throw new ConfigError(tokenKeysFile ?? tokenSecretsFrom, `app ${id} takes at most ${MAX_KEYS} keys for tokens`);
  }

  #keysIn(path: string, id: string): readonly Key[] {
    const loaded = loadSecret(path);
    const { keys, secret, warnings } = parseKeyFile(loaded.text, path, id);
    for (const { fingerprint } of keys) this.#claim(fingerprint, id, "signs tokens", path);
    this.warnings.push(...warnings);
    if (secret && loaded.warning !== null) this.warnings.push(loaded.warning);
    return keys;
  }

  #claim(fingerprint: string, id: string, use: "publishes" | "signs tokens", from: string): void {
    const other = this.#owners.get(fingerprint);
    this.#owners.set(fingerprint, { id, use });
    if (other === undefined || (other.id === id && other.use === use)) return;
    if (other.id === id) throw new ConfigError(from, `app ${id} publishes with a key for tokens; each takes its own`);
    const what = other.use === "publishes" && use === "publishes" ? "secret" : "secret or key";
    throw new ConfigError(from, `apps ${other.id} and ${id} have the same ${what}; each takes its own`);
  }
}

function signs(key: Key): key is SigningKey {
  return "sign" in key;
}
