import { describe, expect, test } from "bun:test";
import { dirname, join, normalize } from "node:path";

/**
 * What each layer may import, beside itself: a layer or one of its files. A layer is a folder of `src`, or a file that
 * is named here. From top to bottom, so that imports run one way.
 */
const LAYERS: Readonly<Record<string, readonly string[]>> = {
  "main.ts": ["cli", "cli/serve.ts", "cli/token.ts", "config/error.ts", "help.ts"],
  "workers.ts": ["config", "http/gateway.ts", "listener.ts", "signals.ts", "worker.ts"],
  "worker.ts": ["config", "signals.ts"],
  "signals.ts": [],
  "index.ts": ["config", "http/gateway.ts", "server.ts"],
  "help.ts": ["cli"],
  "cli/serve.ts": [
    "cli",
    "config",
    "http/gateway.ts",
    "log.ts",
    "server.ts",
    "signals.ts",
    "welcome.ts",
    "worker.ts",
    "workers.ts",
  ],
  "cli/token.ts": ["auth/key.ts", "auth/token.ts", "cli", "core"],
  cli: ["config/listener.ts", "core", "doctor"],
  doctor: ["core"],
  "log.ts": ["config", "http/gateway.ts"],
  "welcome.ts": ["config"],
  "server.ts": [
    "admin.ts",
    "age-clock.ts",
    "auth",
    "broker/broker.ts",
    "broker/open.ts",
    "certificate.ts",
    "config",
    "descriptors.ts",
    "drain.ts",
    "http",
    "hub",
    "listener.ts",
    "reload.ts",
  ],
  "reload.ts": ["auth", "certificate.ts", "config", "http", "listener.ts"],
  "certificate.ts": ["config"],
  "admin.ts": ["core", "http", "metrics"],
  metrics: ["broker/broker.ts", "core", "descriptors.ts", "http"],
  "drain.ts": ["hub"],
  "listener.ts": ["accepting.ts", "certificate.ts", "config", "http"],
  "descriptors.ts": ["accepting.ts", "http/gateway.ts"],
  "accepting.ts": [],
  "age-clock.ts": ["http/gateway.ts"],
  http: ["auth", "broker/broker.ts", "config", "console/bundle.ts", "core", "hub"],
  console: [],
  auth: ["broker/broker.ts", "config", "core"],
  hub: ["broker/broker.ts", "core"],
  "broker/open.ts": ["broker", "broker/broker.ts"],
  broker: ["broker/broker.ts", "core"],
  config: ["broker/broker.ts", "core"],
  "broker/broker.ts": ["core"],
  core: [],
};

/** Packages and parts of the platform that only these layers may import; all others are for all but `core`. */
const ONLY_IN: Readonly<Record<string, readonly string[]>> = {
  elysia: ["http", "listener.ts"],
  pino: ["log.ts"],
  "fast-jwt": ["auth"],
  "bun:ffi": ["accepting.ts"],
  "bun:sqlite": ["broker"],
  redis: ["broker"],
};

/** Layers whose clock, timers and randomness are handed in. */
const TIMELESS = /^(?:core|descriptors|hub|broker|auth|config)\b/;
const TIME_OR_CHANCE =
  /\b(?:Date\.now|new Date\(\)|performance\.|setTimeout|setInterval|setImmediate|queueMicrotask|Bun\.sleep|Bun\.nanoseconds|Math\.random|random(?:Bytes|UUID|Int)|getRandomValues)/g;
/** Defaults of what is handed in, and what is random by its nature. */
const STATED: Readonly<Record<string, readonly string[]>> = {
  "auth/secret.ts": ["randomBytes"],
  "broker/history.ts": ["getRandomValues"],
  "broker/opening.ts": ["setTimeout"],
  "broker/redis/timers.ts": ["performance.", "setTimeout"],
  "broker/sqlite.ts": ["setImmediate"],
};

interface Source {
  readonly path: string;
  readonly layer: string;
  /** Without comments. */
  readonly code: string;
  /** As they are written: `./frame.ts`, `elysia`. */
  readonly imports: readonly string[];
}

const ROOT = join(import.meta.dir, "..", "src");
const sources = await Promise.all([...new Bun.Glob("**/*.ts").scanSync(ROOT)].sort().map(read));

async function read(path: string): Promise<Source> {
  const text = await Bun.file(join(ROOT, path)).text();
  const code = text.replaceAll(/\/\*[^]*?\*\/|(?<!:)\/\/.*/g, "");
  const found = code.matchAll(/\b(?:from|import)\s*\(?\s*"([^"]+)"/g);
  return { path, layer: layerOf(path), code, imports: [...found].map(([, from]) => from!) };
}

function layerOf(path: string): string {
  if (path === "config.ts") return "config";
  if (path in LAYERS) return path;
  return path.slice(0, path.indexOf("/"));
}

function isOurs(imported: string): boolean {
  return imported.startsWith(".");
}

function refused(wrong: (source: Source, imported: string) => boolean): readonly string[] {
  return sources.flatMap((source) =>
    source.imports.filter((imported) => wrong(source, imported)).map((imported) => `${source.path}: ${imported}`),
  );
}

describe("the layers", () => {
  test("hold every file", () => {
    expect(sources.filter(({ layer }) => !(layer in LAYERS)).map(({ path }) => path)).toEqual([]);
    expect(sources.length).toBeGreaterThan(20);
  });

  test("import one way", () => {
    const wrong = refused(({ path, layer }, imported) => {
      if (!isOurs(imported)) return false;
      const target = normalize(join(dirname(path), imported));
      if (target.startsWith("..")) return target !== "../package.json";
      const other = layerOf(target);
      return other !== layer && ![other, target].some((allowed) => LAYERS[layer]!.includes(allowed));
    });
    expect(wrong).toEqual([]);
  });

  test("keep to themselves what is for them alone", () => {
    const wrong = refused(({ layer }, imported) => ONLY_IN[imported]?.includes(layer) === false);
    expect(wrong).toEqual([]);
  });

  test("leave the platform out of the core", () => {
    const core = sources.filter(({ layer }) => layer === "core");
    expect(core.length).toBeGreaterThan(3);
    expect(refused(({ layer }, imported) => layer === "core" && !isOurs(imported))).toEqual([]);
    expect(core.filter(({ code }) => /\b(?:Bun|process)\./.test(code)).map(({ path }) => path)).toEqual([]);
  });

  test("take time and chance as they are handed in", () => {
    const wrong = sources
      .filter(({ layer }) => TIMELESS.test(layer))
      .flatMap(({ path, code }) =>
        [...code.matchAll(TIME_OR_CHANCE)]
          .filter(([word]) => STATED[path]?.includes(word) !== true)
          .map(([word]) => `${path}: ${word}`),
      );
    expect(wrong).toEqual([]);
  });
});
