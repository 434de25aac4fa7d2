/** What signs: one interface, wherever the private key is kept. */
import { type KeyObject, createPublicKey, sign } from "node:crypto";
import { BitforbitError } from "../errors.ts";
import type { KeyAlgorithm } from "../format/spki.ts";
import { type PublicKey, parsePublicKey } from "./verifier.ts";

export interface Signer {
  algorithm: KeyAlgorithm;
  /** As `PublicKey.keyId`. */
  keyId: string;
  publicKeyPem: string;
  /** P-256: ECDSA in DER over SHA-256 of `bytes`. Ed25519: 64 bytes. ML-DSA-44: 2420. */
  sign(bytes: Uint8Array): Promise<Uint8Array>;
}

/**
 * A signer that hands on no signature that its own public key does not verify:
 * a fault in a device or a service ends here. `where` names the key's place.
 */
export function checkedSigner(
  key: PublicKey,
  where: string,
  sign: (bytes: Uint8Array) => Uint8Array | Promise<Uint8Array>,
): Signer {
  return {
    algorithm: key.algorithm,
    keyId: key.keyId,
    publicKeyPem: key.pem,
    sign: async (bytes) => {
      const signature = await sign(bytes);
      if (await key.verifyAside(bytes, signature)) return signature;
      throw new BitforbitError("outside", `${where} gave a signature that its public key does not verify`, {
        hint: "nothing was signed: see whether the key there is still the one that the key-ring names",
      });
    },
  };
}

/** Signs with a private key in this process. */
export function signerOf(key: KeyObject, where: string): Signer {
  const publicKey = parsePublicKey(createPublicKey(key).export({ format: "pem", type: "spki" }).toString(), where);
  const hash = publicKey.algorithm === "ecdsa-p256" ? "sha256" : null;
  // With a callback another thread signs, so that many signatures take more than one core.
  return checkedSigner(
    publicKey,
    where,
    async (bytes) =>
      await new Promise<Uint8Array>((resolve, reject) => {
        sign(hash, bytes, key, (error, signature) => {
          if (error === null) resolve(new Uint8Array(signature));
          // No cause: OpenSSL's error may quote its input.
          else reject(new BitforbitError("outside", `${where} cannot sign`));
        });
      }),
  );
}
