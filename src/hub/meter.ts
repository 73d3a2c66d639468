import type { GapReason } from "../broker/broker.ts";
import { Distribution, SECONDS } from "../core/distribution.ts";
import type { CloseReason } from "../core/frame.ts";

/** What the streams of an app were sent since the start. */
export class Sent {
  /** Each message counts once for each stream. */
  messages = 0;
  /** Those of them that streams got by catching up. */
  replayed = 0;
  /** Heartbeats and all else that a stream says included. */
  bytes = 0;
}

/** What the hub counts of all apps since its start: plain numbers, which whoever shows them reads when it is asked. */
export class HubMeter {
  opened = 0;
  /** Those that were refused in the form of a stream that ends (`limit`, `unavailable`, `drain`) were not opened. */
  readonly closed: Record<CloseReason, number> = {
    client: 0,
    slow: 0,
    expired: 0,
    revoked: 0,
    drain: 0,
    max_age: 0,
    limit: 0,
    unavailable: 0,
    error: 0,
  };
  readonly gaps: Record<GapReason, number> = { trimmed: 0, unproven: 0, epoch: 0, unknown_position: 0 };
  /** Streams that became level with what is published: after they were opened, had stalled, or the broker had broken. */
  catchUps = 0;
  /** Sockets that took no more. */
  stalls = 0;
  /** Messages of each batch that was flushed. */
  readonly batchMessages = new Distribution([1, 2, 5, 10, 20, 50, 100, 200, 500, 1000]);
  /** From when the broker delivered the first message of a batch to when it was written to the last stream. */
  readonly flushSeconds = new Distribution(SECONDS);
  /** Reads of the store for streams that catch up. */
  readonly readSeconds = new Distribution(SECONDS);
}
