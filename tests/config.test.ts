import { describe, expect, test } from "bun:test";
import { ConfigError, type ConfigSources, describeSettings, loadConfig } from "../src/config.ts";

const SECRET = "s".repeat(32);
const OTHER = "o".repeat(32);

/** The one line that a wrong setting stops the start with. */
function refusal(sources: ConfigSources): string {
  try {
    loadConfig(sources);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    expect(error.message).not.toMatch(/[\r\n]/);
    expect(error.message).toStartWith(`${error.setting}: `);
    return error.message;
  }
  throw new Error("was taken");
}

const publicUrl = (url: string) => loadConfig({ env: { SOCKET_PUBLIC_URL: url } }).publicUrl;

/** A reader whose files hold their own name as the host. */
const ownName = (path: string) => `host = "${path}"`;

const missing = () => {
  throw Object.assign(new Error("long story"), { code: "ENOENT" });
};

/** Settings from a file's text. */
function file(text: string, path = "conf.toml"): ConfigSources {
  return {
    argv: ["--config", path],
    readFile: (asked) => {
      expect(asked).toBe(path);
      return text;
    },
  };
}

describe("with no settings at all", () => {
  test("every setting has its default, in the unit that its name says", () => {
    const { apps, ...node } = loadConfig();
    expect(node).toEqual({
      port: 3000,
      host: "0.0.0.0",
      tlsCert: null,
      tlsKey: null,
      publicUrl: null,
      broker: "sqlite:",
      dataFolder: "data",
      publicChannels: [],
      corsOrigins: ["*"],
      cookieOrigins: [],
      trustedProxies: [],
      workers: 1,
      maxDataBytes: 64 * 1024,
      maxBodyBytes: 1024 * 1024,
      maxJsonDepth: 32,
      maxBatch: 100,
      maxChannelsPerStream: 50,
      historyCount: 10_000,
      historyAgeMs: 86_400_000,
      historyBytes: 1024 * 1024,
      appHistoryBytes: 1024 ** 3,
      maxChannels: 100_000,
      replayLimit: 1000,
      tokenTtlMs: 3_600_000,
      maxTokenTtlMs: 86_400_000,
      idempotencyTtlMs: 86_400_000,
      heartbeatMs: 15_000,
      retryMs: 2000,
      stallMs: 10_000,
      streamAgeMs: 3_600_000,
      maxStreamsPerApp: 10_000,
      maxStreamsPerIp: 0,
      maxStreams: null,
      publishRate: 0,
      publishRatePerIp: 0,
      openRate: 0,
      openRatePerIp: 0,
      drainMs: 8000,
      adminHost: "127.0.0.1",
      adminPort: 9464,
      logLevel: "info",
      configFile: null,
    });
    expect(apps).toEqual([
      {
        id: "default",
        secretsFrom: "data/secret",
        secrets: [],
        secretFile: "data/secret",
        tokenSecretsFrom: "SOCKET_TOKEN_SECRETS",
        tokenSecrets: [],
        tokenKeysFile: null,
        publicChannels: [],
        corsOrigins: ["*"],
        cookieOrigins: [],
        retention: { count: 10_000, ageMs: 86_400_000, bytes: 1024 * 1024, appBytes: 1024 ** 3, channels: 100_000 },
        limits: {
          maxDataBytes: 64 * 1024,
          maxBatch: 100,
          maxChannelsPerStream: 50,
          replayLimit: 1000,
          maxStreamsPerApp: 10_000,
          maxStreamsPerIp: 0,
          publishRate: 0,
          publishRatePerIp: 0,
          openRate: 0,
          openRatePerIp: 0,
        },
      },
    ]);
  });

  test("the settings are frozen all the way down", () => {
    const settings = loadConfig();
    expect(Object.isFrozen(settings)).toBe(true);
    expect(Object.isFrozen(settings.corsOrigins)).toBe(true);
    expect(Object.isFrozen(settings.apps[0]?.retention)).toBe(true);
  });

  test("a caller's change of the environment changes nothing afterwards", () => {
    const env = { SOCKET_HISTORY_COUNT: "5" };
    const settings = loadConfig({ env });
    env.SOCKET_HISTORY_COUNT = "6";
    expect(settings.historyCount).toBe(5);
  });
});

describe("sources", () => {
  const toml = "history_count = 3\nheartbeat = '3s'";

  test("a flag comes before the environment, that before the file, that before the default", () => {
    const sources = file(toml);
    const env = { SOCKET_HISTORY_COUNT: "2", SOCKET_HEARTBEAT: "2s" };
    expect(loadConfig({ ...sources, env, argv: [...sources.argv!, "--history-count", "1"] })).toMatchObject({
      historyCount: 1,
      heartbeatMs: 2000,
      retryMs: 2000,
    });
    expect(loadConfig(sources)).toMatchObject({ historyCount: 3, heartbeatMs: 3000 });
  });

  test("a flag is written with a space or with an equals sign", () => {
    expect(loadConfig({ argv: ["--history-count", "5"] }).historyCount).toBe(5);
    expect(loadConfig({ argv: ["--history-count=5", "--host=::1"] })).toMatchObject({ historyCount: 5, host: "::1" });
  });

  test("the file is named by SOCKET_CONFIG, or by a flag that comes before it", () => {
    expect(loadConfig({ env: { SOCKET_CONFIG: "a.toml" }, readFile: ownName }).host).toBe("a.toml");
    expect(loadConfig({ env: { SOCKET_CONFIG: "a.toml" }, argv: ["--config=b.toml"], readFile: ownName }).host).toBe(
      "b.toml",
    );
  });

  test("a file whose name ends in .json is JSON", () => {
    const text = JSON.stringify({ history_count: 7, heartbeat: "1s", public_channels: ["a,b", "room.*"] });
    expect(loadConfig(file(text, "conf.json"))).toMatchObject({
      historyCount: 7,
      heartbeatMs: 1000,
      publicChannels: ["a,b", "room.*"],
    });
  });

  test("variables of others are left alone", () => {
    expect(loadConfig({ env: { HOME: "/root", SOCKETS: "x", PATH: "/bin" } }).port).toBe(3000);
  });
});

describe("units", () => {
  test.each([
    ["500ms", 500],
    ["15s", 15_000],
    ["10m", 600_000],
    ["1h", 3_600_000],
    ["2d", 172_800_000],
    ["0", 0],
  ])("a duration of %s is %d milliseconds", (text, ms) => {
    expect(loadConfig({ env: { SOCKET_HISTORY_AGE: text } }).historyAgeMs).toBe(ms);
  });

  test.each(["15", "-1s", "1.5h", "1 h", "1w", "s", "", "1S", "١s", "1e3s"])("%p is no duration", (text) => {
    expect(refusal({ env: { SOCKET_HISTORY_AGE: text } })).toStartWith("SOCKET_HISTORY_AGE: takes a duration such as");
  });

  test.each([
    ["64KiB", 65_536],
    ["1MiB", 1_048_576],
    ["2GiB", 2_147_483_648],
    ["1000", 1000],
    ["0", 0],
  ])("a size of %s is %d bytes", (text, bytes) => {
    expect(loadConfig({ env: { SOCKET_HISTORY_BYTES: text } }).historyBytes).toBe(bytes);
  });

  test.each(["64KB", "1 MiB", "-1", "0x10", "1e6", "", "9999999999GiB"])("%p is no size", (text) => {
    expect(refusal({ env: { SOCKET_HISTORY_BYTES: text } })).toStartWith("SOCKET_HISTORY_BYTES: takes a size such as");
  });

  test("a file's bare number is a count or bytes, but no duration", () => {
    expect(loadConfig(file("history_count = 10_000\nhistory_bytes = 4096\nhistory_age = 0"))).toMatchObject({
      historyCount: 10_000,
      historyBytes: 4096,
      historyAgeMs: 0,
    });
    expect(refusal(file("history_age = 60"))).toContain(
      'takes a duration such as 500ms, 15s, 10m, 1h or 2d, or 0, not "60"',
    );
    expect(refusal(file("history_count = 1.5"))).toContain('takes a whole number, not "1.5"');
    expect(refusal(file("history_count = true"))).toContain('takes a whole number, not "true"');
    expect(refusal(file("history_count = [1]"))).toContain("takes a whole number");
  });

  test("lists are parted by commas, and empty text empties one", () => {
    const env = { SOCKET_PUBLIC_CHANNELS: "news, room.*,logs.**", SOCKET_CORS_ORIGINS: "" };
    expect(loadConfig({ env })).toMatchObject({ publicChannels: ["news", "room.*", "logs.**"], corsOrigins: [] });
  });
});

describe("values", () => {
  test("origins are written as a browser writes them", () => {
    const env = { SOCKET_CORS_ORIGINS: "https://App.Example:443,http://localhost:5173" };
    expect(loadConfig({ env }).corsOrigins).toEqual(["https://app.example", "http://localhost:5173"]);
  });

  test("the address that users see keeps its path and loses its last slash", () => {
    expect(publicUrl("https://example.com/")).toBe("https://example.com");
    expect(publicUrl("https://example.com/events/")).toBe("https://example.com/events");
  });

  test.each([
    ["PORT", "65536"],
    ["PORT", "3000 x"],
    ["PORT", "tcp://10.0.0.1:80"],
    ["SOCKET_HOST", ""],
    ["SOCKET_HOST", "a b"],
    ["SOCKET_PUBLIC_URL", "example.com"],
    ["SOCKET_PUBLIC_URL", "ftp://example.com"],
    ["SOCKET_PUBLIC_URL", "https://example.com/?a=1"],
    ["SOCKET_PUBLIC_URL", "https://me:pw@example.com"],
    ["SOCKET_BROKER", "mysql://x"],
    ["SOCKET_BROKER", "memory:x"],
    ["SOCKET_DATA", ""],
    ["SOCKET_PUBLIC_CHANNELS", "room.*.**.x"],
    ["SOCKET_PUBLIC_CHANNELS", "a,,b"],
    ["SOCKET_CORS_ORIGINS", "https://example.com/path"],
    ["SOCKET_CORS_ORIGINS", "example.com"],
    ["SOCKET_CORS_ORIGINS", "https://*.example.com/"],
    ["SOCKET_TRUSTED_PROXIES", "10.0.0.0/33"],
    ["SOCKET_TRUSTED_PROXIES", "proxy.internal"],
    ["SOCKET_MAX_BATCH", "-1"],
    ["SOCKET_RETRY", "0"],
    ["SOCKET_TOKEN_TTL", "500ms"],
    ["SOCKET_LOG_LEVEL", "loud"],
  ])("%s=%s stops the start with a line that names it and says what it takes", (name, value) => {
    expect(refusal({ env: { [name]: value } })).toStartWith(`${name}: takes `);
  });

  test("a store that several nodes share takes a secret that they share", () => {
    const env = { SOCKET_BROKER: "redis://:hidden@host" };
    expect(refusal({ env })).toBe(
      "SOCKET_BROKER: every node of a Redis takes the same secret; give APP_SECRET or SOCKET_SECRET_FILE",
    );
    expect(loadConfig({ env: { ...env, SOCKET_SECRET_FILE: "/run/secret" } }).broker).toBe(env.SOCKET_BROKER);
    expect(loadConfig({ env: { ...env, APP_SECRET: "a-secret-that-is-long-enough-for-this" } }).apps).toHaveLength(1);
  });

  test("an address of a store is not repeated, since it may hold a password", () => {
    expect(refusal({ env: { SOCKET_BROKER: "reddis://:hidden@host" } })).not.toContain("hidden");
  });

  test("a timer longer than the system's timers can run is refused", () => {
    expect(refusal({ argv: ["--stream-age", "25d"] })).toContain("at most 20d");
  });

  test("a token from subscribe may not live longer than any token may", () => {
    const env = { SOCKET_MAX_TOKEN_TTL: "30m" };
    expect(loadConfig({ env }).tokenTtlMs).toBe(1_800_000);
    expect(refusal({ env: { ...env, SOCKET_TOKEN_TTL: "1h" } })).toBe(
      "SOCKET_TOKEN_TTL: takes at most what SOCKET_MAX_TOKEN_TTL allows, 30m",
    );
    expect(loadConfig({ env: { SOCKET_MAX_TOKEN_TTL: "0", SOCKET_TOKEN_TTL: "40d" } }).maxTokenTtlMs).toBe(0);
  });
});

describe("mistakes", () => {
  test("an unknown flag, variable or key is named, with the nearest that there is", () => {
    expect(refusal({ argv: ["--history-cuont", "5"] })).toBe(
      "--history-cuont: there is no such setting; did you mean --history-count?",
    );
    expect(refusal({ env: { SOCKET_HEARTBEATS: "5s" } })).toBe(
      "SOCKET_HEARTBEATS: there is no such setting; did you mean SOCKET_HEARTBEAT?",
    );
    expect(refusal(file("heartbaet = '5s'"))).toBe(
      "heartbaet in conf.toml: there is no such setting; did you mean heartbeat?",
    );
    expect(refusal({ env: { SOCKET_ZZZZZZZZZZ: "1" } })).toBe("SOCKET_ZZZZZZZZZZ: there is no such setting");
  });

  test("a name from an object's prototype is unknown like any other", () => {
    expect(refusal({ argv: ["--constructor", "5"] })).toContain("no such setting");
    expect(refusal(file('{"__proto__": {"port": 1}}', "conf.json"))).toContain("no such setting");
    expect(refusal(file('["__proto__"]\nport = 1'))).toContain("no such setting");
  });

  test("a name with line ends still gives one line", () => {
    expect(refusal(file('{"a\\nb": 1}', "conf.json"))).toBe("a b in conf.json: there is no such setting");
  });

  test("a flag without a value, a flag given twice and a loose word are refused", () => {
    expect(refusal({ argv: ["--history-count"] })).toBe("--history-count: takes a whole number");
    expect(refusal({ argv: ["--history-count", "--host", "x"] })).toBe("--history-count: takes a whole number");
    expect(refusal({ argv: ["--port", "1", "--port=2"] })).toBe("--port: is given twice");
    expect(refusal({ argv: ["8080"] })).toContain("is no flag");
  });

  test("a wrong value that another source overrides is refused all the same", () => {
    expect(refusal({ argv: ["--heartbeat", "5s"], env: { SOCKET_HEARTBEAT: "5" } })).toStartWith("SOCKET_HEARTBEAT: ");
  });

  test("a file that is not there, is not TOML, or is no table", () => {
    expect(refusal({ env: { SOCKET_CONFIG: "no.toml" }, readFile: missing })).toBe(
      "SOCKET_CONFIG: takes the path of a TOML or JSON file; no.toml cannot be read (ENOENT)",
    );
    expect(refusal(file("host ="))).toBe("--config: takes the path of a TOML or JSON file; conf.toml is not TOML");
    expect(refusal(file("{", "c.json"))).toBe("--config: takes the path of a TOML or JSON file; c.json is not JSON");
    expect(refusal(file("[]", "c.json"))).toContain("holds something else");
  });

  test("a broken file's secret is not shown", () => {
    expect(refusal(file(`[[apps]]\nsecrets = ["${SECRET}" "x"]`))).not.toContain("sss");
  });
});

describe("the default app's secret", () => {
  test("several in APP_SECRET are for rotation, in the order given", () => {
    const [app] = loadConfig({ env: { APP_SECRET: `${SECRET}, ${OTHER}` } }).apps;
    expect(app).toMatchObject({ id: "default", secrets: [SECRET, OTHER], secretFile: null, secretsFrom: "APP_SECRET" });
  });

  test("it is in the data folder unless a file is named", () => {
    expect(loadConfig({ env: { SOCKET_DATA: "/var/lib/x/" } }).apps[0]?.secretFile).toBe("/var/lib/x/secret");
    expect(loadConfig({ env: { SOCKET_SECRET_FILE: "/run/secrets/a" } }).apps[0]?.secretFile).toBe("/run/secrets/a");
  });

  test.each(["", "short", `${"s".repeat(31)} `, `${"s".repeat(31)}é`, `${SECRET} x`, `${SECRET},short`, `${SECRET},`])(
    "APP_SECRET=%p is refused and not shown",
    (value) => {
      const line = refusal({ env: { APP_SECRET: value } });
      expect(line).toStartWith("APP_SECRET: ");
      expect(line).not.toMatch(/sss|short/);
    },
  );

  test("it cannot be given as a flag, since process lists show flags", () => {
    expect(refusal({ argv: ["--app-secret", SECRET] })).toContain("use APP_SECRET or --secret-file");
    expect(refusal({ argv: ["--token-secrets", SECRET] })).toContain("use SOCKET_TOKEN_SECRETS or --token-keys-file");
  });

  test("a certificate takes its key, and a key its certificate", () => {
    for (const name of ["SOCKET_TLS_CERT", "SOCKET_TLS_KEY"]) {
      expect(refusal({ env: { [name]: "x.pem" } })).toBe(`${name}: takes SOCKET_TLS_CERT and SOCKET_TLS_KEY together`);
    }
  });

  test("APP_SECRET and a secret file cannot stand together", () => {
    expect(refusal({ env: { APP_SECRET: SECRET, SOCKET_SECRET_FILE: "x" } })).toBe(
      "APP_SECRET: cannot stand beside SOCKET_SECRET_FILE; give one of them",
    );
  });
});

describe("documents", () => {
  test("every setting has a description, a default in words and says what it takes", () => {
    const rows = describeSettings();
    for (const row of rows) {
      expect(row.description).toEndWith(".");
      expect(row.takes.length).toBeGreaterThan(3);
      expect(row.default).not.toBe("");
    }
    expect(rows.find((row) => row.env === "SOCKET_HISTORY_COUNT")).toEqual({
      env: "SOCKET_HISTORY_COUNT",
      flag: "--history-count",
      file: "history_count",
      description: "History of a channel: messages.",
      takes: "a whole number",
      default: "10000",
      perApp: true,
    });
    expect(new Set(rows.map((row) => row.env)).size).toBe(rows.length);
  });
});
