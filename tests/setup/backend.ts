import { join } from "node:path";
import type { Gateway } from "./gateway.ts";

const EXAMPLES = join(import.meta.dir, "..", "..", "examples");

/** A backend of the examples as a process of its own; it ends with `await using`. */
export interface Backend extends AsyncDisposable {
  /** Where it listens, as it said itself. */
  readonly url: string;
  /** Resolves once it has written so to its log. */
  wrote(text: string): Promise<void>;
}

export interface BackendOptions {
  /** Where it finds the gateway. Default: the gateway itself. */
  readonly address?: string;
  /** Default: that of the gateway. */
  readonly secret?: string;
  /** Seconds for which the tokens that it hands out live. */
  readonly ttl?: number;
  /** What runs it. Default: this Bun. */
  readonly runtime?: string;
}

/** Starts `examples/<script>`. */
export async function startBackend(
  script: string,
  { url: gateway, secret: its }: Gateway,
  { address = gateway, secret = its, ttl = 3600, runtime = process.execPath }: BackendOptions = {},
): Promise<Backend> {
  const child = Bun.spawn([runtime, join(EXAMPLES, script)], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    env: { PATH: process.env["PATH"], GATEWAY: address, APP_SECRET: secret, TTL: String(ttl), PORT: "0" },
  });
  let log = "";
  let changed = Promise.withResolvers<void>();
  const logged = (async () => {
    const decoder = new TextDecoder();
    for await (const bytes of child.stderr) {
      log += decoder.decode(bytes, { stream: true });
      changed.resolve();
      changed = Promise.withResolvers();
    }
  })();
  const { value } = await child.stdout.getReader().read(); // its address is all that it says
  return {
    url: new TextDecoder().decode(value).trim(),
    wrote: async (text) => {
      for (;;) {
        const { promise } = changed;
        if (log.includes(text)) return;
        const over = await Promise.race([promise.then(() => false), logged.then(() => true)]);
        if (over && !log.includes(text)) throw new Error(`The backend did not say "${text}":\n${log}`);
      }
    },
    [Symbol.asyncDispose]: async () => {
      child.kill("SIGKILL");
      await child.exited;
    },
  };
}
