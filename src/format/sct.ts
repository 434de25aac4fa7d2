/**
 * Signed certificate timestamps inside certificates (RFC 6962, sections 3.2
 * and 3.3), in the encoding of TLS:
 *
 *     list of 2-byte length ‖ version 0 ‖ log id[32] ‖ milliseconds[8] ‖ extensions ‖ hash, signature algorithm ‖ signature
 */
import { sha256 } from "../digest.ts";
import { BitforbitError } from "../errors.ts";
import { DerReader, OCTET_STRING } from "./der-read.ts";

export interface CertificateTimestamp {
  /** SHA-256 of the log's public key. */
  logId: Uint8Array;
  /** Milliseconds since 1970. */
  at: number;
  extensions: Uint8Array;
  family: "ecdsa" | "rsa";
  signature: Uint8Array;
}

const MAX_TIMESTAMPS = 16;
const SHA256 = 4;
const FAMILIES: Readonly<Record<number, "ecdsa" | "rsa">> = { 1: "rsa", 3: "ecdsa" };

/** The value of the certificate's extension: an octet string with the list. Throws `input` or `limit`. */
export function parseCertificateTimestamps(value: Uint8Array, what: string): CertificateTimestamp[] {
  const outer = new DerReader(value, what);
  const reader = new TlsReader(outer.read(OCTET_STRING), what);
  outer.finish();
  const list = new TlsReader(reader.vector(), what);
  reader.finish();
  const found: CertificateTimestamp[] = [];
  while (!list.done) {
    found.push(parseOne(new TlsReader(list.vector(), what), what));
    if (found.length > MAX_TIMESTAMPS) {
      throw new BitforbitError("limit", `${what} has more than ${MAX_TIMESTAMPS} certificate timestamps`);
    }
  }
  return found;
}

function parseOne(reader: TlsReader, what: string): CertificateTimestamp {
  const version = reader.number(1);
  if (version !== 0) throw new BitforbitError("input", `${what} has a certificate timestamp of version ${version + 1}`);
  const logId = reader.take(32);
  const at = reader.number(8);
  const extensions = reader.vector();
  const [hash, algorithm] = [reader.number(1), reader.number(1)];
  const family = FAMILIES[algorithm];
  if (hash !== SHA256 || family === undefined) {
    throw new BitforbitError("input", `${what} has a certificate timestamp by the algorithm ${hash}, ${algorithm}`);
  }
  const signature = reader.vector();
  reader.finish();
  return { logId, at, extensions, family, signature };
}

/** What the log signed: the entry is the certificate without its timestamps, and the hash of its issuer's key. */
export function signedEntry(timestamp: CertificateTimestamp, issuerSpki: Uint8Array, tbs: Uint8Array): Uint8Array {
  const head = Buffer.alloc(12);
  head.writeUInt32BE(Math.floor(timestamp.at / 2 ** 32), 2);
  head.writeUInt32BE(timestamp.at % 2 ** 32, 6);
  head.writeUInt16BE(1, 10); // precert_entry; before it version 0, signature type 0
  const size = Buffer.alloc(3);
  size.writeUIntBE(tbs.length, 0, 3);
  const extensions = Buffer.alloc(2);
  extensions.writeUInt16BE(timestamp.extensions.length);
  return new Uint8Array(Buffer.concat([head, sha256(issuerSpki), size, tbs, extensions, timestamp.extensions]));
}

class TlsReader {
  readonly #bytes: Uint8Array;
  readonly #what: string;
  #at = 0;

  constructor(bytes: Uint8Array, what: string) {
    this.#bytes = bytes;
    this.#what = what;
  }

  get done(): boolean {
    return this.#at === this.#bytes.length;
  }

  take(length: number): Uint8Array {
    const end = this.#at + length;
    if (end > this.#bytes.length) throw this.#bad("is cut off");
    const taken = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return taken;
  }

  number(length: number): number {
    const value = this.take(length).reduce((sum, byte) => sum * 256 + byte, 0);
    if (!Number.isSafeInteger(value)) throw this.#bad("has a number out of range");
    return value;
  }

  /** Bytes after their length of two bytes. */
  vector(): Uint8Array {
    return this.take(this.number(2));
  }

  finish(): void {
    if (!this.done) throw this.#bad(`has ${this.#bytes.length - this.#at} bytes too many`);
  }

  #bad(how: string): BitforbitError {
    return new BitforbitError("input", `the list of certificate timestamps of ${this.#what} ${how}`);
  }
}
