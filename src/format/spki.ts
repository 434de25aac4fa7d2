/**
 * Public keys as SubjectPublicKeyInfo (RFC 5280, section 4.1.2.7), of the
 * kinds that we use. Each has one encoding: a fixed head, then the key. Named
 * curve and uncompressed point for P-256 (RFC 5480), 32 bytes for Ed25519
 * (RFC 8410), 1312 bytes for ML-DSA-44 (RFC 9881). Comparing the head is stricter than a general parser, and it
 * saves 5 ms of OpenSSL's start-up, which a verifier's whole run has few of.
 */
import { base64, concat, equalBytes, fromBase64, fromHex } from "../bytes.ts";
import { BitforbitError } from "../errors.ts";

export type KeyAlgorithm = "ecdsa-p256" | "ed25519" | "ml-dsa-44";

/** Before the uncompressed point, which begins with 0x04. */
export const P256_HEAD: Uint8Array = fromHex("3059301306072a8648ce3d020106082a8648ce3d030107034200");
/** Before the 32 bytes of the key. */
export const ED25519_HEAD: Uint8Array = fromHex("302a300506032b6570032100");

const KINDS: readonly { algorithm: KeyAlgorithm; head: Uint8Array; length: number }[] = [
  { algorithm: "ecdsa-p256", head: concat([P256_HEAD, Uint8Array.of(0x04)]), length: 91 },
  { algorithm: "ed25519", head: ED25519_HEAD, length: 44 },
  { algorithm: "ml-dsa-44", head: fromHex("30820532300b06096086480165030403110382052100"), length: 1334 },
];

/** Reads one `PUBLIC KEY` PEM block (RFC 7468). Throws `input`, naming `what`. */
export function parseSpki(pem: string, what: string): { algorithm: KeyAlgorithm; der: Uint8Array } {
  const block = /^\s*-----BEGIN PUBLIC KEY-----\r?\n([A-Za-z0-9+/=\r\n]{1,2000})-----END PUBLIC KEY-----\s*$/.exec(pem);
  if (block === null) {
    throw new BitforbitError("input", `${what} is not one PEM block of type PUBLIC KEY`, {
      hint: "'bitforbit keys' prints public keys in this form",
    });
  }
  const der = fromBase64((block[1] ?? "").replace(/[\r\n]/g, ""));
  const kind = KINDS.find(
    ({ head, length }) => der.length === length && equalBytes(der.subarray(0, head.length), head),
  );
  if (kind === undefined) {
    throw new BitforbitError(
      "input",
      `${what} is neither a P-256 key (with a named curve, uncompressed) nor an Ed25519 or ML-DSA-44 key`,
    );
  }
  return { algorithm: kind.algorithm, der };
}

/** The PEM text of a key, as OpenSSL writes it. */
export function spkiPem(der: Uint8Array): string {
  return `-----BEGIN PUBLIC KEY-----\n${(base64(der).match(/.{1,64}/g) ?? []).join("\n")}\n-----END PUBLIC KEY-----\n`;
}

/** An Ed25519 key of 32 bytes as PEM. */
export function ed25519Pem(publicKey: Uint8Array): string {
  const kind = KINDS.find(({ algorithm }) => algorithm === "ed25519");
  return spkiPem(concat([kind?.head ?? new Uint8Array(), publicKey]));
}
