import { Gateway } from "./gateway.ts";
import { Hearing } from "./hearing.ts";
import { Ledger, readHistory } from "./ledger.ts";
import type { Proof } from "./proof.ts";
import { Publisher, type Draft } from "./publisher.ts";
import { Random } from "./random.ts";
import { type Report, whole } from "./report.ts";

const CHANNELS = ["news", "room.1", "room.2", "room.3", "room.1.chat", "alerts"];
/** What the listeners listen to. Those on the same selection share what the server keeps in memory, others do not. */
const SELECTIONS = [
  ["news"],
  ["room.1"],
  ["room.1"],
  ["news", "alerts", "room.2"],
  ["room.1", "room.3"],
  ["room.*"],
  ["room.**", "alerts"],
  ["**"],
];
/** Publishers with idempotency keys, and others without. */
const KEYED = 4;
const PLAIN = 4;

const SETTINGS = {
  // Nothing is trimmed: every gap that is told is a fault.
  SOCKET_HISTORY_COUNT: "0",
  SOCKET_HISTORY_AGE: "0",
  SOCKET_HISTORY_BYTES: "0",
  SOCKET_APP_HISTORY_BYTES: "0",
  // So that the ids of heartbeats are resumed from as well, and listeners are back while a round lasts.
  SOCKET_HEARTBEAT: "50ms",
  SOCKET_RETRY: "100ms",
};

/** A round's kill comes so long after its start at most; the first part of it takes the start itself. */
const ROUND_MS = 1500;
/** How long a listener that cuts its own stream now and then keeps it at most. */
const RESTLESS_MS = 400;
/** How long the last message may take to reach a listener that is connected. */
const LAST_WITHIN_MS = 20_000;

export const kill: Proof<"rounds" | "seed"> = {
  name: "kill",
  title:
    "kill -9 at random moments under publishing and listening: nothing acknowledged is lost, and nothing else is told",
  options: {
    rounds: { what: "how often the server is killed", full: 100, quick: 3 },
    seed: { what: "of the moments", full: 1, quick: 1 },
  },
  limitS: ({ rounds }) => 120 + rounds * 5,

  async prove(report, { rounds, seed }) {
    const gateway = new Gateway(report, SETTINGS, this.limitS({ rounds, seed }));
    await gateway.start();
    const ledger = new Ledger(report);
    const random = new Random(seed);
    const listening = SELECTIONS.map((selection) => new Hearing(report, gateway.port, selection));
    for (const one of listening) one.open();
    const restless = new Hearing(report, gateway.port, ["**"]);
    restless.open();
    const restlessness = setInterval(() => restless.reset(1), RESTLESS_MS);

    const stopping = { now: false };
    const publishing = Array.from({ length: KEYED + PLAIN }, (_, i) =>
      publishUntil(stopping, new Publisher(gateway.port), ledger, i, i < KEYED, new Random(seed * 1000 + i)),
    );
    let serving = 0;
    for (let round = 0; round < rounds; round++) {
      const before = ledger.acknowledged;
      await Bun.sleep(random.between(0, ROUND_MS));
      await gateway.kill();
      gateway.spawn();
      if (ledger.acknowledged > before) serving += 1;
      // One begins to listen in the middle of it all.
      if (round === rounds >> 1) listening.push(...late(report, gateway.port));
      if ((round + 1) % 10 === 0)
        report.say(`${round + 1} of ${rounds} kills, ${whole(ledger.acknowledged)} acknowledged`);
    }
    await gateway.ready();
    stopping.now = true;
    await Promise.all(publishing);
    clearInterval(restlessness);

    const ears = [...listening, restless];
    const publisher = new Publisher(gateway.port);
    await ledger.publish(
      publisher,
      CHANNELS.map((channel) => ({ channel, data: `the end of ${channel}` })),
      "the-end",
    );
    await Promise.race([Promise.all(ears.map((one) => one.hears("the end of"))), Bun.sleep(LAST_WITHIN_MS)]);
    const kept = await readHistory(gateway.port, CHANNELS);
    await gateway.stop();
    for (const one of ears) one.close();

    report.figure("kills", `${whole(rounds)}, ${whole(rounds - serving)} of them before a publish was acknowledged`);
    report.figure("messages published", `${whole(ledger.published)}, ${whole(ledger.acknowledged)} acknowledged`);
    report.figure("kept", whole(kept.length));
    report.figure("publishes that a kill left without an answer", whole(ledger.unanswered));
    report.figure("streams opened", whole(ears.reduce((sum, one) => sum + one.opened, 0)));
    ledger.compare(kept);
    for (const one of ears) one.compare(kept);
  },
};

function late(report: Report, port: number): Hearing[] {
  const hearing = new Hearing(report, port, ["room.1", "news"]);
  hearing.open();
  return [hearing];
}

/** Single messages and batches, one after another; the data of each is its own. */
async function publishUntil(
  stopping: { readonly now: boolean },
  publisher: Publisher,
  ledger: Ledger,
  nth: number,
  keyed: boolean,
  random: Random,
): Promise<void> {
  for (let count = 0; !stopping.now; count++) {
    const name = `${keyed ? "keyed" : "plain"}.${nth}.${count}`;
    const size = random.next() < 0.3 ? random.between(2, 5) : 1;
    const drafts = Array.from({ length: size }, (_, i): Draft => ({
      channel: random.pick(CHANNELS),
      data: `${name}.${i}`,
    }));
    await ledger.publish(publisher, drafts, keyed ? name : undefined);
    await Bun.sleep(keyed ? 1 : 2);
  }
  publisher.close();
}
