import { statSync } from "node:fs";
import { isRevoked } from "./auth/grant.ts";
import { openApps } from "./auth/open-apps.ts";
import { type Certificate, loadCertificate } from "./certificate.ts";
import { ConfigError, type Settings } from "./config.ts";
import { type SettingKey, SETTINGS } from "./config/schema.ts";
import type { Gateway } from "./http/gateway.ts";
import type { Listener } from "./listener.ts";

/** What holds from a start to its end: where it listens, the store, and what the hub and the log were made with. */
const FIXED = [
  "port",
  "host",
  "adminPort",
  "adminHost",
  "workers",
  "tlsCert",
  "tlsKey",
  "publicUrl",
  "trustedProxies",
  "broker",
  "dataFolder",
  "idempotencyTtlMs",
  "heartbeatMs",
  "stallMs",
  "logLevel",
] as const satisfies readonly (SettingKey & keyof Settings)[];

/** Under which the sweep counts what a reload ends; no revocation is named so. */
const ENDED = "reload";

/**
 * Puts the settings as they are now in the place of those that the node has, without a restart: apps with their secrets,
 * keys and limits, and the limits of the node. What cannot be read or is wrong changes nothing.
 *
 * Streams whose grant still stands go on; the others end, each told `revoked`. A certificate that was renewed is for new
 * connections.
 */
export class Reload {
  readonly #gateway: Gateway;
  readonly #load: () => Settings;
  readonly #listener: Pick<Listener, "renew">;
  #certificate: Certificate | null;
  #seen: string;
  #changed = false;

  /** `load` reads all settings anew; throws ConfigError. `certificate` is the one that the listener has. */
  constructor(
    gateway: Gateway,
    load: () => Settings,
    { listener, certificate }: { readonly listener: Pick<Listener, "renew">; readonly certificate: Certificate | null },
  ) {
    this.#gateway = gateway;
    this.#load = load;
    this.#listener = listener;
    this.#certificate = certificate;
    this.#seen = this.#stamps();
  }

  /** Resolves once the streams that nothing grants any more have ended. Never rejects. */
  async now(): Promise<void> {
    this.#seen = this.#stamps();
    this.#changed = false;
    this.#renewCertificate();
    const { log } = this.#gateway;
    try {
      this.#swap(this.#load());
      this.#seen = this.#stamps(); // it may name other files
      const apps = [...this.#gateway.apps].length;
      log("info", "settings were reloaded", { apps, ended: await this.#endRevoked() });
    } catch (error) {
      if (!(error instanceof ConfigError)) return log("error", "the reload failed", { error });
      log("error", `the settings stay as they were: ${error.message}`);
    }
  }

  /**
   * Reloads when a file has changed that the settings are read from or name, and has not since the last look: so none is
   * read while it is being written. To be called about once a second.
   *
   * They are looked at rather than watched: a renewal replaces a file and a mount a link above it, of neither a watch on
   * the file tells, and in the folder of a secret the store may write at every publish.
   */
  look(): void {
    const stamps = this.#stamps();
    if (stamps !== this.#seen) {
      this.#seen = stamps;
      this.#changed = true;
    } else if (this.#changed) void this.now();
  }

  #renewCertificate(): void {
    const { settings, log } = this.#gateway;
    try {
      const next = loadCertificate(settings);
      if (next === null || (next.cert === this.#certificate?.cert && next.key === this.#certificate.key)) return;
      if (!this.#listener.renew(next)) return log("warn", "a renewed certificate takes a restart on this system");
      this.#certificate = next;
      log("info", "the certificate was renewed", { until: next.validTo });
    } catch (error) {
      log("warn", `the certificate stays as it was: ${error instanceof Error ? error.message : "unknown reason"}`);
    }
  }

  #swap(settings: Settings): void {
    const gateway = this.#gateway;
    // A secret file that is gone for a moment must not become a new secret, which would end every stream.
    const opened = openApps(settings.apps, { make: false });
    for (const warning of opened.warnings) gateway.log("warn", warning);
    this.#warnOfFixed(settings);
    gateway.settings = { ...settings, ...fixedOf(gateway.settings) };
    gateway.apps = opened.apps;
  }

  #warnOfFixed(settings: Settings): void {
    const { settings: before, log } = this.#gateway;
    const changed = FIXED.filter((key) => !Bun.deepEquals(before[key], settings[key]));
    const names = SETTINGS.filter(({ key }) => (changed as readonly string[]).includes(key)).map(({ env }) => env);
    if (names.length > 0) log("warn", `a restart is needed for what was changed of ${names.join(", ")}`);
  }

  async #endRevoked(): Promise<number> {
    const { rulings, streams, sweep } = this.#gateway;
    const ended = [...streams.apps()].map(async (app) => {
      await sweep.start(app, ENDED, ({ grant }) => !isRevoked(grant, rulings));
      return await sweep.ended(app, [ENDED]);
    });
    return (await Promise.all(ended)).reduce((sum, count) => sum + count, 0);
  }

  /** What tells one state of the files from another. */
  #stamps(): string {
    const { configFile, tlsCert, tlsKey, apps } = this.#gateway.settings;
    const files = [
      configFile,
      tlsCert,
      tlsKey,
      ...apps.flatMap(({ secretFile, tokenKeysFile }) => [secretFile, tokenKeysFile]),
    ];
    return files.map(stampOf).join("\n");
  }
}

function stampOf(path: string | null): string {
  if (path === null) return "";
  try {
    const { ino, size, mtimeMs, ctimeMs } = statSync(path);
    return `${ino} ${size} ${mtimeMs} ${ctimeMs}`;
  } catch {
    return "missing";
  }
}

function fixedOf(settings: Settings): Pick<Settings, (typeof FIXED)[number]> {
  const kept = FIXED.map((key) => [key, settings[key]]);
  return Object.fromEntries(kept) as Pick<Settings, (typeof FIXED)[number]>;
}
