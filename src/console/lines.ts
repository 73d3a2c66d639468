import { BASE } from "./api.ts";

/** Lines for a shell and for a page, as a customer would write them. The secret is in none of them: the shell has it. */
const KEY = `-H "Authorization: key=$APP_SECRET"`;

export function curlListen(address: string, needsSecret: boolean): string {
  return `curl -N ${needsSecret ? `${KEY} ` : ""}${shellWord(address)}`;
}

export function curlSubscribe(channels: readonly string[]): string {
  return curlJson("/channel/subscribe", JSON.stringify({ channel: channels }));
}

export function curlPublish(path: string, body: string, idempotencyKey: string): string {
  const more = idempotencyKey === "" ? "" : `-H ${shellWord(`Idempotency-Key: ${idempotencyKey}`)} `;
  return curlJson(path, body, more);
}

function curlJson(path: string, body: string, more = ""): string {
  return `curl ${KEY} -H "Content-Type: application/json" ${more}-d ${shellWord(body)} ${shellWord(`${BASE}${path}`)}`;
}

/** What a page runs; `events` are names beside `message`. */
export function eventSource(address: string, isEnvelope: boolean, events: readonly string[]): string {
  const named = events.map(
    (event) => `stream.addEventListener(${literal(event)}, ({ data }) => console.log(${literal(event)}, data));`,
  );
  return [
    `const stream = new EventSource(${literal(address)});`,
    isEnvelope
      ? `stream.onmessage = ({ data }) => console.log(JSON.parse(data));`
      : `stream.onmessage = ({ data, lastEventId }) => console.log(data, lastEventId);`,
    ...named,
    `stream.addEventListener("socket:gap", ({ data }) => console.log("missed something", data));`,
    `stream.addEventListener("socket:close", ({ data }) => JSON.parse(data).reconnect || stream.close());`,
  ].join("\n");
}

/** One word of a POSIX shell, whatever it holds. `curl -d` would read a file for what begins with `@`; JSON does not. */
function shellWord(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}

/** As JavaScript text that can also stand in a page: nothing in it ends a script. */
function literal(text: string): string {
  return JSON.stringify(text).replaceAll("<", String.raw`\u003c`);
}
