import { atMost, compare } from "../figure.ts";
import { load } from "../load.ts";
import { alternate, type Bench, type Row, withServers } from "../row.ts";
import { nchan, ours, rival } from "../servers.ts";

const STREAMS = 1000;

/** Each event alone: the next is published when the one before has reached every stream. */
export const singleCpu: Row = {
  name: "single-cpu",
  title: "Single events to 1,000 streams: server CPU per delivery",
  sockets: STREAMS,
  run(bench) {
    const rivals = [rival("listen"), rival("elysia"), rival("better-sse")];
    if (bench.nchan !== null) rivals.push(nchan(bench.nchan));
    return withServers([ours("sqlite"), ...rivals], async (servers) => {
      const contenders = servers.map((server) => ({
        name: server.name,
        measure: () =>
          load(server, { streams: STREAMS, greeting: true, lockstep: true, messages: bench.size(150, 20) }),
      }));
      const [own, ...others] = await alternate(bench, contenders);
      const cpu = (results: typeof own) => results!.series((result) => result.server.cpuMicrosPerDelivery);
      const targets = new Map([
        ["nchan", atMost(0.85)],
        ["bare Bun.listen", atMost(1.15)],
      ]);
      return others.map((other) =>
        compare("CPU per delivery", "us", cpu(own), cpu(other), targets.get(other.name) ?? null),
      );
    });
  },
};

function lastOf(bench: Bench) {
  return { streams: STREAMS, greeting: true, lockstep: true, rate: 50, messages: bench.size(250, 20) };
}

/** An idle server: 50 publishes a second at most, each after the one before has reached every stream. */
export const singleLast: Row = {
  name: "single-last",
  title: "One publish at a time on an idle server: p99 of the time to the last of 1,000 streams",
  sockets: STREAMS,
  run(bench) {
    return withServers([ours("sqlite"), rival("listen")], async (servers) => {
      // Both have their hot paths compiled before anything is measured.
      for (const server of servers) await load(server, { ...lastOf(bench), rate: 0 });
      const contenders = servers.map((server) => ({
        name: server.name,
        measure: () => load(server, lastOf(bench)),
      }));
      const [own, floor] = await alternate(bench, contenders);
      return [
        compare(
          "p99 to the last stream",
          "ms",
          own!.series((result) => result.deliveries.toLastMs.p99),
          floor!.series((result) => result.deliveries.toLastMs.p99),
          atMost(1.25),
        ),
        compare(
          "p50 to the last stream",
          "ms",
          own!.series((result) => result.deliveries.toLastMs.p50),
          floor!.series((result) => result.deliveries.toLastMs.p50),
          null,
        ),
      ];
    });
  },
};
