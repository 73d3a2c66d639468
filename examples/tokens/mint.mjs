/**
 * Mints a listener's token with nothing but the standard library: no request to the gateway, which has the same secret.
 *
 *     APP_SECRET=… node mint.mjs ann 3600 news 'room.*'
 *
 * Prints the token of the user ann: for an hour, for the channel news and all that the pattern room.* matches.
 */
import { createHmac, randomUUID } from "node:crypto";
import { pathToFileURL } from "node:url";

export function mint(secret, user, ttlSeconds, channels, app = "default") {
  const now = Math.floor(Date.now() / 1000);
  const header = { alg: "HS256", typ: "JWT", kid: app };
  const claims = {
    aud: "service-socket",
    channels,
    sub: user,
    iat: now,
    exp: now + ttlSeconds,
    jti: randomUUID(), // names it, for revoking
  };
  const signed = `${encode(header)}.${encode(claims)}`;
  return `${signed}.${createHmac("sha256", secret).update(signed).digest("base64url")}`;
}

function encode(value) {
  return Buffer.from(JSON.stringify(value)).toString("base64url");
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const [user, ttlSeconds, ...channels] = process.argv.slice(2);
  console.log(mint(process.env.APP_SECRET, user, Number(ttlSeconds), channels));
}
