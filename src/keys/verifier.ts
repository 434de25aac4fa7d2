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
  /** P-256: `signature` is ECDSA in DER over SHA-256 of `bytes`; Ed25519: 64 bytes (RFC 8032); ML-DSA-44: 2420 (FIPS 204, no context). Never throws. */
  verify(bytes: Uint8Array, signature: Uint8Array): boolean;
  /** The same by another thread, for many signatures. */
  verifyAside(bytes: Uint8Array, signature: Uint8Array): Promise<boolean>;
}

const SIGNATURE_BYTES = { ed25519: 64, "ml-dsa-44": 2420 } as const;

/** Reads one `PUBLIC KEY` PEM block, P-256, Ed25519 or ML-DSA-44. Throws `input`, naming `what`. */
export function parsePublicKey(pem: string, what = "the public key"): PublicKey {
  const { algorithm, der } = parseSpki(pem, what);
  let key: KeyObject;
  try {
    key = createPublicKey({ key: Buffer.from(der), format: "der", type: "spki" });
  } catch (error) {
    if (algorithm !== "ml-dsa-44")
      throw new BitforbitError("input", `${what} is not a point of its curve`, { cause: error });
    throw new BitforbitError("lacking", `${what} is an ML-DSA-44 key, which this Node does not know`, {
      cause: error,
      hint: "use Node 24.6 or newer with OpenSSL 3.5",
    });
  }
  // The key goes in itself, not an object around it, by which node:crypto is slowed by a third; ECDSA is in DER then, too.
  const hash = algorithm === "ecdsa-p256" ? "sha256" : null;
  const hasLength = (signature: Uint8Array): boolean =>
    algorithm === "ecdsa-p256" || signature.length === SIGNATURE_BYTES[algorithm];
  return {
    algorithm,
    keyId: base64(sha256(der)),
    spki: der,
    pem: spkiPem(der),
    verify: (bytes, signature) => hasLength(signature) && verify(hash, bytes, key, signature),
    verifyAside: async (bytes, signature) =>
      hasLength(signature) &&
      (await new Promise<boolean>((resolve) => {
        verify(hash, bytes, key, signature, (error, good) => resolve(error === null && good));
      })),
  };
}
