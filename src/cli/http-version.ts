import { connect } from "node:tls";

const WITHIN_MS = 5000;

/**
 * The version of HTTP that a browser would use at an address: without TLS 1.1, with TLS what the server chooses of what a
 * browser offers (RFC 7301). Null where that cannot be seen.
 */
export function httpVersionOf(address: string): Promise<string | null> {
  const { protocol, hostname, port } = new URL(address);
  if (protocol === "http:") return Promise.resolve("1.1");
  const host = hostname.replace(/^\[|\]$/g, "");
  return new Promise((resolve) => {
    const socket = connect({
      host,
      port: port === "" ? 443 : Number(port),
      servername: host,
      ALPNProtocols: ["h2", "http/1.1"],
      rejectUnauthorized: false, // nothing is sent; whether the certificate is good shows when the stream is opened
    });
    const end = (version: string | null): void => {
      socket.destroy();
      resolve(version);
    };
    socket.setTimeout(WITHIN_MS, () => end(null));
    socket.once("secureConnect", () => end(socket.alpnProtocol === "h2" ? "2" : "1.1"));
    socket.once("error", () => end(null));
  });
}
