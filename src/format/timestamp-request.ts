import { concat } from "../bytes.ts";
import { derInteger, derOctets, derOid, derSequence } from "./der.ts";

const SHA256 = derSequence(derOid("2.16.840.1.101.3.4.2.1"), Uint8Array.of(0x05, 0x00));
const TRUE = Uint8Array.of(0x01, 0x01, 0xff);

/**
 * A TimeStampReq (RFC 3161, section 2.4.1) for a SHA-256 digest, which asks for
 * the authority's certificate. No nonce: what is stamped is a signature made a
 * moment ago, of which there is no older timestamp to replay.
 */
export function timestampRequest(digest: Uint8Array): Uint8Array<ArrayBuffer> {
  return new Uint8Array(concat([derSequence(derInteger(1), derSequence(SHA256, derOctets(digest)), TRUE)]));
}
