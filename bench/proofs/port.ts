/** A port of this machine, or what names one for each connection that is opened. */
export type Port = number | (() => number);

export function portOf(port: Port): number {
  return typeof port === "number" ? port : port();
}
