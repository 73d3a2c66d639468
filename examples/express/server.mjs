/**
 * An Express backend beside the gateway: it gives each user's page the address of a room's stream, and publishes what
 * they say. The app's secret stays here.
 *
 *     npm install express
 *     APP_SECRET=… node server.mjs        (beside a running gateway)
 */
import { randomUUID } from "node:crypto";
import { setTimeout as wait } from "node:timers/promises";
import express from "express";

const { GATEWAY = "http://localhost:3000", APP_SECRET, PORT = "8080" } = process.env;

const app = express();
app.use(express.json());

app.param("room", (request, response, next, room) => {
  // A room becomes part of a channel's name. Unchecked, `*` would be a pattern, and grant the rooms of all others.
  if (/^[\w-]{1,64}$/.test(room)) next();
  else response.sendStatus(404);
});

/** The page opens the `url` with EventSource. */
app.post("/rooms/:room/address", async (request, response) => {
  const user = userOf(request); // and this is the place to ask whether the room is theirs
  const { url } = await ask("/channel/subscribe", { channel: `room.${request.params.room}`, user, ttl: 3600 });
  response.json({ url });
});

app.post("/rooms/:room/messages", async (request, response) => {
  const data = { user: userOf(request), text: String(request.body?.text ?? "") };
  const { id } = await publish({ channel: `room.${request.params.room}`, event: "said", data });
  response.status(201).json({ id });
});

// The detail of what the gateway refused is for our log, not for the page.
app.use((error, request, response, next) => {
  console.error(error);
  if (response.headersSent) next(error);
  else response.sendStatus(error.status ?? 502);
});

/** Whoever your own log-in says that it is. */
function userOf(_request) {
  return "ann";
}

/** With one key for all tries a message is published once, also when an answer was lost on its way. */
async function publish(message) {
  const headers = { "Idempotency-Key": randomUUID() };
  for (let tries = 1; ; tries++) {
    try {
      return await ask("/chat/send", message, headers);
    } catch (error) {
      const passes = error.gateway === undefined || error.gateway.code === 503; // not reached, or not now
      if (!passes || tries === 8) throw error;
      await wait(Math.random() * 100 * 2 ** tries);
    }
  }
}

/** What the gateway answers as `data`; throws what it answers as an error. */
async function ask(path, body, headers = {}) {
  const response = await fetch(`${GATEWAY}${path}`, {
    method: "POST",
    headers: { Authorization: `key=${APP_SECRET}`, "Content-Type": "application/json", ...headers },
    body: JSON.stringify(body),
  });
  const answer = await response.json();
  if (answer.code === 0) return answer.data;
  throw Object.assign(new Error(answer.message), { gateway: answer });
}

const server = app.listen(Number(PORT), () => console.log(`http://localhost:${server.address().port}/`));
