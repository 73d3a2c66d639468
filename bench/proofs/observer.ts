import type { Gateway } from "./gateway.ts";
import { descriptors, rssMiB } from "./linux.ts";
import { Publisher } from "./publisher.ts";
import type { Claim, Report } from "./report.ts";
import { selects } from "./selection.ts";

export interface Look {
  readonly sockets: number;
  readonly files: number;
  readonly listened: number;
  readonly rssMiB: number;
}

/** Looks at the server from outside, when it has come to rest. */
export class Observer {
  readonly #gateway: Gateway;
  readonly #claim: Claim;
  readonly #publisher: Publisher;
  /** How many streams each channel has while all are open. */
  readonly #wanted: ReadonlyMap<string, number>;

  constructor(
    report: Report,
    gateway: Gateway,
    selections: readonly (readonly string[])[],
    channels: readonly string[],
  ) {
    this.#gateway = gateway;
    this.#claim = report.claim("a channel has as many subscribers as streams are open that select it");
    this.#publisher = new Publisher(gateway.port);
    this.#wanted = subscribersOf(selections, channels);
  }

  async look(streams: number): Promise<Look> {
    const { pid } = this.#gateway;
    await rest(pid);
    const listed = await this.#channels();
    for (const { channel, subscribers } of listed) {
      const wanted = streams === 0 ? 0 : (this.#wanted.get(channel) ?? 0);
      this.#claim.check(subscribers === wanted, () => `${channel} has ${subscribers}, not ${wanted}`);
    }
    return {
      ...descriptors(pid),
      listened: listed.filter(({ subscribers }) => subscribers > 0).length,
      rssMiB: rssMiB(pid),
    };
  }

  async #channels(): Promise<Listed[]> {
    const all: Listed[] = [];
    for (let next: string | null = ""; next !== null;) {
      const page: { channels: Listed[]; next: string | null } = await this.#publisher.request(
        "GET",
        `/channels?limit=1000${next === "" ? "" : `&after=${next}`}`,
      );
      all.push(...page.channels);
      next = page.next;
    }
    return all;
  }
}

interface Listed {
  readonly channel: string;
  readonly subscribers: number;
}

function subscribersOf(
  selections: readonly (readonly string[])[],
  published: readonly string[],
): ReadonlyMap<string, number> {
  const named = Map.groupBy(selections.flat(), (name) => name);
  const patterns = [...named]
    .filter(([name]) => name.includes("*"))
    .map(([name, { length }]) => ({
      selects: selects([name]),
      length,
    }));
  const channels = [...new Set([...named.keys(), ...published])].filter((name) => !name.includes("*"));
  return new Map(
    channels.map((channel) => {
      const matching = patterns.filter((pattern) => pattern.selects(channel));
      return [channel, matching.reduce((sum, { length }) => sum + length, named.get(channel)?.length ?? 0)];
    }),
  );
}

/** Waits until the number of its connections has not changed for a second, at most ten. */
async function rest(pid: number): Promise<void> {
  let before = -1;
  for (let look = 0, still = 0; look < 40 && still < 4; look++) {
    const now = descriptors(pid).sockets;
    still = now === before ? still + 1 : 0;
    before = now;
    await Bun.sleep(250);
  }
}
