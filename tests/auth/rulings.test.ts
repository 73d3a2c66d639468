import { expect, test } from "bun:test";
import { revocation, Rulings } from "../../src/auth/rulings.ts";
import { type TokenGrant, verifyToken } from "../../src/auth/token.ts";
import { BLOG, DAY_MS, NOW, NOW_S, refusal, SHOP_OLD, token, twoApps } from "./apps.ts";

const apps = twoApps();

function tokenOf(claims: Record<string, unknown>, secret?: string, kid?: string): TokenGrant {
  return verifyToken(apps, token(claims, secret, kid), NOW, DAY_MS);
}

const UNTIL = NOW + DAY_MS;

test("a token is revoked by its jti, in its own app alone", () => {
  const rulings = new Rulings();
  rulings.apply("shop", revocation({ kind: "token", name: "t1" }, UNTIL));
  expect(rulings.revoked(tokenOf({ jti: "t1" }))).toBe(true);
  expect(rulings.revoked(tokenOf({ jti: "t2" }))).toBe(false);
  expect(rulings.revoked(tokenOf({ sub: "t1" }))).toBe(false);
  expect(rulings.revoked(tokenOf({ jti: "t1" }, BLOG, "blog"))).toBe(false);
});

test("a token without a jti is revoked by its digest", () => {
  const rulings = new Rulings();
  rulings.apply("shop", revocation({ kind: "digest", name: tokenOf({}).digest }, UNTIL));
  expect(rulings.revoked(tokenOf({}))).toBe(true);
  expect(rulings.revoked(tokenOf({ sub: "ann" }))).toBe(false);
});

test("what is named null is not what has no name", () => {
  const rulings = new Rulings();
  rulings.apply("shop", revocation({ kind: "token", name: "null" }, UNTIL));
  rulings.apply("shop", revocation({ kind: "user", name: "null", issuedUpTo: NOW }, UNTIL));
  expect(rulings.revoked(tokenOf({}))).toBe(false);
  expect(rulings.revoked(tokenOf({ jti: "null" }))).toBe(true);
  expect(rulings.revoked(tokenOf({ sub: "null" }))).toBe(true);
});

test("a user's tokens are revoked that were issued up to then, or do not say when", () => {
  const rulings = new Rulings();
  rulings.apply("shop", revocation({ kind: "user", name: "ann", issuedUpTo: NOW }, UNTIL));
  expect(rulings.revoked(tokenOf({ sub: "ann", iat: NOW_S - 10 }))).toBe(true);
  expect(rulings.revoked(tokenOf({ sub: "ann", iat: NOW_S }))).toBe(true);
  expect(rulings.revoked(tokenOf({ sub: "ann" }))).toBe(true);
  expect(rulings.revoked(tokenOf({ sub: "ann", iat: NOW_S + 0.001 }))).toBe(false);
  expect(rulings.revoked(tokenOf({ sub: "bob", iat: NOW_S - 10 }))).toBe(false);
  expect(rulings.revoked(tokenOf({ iat: NOW_S - 10 }))).toBe(false);
});

test("a later revocation of a user reaches further", () => {
  const rulings = new Rulings();
  rulings.apply("shop", revocation({ kind: "user", name: "ann", issuedUpTo: NOW }, UNTIL));
  rulings.apply("shop", revocation({ kind: "user", name: "ann", issuedUpTo: NOW + 5000 }, UNTIL));
  expect(rulings.revoked(tokenOf({ sub: "ann", iat: NOW_S + 5 }))).toBe(true);
});

test("a renewal stands for the token that was presented until the fresh one expires, beside other renewals of it", () => {
  const rulings = new Rulings();
  const presented = tokenOf({ sub: "ann" });
  const fresh = tokenOf({ sub: "ann", jti: "f", iat: NOW_S, exp: NOW_S + 7200, channels: ["room.*"] });
  expect(rulings.renewals(presented, NOW)).toEqual([]);
  const note = rulings.renew(presented, fresh, "s", NOW);
  rulings.apply("shop", note);
  expect(rulings.renewals(presented, NOW)).toEqual([fresh]);
  expect(rulings.renewals(presented, NOW + 7_199_999)).toEqual([fresh]);
  expect(rulings.renewals(presented, NOW + 7_200_000)).toEqual([]);
  expect(rulings.renewals(fresh, NOW)).toEqual([]);
  expect(note.value).not.toContain("eyJ"); // what is kept cannot be presented

  const sooner = tokenOf({ sub: "ann", jti: "s", exp: NOW_S + 5400 });
  for (let i = 0; i < 2; i++) rulings.apply("shop", rulings.renew(presented, sooner, "s", NOW));
  expect(rulings.renewals(presented, NOW)).toEqual([sooner, fresh]);
  expect(rulings.renewals(presented, NOW + 5_400_000)).toEqual([fresh]);
  expect(rulings.endOf(presented, NOW)).toBe(fresh.expiresAt);
  expect(rulings.endOf(fresh, NOW)).toBe(fresh.expiresAt);
});

test("a renewal stands no more when the key that signed the fresh token is gone", () => {
  const rulings = new Rulings();
  const [presented, fresh] = [tokenOf({}), tokenOf({ exp: NOW_S + 7200 }, SHOP_OLD)];
  rulings.apply("shop", rulings.renew(presented, fresh, "s", NOW));
  expect(rulings.renewals(presented, NOW)).toEqual([fresh]);
  const app = { ...presented.app, keys: presented.app.keys.slice(0, 1) };
  expect(rulings.renewals({ ...presented, app }, NOW)).toEqual([]);
});

test("what holds no more is forgotten", () => {
  const rulings = new Rulings();
  rulings.apply("shop", revocation({ kind: "token", name: "t1" }, NOW));
  rulings.forget(NOW);
  expect(rulings.revoked(tokenOf({ jti: "t1" }))).toBe(true);
  rulings.forget(NOW + 60_000);
  expect(rulings.revoked(tokenOf({ jti: "t1" }))).toBe(false);
});

test("what holds no more is forgotten a hundred notes at a time, so that no look holds the event loop", () => {
  const rulings = new Rulings();
  const names = Array.from({ length: 1000 }, (_, i) => `t${i}`);
  for (const name of names) rulings.apply("shop", revocation({ kind: "token", name }, NOW));
  const left = () => names.filter((name) => rulings.revoked(tokenOf({ jti: name }))).length;
  rulings.forget(NOW + 1);
  expect(left()).toBe(900);
  for (let i = 0; i < 9; i++) rulings.forget(NOW + 1);
  expect(left()).toBe(0);
});

const note = (i: number) => revocation({ kind: "token", name: `t${i}` }, UNTIL);

test("a flood of revocations: an app of which a hundred thousand hold makes no further one", async () => {
  const rulings = new Rulings();
  for (let i = 0; i < 100_000; i++) rulings.apply("shop", note(i));
  await refusal("limit_exceeded", () => rulings.checkRevocation("shop", note(100_000), NOW));
  rulings.checkRevocation("shop", note(7), NOW); // holds already
  rulings.checkRevocation("blog", note(100_000), NOW);
});

test("a flood of renewals: an app that renewed a hundred thousand tokens renews no further one until they expire", async () => {
  const rulings = new Rulings();
  const [first, fresh] = [tokenOf({ jti: "0" }), tokenOf({ exp: NOW_S + 7200 })];
  for (let i = 0; i < 100_000; i++) {
    rulings.apply("shop", new Rulings().renew({ ...first, digest: String(i) }, fresh, "s", NOW));
  }
  await refusal("limit_exceeded", () => rulings.renew({ ...first, digest: "one more" }, fresh, "s", NOW));
  rulings.renew({ ...first, digest: "7" }, fresh, "s", NOW); // is renewed again
  rulings.renew(tokenOf({}, BLOG, "blog"), fresh, "s", NOW);
  const later = NOW + 7_200_001;
  rulings.renew({ ...first, digest: "one more" }, { ...fresh, expiresAt: later + 1 }, "s", later);
}, 20_000);

test("a flood of renewals: of one token at most fifty stand", async () => {
  const rulings = new Rulings();
  const presented = tokenOf({});
  const fresh = (i: number) => tokenOf({ exp: NOW_S + 7200 + i });
  for (let i = 0; i < 50; i++) rulings.apply("shop", rulings.renew(presented, fresh(i), "s", NOW));
  await refusal("limit_exceeded", () => rulings.renew(presented, fresh(50), "s", NOW));
  rulings.renew(presented, fresh(50), "s", NOW + 7_200_000); // the first has expired
});
