/** Public keys and what they verify. No private key passes through this file. */
import { type KeyObject, createPublicKey, verify } from "node:crypto";
import { base64 } from "../bytes.ts";
import { sha256 } from "../digest.ts";
import { BitforbitError } from "../errors.ts";
import { type KeyAlgorithm, parseSpki, spkiPem } from "../format/spki.ts";

export interface PublicKey {
  algorithm: KeyAlgorithm;
  /** base64 of the SHA-256 of the DER SubjectPublicKeyInfo: what cosign writes as the bundle's `hint`. */
  keyId: string;
  /** DER SubjectPublicKeyInfo (RFC 5280, section 4.1.2.7). */
  spki: Uint8Array;
  pem: string;
  /** P-256: `signature` is ECDSA in DER over SHA-256 of `bytes`; Ed25519: 64 bytes (RFC 8032). Never throws. */
  verify(bytes: Uint8Array, signature: Uint8Array): boolean;
}

/** Reads one `PUBLIC KEY` PEM block, P-256 or Ed25519. Throws `input`, naming `what`. */
export function parsePublicKey(pem: string, what = "the public key"): PublicKey {
  const { algorithm, der } = parseSpki(pem, what);
  let key: KeyObject;
  try {
    key = createPublicKey({ key: Buffer.from(der), format: "der", type: "spki" });
  } catch (error) {
    throw new BitforbitError("input", `${what} is not a point of its curve`, { cause: error });
  }
  return {
    algorithm,
    keyId: base64(sha256(der)),
    spki: der,
    pem: spkiPem(der),
    verify: (bytes, signature) =>
      algorithm === "ed25519"
        ? signature.length === 64 && verify(null, bytes, key, signature)
        : verify("sha256", bytes, { key, dsaEncoding: "der" }, signature),
  };
}
