import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { SignJWT } from "jose";
import { atLeast, compare } from "../figure.ts";
import { load } from "../load.ts";
import { folder } from "../process.ts";
import { alternate, type Row, withServers } from "../row.ts";
import { nchan, ours, rival, SECRET } from "../servers.ts";

const STREAMS = 10_000;

/** A file for the load generator: as many tokens, none of which was ever seen by the server. */
async function tokens(count: number, round: number): Promise<string> {
  const key = new TextEncoder().encode(SECRET);
  const expires = Math.floor(Date.now() / 1000) + 3600;
  const lines: string[] = [];
  for (let i = 0; i < count; i++) {
    const token = await new SignJWT({ channels: ["c0"], sub: `listener-${round}-${i}` })
      .setProtectedHeader({ alg: "HS256", kid: "default" })
      .setAudience("service-socket")
      .setExpirationTime(expires)
      .sign(key);
    lines.push(`/channel/c0/stream?token=${token}`);
  }
  const file = join(folder(), "tokens");
  writeFileSync(file, lines.join("\n"));
  return file;
}

export const opening: Row = {
  name: "open",
  title: "Opening 10,000 streams: each with a token of its own, beside nchan and others without tokens",
  sockets: STREAMS,
  run(bench) {
    const streams = bench.size(STREAMS, 1000);
    const rivals = [rival("listen"), rival("direct"), rival("better-sse")];
    if (bench.nchan !== null) rivals.push(nchan(bench.nchan));
    return withServers([ours("sqlite", { SOCKET_PUBLIC_CHANNELS: "" }), ...rivals], async ([own, ...others]) => {
      const contenders = [
        {
          name: own!.name,
          measure: async (round: number) =>
            load(own!, { streams, greeting: true, settle: 200, streamFile: await tokens(streams, round) }),
        },
        ...others.map((server) => ({
          name: server.name,
          measure: () => load(server, { streams, greeting: true, settle: 200 }),
        })),
      ];
      const [ownResults, ...otherResults] = await alternate(bench, contenders);
      const rate = (results: typeof ownResults) => results!.series((result) => result.open.perSecond);
      return otherResults.map((other) =>
        compare("streams opened", "/s", rate(ownResults), rate(other), other.name === "nchan" ? atLeast(1) : null),
      );
    });
  },
};
