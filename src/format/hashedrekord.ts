/** The log entry of Rekor v2, `hashedrekord` 0.0.2: a digest, a signature over it, and the key. */
import { base64 } from "../bytes.ts";
import { type JsonObject, canonicalJson } from "../json.ts";

export const HASHEDREKORD_KIND = "hashedrekord";
export const HASHEDREKORD_VERSION = "0.0.2";
/** The one kind of key and hash that artifacts are signed with here. */
export const KEY_DETAILS = "PKIX_ECDSA_P256_SHA_256";

/**
 * The entry's bytes, RFC 8785 JSON. Verifiers rebuild them from the bundle, so
 * there is one encoding only. `digest`: SHA-256 of the bytes that were signed
 * (for DSSE, of the PAE); `signature`: ECDSA in DER; `spki`: the P-256 key in DER.
 */
export function hashedRekord(digest: Uint8Array, signature: Uint8Array, spki: Uint8Array): Uint8Array {
  return entryBytes(digest, signature, { publicKey: { rawBytes: base64(spki) } });
}

/** The same with the certificate of the key, DER: what keyless signers log. */
export function hashedRekordOfCertificate(digest: Uint8Array, signature: Uint8Array, der: Uint8Array): Uint8Array {
  return entryBytes(digest, signature, { x509Certificate: { rawBytes: base64(der) } });
}

function entryBytes(digest: Uint8Array, signature: Uint8Array, verifier: JsonObject): Uint8Array {
  return canonicalJson({
    apiVersion: HASHEDREKORD_VERSION,
    kind: HASHEDREKORD_KIND,
    spec: {
      hashedRekordV002: {
        data: { algorithm: "SHA2_256", digest: base64(digest) },
        signature: {
          content: base64(signature),
          verifier: { keyDetails: KEY_DETAILS, ...verifier },
        },
      },
    },
  });
}
