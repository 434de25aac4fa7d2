/** Forms of ECDSA signatures: devices and services give r and s in their own ways; we hand on DER (RFC 3279, section 2.2.3). */
import { concat } from "../bytes.ts";
import { BitforbitError } from "../errors.ts";
import { derSequence } from "../format/der.ts";

/** DER of r ‖ s, 32 bytes each (IEEE P1363). Throws `outside`. */
export function derOfP1363(signature: Uint8Array, what: string): Uint8Array {
  if (signature.length !== 64) {
    throw new BitforbitError("outside", `${what} gave a signature of ${signature.length} bytes, not 64`);
  }
  return derOfIntegers(signature.subarray(0, 32), signature.subarray(32));
}

/** DER of two non-negative integers, big-endian, with or without zeros before them. */
export function derOfIntegers(r: Uint8Array, s: Uint8Array): Uint8Array {
  return derSequence(unsigned(r), unsigned(s));
}

function unsigned(bytes: Uint8Array): Uint8Array {
  const first = bytes.findIndex((byte) => byte !== 0);
  const short = first < 0 ? Uint8Array.of(0) : bytes.subarray(first);
  const value = (short[0] ?? 0) >= 0x80 ? concat([Uint8Array.of(0), short]) : short;
  if (value.length > 33) throw new BitforbitError("outside", "a number of the signature is too long for P-256");
  return concat([Uint8Array.of(0x02, value.length), value]);
}
