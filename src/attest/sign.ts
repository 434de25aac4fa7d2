/** From a statement to a Sigstore bundle v0.3: DSSE signature, log entry, inclusion proof. */
import { base64, utf8 } from "../bytes.ts";
import { sha256 } from "../digest.ts";
import { BitforbitError } from "../errors.ts";
import { IN_TOTO_PAYLOAD, preAuthEncoding } from "../format/dsse.ts";
import { HASHEDREKORD_KIND, HASHEDREKORD_VERSION, hashedRekord } from "../format/hashedrekord.ts";
import { parseSpki } from "../format/spki.ts";
import type { LeafProof, LogIdentity } from "../log/reader.ts";
import { BUNDLE_V03 } from "./bundle.ts";
import type { Statement } from "./statement.ts";

/** Signs statements: `keys.artifact`, a P-256 key. */
export interface StatementSigner {
  algorithm: string;
  keyId: string;
  publicKeyPem: string;
  /** ECDSA in DER over SHA-256 of `bytes`. */
  sign(bytes: Uint8Array): Promise<Uint8Array>;
}

/** The part of a log that attesting needs: `openLog` gives it. */
export interface AppendingLog {
  identity: LogIdentity;
  appendAll(leaves: readonly Uint8Array[]): Promise<LeafProof[]>;
}

/** Signs and logs one statement: the bundle's bytes, JSON. The entry is durable in the log when this returns. */
export async function attest(statement: Statement, signer: StatementSigner, log: AppendingLog): Promise<Uint8Array> {
  const [bundle] = await attestAll([statement], signer, log);
  if (bundle === undefined) throw new BitforbitError("outside", "the log gave no proof");
  return bundle;
}

/** As `attest`, several at once: they are made durable in the log together. */
export async function attestAll(
  statements: readonly Statement[],
  signer: StatementSigner,
  log: AppendingLog,
): Promise<Uint8Array[]> {
  if (signer.algorithm !== "ecdsa-p256") {
    throw new BitforbitError("input", `statements are signed with P-256, not with ${signer.algorithm}`);
  }
  const { der: spki } = parseSpki(signer.publicKeyPem, "the signer's public key");
  const signed = await Promise.all(
    statements.map(async (statement) => {
      const payload = utf8(JSON.stringify(statement));
      const encoding = preAuthEncoding(IN_TOTO_PAYLOAD, payload);
      const signature = await signer.sign(encoding);
      return { payload, signature, entry: hashedRekord(sha256(encoding), signature, spki) };
    }),
  );
  const proofs = await log.appendAll(signed.map(({ entry }) => entry));
  return signed.map(({ payload, signature, entry }, at) => {
    const proof = proofs[at];
    if (proof === undefined) throw new BitforbitError("outside", "the log gave too few proofs");
    return bundleBytes({ payload, signature, entry, keyId: signer.keyId }, proof, log.identity.keyHash);
  });
}

/** A Sigstore bundle v0.3, JSON. `logKeyHash`: SHA-256(origin ‖ 0x0A ‖ 0x01 ‖ key). */
export function bundleBytes(
  signed: { payload: Uint8Array; signature: Uint8Array; entry: Uint8Array; keyId: string },
  proof: LeafProof,
  logKeyHash: Uint8Array,
): Uint8Array {
  const bundle = {
    mediaType: BUNDLE_V03,
    verificationMaterial: {
      publicKey: { hint: signed.keyId },
      tlogEntries: [tlogEntry(signed.entry, proof, logKeyHash)],
    },
    // No keyid: cosign rejects any that is not empty.
    dsseEnvelope: {
      payload: base64(signed.payload),
      payloadType: IN_TOTO_PAYLOAD,
      signatures: [{ sig: base64(signed.signature) }],
    },
  };
  return utf8(`${JSON.stringify(bundle)}\n`);
}

/** Sigstore TransparencyLogEntry as protobuf JSON: 64-bit numbers are strings, bytes are base64. */
function tlogEntry(entry: Uint8Array, proof: LeafProof, logKeyHash: Uint8Array): object {
  return {
    logIndex: String(proof.index),
    logId: { keyId: base64(logKeyHash) },
    kindVersion: { kind: HASHEDREKORD_KIND, version: HASHEDREKORD_VERSION },
    inclusionProof: {
      logIndex: String(proof.index),
      rootHash: base64(proof.rootHash),
      treeSize: String(proof.treeSize),
      hashes: proof.hashes.map((hash) => base64(hash)),
      checkpoint: { envelope: proof.checkpoint },
    },
    canonicalizedBody: base64(entry),
  };
}
