import { Type } from "@sinclair/typebox";
import { body, failures, header, type Most, type Operation, SECRET, success } from "./operation.ts";
import { batch, Draft, DraftForm, EPOCH, Sent } from "./schemas.ts";

const ANYWHERE =
  "Each parameter may stand in the query string instead of the body; in one place only. One that is not known is ignored.";

const ONCE = header(
  "Idempotency-Key",
  "The same key again within the app, and within `SOCKET_IDEMPOTENCY_TTL`, gives the first answer again and publishes nothing.",
  Type.String({ pattern: String.raw`^[\x21-\x7e]{1,255}$`, examples: ["order-17"] }),
);

const ERRORS = [
  "bad_request",
  "parameter_invalid",
  "parameter_repeated",
  "channel_invalid",
  "event_invalid",
  "data_invalid",
  "body_invalid",
  "unauthorized",
  "idempotency_conflict",
  "payload_too_large",
  "unsupported_media_type",
  "limit_exceeded",
  "unavailable",
] as const;

export const send: Operation = {
  operationId: "send",
  tags: ["Publishing"],
  summary: "Publish a message",
  description: `The answer comes when the message is kept, in the sense of the store's durability. ${ANYWHERE}`,
  security: SECRET,
  parameters: [ONCE],
  requestBody: body(Draft, { channel: "news", event: "price", data: { eur: 12.5 } }, DraftForm),
  responses: {
    200: success("The message is kept.", Sent, { id: `${EPOCH}-1`, channel: "news", subscribers: 2 }),
    ...failures(...ERRORS),
  },
};

export const sendMulti = (most: Most): Operation => ({
  operationId: "sendMulti",
  tags: ["Publishing"],
  summary: "Publish several messages",
  description:
    "All of them or none, with consecutive ids, at most `SOCKET_MAX_BATCH`. The array is the JSON body itself, `body` in a JSON object, or JSON text as `body` of a form or of the query string. An empty one succeeds and sends nothing.",
  security: SECRET,
  parameters: [ONCE],
  requestBody: body(Type.Union([batch(most), Type.Object({ body: batch(most) })]), [
    { channel: "room.1", data: "hello" },
    { channel: "room.2", event: "joined", data: "ann" },
  ]),
  responses: {
    200: success("All messages are kept.", Type.Object({ messages: Type.Array(Sent) }), {
      messages: [
        { id: `${EPOCH}-5`, channel: "room.1", subscribers: 1 },
        { id: `${EPOCH}-6`, channel: "room.2", subscribers: 0 },
      ],
    }),
    ...failures(...ERRORS, "batch_invalid"),
  },
});
