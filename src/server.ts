import { mkdirSync } from "node:fs";
import { AdminListener } from "./admin.ts";
import { AgeClock } from "./age-clock.ts";
import { type OpenedApps, openApps } from "./auth/open-apps.ts";
import { StreamLimits } from "./auth/limits.ts";
import { Rates } from "./auth/rates.ts";
import { Rulings } from "./auth/rulings.ts";
import type { Broker } from "./broker/broker.ts";
import { openBroker } from "./broker/open.ts";
import { loadCertificate } from "./certificate.ts";
import type { Settings } from "./config.ts";
import { isSharedBroker } from "./config/values.ts";
import { DescriptorGuard, type Descriptors, descriptorsOfProcess, streamsBelow } from "./descriptors.ts";
import { drain } from "./drain.ts";
import { Hub } from "./hub/hub.ts";
import { nextRequestId } from "./http/answer.ts";
import { asked } from "./http/asked.ts";
import { BodyRooms } from "./http/body-room.ts";
import type { Clock, Gateway, Log } from "./http/gateway.ts";
import { storeCheck } from "./http/health.ts";
import { OpenStreams, stands } from "./http/open-streams.ts";
import { RouteMeter } from "./http/meter.ts";
import { noted } from "./http/noted.ts";
import { Probes } from "./http/probe.ts";
import { Reads } from "./http/reads.ts";
import { Sweep } from "./http/sweep.ts";
import { Unexpected } from "./http/unexpected.ts";
import { Listener, type ListenOptions } from "./listener.ts";
import { Reload } from "./reload.ts";

/** A quarter minute longer than the usual 60 s for which proxies keep a connection, so that it is they who end it. */
const IDLE_TIMEOUT_S = 75;
/** How often streams are looked at for heartbeats, ends and stalls. */
const TICK_MS = 100;
/** How often retention is seen to. */
const TRIM_MS = 1000;
/** How often the files of the settings are looked at. */
const LOOK_MS = 1000;
/** How long a stop waits for requests that are under way, of which some may never end. */
const ANSWER_MS = 3000;

export interface RunningServer {
  /** Where it listens: `http://127.0.0.1:3000`. */
  readonly url: string;
  readonly port: number;
  /** Where metrics are: `http://127.0.0.1:9464`. Null while they are nowhere. */
  readonly adminUrl: string | null;
  /** As it was at the start. */
  readonly apps: OpenedApps;
  /** `SOCKET_DRAIN`, as it is after the last reload. */
  readonly drainMs: number;
  /** The log that was given; it counts errors and never throws. */
  readonly log: Log;
  /**
   * Reads the settings anew, with the files that they name, as a change of one of these files does too. What is wrong
   * with them is one line in the log, and changes nothing. Resolves once the streams that nothing grants any more have
   * ended.
   */
  reload(): Promise<void>;
  /**
   * Drains: ends the streams over `SOCKET_DRAIN`, each told to reconnect, and answers all other requests to the end of
   * it. Then it stops listening, answers what is under way, for 3 s at most, and closes the store. Resolves once all of
   * it is done; called again, with the first call's result.
   */
  stop(): Promise<void>;
}

export interface StartOptions {
  readonly clock?: Clock;
  /** Reads all settings anew, for a reload; throws ConfigError. Default: they stay as they are, but for files. */
  readonly load?: () => Settings;
  /**
   * For how long a connection may be idle after its first request, and for a body, which must end within it or have
   * brought 16 KiB for each of its seconds. Bun looks every four.
   */
  readonly idleTimeoutSeconds?: number;
  /** Other processes of this gateway listen on the same port. */
  readonly sharesPort?: boolean;
  /** Ends the wait for a store that another process has in use; the start rejects with its reason. */
  readonly signal?: AbortSignal;
}

/** Opens the store and listens. Rejects with ConfigError for a setting that cannot be met, else with what went wrong. */
export async function startServer(
  settings: Settings,
  write: Log,
  {
    clock = SYSTEM,
    load = () => settings,
    idleTimeoutSeconds = IDLE_TIMEOUT_S,
    sharesPort = false,
    signal,
  }: StartOptions = {},
): Promise<RunningServer> {
  const unexpected = new Unexpected(write);
  const { log } = unexpected;
  const schedule = (run: () => void) => setImmediate(unexpected.guard(run));
  const meter = new RouteMeter();
  const opened = openApps(settings.apps, { make: !isSharedBroker(settings.broker) });
  for (const warning of opened.warnings) log("warn", warning);
  const certificate = loadCertificate(settings);
  let gateway: Gateway;
  const broker = await openBroker(storeAddress(settings), {
    now: clock.now,
    ageNow: new AgeClock(clock, log).now,
    retention: (app) => gateway.apps.byId(app)?.retention ?? gateway.settings.apps[0]!.retention,
    idempotencyTtlMs: settings.idempotencyTtlMs,
    apps: () => gateway.settings.apps.map(({ id }) => id),
    reconnected: () => (meter.reconnects += 1),
    log,
  });
  try {
    const hub = new Hub({
      broker,
      schedule,
      elapsed: clock.elapsed,
      random: clock.random,
      heartbeatMs: settings.heartbeatMs,
      stallMs: settings.stallMs,
      report: (error, of) => log("error", "unexpected error in the hub", { ...of, error }),
    });
    const descriptors = descriptorsOfProcess();
    const probes = new Probes(clock.elapsed);
    const limits = new StreamLimits(
      () => gateway.settings.maxStreams ?? streamsBelow(descriptors),
      (app) => hub.streams(app) + (app === undefined ? probes.size : 0),
    );
    const [rulings, streams] = [new Rulings(), new OpenStreams()];
    gateway = {
      node: nextRequestId(),
      settings,
      apps: opened.apps,
      broker,
      hub,
      rooms: new BodyRooms(),
      limits,
      rulings,
      streams,
      probes,
      sweep: new Sweep({ hub, streams, stands: (stream) => stands(gateway, stream), schedule }),
      publishRates: new Rates("messages are taken"),
      openRates: new Rates("streams are opened"),
      meter,
      clock,
      log,
      unexpected,
      reads: new Reads(clock.elapsed, schedule),
      checkStore: storeCheck(broker, clock.elapsed),
      draining: false,
    };
    await broker.start(hub, {
      noted: (app, note) => noted(gateway, app, note),
      asked: (app, question) => asked(gateway, app, question),
      ...(signal && { signal }),
    });
    const options = { idleTimeoutSeconds, sharesPort, certificate };
    return await listen(gateway, { opened, descriptors, load, options });
  } catch (error) {
    await broker.close();
    throw error;
  }
}

/** `sqlite:` alone is a file in the data folder. */
function storeAddress({ broker, dataFolder }: Settings): string {
  if (!/^sqlite:(\?|$)/.test(broker)) return broker;
  mkdirSync(dataFolder, { recursive: true, mode: 0o700 });
  return broker.replace("sqlite:", `sqlite:${dataFolder}/messages.db`);
}

const SYSTEM: Clock = { now: Date.now, elapsed: () => performance.now(), random: Math.random };

interface Serving {
  readonly opened: OpenedApps;
  readonly descriptors: Descriptors | null;
  readonly load: () => Settings;
  readonly options: ListenOptions;
}

async function listen(gateway: Gateway, { opened, descriptors, load, options }: Serving): Promise<RunningServer> {
  const { hub, probes, broker, clock, log, meter, unexpected } = gateway;
  const listener = await Listener.open(gateway, options);
  const guard = guardOf(descriptors, listener, log);
  const admin = new AdminListener({ gateway, descriptors });
  let dueAtMs = clock.elapsed() + TICK_MS;
  const ticking = setInterval(
    unexpected.guard(() => {
      const nowMs = clock.elapsed();
      meter.lagSeconds.add(Math.max(0, nowMs - dueAtMs) / 1000);
      dueAtMs = nowMs + TICK_MS;
      hub.tick();
      probes.tick();
      guard?.look(nowMs);
    }),
    TICK_MS,
  );
  const trimming = setInterval(trimmer(broker, log), TRIM_MS);
  const reload = new Reload(gateway, load, { listener, certificate: options.certificate });
  const looking = setInterval(
    unexpected.guard(() => reload.look()),
    LOOK_MS,
  );

  async function stop(): Promise<void> {
    gateway.draining = true;
    probes.end();
    await drain(hub, gateway.settings.drainMs, clock.elapsed);
    clearInterval(ticking);
    clearInterval(trimming);
    clearInterval(looking);
    guard?.end();
    const cut = setTimeout(() => void listener.stop(true), ANSWER_MS);
    await listener.stop(false);
    clearTimeout(cut);
    await admin.stop(); // before the store, for which the next process may wait
    await broker.close();
  }

  let stopping: Promise<void> | null = null;
  return {
    url: listener.url,
    port: listener.port,
    get adminUrl() {
      return admin.url;
    },
    apps: opened,
    get drainMs() {
      return gateway.settings.drainMs;
    },
    log,
    reload: () => reload.now(),
    stop: () => (stopping ??= stop()),
  };
}

/** Null where the system tells no limit, or connections cannot be made to wait. */
function guardOf(descriptors: Descriptors | null, listener: Listener, log: Log): DescriptorGuard | null {
  if (descriptors === null) return null;
  if (listener.canPause) return new DescriptorGuard(descriptors, listener, () => listener.endIdle(), log);
  log("warn", "connections cannot be made to wait at the descriptor limit", { limit: descriptors.limit });
  return null;
}

/** Takes retention's steps one after another, each in a turn of its own, until there is nothing more to do. */
function trimmer(broker: Broker, log: Log): () => void {
  let trimming = false;
  async function trim(): Promise<void> {
    while (await broker.trim()) await new Promise(setImmediate);
  }
  return () => {
    if (trimming) return;
    trimming = true;
    trim()
      .catch((error: unknown) => log("error", "retention failed", { error }))
      .finally(() => (trimming = false))
      .catch(() => undefined);
  };
}
