import { grantOfTokens, isRevoked } from "../auth/grant.ts";
import { type TokenGrant, verifyToken } from "../auth/token.ts";
import { ApiError } from "../core/errors.ts";
import { nextRequestId, success } from "./answer.ts";
import { checkOrigin, corsHeaders } from "./cors.ts";
import { expiryOf } from "./expiry.ts";
import type { Gateway } from "./gateway.ts";
import type { OpenStream } from "./open-streams.ts";
import { readParameters } from "./parameters.ts";
import { rfc3339 } from "./subscribe.ts";

/** A token is at most some KiB. */
const MAX_BODY_BYTES = 16 * 1024;

/**
 * `POST /channel/renew`: an open stream goes on until a fresh token expires, and its address, which holds the old one,
 * is taken until then. From then on the stream has the rights of the fresh token: it must cover all that the stream
 * listens to, and name the same user, without whom nothing shows that both are of the same listener.
 */
export async function renew(gateway: Gateway, request: Request): Promise<Response> {
  const { apps, broker, clock, hub, rulings, settings } = gateway;
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
  const { stream, presented } = find(gateway, fresh, id);
  check(stream, fresh);

  await broker.note(fresh.app.id, rulings.renew(presented, fresh, now));
  // Revoked while the note was being kept: then the stream is closed, and stays so.
  stream.grant = { ...grantOfTokens([presented, fresh]), kind: stream.grant.kind };
  const { subscriber } = stream;
  if (isRevoked(stream.grant, rulings)) hub.close(subscriber!, "revoked", false);
  else hub.renew(subscriber!, expiryOf(gateway, fresh.expiresAt)!);
  const answer = { stream: id, expires_at: rfc3339(fresh.expiresAt) };
  return success(answer, nextRequestId(), corsHeaders(gateway, request, fresh.app));
}

/** The stream and the token in its address. Another's stream is answered as one that there is not. */
function find({ streams }: Gateway, fresh: TokenGrant, id: string): { stream: OpenStream; presented: TokenGrant } {
  if (fresh.user === null) {
    throw new ApiError("forbidden", "Renewing takes a token that names its user (`sub`).", "token");
  }
  const stream = streams.get(fresh.app.id, id);
  const presented = stream?.grant.tokens[0];
  if (stream?.user === fresh.user && presented !== undefined) return { stream, presented };
  throw new ApiError(
    "stream_not_found",
    "No stream of that id is open that a token of the same user opened.",
    "stream",
  );
}

/** Throws ApiError when the stream would have less than it has now. */
function check({ grant, subscriber }: OpenStream, fresh: TokenGrant): void {
  const { allows, expiresAt } = grantOfTokens([fresh]);
  const { channels, patterns } = subscriber!.feed.selection;
  const refused = [...channels, ...patterns].find((name) => !allows(name));
  if (refused !== undefined) {
    throw new ApiError("forbidden", `The token does not grant ${refused}, which the stream listens to.`, "token");
  }
  if (expiresAt! > grant.expiresAt!) return;
  const detail = `The stream has a token until ${rfc3339(grant.expiresAt!)}; a fresh one must expire later.`;
  throw new ApiError("parameter_invalid", detail, "token");
}

function missing(name: string, takes: string): ApiError {
  return new ApiError("parameter_invalid", `\`${name}\` takes ${takes}.`, name);
}
