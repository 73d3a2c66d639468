import type { Expiry } from "../hub/subscriber.ts";
import type { Gateway } from "./gateway.ts";
import { rfc3339 } from "./subscribe.ts";

/** The hub's look comes up to 0.2 s after a stream is due: so nothing is sent to one whose token has expired. */
const BEFORE_EXPIRY_MS = 250;

/** How long before it a listener is told: time for a page to ask its backend, and to ask it again. */
const NOTICE_MS = 60_000;
/** Of a token that lives less than some minutes, the last part of its life. */
const NOTICE_PART = 0.2;

/**
 * When a stream ends whose grant ends at `expiresAt` (milliseconds since 1970), and when its listener is told; jittered
 * up to half as much again, so that those opened together do not ask for tokens together.
 */
export function expiryOf({ clock }: Gateway, expiresAt: number | null): Expiry | null {
  if (expiresAt === null) return null;
  const livesMs = expiresAt - clock.now();
  const noticeMs = Math.min(NOTICE_MS, livesMs * NOTICE_PART) * (1 + clock.random() / 2);
  const endsAtMs = clock.elapsed() + livesMs;
  return { atMs: endsAtMs - BEFORE_EXPIRY_MS, noticeAtMs: endsAtMs - noticeMs, told: rfc3339(expiresAt) };
}
