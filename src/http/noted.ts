import { grantOfTokens } from "../auth/grant.ts";
import { type Renewed, renewedBy, revokedBy } from "../auth/rulings.ts";
import type { AppId, Note } from "../broker/broker.ts";
import { expiryOf } from "./expiry.ts";
import type { Gateway } from "./gateway.ts";
import { stands } from "./open-streams.ts";

/** What the broker told of an app's grants, on whichever node it was decided; never throws. */
export function noted(gateway: Gateway, app: AppId, note: Note): void {
  const { clock, rulings, sweep, log } = gateway;
  const failed = (error: unknown) => log("error", "what was ruled could not be carried out", { app, error });
  try {
    rulings.apply(app, note);
    rulings.forget(clock.now());
    const isHit = revokedBy(note);
    if (isHit !== null) sweep.start(app, note.key, ({ grant }) => grant.tokens.some(isHit)).catch(failed);
    const renewed = renewedBy(note);
    if (renewed !== null) renewHere(gateway, app, renewed);
  } catch (error) {
    failed(error);
  }
}

/** Lets the stream go on, where this node has it. Notes come in any order after a break: the one that lasts counts. */
function renewHere(gateway: Gateway, app: AppId, { presented, stream: id, fresh }: Renewed): void {
  const { hub, streams } = gateway;
  const stream = streams.get(app, id);
  const [token] = stream?.grant.tokens ?? [];
  if (stream?.subscriber == null || token?.digest !== presented) return;
  const { expiresAt, kind } = stream.grant;
  if (fresh.expiresAt <= expiresAt!) return;
  stream.grant = { ...grantOfTokens([token, { ...fresh, app: token.app, user: token.user }]), kind };
  // Revoked while the note was being kept, or by a reload: then the stream is closed, and stays so.
  if (!stands(gateway, stream)) hub.close(stream.subscriber, "revoked", false);
  else hub.renew(stream.subscriber, expiryOf(gateway, fresh.expiresAt)!);
}
