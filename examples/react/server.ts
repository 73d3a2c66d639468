/**
 * The backend of the React page: bundles and serves it, and gives each of its users the address of a stream. The app's
 * secret stays here.
 *
 *     bun examples/react/server.ts        (beside a running gateway; then open http://localhost:8080/)
 */
import page from "./index.html";

const { GATEWAY = "http://localhost:3000", PORT = "8080", TTL = "3600" } = process.env;
const secret = process.env["APP_SECRET"] ?? (await Bun.file("data/secret").text()).trim();

/** The gateway's answer to `POST /channel/subscribe` as far as the page needs it. */
interface Answer {
  readonly code: number;
  readonly data: { readonly url: string };
}

async function address(request: Request): Promise<Response> {
  // This is the place to ask who the user is, and whether the channel is theirs. Here all may listen to the news.
  const channel = (await request.formData()).get("channel");
  if (channel !== "news") return new Response("That channel is not yours.", { status: 403 });
  const response = await fetch(`${GATEWAY}/channel/subscribe`, {
    method: "POST",
    headers: { Authorization: `key=${secret}`, "Content-Type": "application/json" },
    body: JSON.stringify({ channel, ttl: Number(TTL) }),
  });
  const { code, data } = (await response.json()) as Answer;
  return code === 0 ? Response.json({ url: data.url }) : new Response("No address now.", { status: 502 });
}

const server = Bun.serve({
  port: Number(PORT),
  routes: { "/": page, "/address": { POST: address } },
  error: () => new Response("No address now.", { status: 502 }),
});
console.log(`http://localhost:${server.port}/`);
