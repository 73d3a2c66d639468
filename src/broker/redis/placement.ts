import type { AppId, BrokerOptions } from "../broker.ts";
import { Fault } from "../fault.ts";
import type { Host, RedisAddress } from "./address.ts";
import { isForGood } from "./errors.ts";
import { Link, loginOf } from "./link.ts";
import { findServers } from "./servers.ts";
import type { Timers } from "./timers.ts";

const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 500;
/** How often the Sentinels are asked whether the primary is still the same. */
const CONFIRM_MS = 1000;

const LINES = {
  begins: "the store cannot be reached: publishes are refused, and streams wait",
  over: "the store is reached again",
  quietLooks: 1,
};

/** What an app is told of its server. */
export interface Placed {
  up(link: Link): void;
  down(): void;
}

export interface PlacementOptions extends Pick<BrokerOptions, "log" | "now"> {
  readonly timers: Timers;
}

/** Which server each app has, and the links to them: they are opened again, one try after the other, as long as it takes. */
export class Placement {
  readonly #address: RedisAddress;
  readonly #options: PlacementOptions;
  readonly #fault: Fault;
  readonly #apps = new Map<AppId, Placed>();
  readonly #links = new Map<string, Link>();
  readonly #byApp = new Map<AppId, Link>();
  #running = false;
  #isClosed = false;
  #hasWarned = false;
  /** Of the first link: what it rejects with cannot pass. */
  readonly #opened = Promise.withResolvers<void>();

  constructor(address: RedisAddress, options: PlacementOptions) {
    this.#address = address;
    this.#options = options;
    this.#fault = new Fault(LINES, options);
    this.#opened.promise.catch(() => undefined);
  }

  /** Resolves once a server was reached; rejects when none can ever be with these settings. */
  async open(): Promise<void> {
    this.#run();
    await this.#opened.promise;
  }

  add(app: AppId, placed: Placed): void {
    this.#apps.set(app, placed);
    this.#run();
  }

  /** Every app has its server. */
  get isWhole(): boolean {
    return this.#links.size > 0 && this.#byApp.size === this.#apps.size;
  }

  get links(): Iterable<Link> {
    return this.#links.values();
  }

  close(): void {
    this.#isClosed = true;
    this.#opened.reject(new Error("closed"));
    for (const link of this.#links.values()) link.cut(new Error("closed"));
  }

  #run(): void {
    if (this.#running || this.#isClosed) return;
    this.#running = true;
    void this.#place();
  }

  async #place(): Promise<void> {
    let pauseMs = FIRST_PAUSE_MS;
    while (!this.#isClosed && !this.isWhole) {
      try {
        await this.#tryAll();
        if (this.isWhole) this.#fault.look();
        pauseMs = FIRST_PAUSE_MS;
      } catch (error) {
        if (this.#isClosed) return;
        if (isForGood(error)) this.#opened.reject(error);
        this.#fault.failed(error);
        await new Promise<void>((resolve) => this.#options.timers.after(pauseMs, resolve));
        pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS);
      }
    }
    this.#running = false; // at once: what is lost a microtask later must find nobody at it
  }

  /** Rejects when an app could not be placed; the others are. */
  async #tryAll(): Promise<void> {
    const seen = [...this.#links.values()].map(({ server }) => server);
    const servers = await findServers(this.#address, this.#options.timers, seen);
    if (this.#apps.size === 0) await this.#linkTo(servers.of(""));
    let failed: { error: unknown } | null = null;
    for (const [app, placed] of this.#apps) {
      if (this.#byApp.has(app)) continue;
      try {
        const link = await this.#linkTo(servers.of(app));
        if (this.#byApp.has(app)) continue;
        this.#byApp.set(app, link);
        placed.up(link);
      } catch (error) {
        failed = { error };
        if (this.#address.kind !== "cluster") break;
      }
    }
    if (failed !== null) throw failed.error;
  }

  async #linkTo(server: Host): Promise<Link> {
    const key = `${server.host} ${server.port}`;
    const known = this.#links.get(key);
    if (known !== undefined) return known;
    const link = await Link.open(server, loginOf(this.#address), this.#options.timers, (gone, error) => {
      this.#down(gone, error);
    });
    await this.#confirm(link);
    if (this.#isClosed) link.cut(new Error("closed"));
    if (!link.isUp) throw new Error("the connection was lost at once");
    this.#links.set(key, link);
    this.#warnOfEviction(link);
    this.#opened.resolve();
    return link;
  }

  /** A primary that froze takes connections when it thaws, and may not know yet that the Sentinels replaced it. */
  async #confirm(link: Link): Promise<void> {
    if (this.#address.kind !== "sentinel") return;
    try {
      await this.#compare(link);
    } catch (error) {
      link.cut(error);
    }
    this.#confirmLater(link);
  }

  /** One that was replaced goes on for some ten seconds, until a Sentinel tells it; what it keeps meanwhile is lost. */
  #confirmLater(link: Link): void {
    this.#options.timers.after(CONFIRM_MS, () => {
      if (!link.isUp) return;
      this.#compare(link).then(
        () => this.#confirmLater(link),
        () => this.#confirmLater(link), // as long as no Sentinel says otherwise
      );
    });
  }

  /** Cuts a link to a server that the Sentinels name no more. Rejects when none of them answers. */
  async #compare(link: Link): Promise<void> {
    const { host, port } = (await findServers(this.#address, this.#options.timers, [])).of("");
    if (host !== link.server.host || port !== link.server.port) link.cut(new Error("the primary was replaced"));
  }

  #warnOfEviction({ facts: { evictionPolicy: policy } }: Link): void {
    if (this.#hasWarned || policy === "noeviction" || policy === "") return;
    this.#hasWarned = true;
    this.#options.log("warn", "Redis may evict what is kept: set maxmemory-policy to noeviction", { policy });
  }

  #down(link: Link, error: unknown): void {
    const key = `${link.server.host} ${link.server.port}`;
    if (this.#links.get(key) === link) this.#links.delete(key);
    if (this.#isClosed) return; // those who follow ask for nothing any more
    this.#fault.failed(error);
    const lost = [...this.#byApp].filter(([, its]) => its === link);
    for (const [app] of lost) this.#byApp.delete(app);
    for (const [app] of lost) this.#apps.get(app)!.down();
    this.#run();
  }
}
