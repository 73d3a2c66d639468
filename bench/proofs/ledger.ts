import { type Draft, Publisher, Unanswered, Unreached } from "./publisher.ts";
import { epochOf, seqOf } from "./position.ts";
import type { Report } from "./report.ts";

/** A message as the server has it. */
export interface Kept {
  readonly id: string;
  readonly channel: string;
  readonly data: string;
}

/** One publish of one or more messages, from its first try on. */
interface Sent {
  readonly drafts: readonly Draft[];
  /** Sent with an idempotency key, and again and again until it was acknowledged. */
  readonly keyed: boolean;
  /** The newest seq that anyone was told of when it was first sent: what is acknowledged later comes after. */
  readonly floor: number;
  ids: readonly string[] | null;
}

/** While the server is away: how long until the next try. */
const AGAIN_MS = 10;

/** Everything that was published, and what was acknowledged of it: the truth that server and listeners must agree with. */
export class Ledger {
  readonly #report: Report;
  readonly #againMs: number;
  readonly #sent: Sent[] = [];
  #newest = 0;
  /** Publishes whose answer did not come: repeated with their key, or left as they are. */
  unanswered = 0;

  constructor(report: Report, againMs = AGAIN_MS) {
    this.#report = report;
    this.#againMs = againMs;
  }

  get published(): number {
    return this.#sent.reduce((sum, { drafts }) => sum + drafts.length, 0);
  }

  get acknowledged(): number {
    return this.#sent.reduce((sum, { ids }) => sum + (ids?.length ?? 0), 0);
  }

  /**
   * Publishes messages whose data nobody else publishes. With a key it resolves when they are acknowledged, however often
   * that must be tried; without one they are sent once, and what became of them may stay unknown.
   */
  async publish(publisher: Publisher, drafts: readonly Draft[], key?: string): Promise<void> {
    const sent: Sent = { drafts, keyed: key !== undefined, floor: this.#newest, ids: null };
    this.#sent.push(sent);
    for (;;) {
      try {
        sent.ids = await publisher.publish(drafts, key);
        for (const id of sent.ids) this.#newest = Math.max(this.#newest, seqOf(id));
        return;
      } catch (error) {
        if (error instanceof Unanswered) {
          this.unanswered += 1;
          if (!sent.keyed) return;
        } else if (!(error instanceof Unreached)) throw error;
      }
      await Bun.sleep(this.#againMs);
    }
  }

  /** The data of all that is acknowledged by now. */
  get acknowledgedData(): readonly string[] {
    return this.#sent.filter(({ ids }) => ids !== null).flatMap(({ drafts }) => drafts.map(({ data }) => data));
  }

  /** Compares what the server keeps, in its order, with what was published. */
  compare(kept: readonly Kept[]): void {
    const lost = this.#report.claim("an acknowledged message is kept, under its id");
    const order = this.#report.claim("ids go up in the order of acceptance");
    const batches = this.#report.claim("of a batch all is kept in one piece, or nothing");
    const places = new Map<string, number[]>(); // data to indexes in `kept`
    kept.forEach(({ data }, i) => places.set(data, [...(places.get(data) ?? []), i]));

    for (const { drafts, keyed, floor, ids } of this.#sent) {
      const first = places.get(drafts[0]!.data)?.[0];
      const found = drafts.map((_, i) => (first === undefined ? undefined : kept[first + i]));
      const whole = drafts.every(({ channel, data }, i) => found[i]?.channel === channel && found[i].data === data);
      const parts = drafts.filter(({ data }) => places.has(data)).length;
      batches.check(parts === 0 || whole, () => `of ${told(drafts)} ${parts} are kept`);
      if (keyed || ids !== null) {
        drafts.forEach(({ data }, i) =>
          lost.check(whole && found[i]!.id === ids?.[i], () => `${data}, acknowledged as ${ids?.[i]}`),
        );
      }
      if (whole)
        order.check(seqOf(found[0]!.id) > floor, () => `${told(drafts)} is ${found[0]!.id}, sent after ${floor}`);
    }
    this.#compareKept(kept, places);
  }

  #compareKept(kept: readonly Kept[], places: ReadonlyMap<string, readonly number[]>): void {
    const once = this.#report.claim("what is kept was published, and is kept once");
    const published = new Set(this.#sent.flatMap(({ drafts }) => drafts.map(({ data }) => data)));
    for (const { id, data } of kept) {
      once.check(published.has(data) && places.get(data)!.length === 1, () => `${data} is kept as ${id} and others`);
    }
    const up = this.#report.claim("ids are strictly increasing, in one epoch");
    for (let i = 1; i < kept.length; i++) {
      const [before, after] = [kept[i - 1]!.id, kept[i]!.id];
      up.check(epochOf(before) === epochOf(after) && seqOf(before) < seqOf(after), () => `${before}, then ${after}`);
    }
  }
}

function told(drafts: readonly Draft[]): string {
  return drafts.map(({ channel, data }) => `${data} on ${channel}`).join(", ");
}

/** All that the server keeps of the channels, in the order of its ids. */
export async function readHistory(port: number, channels: readonly string[], secret?: string): Promise<Kept[]> {
  const reader = new Publisher(port, secret);
  const kept: Kept[] = [];
  for (const channel of channels) {
    for (let after = ""; ;) {
      const path = `/channel/${channel}/history?limit=1000${after}`;
      const { messages, through } = await reader.request<{ messages: Kept[]; through: string }>("GET", path);
      if (messages.length === 0) break;
      kept.push(...messages);
      after = `&after=${through}`;
    }
  }
  reader.close();
  return kept.sort((a, b) => seqOf(a.id) - seqOf(b.id));
}
