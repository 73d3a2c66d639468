import { describe, expect, test } from "bun:test";
import { ConfigError, loadConfig, type Settings } from "../src/config.ts";

const SECRET = "s".repeat(32);
const OTHER = "o".repeat(32);

function load(toml: string, env: Record<string, string> = {}): Settings {
  return loadConfig({ env: { SOCKET_CONFIG: "conf.toml", ...env }, readFile: () => toml });
}

function refusal(toml: string, env?: Record<string, string>): string {
  try {
    load(toml, env);
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
    throw error;
  }
  throw new Error("was taken");
}

const bare = (rest: string) => refusal(`[[apps]]\nid = "a"\n${rest}`);
const one = (rest: string) => `[[apps]]\nid = "shop"\nsecrets = ["${SECRET}"]\n${rest}`;

describe("apps of the settings file", () => {
  test("each has its own secrets, public channels, origins, history and limits; the rest is as for the node", () => {
    const { apps, historyCount } = load(
      `history_count = 500
       public_channels = ["status"]
       [[apps]]
       id = "shop"
       secrets = ["${SECRET}", "${OTHER}"]
       public_channels = ["news", "room.*"]
       cors_origins = ["https://shop.example"]
       history_age = "1h"
       history_count = 0
       app_history_bytes = "2GiB"
       max_streams_per_app = 5
       max_data_bytes = "1KiB"
       [[apps]]
       id = "blog"
       secret_file = "/run/secrets/blog"`,
    );
    expect(historyCount).toBe(500);
    expect(apps[0]).toMatchObject({
      id: "shop",
      secrets: [SECRET, OTHER],
      secretFile: null,
      secretsFrom: "apps[0].secrets in conf.toml",
      publicChannels: ["news", "room.*"],
      corsOrigins: ["https://shop.example"],
      retention: { count: 0, ageMs: 3_600_000, bytes: 1024 * 1024, appBytes: 2 * 1024 ** 3, channels: 100_000 },
      limits: { maxStreamsPerApp: 5, maxDataBytes: 1024, maxBatch: 100 },
    });
    expect(apps[1]).toMatchObject({
      id: "blog",
      secrets: [],
      secretFile: "/run/secrets/blog",
      publicChannels: ["status"],
      corsOrigins: ["*"],
      retention: { count: 500 },
    });
  });

  test("a limit of the app comes before one of the node, wherever that is set", () => {
    const [app] = load(one("history_count = 7"), { SOCKET_HISTORY_COUNT: "9" }).apps;
    expect(app?.retention.count).toBe(7);
  });

  test("APP_SECRET beside them is refused, as is a secret file", () => {
    expect(refusal(one(""), { APP_SECRET: OTHER })).toStartWith("APP_SECRET: cannot stand beside [[apps]]");
    expect(refusal(one(""), { SOCKET_SECRET_FILE: "x" })).toStartWith(
      "SOCKET_SECRET_FILE: cannot stand beside [[apps]]",
    );
  });

  test.each(["Shop", "", "-shop", "_x", "a b", "a".repeat(65), "__proto__", "shop\\n"])("%p is no id", (id) => {
    expect(refusal(`[[apps]]\nid = "${id}"\nsecrets = ["${SECRET}"]`)).toStartWith("apps[0].id in conf.toml: takes ");
  });

  test("each may have keys of its own for tokens; a secret of those that is none is refused by its place", () => {
    const { apps } = load(`${one(`token_secrets = ["${OTHER}"]\ntoken_keys_file = "keys.json"`)}
       [[apps]]
       id = "blog"
       secrets = ["${SECRET}"]`);
    expect(apps[0]).toMatchObject({ secrets: [SECRET], tokenSecrets: [OTHER], tokenKeysFile: "keys.json" });
    expect(apps[1]).toMatchObject({ tokenSecrets: [], tokenKeysFile: null });
    expect(refusal(one('token_secrets = ["short"]'))).toMatch(
      /^apps\[0\]\.token_secrets in conf\.toml: takes secrets of 32 (?!.*short)/,
    );
  });

  test("ids are unique", () => {
    expect(refusal(`${one("")}\n[[apps]]\nid = "shop"\nsecrets = ["${OTHER}"]`)).toBe(
      "apps[1].id in conf.toml: another app is named shop as well",
    );
  });

  test("a secret that is short, no text or missing is refused by its place, and not shown", () => {
    expect(bare('secrets = ["short"]')).toMatch(/^apps\[0\]\.secrets in conf\.toml: takes secrets of 32 (?!.*short)/);
    expect(bare(`secrets = ["${SECRET}", 5]`)).toEndWith("number 2 is not one");
    expect(bare("secrets = []")).toContain("takes secrets of 32");
    expect(bare("")).toContain("takes one of secrets and secret_file");
    expect(bare(`secrets = ["${SECRET}"]\nsecret_file = "x"`)).toContain("takes one of secrets and secret_file");
    expect(bare("secret_file = 5")).toBe("apps[0].secret_file in conf.toml: takes a path");
  });

  test("a setting that is the node's alone, or that there is not, is refused in an app", () => {
    expect(refusal(one("port = 5"))).toStartWith("apps[0].port in conf.toml: there is no such setting");
    expect(refusal(one("histroy_count = 5"))).toBe(
      "apps[0].histroy_count in conf.toml: there is no such setting; did you mean history_count?",
    );
    expect(refusal(one("history_age = 5"))).toStartWith("apps[0].history_age in conf.toml: takes a duration");
  });

  test("no app, or something else than apps, is refused", () => {
    expect(refusal("apps = []")).toStartWith("apps in conf.toml: takes at least one app");
    expect(refusal('apps = "x"')).toStartWith("apps in conf.toml: takes at least one app");
    expect(refusal("apps = [1]")).toStartWith("apps[0] in conf.toml: takes a table");
  });
});
