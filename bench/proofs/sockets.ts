import { CouldNotRun } from "./proof.ts";

/** The server's end of a connection, as the kernel has it. */
export interface Accepted {
  /** The other end: `127.0.0.1:40012`. Its port alone is not enough, since several addresses may have the same. */
  readonly peer: string;
  /** Written by the server, and not taken by the other end's kernel. */
  readonly queuedBytes: number;
  /** What the kernel holds for it: both queues with all that belongs to them. */
  readonly heldBytes: number;
}

/** All states but those that have no buffers any more: what is left of an ended connection for a while. */
const STATES = ["established", "fin-wait-1", "fin-wait-2", "close-wait", "last-ack", "closing"];

/** The accepted ends of all connections to a port of this machine, also those that no process has any more. */
export function acceptedAt(port: number): Accepted[] {
  if (Bun.which("ss") === null) throw new CouldNotRun("there is no `ss`. On Debian: apt-get install iproute2");
  const states = STATES.flatMap((state) => ["state", state]);
  const said = Bun.spawnSync(["ss", "-HtnmO", ...states, `sport = :${port}`]).stdout.toString();
  return said.split("\n").flatMap((line) => {
    // ESTAB 0 2626560 127.0.0.1:3000 127.0.0.1:40012 skmem:(r0,rb131072,t0,tb2626560,f0,w2641920,o0,bl0,d0)
    const found = /^\S+\s+\d+\s+(\d+)\s+\S+\s+(\S+)\s+skmem:\(r(\d+),.*,f(\d+),w(\d+)/.exec(line);
    if (found === null) return [];
    const [queued, peer, read, forward, write] = found.slice(1) as [string, string, string, string, string];
    return [{ peer, queuedBytes: Number(queued), heldBytes: Number(read) + Number(forward) + Number(write) }];
  });
}
