import { version } from "../../package.json";
import type { AppId } from "../broker/broker.ts";
import type { Distribution } from "../core/distribution.ts";
import type { Descriptors } from "../descriptors.ts";
import type { Gateway } from "../http/gateway.ts";

/** What is looked at when metrics are asked for. */
export interface Source {
  readonly gateway: Gateway;
  /** Null where the system does not tell. */
  readonly descriptors: Descriptors | null;
}

/** One value: its labels, and the number. */
export type Sample = readonly [labels: Readonly<Record<string, string>>, value: number];

interface Facts {
  /** By the conventions of Prometheus: base units, `_total` for what only grows. */
  readonly name: string;
  /** One sentence, also for `docs/metrics.md`. */
  readonly help: string;
  /** Their values are a closed set, or the ids of the settings' apps: no request makes a new series. */
  readonly labels: readonly string[];
}

export interface Numbers extends Facts {
  readonly type: "counter" | "gauge";
  readonly read: (source: Source) => Iterable<Sample>;
}

export interface Histogram extends Facts {
  readonly type: "histogram";
  readonly read: (source: Source) => Distribution;
}

export type Metric = Numbers | Histogram;

function plain(type: "counter" | "gauge", name: string, help: string, read: (source: Source) => number): Numbers {
  return { type, name, help, labels: [], read: (source) => [[{}, read(source)]] };
}

function ofApps(
  type: "counter" | "gauge",
  name: string,
  help: string,
  read: (gateway: Gateway, app: AppId) => number,
): Numbers {
  return {
    type,
    name,
    help,
    labels: ["app"],
    read: ({ gateway }) => [...gateway.apps].map(({ id }): Sample => [{ app: id }, read(gateway, id)]),
  };
}

function by(
  label: string,
  name: string,
  help: string,
  read: (gateway: Gateway) => Readonly<Record<string, number>>,
): Numbers {
  return {
    type: "counter",
    name,
    help,
    labels: [label],
    read: ({ gateway }) => Object.entries(read(gateway)).map(([word, value]): Sample => [{ [label]: word }, value]),
  };
}

function histogram(name: string, help: string, read: (gateway: Gateway) => Distribution): Histogram {
  return { type: "histogram", name, help, labels: [], read: ({ gateway }) => read(gateway) };
}

/** Every metric, in the order in which they are shown. */
export const METRICS: readonly Metric[] = [
  {
    type: "gauge",
    name: "service_socket_build_info",
    help: "1, with the versions that run.",
    labels: ["version", "bun"],
    read: () => [[{ version, bun: Bun.version }, 1]],
  },
  ofApps("gauge", "service_socket_streams", "Open streams.", ({ hub }, app) => hub.streams(app)),
  ofApps(
    "gauge",
    "service_socket_feeds",
    "Selections in one format that streams listen to; streams of the same share one.",
    ({ hub }, app) => hub.of(app).feeds,
  ),
  plain("counter", "service_socket_streams_opened_total", "Streams that were opened.", ({ gateway }) => {
    return gateway.hub.meter.opened;
  }),
  by(
    "reason",
    "service_socket_streams_closed_total",
    "Streams that ended, by the reason that `socket:close` and the log tell; refused in the form of a stream included.",
    ({ hub }) => hub.meter.closed,
  ),
  plain("counter", "service_socket_stalls_total", "Times that the socket of a stream took no more data.", (source) => {
    return source.gateway.hub.meter.stalls;
  }),
  ofApps(
    "counter",
    "service_socket_publishes_total",
    "Requests to publish that were kept; one that was repeated by its idempotency key counts once.",
    ({ meter }, app) => meter.published(app).publishes,
  ),
  ofApps("counter", "service_socket_messages_published_total", "Messages of these publishes.", ({ meter }, app) => {
    return meter.published(app).messages;
  }),
  ofApps(
    "counter",
    "service_socket_deliveries_total",
    "Messages that were written to streams: each counts once for each stream.",
    ({ hub }, app) => hub.of(app).sent.messages,
  ),
  ofApps(
    "counter",
    "service_socket_replayed_total",
    "Those of the deliveries that streams got by catching up.",
    ({ hub }, app) => hub.of(app).sent.replayed,
  ),
  ofApps("counter", "service_socket_sent_bytes_total", "Bytes that were written to streams.", ({ hub }, app) => {
    return hub.of(app).sent.bytes;
  }),
  histogram(
    "service_socket_batch_messages",
    "Messages of a batch, which goes to every stream of a feed by one write each.",
    ({ hub }) => hub.meter.batchMessages,
  ),
  histogram(
    "service_socket_publish_to_flush_seconds",
    "From when the store gave the first message of a batch to the node, to when the batch was written to its last stream.",
    ({ hub }) => hub.meter.flushSeconds,
  ),
  plain(
    "counter",
    "service_socket_catch_ups_total",
    "Streams that became level with what is published: after they were opened, had stalled, or the broker had broken.",
    ({ gateway }) => gateway.hub.meter.catchUps,
  ),
  by(
    "reason",
    "service_socket_gaps_total",
    "Losses that streams were told, by the reason in `socket:gap`.",
    ({ hub }) => {
      return hub.meter.gaps;
    },
  ),
  histogram(
    "service_socket_broker_publish_seconds",
    "From when a publish was handed to the store to when it was kept.",
    ({ meter }) => meter.publishSeconds,
  ),
  histogram(
    "service_socket_broker_read_seconds",
    "How long the store took for a page of history, for streams that catch up.",
    ({ hub }) => hub.meter.readSeconds,
  ),
  plain(
    "counter",
    "service_socket_broker_reconnects_total",
    "Times that the store could be used again after it could not.",
    ({ gateway }) => gateway.meter.reconnects,
  ),
  by(
    "type",
    "service_socket_errors_total",
    "Answers with an error, by its type; refused in the form of a stream included.",
    ({ meter }) => meter.errors,
  ),
  plain("counter", "service_socket_log_errors_total", "Lines of the log with the level `error`.", ({ gateway }) => {
    return gateway.unexpected.count;
  }),
  histogram(
    "service_socket_event_loop_lag_seconds",
    "How late the event loop did what was due, looked at ten times a second.",
    ({ meter }) => meter.lagSeconds,
  ),
  plain("counter", "process_cpu_seconds_total", "User and system time of the processor.", () => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1e6;
  }),
  plain("gauge", "process_resident_memory_bytes", "Resident memory.", () => process.memoryUsage.rss()),
  {
    type: "gauge",
    name: "process_open_fds",
    help: "Open descriptors. On Linux only.",
    labels: [],
    read: ({ descriptors }) => (descriptors === null ? [] : [[{}, descriptors.open()]]),
  },
  {
    type: "gauge",
    name: "process_max_fds",
    help: "The descriptor limit. On Linux only.",
    labels: [],
    read: ({ descriptors }) => (descriptors === null ? [] : [[{}, descriptors.limit]]),
  },
  plain("gauge", "process_start_time_seconds", "When the process started, in seconds since 1970.", () => {
    return performance.timeOrigin / 1000;
  }),
];
