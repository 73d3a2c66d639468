import type { App } from "../auth/app.ts";
import { authenticatePublisher } from "../auth/grant.ts";
import type { Once } from "../broker/broker.ts";
import { ApiError } from "../core/errors.ts";
import type { Draft } from "../core/message.ts";
import { formatPosition } from "../core/position.ts";
import { successJson } from "./answer.ts";
import { batchFrom, draftFrom, type DraftLimits } from "./draft.ts";
import type { Gateway } from "./gateway.ts";
import { type BodyLimits, type Parameters, queryParameters, readParameters } from "./parameters.ts";
import { requestIdOf } from "./request-id.ts";

/** `POST /chat/send`: one message. `network` looks up where the request comes from. */
export async function send(gateway: Gateway, request: Request, network: () => string): Promise<Response> {
  const app = publisher(gateway, request);
  const limits = limitsOf(gateway, app);
  const draft = draftFrom(await readParameters(request, limits), limits);
  const [message] = await publish(gateway, request, network, app, [draft]);
  return successJson(message!, requestIdOf(request));
}

/** `POST /chat/send-multi`: all of the messages or none, with consecutive positions. */
export async function sendMulti(gateway: Gateway, request: Request, network: () => string): Promise<Response> {
  const app = publisher(gateway, request);
  const limits = limitsOf(gateway, app);
  const drafts = batchFrom(await readParameters(request, limits, limits), limits);
  const messages = await publish(gateway, request, network, app, drafts);
  return successJson(`{"messages":[${messages.join(",")}]}`, requestIdOf(request));
}

/** The app by the secret in the header. */
export function publisher(gateway: Gateway, request: Request): App {
  if (request.url.includes("?")) refuseSecret(queryParameters(request.url));
  return authenticatePublisher(gateway.apps, request.headers.get("authorization"));
}

/** Throws ApiError `unauthorized` for a secret in the query, where it would stand in the logs of every proxy. */
export function refuseSecret(query: Parameters): void {
  if (query.place("app_secret") === undefined) return;
  const detail = "The secret does not belong in the query; send the header `Authorization: key=<app secret>`.";
  throw new ApiError("unauthorized", detail, "app_secret");
}

/** Publishes and answers each message's place as JSON text. */
async function publish(
  gateway: Gateway,
  request: Request,
  network: () => string,
  app: App,
  drafts: readonly Draft[],
): Promise<readonly string[]> {
  const counts = drafts.map((draft) => gateway.hub.count(app.id, draft.channel));
  const once = onceOf(request, counts);
  if (drafts.length === 0) return [];
  countPublish(gateway, app, network, drafts.length);
  const { broker, clock, meter } = gateway;
  const fromMs = clock.elapsed();
  const receipt = await broker.publish(app.id, drafts, once);
  meter.publishSeconds.add((clock.elapsed() - fromMs) / 1000);
  if (receipt.repeated === null) {
    const published = meter.published(app.id);
    published.publishes += 1;
    published.messages += drafts.length;
  }
  if (gateway.settings.logLevel === "debug") {
    const [first, messages] = [formatPosition(receipt), drafts.length];
    gateway.log("debug", "published", { request: requestIdOf(request), app: app.id, messages, first });
  }
  const subscribers = receipt.repeated ?? counts;
  return drafts.map((draft, i) => {
    const id = formatPosition({ epoch: receipt.epoch, seq: receipt.seq + i });
    return `{"id":"${id}","channel":${JSON.stringify(draft.channel)},"subscribers":${subscribers[i]}}`;
  });
}

/** Throws ApiError `limit_exceeded`. What it costs to look an address up is spent only where it has a limit. */
function countPublish({ publishRates, clock }: Gateway, app: App, network: () => string, messages: number): void {
  const { publishRate: perApp, publishRatePerIp: perIp } = app.limits;
  if (perApp === 0 && perIp === 0) return;
  publishRates.take(app.id, perIp === 0 ? null : network(), { perApp, perIp }, messages, clock.elapsed());
}

const KEY = /^[\x21-\x7e]{1,255}$/;

function onceOf(request: Request, subscribers: readonly number[]): Once | undefined {
  const key = request.headers.get("idempotency-key");
  if (key === null) return undefined;
  if (KEY.test(key)) return { key, subscribers };
  const detail = "`Idempotency-Key` takes 1 to 255 printable ASCII characters without space.";
  throw new ApiError("parameter_invalid", detail, "Idempotency-Key");
}

function limitsOf({ settings, rooms }: Gateway, app: App): DraftLimits & BodyLimits {
  return {
    maxDataBytes: app.limits.maxDataBytes,
    maxBatch: app.limits.maxBatch,
    maxBodyBytes: settings.maxBodyBytes,
    maxJsonDepth: settings.maxJsonDepth,
    room: rooms.of(app.id),
  };
}
