import type { Answers, AppId } from "../broker.ts";
import type { RedisApp } from "./app.ts";
import type { Timers } from "./timers.ts";

/** The longest question and answer, in characters. */
const MAX_TEXT = 256 * 1024;
/** Questions of an app that wait to be sent and for their answers. */
const MAX_UNDER_WAY = 1000;
/**
 * What is asked sooner after what was sent before, is sent together: however often a backend looks at its counts, the
 * other nodes hear of it fifty times a second.
 */
const PACE_MS = 20;

export const NO_ANSWERS: Answers = { texts: [], complete: false };

/** Its number among all of the node that asks, and what it asks. */
export type Question = [number: number, text: string];

export interface AskingOptions {
  readonly timers: Timers;
  readonly node: string;
  readonly asked: (app: AppId, question: string) => Promise<string>;
}

interface Asked {
  readonly key: string;
  readonly text: string;
  /** 0 until it is sent. */
  number: number;
  readonly texts: string[];
  readonly answers: Promise<Answers>;
  readonly settle: (answers: Answers) => void;
  /** How many nodes heard it, this one included; null until Redis has told. */
  receivers: number | null;
  /** How many of them were heard of. */
  heard: number;
  /** A node has no answer. */
  isMissing: boolean;
}

/**
 * What the nodes ask each other about one app. Redis tells how many heard a question, so that nobody waits for more
 * answers than can come; a node that has died is not among them as soon as its connection has ended.
 */
export class Asking {
  readonly #app: RedisApp;
  readonly #options: AskingOptions;
  readonly #unsent = new Map<string, Asked>();
  readonly #sent = new Map<number, Asked>();
  #numbers = 0;
  #sendsAtMs = -Infinity;
  #isSending = false;
  #isUp = false;

  constructor(app: RedisApp, options: AskingOptions) {
    this.#app = app;
    this.#options = options;
  }

  /** Never rejects. */
  ask(text: string, withinMs: number): Promise<Answers> {
    const key = `${withinMs} ${text}`;
    const same = this.#unsent.get(key);
    if (same !== undefined) return same.answers;
    const isTooMuch = text.length > MAX_TEXT || this.#unsent.size + this.#sent.size >= MAX_UNDER_WAY;
    if (isTooMuch || (!this.#isUp && this.#app.isAway)) return Promise.resolve(NO_ANSWERS);
    const { promise: answers, resolve } = Promise.withResolvers<Answers>();
    const rest = { number: 0, texts: [], receivers: null, heard: 0, isMissing: false };
    const asked: Asked = { key, text, answers, settle: resolve, ...rest };
    this.#unsent.set(key, asked);
    const { timers } = this.#options;
    // Once more round the event loop: after a long turn of this process the answers may lie there, not taken in yet.
    const callOff = timers.after(withinMs, () => timers.after(0, () => this.#settle(asked, false)));
    void answers.finally(callOff);
    this.#sendSoon();
    return answers;
  }

  /** A node has asked, which may be this one. `mayAnswer`: all that was noted before was told. */
  asked(node: string, questions: readonly Question[], mayAnswer: boolean): void {
    for (const [number, text] of questions) {
      if (node === this.#options.node) this.#heard(number);
      else void this.#answer(node, number, text, mayAnswer);
    }
  }

  /** Another node has answered; null when it has no answer. */
  answered(text: string): void {
    const [number, answer] = JSON.parse(text) as [number, string | null];
    const asked = this.#sent.get(number);
    if (asked === undefined) return;
    if (answer === null) asked.isMissing = true;
    else asked.texts.push(answer);
    this.#heard(number);
  }

  /** This node hears what is answered. */
  up(): void {
    this.#isUp = true;
    this.#sendSoon();
  }

  /** Whatever is still to come was lost with the connection. */
  lost(): void {
    this.#isUp = false;
    for (const asked of [...this.#unsent.values(), ...this.#sent.values()]) this.#settle(asked, false);
  }

  #heard(number: number): void {
    const asked = this.#sent.get(number);
    if (asked === undefined) return; // its time is over
    asked.heard += 1;
    this.#look(asked);
  }

  #look(asked: Asked): void {
    const { receivers, heard, isMissing } = asked;
    if (receivers !== null && heard >= receivers) this.#settle(asked, !isMissing);
  }

  #settle(asked: Asked, complete: boolean): void {
    if (asked.number === 0) this.#unsent.delete(asked.key);
    else this.#sent.delete(asked.number);
    asked.settle({ texts: asked.texts, complete });
  }

  #sendSoon(): void {
    if (this.#isSending || !this.#isUp || this.#unsent.size === 0) return;
    this.#isSending = true;
    const send = (): void => {
      this.#isSending = false;
      void this.#send();
    };
    const waitMs = this.#sendsAtMs - this.#options.timers.elapsed();
    if (waitMs <= 0) void Promise.resolve().then(send);
    else this.#options.timers.after(waitMs, send);
  }

  async #send(): Promise<void> {
    const { node, timers } = this.#options;
    const { keys, link } = this.#app;
    if (link === null) return; // whoever waited was told
    const batch: Asked[] = [];
    let length = 0;
    for (const [key, asked] of this.#unsent) {
      length += asked.text.length;
      if (length > MAX_TEXT && batch.length > 0) break;
      batch.push(asked);
      asked.number = ++this.#numbers;
      this.#unsent.delete(key);
      this.#sent.set(asked.number, asked);
    }
    if (batch.length === 0) return;
    this.#sendsAtMs = timers.elapsed() + PACE_MS;
    this.#sendSoon();
    try {
      const word = JSON.stringify(["ask", node, batch.map(({ number, text }): Question => [number, text])]);
      const receivers = Number(await link.command(["SPUBLISH", keys.forEveryNode, word]));
      for (const asked of batch) {
        asked.receivers = receivers;
        this.#look(asked);
      }
    } catch {
      for (const asked of batch) this.#settle(asked, false); // the link tells it
    }
  }

  async #answer(node: string, number: number, question: string, mayAnswer: boolean): Promise<void> {
    let answer: string | null = null;
    try {
      if (mayAnswer) answer = await this.#options.asked(this.#app.id, question);
    } catch {
      // told by the one who has no answer
    }
    if (answer !== null && answer.length > MAX_TEXT) answer = null;
    const { keys, link } = this.#app;
    await link?.command(["SPUBLISH", keys.answers(node), JSON.stringify([number, answer])]).catch(() => undefined);
  }
}
