import { createHash } from "node:crypto";
import { BitforbitError } from "../errors.ts";
import { byteOrder } from "../order.ts";
import { equalBytes } from "../bytes.ts";

/**
 * Java key stores of trusted certificates, as the JDK's JKS writes them
 * (sun.security.provider.JavaKeyStore): big-endian,
 *
 *     feedfeed version(4) count(4)
 *     { tag(4)=2  alias(2+n)  milliseconds(8)  type(2+n)  length(4) certificate }…
 *     SHA-1 over the password in UTF-16, "Mighty Aphrodite", and all before
 *
 * The time is when an entry was added, and the order is a hash table's.
 */
const MAGIC = 0xfeedfeed;
const TRUSTED = 2;
const MAX_ENTRIES = 100_000;

/** Debian's password for its trust store, which keeps nothing secret. */
const PASSWORD = "changeit";

export function looksLikeJks(bytes: Uint8Array): boolean {
  return bytes.length >= 4 && viewOf(bytes).getUint32(0) === MAGIC;
}

/**
 * The same certificates under the same names, in byte order of the names, each
 * added at `milliseconds`. A store with keys in it, or with another password
 * than "changeit", is given back as it is. Throws `input` for a broken one.
 */
export function normaliseJks(bytes: Uint8Array, milliseconds: number, what: string): Uint8Array {
  const body = bytes.subarray(0, Math.max(0, bytes.length - 20));
  if (!equalBytes(digestOf(body), bytes.subarray(body.length))) return bytes;
  const view = viewOf(body);
  const count = body.length >= 12 ? view.getUint32(8) : 0;
  if (count > MAX_ENTRIES) throw new BitforbitError("limit", `${what}: a key store of ${count} entries`);
  const entries: { alias: string; bytes: Buffer }[] = [];
  let at = 12;
  const take = (length: number): number => {
    if (at + length > body.length) throw new BitforbitError("input", `${what}: key store cut off at offset ${at}`);
    at += length;
    return at - length;
  };
  for (let index = 0; index < count; index++) {
    const start = take(6);
    if (view.getUint32(start) !== TRUSTED) return bytes;
    const aliasAt = take(view.getUint16(start + 4));
    const alias = Buffer.from(body.subarray(aliasAt, at)).toString("latin1");
    const timeAt = take(8);
    take(view.getUint16(take(2)));
    take(view.getUint32(take(4)));
    const entry = Buffer.from(body.subarray(start, at));
    entry.writeBigUInt64BE(BigInt(milliseconds), timeAt - start);
    entries.push({ alias, bytes: entry });
  }
  if (at !== body.length) throw new BitforbitError("input", `${what}: key store with more behind its entries`);
  entries.sort((a, b) => byteOrder(a.alias, b.alias));
  const sorted = Buffer.concat([body.subarray(0, 12), ...entries.map((entry) => entry.bytes)]);
  return new Uint8Array(Buffer.concat([sorted, digestOf(sorted)]));
}

function digestOf(body: Uint8Array): Uint8Array {
  const hash = createHash("sha1");
  hash.update(Buffer.from(PASSWORD, "utf16le").swap16());
  hash.update("Mighty Aphrodite").update(body);
  return new Uint8Array(hash.digest());
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
