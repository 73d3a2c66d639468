import { describe, expect, test } from "bun:test";
import { type Kept, Ledger } from "../../bench/proofs/ledger.ts";
import { type Draft, type Publisher, Unanswered } from "../../bench/proofs/publisher.ts";
import { Report } from "../../bench/proofs/report.ts";

const ONE = [{ channel: "a", data: "one" }];
const TWO = [
  { channel: "a", data: "two.0" },
  { channel: "b", data: "two.1" },
];

/** Acknowledges in order, as a server does that loses nothing; a publish whose data is `unanswered` is kept as well. */
async function publishAll(ledger: Ledger, batches: readonly (readonly Draft[])[]): Promise<Kept[]> {
  const kept: Kept[] = [];
  const server = {
    publish: (drafts: readonly Draft[]) => {
      const ids = drafts.map(({ channel, data }) => {
        const id = `e-${kept.length + 1}`;
        kept.push({ id, channel, data });
        return id;
      });
      if (drafts[0]!.data === "unanswered") throw new Unanswered();
      return Promise.resolve(ids);
    },
  };
  for (const drafts of batches) await ledger.publish(server as unknown as Publisher, drafts);
  return kept;
}

async function judge(batches: readonly (readonly Draft[])[], change: (kept: Kept[]) => Kept[]): Promise<string> {
  const report = new Report();
  const ledger = new Ledger(report);
  ledger.compare(change(await publishAll(ledger, batches)));
  return report.toString();
}

describe("the ledger", () => {
  test("agrees with a server that lost nothing", async () => {
    expect(await judge([ONE, TWO], (kept) => kept)).not.toContain("BROKEN");
  });

  test("takes a message without an answer as kept, and as not kept", async () => {
    const batches = [ONE, [{ channel: "a", data: "unanswered" }], TWO];
    expect(await judge(batches, (kept) => kept)).not.toContain("BROKEN");
    expect(await judge(batches, (kept) => kept.filter(({ data }) => data !== "unanswered"))).not.toContain("BROKEN");
  });

  test.each([
    ["a loss", (kept: Kept[]) => kept.slice(1), "an acknowledged message is kept, under its id"],
    ["half a batch", (kept: Kept[]) => kept.slice(0, -1), "of a batch all is kept in one piece, or nothing"],
    ["one kept twice", (kept: Kept[]) => [...kept, { ...kept[0]!, id: "e-9" }], "is kept once"],
    ["one that nobody published", (kept: Kept[]) => [...kept, { id: "e-9", channel: "a", data: "?" }], "is kept once"],
    ["another channel", (kept: Kept[]) => kept.map(({ id, data }) => ({ id, channel: "c", data })), "under its id"],
    ["an order that is not that of acceptance", swapped, "ids go up in the order of acceptance"],
    ["a change of epoch", (kept: Kept[]) => [...kept.slice(0, -1), { ...kept.at(-1)!, id: "f-9" }], "in one epoch"],
  ])("finds %s", async (_, change, claim) => {
    const broken = (await judge([ONE, TWO], change)).split("\n").filter((line) => line.endsWith("| BROKEN |"));
    expect(broken.join("\n")).toContain(claim);
  });
});

/** The batch before the message that was acknowledged before it was sent. */
function swapped(kept: Kept[]): Kept[] {
  return [...kept.slice(1), kept[0]!].map(({ channel, data }, i) => ({ id: `e-${i + 1}`, channel, data }));
}
