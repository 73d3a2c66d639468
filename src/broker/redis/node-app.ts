import type { AppId, Listener, Note } from "../broker.ts";
import { RedisApp, type AppOptions } from "./app.ts";
import { Asking, type AskingOptions, type Question } from "./asking.ts";
import { Following } from "./following.ts";
import { Hearing } from "./hearing.ts";
import type { Link } from "./link.ts";
import { Noting } from "./noting.ts";
import { Publishing, type PublishingOptions } from "./publishing.ts";
import { Reading } from "./reading.ts";
import { SCRIPTS } from "./scripts.ts";

export interface NodeAppOptions extends AppOptions, AskingOptions, PublishingOptions {
  readonly newEpoch: () => string;
  readonly listener: Listener;
  readonly noted: (app: AppId, note: Note) => void;
}

/** All that this node does for one app. */
export class NodeApp {
  readonly app: RedisApp;
  readonly publishing: Publishing;
  readonly reading: Reading;
  readonly following: Following;
  readonly noting: Noting;
  readonly asking: Asking;
  readonly #hearing: Hearing;
  readonly #options: NodeAppOptions;
  #isRecovered = false;
  #marks = 0;
  /** Since when a mark was not heard; null when all were. */
  #unheardSinceMs: number | null = null;

  constructor(id: AppId, options: NodeAppOptions) {
    this.#options = options;
    this.app = new RedisApp(id, options);
    this.publishing = new Publishing(this.app, options);
    this.reading = new Reading(this.app);
    this.noting = new Noting(this.app, options);
    this.asking = new Asking(this.app, options);
    this.#hearing = new Hearing(id, { ...options, broken: () => this.#broken() });
    this.following = new Following(this.app, {
      timers: options.timers,
      heard: (text) => this.#guarded(() => this.#hearing.messages(text)),
      agrees: (epoch) => this.#hearing.agrees(epoch),
      settled: (error) => this.#settled(error),
    });
  }

  /** Nothing is missing here that was announced or noted. */
  get isRecovered(): boolean {
    return this.#isRecovered && this.noting.isLoaded;
  }

  up(link: Link): void {
    this.app.up(link);
    const { keys } = this.app;
    const [own, answers] = [keys.node(this.#options.node), keys.answers(this.#options.node)];
    link
      .subscribe([keys.forEveryNode, own, answers], (text, channel) =>
        this.#guarded(() => {
          if (channel === own) this.#heardMark(text);
          else if (channel === answers) this.asking.answered(text);
          else this.#heardWord(text);
        }),
      )
      .then(async () => {
        await this.noting.load(link);
        this.asking.up();
        this.following.settle();
        if (!this.following.isActive) this.#isRecovered = true;
      })
      .catch((error: unknown) => link.cut(error));
  }

  down(): void {
    this.app.down();
    this.#isRecovered = false;
    this.#unheardSinceMs = null;
    this.noting.lost();
    this.asking.lost();
    this.#hearing.lost();
    this.following.lost();
    this.#options.listener.broken(this.app.id);
  }

  /**
   * Has the head announced to this node alone. What was kept up to it was announced before. By a command of its own and
   * not by a script, which would count as writing, and fail where the server's disk is full.
   */
  mark(): void {
    const { timers, node } = this.#options;
    this.#unheardSinceMs ??= timers.elapsed();
    this.#mark(String(++this.#marks), this.app.keys.node(node)).catch(() => undefined); // the link tells it
  }

  async #mark(number: string, own: string): Promise<void> {
    const [epoch, head] = (await this.app.run(SCRIPTS.head, [])) as [string, string];
    await this.app.link?.command(["SPUBLISH", own, `["${epoch}",${head},${number}]`]);
  }

  /** For how long a mark was not heard that was asked for. */
  get deafMs(): number {
    return this.#unheardSinceMs === null ? 0 : this.#options.timers.elapsed() - this.#unheardSinceMs;
  }

  #heardMark(text: string): void {
    const [epoch, seq, number] = JSON.parse(text) as [string, number, number];
    this.#unheardSinceMs = number === this.#marks ? null : this.#options.timers.elapsed();
    this.#hearing.mark(epoch, seq);
  }

  #heardWord(text: string): void {
    const word = JSON.parse(text) as
      ["epoch", string] | ["ask", string, Question[]] | ["note", string, string, number, string];
    if (word[0] === "epoch") return this.#hearing.epoch(word[1]);
    // What is noted and was not told yet would be missing in the answer.
    if (word[0] === "ask") return this.asking.asked(word[1], word[2], this.noting.isLoaded);
    const [, key, value, until, number] = word;
    this.noting.heard({ key, value, until }, number);
  }

  /** What was followed is void, though the connection is not: who followed it reads and follows again. */
  #broken(): void {
    this.#isRecovered = false;
    this.following.void();
    this.#options.listener.broken(this.app.id);
    this.following.settle();
  }

  #settled(error: unknown): void {
    if (error === null) this.#isRecovered = true;
    else this.app.link?.cut(error);
  }

  /** What is thrown would end in the reading of the connection, which would go on in the middle of a reply. */
  #guarded(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#options.log("error", "what was announced could not be taken in", { app: this.app.id, error });
      this.app.link?.cut(error);
    }
  }
}
