import { createHash } from "node:crypto";
import { concat, utf8 } from "../bytes.ts";

/** Every JVM's customary password: the store holds public certificates only. */
export const KEYSTORE_PASSWORD = "changeit";

/**
 * A Java trust store in the format JKS, version 2, which every JVM reads: the
 * header, an entry of tag 2 for each certificate (alias, milliseconds, type,
 * DER), and SHA-1 over password (UTF-16), "Mighty Aphrodite", and what is before.
 */
export function javaTrustStore(certificates: readonly { alias: string; der: Uint8Array }[]): Uint8Array {
  const entries = certificates.map(({ alias, der }) =>
    concat([uint32(2), utf(alias), new Uint8Array(8), utf("X.509"), uint32(der.length), der]),
  );
  const store = concat([uint32(0xfeedfeed), uint32(2), uint32(entries.length), ...entries]);
  const password = Buffer.from(KEYSTORE_PASSWORD, "utf16le").swap16();
  const seal = createHash("sha1").update(password).update("Mighty Aphrodite").update(store).digest();
  return concat([store, new Uint8Array(seal)]);
}

function uint32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value);
  return bytes;
}

/** As java.io.DataOutput writes text: its length in two bytes before it. ASCII only, so that it is UTF-8, too. */
function utf(text: string): Uint8Array {
  const bytes = utf8(text);
  return concat([Uint8Array.of(bytes.length >> 8, bytes.length & 0xff), bytes]);
}
