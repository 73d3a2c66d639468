/**
 * The path as it was sent. The URL of a request need not be one: it is made of the `Host` header, which may be missing
 * (HTTP/1.0) or hold anything.
 */
export function pathOf({ url }: Request): string {
  const start = pathStart(url);
  return start === -1 ? "/" : url.slice(start).replace(/\?.*$/s, "");
}

/** Where the path begins in a request's URL; -1 where it has none. */
export function pathStart(url: string): number {
  return url.startsWith("/") ? 0 : url.indexOf("/", url.indexOf("://") + 3);
}
