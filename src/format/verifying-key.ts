/** Public keys of other parties' certificates and logs: of more kinds than we sign with, weak ones refused. */
import { createPublicKey, type KeyObject, verify } from "node:crypto";
import { fromBase64 } from "../bytes.ts";
import { BitforbitError } from "../errors.ts";
import type { SignatureHash } from "./x509.ts";

export type KeyFamily = "ecdsa" | "rsa" | "ed25519";

export interface VerifyingKey {
  family: KeyFamily;
  /** Of elliptic curves, by OpenSSL's name. */
  curve: string | undefined;
  /** DER SubjectPublicKeyInfo. */
  spki: Uint8Array;
  /** ECDSA in DER, RSA by PKCS #1 v1.5, Ed25519. Never throws. */
  verify(bytes: Uint8Array, signature: Uint8Array, hash: SignatureHash): boolean;
}

const CURVES = new Set(["prime256v1", "secp384r1", "secp521r1"]);
const MIN_RSA = 2048;
const MAX_RSA = 8192;
const MAX_SPKI = 4096;

/** Reads a key: P-256, P-384, P-521, RSA of 2048 to 8192 bits, Ed25519. Throws `input`, naming `what`. */
export function verifyingKey(der: Uint8Array, what: string, type: "spki" | "pkcs1" = "spki"): VerifyingKey {
  if (der.length > MAX_SPKI) throw new BitforbitError("limit", `${what} has ${der.length} bytes`);
  let key: KeyObject;
  try {
    key = createPublicKey({ key: Buffer.from(der), format: "der", type });
  } catch (error) {
    throw new BitforbitError("input", `${what} cannot be read`, { cause: error });
  }
  const spki = new Uint8Array(key.export({ format: "der", type: "spki" }));
  // A second encoding of one key could pass for another key.
  if (type === "spki" && Buffer.compare(spki, der) !== 0) {
    throw new BitforbitError("input", `${what} is not in its one encoding`);
  }
  const { family, curve } = familyOf(key, what);
  return {
    family,
    curve,
    spki,
    verify: (bytes, signature, hash) => {
      if ((family === "ed25519") !== (hash === "none")) return false;
      // The key itself, not an object around it, by which node:crypto is slowed by a third; ECDSA is in DER then, too.
      return verify(hash === "none" ? null : hash, bytes, key, signature);
    },
  };
}

/** The key of one `PUBLIC KEY` PEM block (RFC 7468). Throws `input`, naming `what`. */
export function parseVerifyingKey(pem: string, what: string): VerifyingKey {
  const block = /^\s*-----BEGIN PUBLIC KEY-----\r?\n([A-Za-z0-9+/=\r\n]{1,8000})-----END PUBLIC KEY-----\s*$/.exec(pem);
  if (block === null) {
    throw new BitforbitError("input", `${what} is not one PEM block of type PUBLIC KEY`, {
      hint: "'cosign public-key' and 'bitforbit keys export' print public keys in this form",
    });
  }
  return verifyingKey(fromBase64((block[1] ?? "").replace(/[\r\n]/g, "")), what);
}

function familyOf(key: KeyObject, what: string): { family: KeyFamily; curve: string | undefined } {
  const { namedCurve, modulusLength = 0 } = key.asymmetricKeyDetails ?? {};
  if (key.asymmetricKeyType === "ed25519") return { family: "ed25519", curve: undefined };
  if (key.asymmetricKeyType === "ec" && CURVES.has(namedCurve ?? "")) return { family: "ecdsa", curve: namedCurve };
  if (key.asymmetricKeyType === "rsa" && modulusLength >= MIN_RSA && modulusLength <= MAX_RSA) {
    return { family: "rsa", curve: undefined };
  }
  const size = key.asymmetricKeyType === "rsa" ? ` of ${modulusLength} bits` : ` ${namedCurve ?? ""}`;
  throw new BitforbitError("input", `${what} is ${key.asymmetricKeyType}${size}, which is not accepted`);
}
