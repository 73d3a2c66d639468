import { Type } from "@sinclair/typebox";
import {
  failures,
  header,
  LISTENER,
  type Most,
  type Operation,
  type Part,
  path,
  query,
  response,
} from "./operation.ts";
import { EPOCH, Id, Name, NameOrPattern, STREAM, Token } from "./schemas.ts";

const EXAMPLE = `retry: 3172
id: ${EPOCH}-2
event: socket:open
data: {"stream":"${STREAM}","app":"default","channels":["news"],"recovered":true,"heartbeat_ms":15000,"expires_at":null}

id: ${EPOCH}-3
data: hello

event: socket:live
data: {"replayed":1}

`;

const Stream = Type.String({
  contentMediaType: "text/event-stream",
  description: "Blocks as the WHATWG HTML standard has them in 9.2. It does not end by itself.",
});

const LISTENING = `The answer is a Server-Sent Events stream, without end, for an EventSource or \`curl -N\`. Beside messages it says
\`socket:open\` (first), \`socket:gap\` (something is missing), \`socket:live\` (level with what is published), \`socket:token\`
(the token is about to expire) and \`socket:close\` (last).

To a request whose \`Accept\` names \`text/event-stream\` a refusal that will pass (\`limit_exceeded\`, \`unavailable\`) is a stream
with status 200 that holds \`retry:\` and \`socket:close\` and ends: any other answer would end an EventSource for good.`;

const Since = Type.Union([
  Type.Literal("earliest"),
  Type.String({ pattern: "^(0|[0-9]{1,8}(ms|s|m|h|d))$", description: "A duration back from now.", examples: ["10m"] }),
  Type.String({ format: "date-time", description: "RFC 3339." }),
]);

const parameters = ({ replay }: Most): readonly Part[] => [
  query("token", Token),
  query("app", Type.String({ examples: ["default"] }), {
    description: "The app's id; needed for public channels where there are several apps.",
  }),
  query(
    "format",
    Type.Literal("envelope", { description: "Each message as one JSON object with its channel and time." }),
  ),
  query("last_event_id", Id, { description: "Resumes after this message; the header `Last-Event-ID` comes first." }),
  query(
    "last",
    Type.Integer({
      minimum: 0,
      ...(replay !== undefined && { maximum: replay }),
      description: "On a first connect: so many of the newest messages, at most `SOCKET_REPLAY_LIMIT`.",
    }),
  ),
  query("since", Since, { description: "On a first connect: what was published since then. Not beside `last`." }),
  header(
    "Last-Event-ID",
    "Resumes after this message: sent by an EventSource that reconnects. It is never refused.",
    Id,
  ),
];

const ERRORS = [
  "bad_request",
  "parameter_invalid",
  "parameter_repeated",
  "channel_invalid",
  "unauthorized",
  "forbidden",
  "limit_exceeded",
  "unavailable",
] as const;

const RESPONSES = {
  200: response("The stream.", { "text/event-stream": { schema: Stream, example: EXAMPLE } }),
  ...failures(...ERRORS),
};

export const channelStream = (most: Most): Operation => ({
  operationId: "channelStream",
  tags: ["Streams"],
  summary: "Listen to a channel",
  description: LISTENING,
  security: LISTENER,
  parameters: [path("channel", Name), ...parameters(most)],
  responses: RESPONSES,
});

export const selectionStream = (most: Most): Operation => ({
  operationId: "selectionStream",
  tags: ["Streams"],
  summary: "Listen to several channels and patterns",
  description: LISTENING,
  security: LISTENER,
  parameters: [
    {
      ...query(
        "channel",
        Type.Array(NameOrPattern, { minItems: 1, ...(most.channels !== undefined && { maxItems: most.channels }) }),
        {
          description: "Once or several times, at most `SOCKET_MAX_CHANNELS_PER_STREAM`.",
        },
      ),
      required: true,
    },
    ...parameters(most),
  ],
  responses: RESPONSES,
});
