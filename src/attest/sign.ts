/** From a statement to a Sigstore bundle v0.3: DSSE signature, log entry, inclusion proof. */
import { base64, utf8 } from "../bytes.ts";
import { sha256 } from "../digest.ts";
import { BitforbitError } from "../errors.ts";
import { IN_TOTO_PAYLOAD, preAuthEncoding } from "../format/dsse.ts";
import { hashedRekord } from "../format/hashedrekord.ts";
import { parseSpki } from "../format/spki.ts";
import { transparencyLogEntry } from "../format/tlog-entry.ts";
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
  const signed = await signPayloads(
    statements.map((statement) => utf8(JSON.stringify(statement))),
    signer,
  );
  const proofs = await log.appendAll(signed.map(({ entry }) => entry));
  return signed.map((one, at) => signedBundle(one, signer.keyId, proofs[at], log.identity));
}

/** A payload with its signature, and the leaf by which the log will know it. */
export interface SignedPayload {
  payload: Uint8Array;
  signature: Uint8Array;
  entry: Uint8Array;
}

/** Signs statements as the bytes that they are; nothing is logged yet. */
export async function signPayloads(payloads: readonly Uint8Array[], signer: StatementSigner): Promise<SignedPayload[]> {
  if (signer.algorithm !== "ecdsa-p256") {
    throw new BitforbitError("input", `statements are signed with P-256, not with ${signer.algorithm}`);
  }
  const { der: spki } = parseSpki(signer.publicKeyPem, "the signer's public key");
  return await Promise.all(
    payloads.map(async (payload) => {
      const encoding = preAuthEncoding(IN_TOTO_PAYLOAD, payload);
      const signature = await signer.sign(encoding);
      return { payload, signature, entry: hashedRekord(sha256(encoding), signature, spki) };
    }),
  );
}

/** A payload that was signed before, by the key `publicKeyPem`. */
export function withEntry(payload: Uint8Array, signature: Uint8Array, publicKeyPem: string): SignedPayload {
  const { der: spki } = parseSpki(publicKeyPem, "the signer's public key");
  const digest = sha256(preAuthEncoding(IN_TOTO_PAYLOAD, payload));
  return { payload, signature, entry: hashedRekord(digest, signature, spki) };
}

/** The bundle of a signature that the log has. */
export function signedBundle(
  { payload, signature, entry }: SignedPayload,
  keyId: string,
  proof: LeafProof | undefined,
  identity: LogIdentity,
): Uint8Array {
  if (proof === undefined) throw new BitforbitError("outside", "the log gave too few proofs");
  return bundleBytes({ payload, signature, entry, keyId }, proof, identity.keyHash);
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
      tlogEntries: [transparencyLogEntry(signed.entry, proof, logKeyHash)],
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
