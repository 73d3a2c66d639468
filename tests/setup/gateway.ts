import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** What a caller sends to publish; every part may be wrong on purpose. */
export interface Publish {
  readonly channel: string;
  readonly event?: string;
  readonly data?: unknown;
}

export interface Published {
  readonly id: string;
  readonly channel: string;
  readonly subscribers: number;
}

export interface Address {
  readonly channel: string | readonly string[];
  readonly token: string;
  readonly expires_at: string;
  /** The stream, ready for an EventSource. */
  readonly url: string;
}

/** The one shape of every answer that is no stream. */
export interface Answer<Data> {
  readonly code: number;
  readonly data: Data;
  readonly message: string;
  readonly Error: null | { readonly type: string; readonly detail: string; readonly field?: string };
}

export interface GatewayOptions {
  /** Settings by the names of their variables, beside those that place it: `{ SOCKET_RETRY: "100ms" }`. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Default: a free one, which stays the same over restarts. */
  readonly port?: number;
  /** A descriptor that its log goes to. Default: into `output`. */
  readonly stderr?: number;
  /** A file that is run in it before its own first line. */
  readonly preload?: string;
  /** Its limit of descriptors (`ulimit -n`). Default: as this process. */
  readonly descriptors?: number;
  /** What is run in place of the sources: a single-file build. */
  readonly program?: string;
  /** A command that makes way for the one that follows it: `["nice"]`. */
  readonly under?: readonly string[];
}

const ROOT = join(import.meta.dir, "..", "..");
const SECRET = "a-secret-of-the-tests-that-is-long-enough";
const STARTS_WITHIN_MS = 20_000;
const POLL_MS = 10;

/** A port that nothing listens on now. */
export function freePort(): number {
  const listener = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  const { port } = listener;
  listener.stop(true);
  return port;
}

/**
 * The real program as a process of its own, on a data folder of its own that outlives the process and ends with `await
 * using`:
 *
 *     await using gateway = await startGateway({ settings: { SOCKET_RETRY: "100ms" } });
 *     await publish(gateway, { channel: "news", data: "hello" });
 *     await gateway.kill();
 *     await gateway.start(); // the same port, the same data
 */
export class Gateway implements AsyncDisposable {
  readonly secret = SECRET;
  readonly port: number;
  readonly url: string;
  /** Holds the data folder and nothing else. */
  readonly folder: string;
  readonly #options: GatewayOptions;
  #child: Bun.Subprocess | null = null;
  #output = "";
  #changed = Promise.withResolvers<void>();

  constructor(folder: string, options: GatewayOptions = {}) {
    this.folder = folder;
    this.port = options.port ?? freePort();
    const scheme = options.settings?.["SOCKET_TLS_CERT"] === undefined ? "http" : "https";
    this.url = `${scheme}://127.0.0.1:${this.port}`;
    this.#options = options;
  }

  get pid(): number {
    if (this.#child === null) throw new Error("The gateway is not running.");
    return this.#child.pid;
  }

  /** All that it wrote to both outputs since the first start. */
  get output(): string {
    return this.#output;
  }

  /** Resolves once it is ready to serve; rejects with its output when it ends before. `settings` add to its own. */
  async start(settings: Readonly<Record<string, string>> = {}): Promise<void> {
    this.launch(settings);
    const child = this.#child!;
    const deadline = performance.now() + STARTS_WITHIN_MS;
    while (!(await isReady(this.url))) {
      if (child.exitCode !== null || child.signalCode !== null || performance.now() > deadline) {
        await this.kill();
        throw new Error(`The gateway did not start:\n${this.#output}`);
      }
      await Bun.sleep(POLL_MS);
    }
  }

  /** Starts the process and waits for nothing. */
  launch(settings: Readonly<Record<string, string>> = {}): void {
    if (this.#child !== null) throw new Error("The gateway is running already.");
    const { preload, stderr = "pipe", descriptors, program, under = [] } = this.#options;
    const flags = preload === undefined ? [] : ["--preload", preload];
    const command = program === undefined ? [process.execPath, ...flags, "src/main.ts"] : [program];
    const limited = descriptors === undefined ? [] : ["sh", "-c", `ulimit -n ${descriptors} && exec "$0" "$@"`];
    this.#child = Bun.spawn([...under, ...limited, ...command], {
      cwd: program === undefined ? ROOT : this.folder,
      stdin: "ignore",
      stdout: "pipe",
      stderr,
      env: {
        PATH: process.env["PATH"] ?? "",
        HOME: process.env["HOME"] ?? "",
        PORT: String(this.port),
        ...(this.#options.settings?.["SOCKET_CONFIG"] === undefined ? { APP_SECRET: this.secret } : {}),
        SOCKET_HOST: "127.0.0.1",
        SOCKET_DATA: join(this.folder, "data"),
        SOCKET_DRAIN: "0",
        SOCKET_ADMIN_PORT: "off",
        ...this.#options.settings,
        ...settings,
      },
    });
    void this.#collect(this.#child.stdout as ReadableStream<Uint8Array>);
    if (stderr === "pipe") void this.#collect(this.#child.stderr as ReadableStream<Uint8Array>);
  }

  /** Resolves once it has written this text; rejects when it ends without. */
  async wrote(text: string): Promise<void> {
    const child = this.#child;
    const ended = child?.exited.then(() => new Promise(setImmediate)); // what was written before the end is read first
    let isOver = false;
    void ended?.then(() => (isOver = true));
    for (;;) {
      const { promise } = this.#changed;
      if (this.#output.includes(text)) return;
      if (isOver || ended === undefined) throw new Error(`The gateway did not say "${text}":\n${this.#output}`);
      await Promise.race([promise, ended]);
    }
  }

  /** Resolves at the next thing that it writes. */
  wroteMore(): Promise<void> {
    return this.#changed.promise;
  }

  /** Sends it a signal and waits for nothing. */
  signal(name: NodeJS.Signals): void {
    process.kill(this.pid, name);
  }

  /** Resolves with its exit code. */
  async exited(): Promise<number> {
    const child = this.#child;
    if (child === null) return 0;
    const code = await child.exited;
    this.#child = null;
    return code;
  }

  /** `kill -9`: no farewell, no flush. */
  async kill(): Promise<void> {
    await this.#end("SIGKILL");
  }

  /** Asks it to drain and stop. Resolves with its exit code. */
  async stop(signal: "SIGTERM" | "SIGINT" = "SIGTERM"): Promise<number> {
    return await this.#end(signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    await rm(this.folder, { recursive: true, force: true });
  }

  async #end(signal: "SIGKILL" | "SIGTERM" | "SIGINT"): Promise<number> {
    this.#child?.kill(signal);
    return await this.exited();
  }

  async #collect(stream: ReadableStream<Uint8Array>): Promise<void> {
    const decoder = new TextDecoder();
    for await (const bytes of stream) {
      this.#output += decoder.decode(bytes, { stream: true });
      this.#changed.resolve();
      this.#changed = Promise.withResolvers();
    }
  }
}

/** A gateway that is ready to serve. */
export async function startGateway(options: GatewayOptions = {}): Promise<Gateway> {
  const gateway = new Gateway(await mkdtemp(join(tmpdir(), "service-socket-")), options);
  try {
    await gateway.start();
  } catch (error) {
    await gateway[Symbol.asyncDispose]();
    throw error;
  }
  return gateway;
}

/** `POST /chat/send`. Rejects unless it succeeded. */
export function publish(gateway: Gateway, message: Publish): Promise<Published> {
  return post<Published>(gateway, "/chat/send", message);
}

/** `POST /chat/send-multi`. Rejects unless it succeeded. */
export async function publishAll(gateway: Gateway, messages: readonly Publish[]): Promise<readonly Published[]> {
  return (await post<{ messages: Published[] }>(gateway, "/chat/send-multi", messages)).messages;
}

/**
 * Resolves once so many streams listen to the channel. What `subscribers` of a publish tells is no signal for that: a
 * stream that is opened between the count and the commit gets the message too.
 */
export async function listened(gateway: Gateway, channel: string, streams = 1): Promise<void> {
  for (;;) {
    const headers = { Authorization: `key=${gateway.secret}` };
    const response = await fetch(`${gateway.url}/channel/${channel}`, { headers });
    const { data } = (await response.json()) as Answer<{ subscribers: number }>;
    if (data.subscribers === streams) return;
  }
}

/** `POST /channel/subscribe`: the address of a stream. `ttl` in seconds. Rejects unless it succeeded. */
export function subscribe(
  gateway: Gateway,
  channel: string | readonly string[],
  more: { readonly ttl?: number; readonly user?: string } = {},
): Promise<Address> {
  return post<Address>(gateway, "/channel/subscribe", { channel, ...more });
}

async function post<Data>(gateway: Gateway, path: string, body: unknown): Promise<Data> {
  const response = await fetch(`${gateway.url}${path}`, {
    method: "POST",
    headers: { Authorization: `key=${gateway.secret}`, "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
  const answer = (await response.json()) as Answer<Data>;
  if (answer.code !== 0) throw new Error(`POST ${path} answered ${answer.code}: ${JSON.stringify(answer.Error)}`);
  return answer.data;
}

async function isReady(url: string): Promise<boolean> {
  try {
    // What certificate it has is for others to look at.
    return (await fetch(`${url}/readyz`, { tls: { rejectUnauthorized: false } })).ok;
  } catch {
    return false;
  }
}
