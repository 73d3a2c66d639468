import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { ConfigError, type Settings } from "./config.ts";

/** A certificate with its key, both in PEM, as files hold them. */
export interface Certificate {
  readonly cert: string;
  readonly key: string;
  /** When it expires, as it says it. */
  readonly validTo: string;
}

/**
 * What the settings name; null where they name none. Throws ConfigError, which holds nothing of the files, when one of
 * them cannot be read or is none, or when the key is of another certificate.
 */
export function loadCertificate({ tlsCert, tlsKey }: Pick<Settings, "tlsCert" | "tlsKey">): Certificate | null {
  if (tlsCert === null || tlsKey === null) return null;
  const [cert, key] = [textOf(tlsCert), textOf(tlsKey)];
  const chain = parsed(() => new X509Certificate(cert), tlsCert, "a certificate in PEM");
  const own = parsed(() => createPrivateKey(key), tlsKey, "a private key in PEM, without a passphrase");
  if (!isOf(own, chain)) throw new ConfigError(tlsKey, `the key is not that of the certificate in ${tlsCert}`);
  return { cert, key, validTo: chain.validTo };
}

function textOf(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw new ConfigError(path, `the file cannot be read (${(error as { code?: string }).code ?? "unknown reason"})`);
  }
}

function parsed<T>(parse: () => T, path: string, takes: string): T {
  try {
    return parse();
  } catch {
    throw new ConfigError(path, `takes ${takes}`);
  }
}

function isOf(key: KeyObject, certificate: X509Certificate): boolean {
  try {
    return certificate.checkPrivateKey(key);
  } catch {
    return false;
  }
}
