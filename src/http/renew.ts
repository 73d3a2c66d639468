import { grantOfTokens, isRevoked } from "../auth/grant.ts";
import { type TokenGrant, verifyToken } from "../auth/token.ts";
import { ApiError } from "../core/errors.ts";
import { success } from "./answer.ts";
import { checkOrigin, corsHeaders } from "./cors.ts";
import type { FoundStream } from "./asking.ts";
import { findStream, streamNotFound } from "./find.ts";
import type { Gateway } from "./gateway.ts";
import { readParameters } from "./parameters.ts";
import { requestIdOf } from "./request-id.ts";
import { rfc3339 } from "./subscribe.ts";

/** A token is at most some KiB. */
const MAX_BODY_BYTES = 16 * 1024;

/**
 * `POST /channel/renew`: an open stream goes on until a fresh token expires, and its address, which holds the old one,
 * is taken until then. From then on the stream has the rights of the fresh token: it must cover all that the stream
 * listens to, and name the same user, without whom nothing shows that both are of the same listener.
 */
export async function renew(gateway: Gateway, request: Request): Promise<Response> {
  const { apps, broker, clock, rulings, settings } = gateway;
  const parameters = await readParameters(request, {
    maxBodyBytes: MAX_BODY_BYTES,
    maxJsonDepth: 2,
    room: gateway.rooms.strangers,
  });
  const [id, text] = [parameters.text("stream"), parameters.text("token")];
  if (id === undefined) throw missing("stream", "the id that `socket:open` told");
  if (text === undefined) throw missing("token", "a fresh token of the same user");
  const now = clock.now();
  const fresh = verifyToken(apps, text, now, settings.maxTokenTtlMs);
  checkOrigin(request, fresh.app);
  if (isRevoked(grantOfTokens([fresh]), rulings)) throw new ApiError("unauthorized", "The token was revoked.");
  const stream = await find(gateway, fresh, id);
  const [presented, last] = stream.tokens;
  // Asked for again, since the first answer was lost: it is done.
  if (last?.digest !== fresh.digest) {
    check(stream, fresh);
    await broker.note(fresh.app.id, rulings.renew({ ...presented!, app: fresh.app }, fresh, id, now));
  }
  const answer = { stream: id, expires_at: rfc3339(fresh.expiresAt) };
  return success(answer, requestIdOf(request), corsHeaders(gateway, request, fresh.app));
}

/** The stream, which has a token. Another's stream is answered as one that there is not. */
async function find(gateway: Gateway, { app, user }: TokenGrant, id: string): Promise<FoundStream> {
  if (user === null) throw new ApiError("forbidden", "Renewing takes a token that names its user (`sub`).", "token");
  const found = await findStream(gateway, app.id, id);
  if (found?.tokens.at(-1)?.user === user) return found;
  throw streamNotFound("No stream of that id is open that a token of the same user opened.");
}

/** Throws ApiError when the stream would have less than it has now. */
function check({ names, tokens }: FoundStream, fresh: TokenGrant): void {
  const { allows, expiresAt } = grantOfTokens([fresh]);
  const refused = names.find((name) => !allows(name));
  if (refused !== undefined) {
    throw new ApiError("forbidden", `The token does not grant ${refused}, which the stream listens to.`, "token");
  }
  const until = tokens.at(-1)!.expiresAt;
  if (expiresAt! > until) return;
  const detail = `The stream has a token until ${rfc3339(until)}; a fresh one must expire later.`;
  throw new ApiError("parameter_invalid", detail, "token");
}

function missing(name: string, takes: string): ApiError {
  return new ApiError("parameter_invalid", `\`${name}\` takes ${takes}.`, name);
}
