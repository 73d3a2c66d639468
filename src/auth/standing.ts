import type { Apps } from "./app.ts";
import { type Grant, grantOfTokens, isRevoked, publicGrant } from "./grant.ts";
import type { Rulings } from "./rulings.ts";

/**
 * What an earlier grant is by the apps and rulings of now; null when it grants one of the names no more: a token of it was
 * revoked, the key that signed it or the secret is gone, the app is, or a channel that was public is not.
 */
export function standing(grant: Grant, names: readonly string[], apps: Apps, rulings: Rulings): Grant | null {
  if (isRevoked(grant, rulings)) return null;
  const app = apps.byId(grant.app.id);
  if (app === null) return null;
  if (grant.app === app && grant.tokens.every((token) => token.app === app)) return grant; // made by the apps of now
  if (grant.secret !== null) return app.secrets.has(grant.secret) ? { ...grant, app } : null;
  const isSigned = grant.tokens.every(({ key }) => app.keys.some(({ fingerprint }) => fingerprint === key));
  if (!isSigned) return null;
  const [presented, ...fresh] = grant.tokens.map((token) => ({ ...token, app }));
  const now = presented === undefined ? publicGrant(app) : grantOfTokens([presented, ...fresh]);
  return names.every((name) => now.allows(name)) ? { ...now, kind: grant.kind } : null;
}
