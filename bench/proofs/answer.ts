const LF = 10;
const CR = 13;

/**
 * One answer of HTTP/1.1, read as it arrives: a head, then a body by its length or in chunks (RFC 9112, 6.3). A body
 * that neither tells goes on to the end of the connection.
 */
export class AnswerReader {
  /** 0 until the head is whole. */
  status = 0;
  /** With names in lower case. */
  readonly headers = new Map<string, string>();
  /** All of it has come. */
  complete = false;
  readonly #body: (bytes: Uint8Array) => void;
  #head: Buffer | null = Buffer.alloc(0);
  #chunked = false;
  /** Bytes that are missing: of the chunk, or of the whole body. */
  #left = Infinity;
  #size = "";
  /** The line end behind a chunk that is still to come. */
  #skip = 0;
  #lastChunk = false;

  constructor(body: (bytes: Uint8Array) => void) {
    this.#body = body;
  }

  /** Throws on what is no HTTP. */
  feed(bytes: Uint8Array): void {
    let rest = bytes;
    if (this.#head !== null) {
      this.#head = Buffer.concat([this.#head, bytes]);
      const end = this.#head.indexOf("\r\n\r\n");
      if (end < 0) return;
      rest = this.#head.subarray(end + 4);
      this.#readHead(this.#head.toString("latin1", 0, end));
      this.#head = null;
    }
    if (this.#chunked) this.#readChunks(rest);
    else this.#read(rest);
  }

  #readHead(text: string): void {
    const [first = "", ...lines] = text.split("\r\n");
    const status = /^HTTP\/1\.1 (\d{3}) /.exec(first)?.[1];
    if (status === undefined) throw new Error(`no answer of HTTP/1.1: ${first.slice(0, 80)}`);
    for (const line of lines) {
      const colon = line.indexOf(":");
      this.headers.set(line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim());
    }
    this.status = Number(status);
    this.#chunked = this.headers.get("transfer-encoding") === "chunked";
    const length = this.headers.get("content-length");
    if (this.#chunked) this.#left = 0;
    else if (length !== undefined) this.#left = Number(length);
  }

  #read(bytes: Uint8Array): void {
    this.#left -= bytes.length;
    if (this.#left < 0) throw new Error("more than one answer");
    if (bytes.length > 0) this.#body(bytes);
    this.complete = this.#left === 0;
  }

  #readChunks(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length;) {
      if (this.complete) throw new Error("more than one answer");
      if (this.#left > 0) {
        const part = bytes.subarray(at, at + this.#left);
        this.#left -= part.length;
        at += part.length;
        if (this.#left === 0) this.#skip = 2;
        this.#body(part);
      } else this.#readSize(bytes[at++]!);
    }
  }

  #readSize(byte: number): void {
    if (this.#skip > 0) {
      this.#skip -= 1;
      this.complete = this.#lastChunk && this.#skip === 0;
    } else if (byte !== LF) {
      if (byte !== CR) this.#size += String.fromCharCode(byte);
    } else {
      if (!/^[0-9a-f]+$/i.test(this.#size)) throw new Error(`no size of a chunk: ${this.#size}`);
      this.#left = parseInt(this.#size, 16);
      this.#size = "";
      this.#lastChunk = this.#left === 0;
      if (this.#lastChunk) this.#skip = 2;
    }
  }
}
