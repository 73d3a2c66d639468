import type { AppId, Note } from "../broker/broker.ts";
import { ApiError } from "../core/errors.ts";
import type { TokenGrant } from "./token.ts";

/** What is revoked: a token, named by its `jti` or its digest, or all of a user's that were issued up to a time. */
export type Revoked =
  | { readonly kind: "token" | "digest"; readonly name: string }
  | { readonly kind: "user"; readonly name: string; readonly issuedUpTo: number };

/** A revocation as the broker keeps it; `until`: when the last token that it could hit has expired. */
export function revocation(revoked: Revoked, until: number): Note {
  const value = revoked.kind === "user" ? String(revoked.issuedUpTo) : "";
  return { key: `${REVOKED}${revoked.kind} ${revoked.name}`, value, until };
}

/** Which tokens a note revokes; null where it is no revocation. */
export function revokedBy(note: Note): ((token: TokenGrant) => boolean) | null {
  const kind = KINDS.find((one) => note.key.startsWith(`${REVOKED}${one} `));
  if (kind === undefined) return null;
  const nameOf = NAME_OF[kind];
  const name = note.key.slice(`${REVOKED}${kind} `.length);
  return (token) => nameOf(token) === name && reaches(note, token);
}

const NAME_OF: Readonly<Record<Revoked["kind"], (token: TokenGrant) => string | null>> = {
  token: ({ jti }) => jti,
  digest: ({ digest }) => digest,
  user: ({ user }) => user,
};
const KINDS = Object.keys(NAME_OF) as Revoked["kind"][];

/** A token that does not say when it was issued may have been issued before. */
function reaches({ value }: Note, { issuedAt }: TokenGrant): boolean {
  return value === "" || issuedAt === null || issuedAt <= Number(value);
}

/** What a renewal says. */
export interface Renewed {
  /** The digest of the token that was presented. */
  readonly presented: string;
  /** The stream that goes on. */
  readonly stream: string;
  /** Of the same app and user as the presented one. */
  readonly fresh: Omit<TokenGrant, "app" | "user">;
}

/**
 * That a fresh token stands for one that is presented, beside others that may: a note each, so that nodes that renew at
 * the same time do not overwrite each other's. Holds no token.
 */
function renewal(presented: TokenGrant, fresh: TokenGrant, stream: string): Note {
  const { channels, issuedAt, expiresAt, jti, digest, key } = fresh;
  const value = JSON.stringify({ channels, issuedAt, expiresAt, jti, key });
  return { key: `${RENEWED}${presented.digest} ${digest} ${stream}`, value, until: expiresAt };
}

/** The digest of the token that a renewal is of; null where a note is none. */
function presentedOf({ key }: Note): string | null {
  return key.startsWith(RENEWED) ? key.slice(RENEWED.length, key.indexOf(" ", RENEWED.length)) : null;
}

/** Null where a note is no renewal. */
export function renewedBy({ key, value }: Note): Renewed | null {
  if (!key.startsWith(RENEWED)) return null;
  const [presented, digest, stream] = key.slice(RENEWED.length).split(" ");
  const facts = JSON.parse(value) as Omit<Renewed["fresh"], "digest">;
  return { presented: presented!, stream: stream!, fresh: { ...facts, digest: digest! } };
}

const REVOKED = "revoked ";
const RENEWED = "renewed ";

/** So many revocations of an app can hold at a time: some 30 MB of a node that others use as well. */
const MAX_REVOCATIONS = 100_000;
/** An app whose listeners renewed so many tokens that have not expired renews no more of them. */
const MAX_RENEWALS = 100_000;
/** A token that was renewed so often is renewed no more: it is opened in as many pages, or it is a flood. */
const MAX_FRESH = 50;

/** How many notes are looked at in one go for what holds no more: looking at 500,000 of them took 190 ms. */
const FORGET_NOTES = 100;

class OfApp {
  readonly revoked = new Map<string, Note>();
  readonly renewed = new Map<string, Note>();
  /** The renewals of each token, by its digest. */
  readonly byPresented = new Map<string, readonly Note[]>();

  apply(note: Note): void {
    if (note.key.startsWith(REVOKED)) this.revoked.set(note.key, note);
    const presented = presentedOf(note);
    if (presented === null) return;
    this.renewed.set(note.key, note);
    this.byPresented.set(presented, [...this.#others(presented, note), note]);
  }

  forget(note: Note): void {
    this.revoked.delete(note.key);
    const presented = presentedOf(note);
    if (presented === null) return;
    this.renewed.delete(note.key);
    const others = this.#others(presented, note);
    if (others.length === 0) this.byPresented.delete(presented);
    else this.byPresented.set(presented, others);
  }

  #others(presented: string, { key }: Note): readonly Note[] {
    return (this.byPresented.get(presented) ?? []).filter((other) => other.key !== key);
  }
}

/** What was decided about the tokens of every app after they were signed. */
export class Rulings {
  readonly #apps = new Map<AppId, OfApp>();
  #looking = this.#notes();

  /** Takes in what the broker told. */
  apply(app: AppId, note: Note): void {
    let of = this.#apps.get(app);
    if (of === undefined) this.#apps.set(app, (of = new OfApp()));
    of.apply(note);
  }

  revoked(token: TokenGrant): boolean {
    const revoked = this.#apps.get(token.app.id)?.revoked;
    if (revoked === undefined || revoked.size === 0) return false;
    return KINDS.some((kind) => {
      const name = NAME_OF[kind](token);
      const note = name === null ? undefined : revoked.get(`${REVOKED}${kind} ${name}`);
      return note !== undefined && reaches(note, token);
    });
  }

  /** Throws ApiError `limit_exceeded` when as many revocations of the app hold as may, and this is a further one. */
  checkRevocation(app: AppId, { key }: Note, now: number): void {
    this.forget(now);
    const revoked = this.#apps.get(app)?.revoked;
    if (revoked === undefined || revoked.size < MAX_REVOCATIONS || revoked.has(key)) return;
    throw new ApiError(
      "limit_exceeded",
      "As many revocations hold as may; take the secret out that signed the tokens.",
    );
  }

  /** Up to when tokens of the user must have been issued to be revoked; null where none are. */
  revokedUpTo(app: AppId, user: string): number | null {
    const note = this.#apps.get(app)?.revoked.get(`${REVOKED}user ${user}`);
    return note === undefined ? null : Number(note.value);
  }

  /**
   * The tokens that stand for a presented one and have not expired, ordered by when they do, but for those whose key the
   * app has no more. They name the same user. Several do where several pages have the same address.
   */
  renewals({ app, user, digest }: TokenGrant, now: number): TokenGrant[] {
    const notes = this.#apps.get(app.id)?.byPresented.get(digest) ?? [];
    const byDigest = new Map<string, TokenGrant>();
    for (const note of notes) {
      if (note.until <= now) continue;
      const { fresh } = renewedBy(note)!;
      if (!app.keys.some(({ fingerprint }) => fingerprint === fresh.key)) continue;
      byDigest.set(fresh.digest, { ...fresh, app, user });
    }
    return [...byDigest.values()].sort((one, other) => one.expiresAt - other.expiresAt);
  }

  /** When neither the token nor what stands for it grants anything any more. */
  endOf(token: TokenGrant, now: number): number {
    return Math.max(token.expiresAt, this.renewals(token, now).at(-1)?.expiresAt ?? 0);
  }

  /**
   * The note that a fresh token stands for a presented one as well, and lets a stream go on. Throws ApiError
   * `limit_exceeded` when the app can renew no further token, or this one no more.
   */
  renew(presented: TokenGrant, fresh: TokenGrant, stream: string, now: number): Note {
    this.forget(now); // here too: at the limit no note comes that would have it done
    const note = renewal(presented, fresh, stream);
    const of = this.#apps.get(presented.app.id);
    const known = of?.byPresented.get(presented.digest) ?? [];
    const standing = known.filter(({ key, until }) => key !== note.key && until > now);
    if (standing.length >= MAX_FRESH || (known.length === 0 && (of?.byPresented.size ?? 0) >= MAX_RENEWALS)) {
      throw new ApiError("limit_exceeded", "As many renewals stand as may; open a stream with the fresh token.");
    }
    return note;
  }

  /**
   * Forgets what holds no more among some notes, and the next time among the next; to be called with every note that
   * comes. `now` is in milliseconds since 1970.
   */
  forget(now: number): void {
    for (let looked = 0; looked < FORGET_NOTES; looked++) {
      const { done, value } = this.#looking.next();
      if (done === true) {
        this.#looking = this.#notes();
        return;
      }
      const [of, note] = value;
      if (note.until < now) of.forget(note);
    }
  }

  *#notes(): Generator<[OfApp, Note], undefined> {
    for (const of of this.#apps.values()) {
      for (const notes of [of.revoked, of.renewed]) for (const note of notes.values()) yield [of, note];
    }
  }
}
