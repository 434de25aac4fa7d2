/** Public keys and what they verify. No private key passes through this file. */
import { createPublicKey, verify } from "node:crypto";
import { base64 } from "../bytes.ts";
import { sha256 } from "../digest.ts";
import { BitforbitError } from "../errors.ts";

export type Algorithm = "ecdsa-p256" | "ed25519";

export interface PublicKey {
  algorithm: Algorithm;
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
  const blocks = pem.match(/-----BEGIN [^-]+-----/g) ?? [];
  if (pem.length > 4096 || blocks.length !== 1 || blocks[0] !== "-----BEGIN PUBLIC KEY-----") {
    throw new BitforbitError("input", `${what} is not one PEM block of type PUBLIC KEY`, {
      hint: "'bitforbit keys' prints public keys in this form",
    });
  }
  let key: ReturnType<typeof createPublicKey>;
  try {
    key = createPublicKey({ key: pem, format: "pem", type: "spki" });
  } catch (error) {
    throw new BitforbitError("input", `cannot parse ${what}`, { cause: error });
  }
  const algorithm = algorithmOf(key, what);
  const spki = new Uint8Array(key.export({ format: "der", type: "spki" }));
  return {
    algorithm,
    keyId: base64(sha256(spki)),
    spki,
    pem: key.export({ format: "pem", type: "spki" }).toString(),
    verify: (bytes, signature) =>
      algorithm === "ed25519"
        ? signature.length === 64 && verify(null, bytes, key, signature)
        : verify("sha256", bytes, { key, dsaEncoding: "der" }, signature),
  };
}

function algorithmOf(key: ReturnType<typeof createPublicKey>, what: string): Algorithm {
  if (key.asymmetricKeyType === "ed25519") return "ed25519";
  const curve = key.asymmetricKeyDetails?.namedCurve;
  if (key.asymmetricKeyType === "ec" && curve === "prime256v1") return "ecdsa-p256";
  throw new BitforbitError("input", `${what} is ${key.asymmetricKeyType} ${curve ?? ""}, not P-256 or Ed25519`);
}
