/** Where Redis is, as its owner wrote it. */
export interface RedisAddress {
  readonly kind: "single" | "sentinel" | "cluster";
  readonly tls: boolean;
  /** Of Sentinel and Cluster: where to ask which server it is. */
  readonly hosts: readonly Host[];
  readonly username: string | null;
  readonly password: string | null;
  /** What the Sentinels themselves take. */
  readonly sentinel: { readonly username: string | null; readonly password: string | null };
  readonly database: number;
  /** The name under which the Sentinels know the primary; empty for the other kinds. */
  readonly master: string;
}

export interface Host {
  readonly host: string;
  readonly port: number;
}

export const REDIS_FORMS =
  "redis://host:port/db, redis+cluster://host:port,host:port or redis+sentinel://host:port,host:port/name/db " +
  "(rediss:… for TLS; user:password@ before the hosts)";

const FORM = /^redis(s?)(?:\+(sentinel|cluster))?:\/\/(?:([^@]*)@)?([^/?#@]+)(?:\/([^?#]*))?(?:\?([^#]*))?$/;
const HOST = /^(?:\[([0-9A-Fa-f:.%]+)\]|([0-9A-Za-z._-]+))(?::([0-9]{1,5}))?$/;

/** Null when the text has none of the forms. Nothing of it may be repeated to anybody: it can hold a password. */
export function parseRedisAddress(text: string): RedisAddress | null {
  const match = FORM.exec(text);
  if (match === null) return null;
  const [, s, plus, user, hostList, path = "", query = ""] = match;
  const kind = (plus ?? "single") as RedisAddress["kind"];
  const hosts = hostList!.split(",").map((host) => hostOf(host, kind === "sentinel" ? 26_379 : 6379));
  if (hosts.includes(null) || (kind === "single" && hosts.length > 1)) return null;
  const parts = path === "" ? [] : path.split("/");
  const master = kind === "sentinel" ? decode(parts.shift() ?? "") : "";
  const database = parts.shift() ?? "0";
  if (parts.length > 0 || !/^[0-9]{1,4}$/.test(database)) return null;
  if (master === null || (kind === "sentinel" && master === "") || (kind === "cluster" && database !== "0"))
    return null;
  const credentials = credentialsOf(user);
  const sentinel = sentinelOf(query, kind);
  if (credentials === null || sentinel === null) return null;
  const { username, password } = credentials;
  return {
    kind,
    tls: s === "s",
    hosts: hosts as Host[],
    username,
    password,
    sentinel,
    database: Number(database),
    master,
  };
}

function hostOf(text: string, usualPort: number): Host | null {
  const match = HOST.exec(text);
  if (match === null) return null;
  const port = Number(match[3] ?? usualPort);
  return port < 1 || port > 65_535 ? null : { host: match[1] ?? match[2]!, port };
}

function credentialsOf(text: string | undefined): { username: string | null; password: string | null } | null {
  if (text === undefined) return { username: null, password: null };
  const at = text.indexOf(":");
  const [username, password] = at === -1 ? [decode(text), ""] : [decode(text.slice(0, at)), decode(text.slice(at + 1))];
  return username === null || password === null ? null : { username: username || null, password: password || null };
}

function sentinelOf(query: string, kind: RedisAddress["kind"]): RedisAddress["sentinel"] | null {
  const given = new URLSearchParams(query);
  if ([...given.keys()].some((name) => kind !== "sentinel" || !/^sentinel_(username|password)$/.test(name)))
    return null;
  return { username: given.get("sentinel_username"), password: given.get("sentinel_password") };
}

function decode(text: string): string | null {
  try {
    return decodeURIComponent(text);
  } catch {
    return null;
  }
}
