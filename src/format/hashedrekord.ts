/** The log entry of Rekor v2, `hashedrekord` 0.0.2: a digest, a signature over it, and the key. */
import { base64 } from "../bytes.ts";
import { canonicalJson } from "../json.ts";

export const HASHEDREKORD_KIND = "hashedrekord";
export const HASHEDREKORD_VERSION = "0.0.2";

/**
 * The entry's bytes, RFC 8785 JSON. Verifiers rebuild them from the bundle, so
 * there is one encoding only. `digest`: SHA-256 of the bytes that were signed
 * (for DSSE, of the PAE); `signature`: ECDSA in DER; `spki`: the P-256 key in DER.
 */
export function hashedRekord(digest: Uint8Array, signature: Uint8Array, spki: Uint8Array): Uint8Array {
  return canonicalJson({
    apiVersion: HASHEDREKORD_VERSION,
    kind: HASHEDREKORD_KIND,
    spec: {
      hashedRekordV002: {
        data: { algorithm: "SHA2_256", digest: base64(digest) },
        signature: {
          content: base64(signature),
          verifier: { keyDetails: "PKIX_ECDSA_P256_SHA_256", publicKey: { rawBytes: base64(spki) } },
        },
      },
    },
  });
}
