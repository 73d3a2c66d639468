import { Type } from "@sinclair/typebox";
import { LIST_DEFAULT, LIST_MOST } from "../lists.ts";
import { ANYONE, failures, type Operation, path, query, SECRET, success } from "./operation.ts";
import {
  ChannelList,
  ChannelState,
  EPOCH,
  History,
  Id,
  Name,
  NODE,
  Place,
  Status,
  STREAM,
  StreamList,
  TIME,
} from "./schemas.ts";

const ERRORS = ["bad_request", "parameter_invalid", "parameter_repeated", "unauthorized", "unavailable"] as const;

const LIMIT = query(
  "limit",
  Type.Integer({ minimum: 1, maximum: LIST_MOST, default: LIST_DEFAULT, description: "The most that is given." }),
);

const CHANNEL = path("channel", Name);

const STATE = { channel: "news", subscribers: 2, oldest: `${EPOCH}-1`, newest: `${EPOCH}-3` };

export const channelState: Operation = {
  operationId: "channelState",
  tags: ["Reading"],
  summary: "Who listens to a channel, and what is kept of it",
  description: "A channel that nobody ever published to is no error.",
  security: SECRET,
  parameters: [CHANNEL],
  responses: {
    200: success("The channel now.", ChannelState, { ...STATE, complete: true }),
    ...failures(...ERRORS, "channel_invalid", "method_not_allowed"),
  },
};

export const channelHistory: Operation = {
  operationId: "channelHistory",
  tags: ["Reading"],
  summary: "What is kept of a channel, oldest first",
  description:
    "In pages of about 1 MiB at most: ask for the next with `after` set to `through`, until there are no messages.",
  security: SECRET,
  parameters: [CHANNEL, query("after", Id), LIMIT],
  responses: {
    200: success("A page.", History, {
      channel: "news",
      messages: [{ channel: "news", event: "price", data: { eur: 12.5 }, id: `${EPOCH}-1`, time: TIME }],
      through: `${EPOCH}-1`,
      gap: null,
    }),
    ...failures(...ERRORS, "channel_invalid"),
  },
};

export const channelList: Operation = {
  operationId: "channelList",
  tags: ["Reading"],
  summary: "The app's channels",
  description: "Those that hold history and those that streams name, in the order of their names.",
  security: SECRET,
  parameters: [
    query("prefix", Type.String({ description: "The beginning of a name.", examples: ["room."] })),
    query("after", Type.String({ description: "A name: the list begins behind it.", examples: ["room.1"] })),
    LIMIT,
  ],
  responses: {
    200: success("A page.", ChannelList, { channels: [STATE], next: null, complete: true }),
    ...failures(...ERRORS),
  },
};

export const streamList: Operation = {
  operationId: "streamList",
  tags: ["Reading"],
  summary: "Who listens",
  description: "The app's open streams on all nodes, of each node in the order in which they were opened.",
  security: SECRET,
  parameters: [
    query("channel", Name, { description: "Only streams that a message on this channel reaches." }),
    query("user", Type.String({ description: "Only streams of this user." })),
    query("after", Place, { description: "`next` of a page." }),
    LIMIT,
  ],
  responses: {
    200: success("A page.", StreamList, {
      streams: [
        {
          stream: STREAM,
          node: NODE,
          channels: ["news", "room.*"],
          user: "ann",
          grant: "token",
          token: null,
          since: TIME,
          expires_at: TIME,
          position: `${EPOCH}-3`,
          state: "live",
        },
      ],
      next: null,
      complete: true,
    }),
    ...failures(...ERRORS, "channel_invalid"),
  },
};

export const health: Operation = {
  operationId: "health",
  tags: ["Health"],
  summary: "Whether the process answers",
  description: "For a liveness probe.",
  security: ANYONE,
  parameters: [],
  responses: { 200: success("It does.", Status("ok"), { status: "ok" }), ...failures() },
};

export const readiness: Operation = {
  operationId: "readiness",
  tags: ["Health"],
  summary: "Whether the node takes publishes and streams",
  description: "For a readiness probe. It asks the store, at most once a second.",
  security: ANYONE,
  parameters: [],
  responses: { 200: success("It does.", Status("ready"), { status: "ready" }), ...failures("unavailable") },
};
