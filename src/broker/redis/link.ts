import { ClientClosedError, ClientOfflineError, createClient, ErrorReply } from "redis";
import type { Host, RedisAddress } from "./address.ts";
import { Away, Refusal, codeOf, isElsewhere } from "./errors.ts";
import type { Script } from "./scripts.ts";
import type { Timers } from "./timers.ts";

/** A command that takes longer is given up, and its connection with it: a server that is frozen answers late or never. */
const COMMAND_MS = 1500;
const CONNECT_MS = 1000;

/** A deadline that is met so much later was held up by this process, and lasts so much longer. */
const LATE_MS = 100;
const GRACE_MS = 200;

type Client = ReturnType<typeof clientOf>;

/** What a server says of itself. */
export interface ServerFacts {
  readonly evictionPolicy: string;
}

/** How a server is logged on to. */
export interface Login {
  readonly tls: boolean;
  readonly username: string | null;
  readonly password: string | null;
  readonly database: number;
}

/**
 * The two connections to one server: commands, and what is announced. When one of them ends, breaks, or does not answer
 * in time, both are gone for good, which `down` tells once: nothing is sent again or subscribed again behind its back.
 */
export class Link {
  readonly server: Host;
  facts: ServerFacts = { evictionPolicy: "" };
  readonly #timers: Timers;
  readonly #commands: Client;
  readonly #announcements: Client;
  readonly #down: (error: unknown) => void;
  #isUp = false;
  #isCut = false;

  private constructor(server: Host, login: Login, timers: Timers, down: (error: unknown) => void) {
    this.server = server;
    this.#timers = timers;
    this.#down = down;
    this.#commands = clientOf(server, login);
    this.#announcements = clientOf(server, login);
    for (const client of [this.#commands, this.#announcements]) {
      client.on("error", (error: unknown) => this.cut(error));
      client.on("end", () => this.cut(new Error("the connection ended")));
      client.on("sharded-channel-moved", () => this.cut(new Error("the slot was moved to another server")));
    }
  }

  /** Rejects with what went wrong; `Refusal` and the answers to a wrong password cannot pass. */
  static async open(
    server: Host,
    login: Login,
    timers: Timers,
    down: (link: Link, error: unknown) => void,
  ): Promise<Link> {
    const link: Link = new Link(server, login, timers, (error) => down(link, error));
    try {
      await link.#connect();
      link.#isUp = true;
      return link;
    } catch (error) {
      link.cut(error);
      throw error;
    }
  }

  get isUp(): boolean {
    return this.#isUp;
  }

  /** Rejects with `Away` when it was not answered, else with the error that was. */
  async command(args: readonly string[]): Promise<unknown> {
    if (!this.#isUp) throw new Away(false);
    return await this.#timed(() => this.#commands.sendCommand([...args]));
  }

  async run({ text, sha }: Script, key: string, args: readonly string[]): Promise<unknown> {
    try {
      return await this.command(["EVALSHA", sha, "1", key, ...args]);
    } catch (error) {
      if (codeOf(error) !== "NOSCRIPT") throw error;
      return await this.command(["EVAL", text, "1", key, ...args]);
    }
  }

  /** `heard` must not throw. */
  async subscribe(channels: readonly string[], heard: Heard): Promise<void> {
    if (!this.#isUp) throw new Away(false);
    await this.#timed(() => this.#announcements.sSubscribe([...channels], heard));
  }

  async unsubscribe(channels: readonly string[]): Promise<void> {
    if (!this.#isUp) throw new Away(false);
    await this.#timed(() => this.#announcements.sUnsubscribe([...channels]));
  }

  /** Ends both connections at once. */
  cut(error: unknown): void {
    if (this.#isCut) return;
    this.#isCut = true;
    const wasUp = this.#isUp;
    this.#isUp = false;
    for (const client of [this.#commands, this.#announcements]) client.destroy();
    if (wasUp) this.#down(error);
  }

  async #connect(): Promise<void> {
    await within(this.#timers, CONNECT_MS, Promise.all([this.#commands.connect(), this.#announcements.connect()]));
    const info = await within(this.#timers, COMMAND_MS, this.#commands.sendCommand<string>(["INFO"]));
    const version = Number(/^redis_version:(\d+)/m.exec(info)?.[1] ?? "0");
    if (version < 7) throw new Refusal(`Redis ${version} is too old: it takes Redis 7 or Valkey.`);
    if (!/^role:master/m.test(info)) throw new Error("READONLY the server is a replica");
    if (/^loading:1/m.test(info)) throw new Error("LOADING the server is reading its data");
    this.facts = { evictionPolicy: /^maxmemory_policy:(\S+)/m.exec(info)?.[1] ?? "" };
  }

  async #timed<T>(send: () => Promise<T>): Promise<T> {
    try {
      return await within(this.#timers, COMMAND_MS, send());
    } catch (error) {
      if (error instanceof ErrorReply && !isElsewhere(error)) throw error;
      this.cut(error);
      const wasSent = ![ErrorReply, ClientClosedError, ClientOfflineError].some((kind) => error instanceof kind);
      throw new Away(wasSent, error);
    }
  }
}

export type Heard = (text: string, channel: string) => void;

/** The server that the Sentinels, the Cluster or nobody but the address name. */
export async function ask<T>(
  server: Host,
  login: Login,
  timers: Timers,
  question: (send: (args: readonly string[]) => Promise<unknown>) => Promise<T>,
): Promise<T> {
  const client = clientOf(server, login);
  client.on("error", () => undefined);
  try {
    await within(timers, CONNECT_MS, client.connect());
    return await question((args) => within(timers, COMMAND_MS, client.sendCommand([...args])));
  } finally {
    client.destroy();
  }
}

export function loginOf({ tls, username, password, database }: RedisAddress): Login {
  return { tls, username, password, database };
}

/** Rejects when the promise has not settled in time. */
async function within<T>(timers: Timers, ms: number, promise: Promise<T>): Promise<T> {
  return await new Promise<T>((resolve, reject) => {
    const beganMs = timers.elapsed();
    const over = (): void => reject(new Error(`no answer within ${ms} ms`));
    let callOff = timers.after(ms, () => {
      // Timers come before what lies on the connection: after a long turn of this process the answer may be there.
      if (timers.elapsed() - beganMs > ms + LATE_MS) callOff = timers.after(GRACE_MS, over);
      else over();
    });
    promise.then(
      (value) => {
        callOff();
        resolve(value);
      },
      (error: unknown) => {
        callOff();
        reject(error);
      },
    );
  });
}

function clientOf({ host, port }: Host, { tls, username, password, database }: Login) {
  return createClient({
    socket: { host, port, connectTimeout: CONNECT_MS, reconnectStrategy: false, ...(tls && { tls: true as const }) },
    ...(username !== null && { username }),
    ...(password !== null && { password }),
    database,
    disableOfflineQueue: true,
    disableClientInfo: true,
    maintNotifications: "disabled",
    name: "service-socket",
    commandOptions: { timeout: undefined as never }, // deadlines are ours: its own costs an AbortSignal a command
  });
}
