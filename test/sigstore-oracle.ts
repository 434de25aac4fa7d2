/** @sigstore/verify and ours, set up alike: one log entry, one trusted time, one certificate timestamp. */
import { createPublicKey } from "node:crypto";
import { bundleFromJSON } from "@sigstore/bundle";
import { TrustedRoot } from "@sigstore/protobuf-specs";
import { toSignedEntity, toTrustMaterial, Verifier } from "@sigstore/verify";
import { readTrustedRoot } from "../src/attest/read-trusted-root.ts";
import { digestOf } from "../src/digest.ts";
import { parseVerifyingKey } from "../src/format/verifying-key.ts";
import { CertificatePaths } from "../src/policy/certificate-path.ts";
import type { Decision } from "../src/policy/decision.ts";
import { type Accepted, verifySigstore } from "../src/policy/sigstore.ts";

export interface SigstoreCase {
  artifact: Uint8Array;
  trustedRoot: Uint8Array;
  identity: string;
  issuer: string;
  /** PEM: verify with this key instead of an identity. */
  key: string | undefined;
}

/** @sigstore/verify on bundles of one case: the reason of a refusal, or undefined. */
export function sigstoreJs(one: SigstoreCase): (bundle: Uint8Array) => string | undefined {
  const { artifact, identity, issuer, key } = one;
  const root = TrustedRoot.fromJSON(JSON.parse(new TextDecoder().decode(one.trustedRoot)));
  const material = toTrustMaterial(root, (hint) => {
    if (key === undefined) throw new Error(`key not found: ${hint}`);
    return { publicKey: createPublicKey(key), validFor: () => true };
  });
  const timestampThreshold = key === undefined ? 1 : 0;
  const verifier = new Verifier(material, { ctlogThreshold: 1, tlogThreshold: 1, timestampThreshold });
  // It takes a regular expression.
  const exactly = `^${identity.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&")}$`;
  const accepted = key === undefined ? { subjectAlternativeName: exactly, extensions: { issuer } } : undefined;
  const bytes = Buffer.from(artifact);
  return (json) => {
    try {
      const bundle = bundleFromJSON(JSON.parse(new TextDecoder().decode(json)));
      verifier.verify(toSignedEntity(bundle, bytes), accepted);
      return undefined;
    } catch (error) {
      return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
    }
  };
}

/** Ours on bundles of one case. With `fromDigest` it has no artifact. */
export function ours(one: SigstoreCase, fromDigest = false): (bundle: Uint8Array) => Decision {
  const root = readTrustedRoot(one.trustedRoot);
  const paths = new CertificatePaths(root);
  const { artifact, identity: subject, issuer, key } = one;
  const accept: Accepted =
    key === undefined
      ? { kind: "identities", identities: [{ subject, issuer }] }
      : { kind: "key", name: "the key", key: parseVerifyingKey(key, "the key") };
  const known = { digest: digestOf(artifact), ...(fromDigest ? {} : { bytes: artifact }) };
  return (bundle) => verifySigstore({ artifact: known, bundles: [bundle], root, paths, accept });
}
