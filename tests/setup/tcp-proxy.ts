import { connect, createServer, type Server, type Socket } from "node:net";

interface Pair {
  readonly near: Socket;
  readonly far: Socket;
  /** It subscribed to something. */
  listens: boolean;
  /** What the server says does not arrive. */
  mute: boolean;
}

/**
 * Stands between a broker and a server on the loopback, and loses what it is told to. It knows connections that
 * subscribed from those that send commands.
 */
export class TcpProxy implements AsyncDisposable {
  readonly port: number;
  readonly #server: Server;
  readonly #pairs: Set<Pair>;
  #isHeld = false;
  #replace: ((text: string) => string) | null = null;

  private constructor(server: Server, pairs: Set<Pair>) {
    this.#server = server;
    this.#pairs = pairs;
    this.port = (server.address() as { port: number }).port;
  }

  static async start(port: number): Promise<TcpProxy> {
    const pairs = new Set<Pair>();
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const proxy = new TcpProxy(server, pairs);
    server.on("connection", (near) => proxy.#join(near, port));
    return proxy;
  }

  /** What the server says on connections of this kind does not arrive from now on, until they are cut. */
  mute(kind: "commands" | "announcements"): void {
    for (const pair of this.#pairs) if (pair.listens === (kind === "announcements")) pair.mute = true;
  }

  /**
   * Nothing passes any more, either way, as where a cable is pulled: connections stay and are silent, new ones as well.
   * What is under way is held, as the kernels at both ends would.
   */
  hold(): void {
    this.#isHeld = true;
    for (const { near, far } of this.#pairs) for (const end of [near, far]) end.pause();
  }

  /** Everything passes again. */
  pass(): void {
    this.#isHeld = false;
    for (const { near, far } of this.#pairs) for (const end of [near, far]) end.resume();
  }

  /** Every connection breaks. */
  cut(): void {
    for (const { near, far } of this.#pairs) {
      near.destroy();
      far.destroy();
    }
  }

  /** What the server says arrives changed, in text of the same length. */
  replace(change: (text: string) => string): void {
    this.#replace = change;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cut();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  #join(near: Socket, port: number): void {
    const far = connect(port, "127.0.0.1");
    const pair: Pair = { near, far, listens: false, mute: false };
    this.#pairs.add(pair);
    if (this.#isHeld) for (const end of [near, far]) end.pause();
    near.on("data", (bytes) => {
      pair.listens ||= bytes.toString("latin1").toLowerCase().includes("ssubscribe");
      far.write(bytes);
    });
    far.on("data", (bytes) => {
      if (pair.mute) return;
      near.write(this.#replace === null ? bytes : Buffer.from(this.#replace(bytes.toString("latin1")), "latin1"));
    });
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      one.on("error", () => undefined);
      one.on("close", () => {
        other.destroy();
        this.#pairs.delete(pair);
      });
    }
  }
}
