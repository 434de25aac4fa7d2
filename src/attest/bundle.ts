/**
 * Reading a Sigstore bundle v0.3 that was signed with a key (no certificate).
 * Strict, since two parsers that read one bundle differently are an attack:
 * a field that is not known, a second signature, a second log entry, base64
 * that is not canonical, a duplicate key, a number that is not canonical are
 * all errors. What is verified afterwards are exactly the bytes read here.
 */
import { BitforbitError } from "../errors.ts";
import { IN_TOTO_PAYLOAD } from "../format/dsse.ts";
import { HASHEDREKORD_KIND, HASHEDREKORD_VERSION } from "../format/hashedrekord.ts";
import { isObject, type Json, parseJson } from "../json.ts";
import { fields, number, octets, only, string } from "./protobuf-json.ts";

export const BUNDLE_V03 = "application/vnd.dev.sigstore.bundle.v0.3+json";

/** An SBOM of tens of thousands of components fits. */
const MAX_BUNDLE = 32 << 20;
const MAX_PROOF = 64;
const MAX_CHECKPOINT = 64 << 10;

export interface Bundle {
  /** Which key signed, as the signer claims. */
  hint: string;
  /** The statement, as bytes: what was signed, with the payload type. */
  payload: Uint8Array;
  /** ECDSA in DER. */
  signature: Uint8Array;
  entry: {
    logIndex: number;
    /** SHA-256(origin ‖ 0x0A ‖ 0x01 ‖ key) as the bundle claims. */
    logKeyHash: Uint8Array;
    /** Claims until they have been compared with the checkpoint's. */
    proof: { logIndex: number; treeSize: number; rootHash: Uint8Array; hashes: Uint8Array[]; checkpoint: string };
    body: Uint8Array;
  };
}

/** Parses a bundle. Throws `input` or `limit`, naming the field. */
export function parseBundle(bytes: Uint8Array): Bundle {
  if (bytes.length > MAX_BUNDLE) {
    throw new BitforbitError("limit", `a bundle of ${bytes.length} bytes is over ${MAX_BUNDLE}`);
  }
  const bundle = fields(parseJson(bytes, "the bundle"), "the bundle", [
    "mediaType",
    "verificationMaterial",
    "dsseEnvelope",
  ]);
  const mediaType = string(bundle, "mediaType");
  if (mediaType !== BUNDLE_V03) {
    throw new BitforbitError("input", `mediaType is ${JSON.stringify(mediaType)}, not ${BUNDLE_V03}`);
  }
  const held = bundle["verificationMaterial"];
  if (isObject(held) && Object.hasOwn(held, "certificate") && !Object.hasOwn(held, "publicKey")) {
    throw new BitforbitError("input", "signed with a certificate, where only keys are trusted", {
      hint: "name who may sign by a policy's identities and trustedRoot, or by --trusted-root, --identity and --issuer",
    });
  }
  const material = fields(held, "verificationMaterial", ["publicKey", "tlogEntries"]);
  const key = fields(material["publicKey"], "publicKey", ["hint"]);
  return { hint: string(key, "hint"), ...envelope(bundle["dsseEnvelope"]), entry: logEntry(material["tlogEntries"]) };
}

function envelope(value: Json | undefined): { payload: Uint8Array; signature: Uint8Array } {
  const dsse = fields(value, "dsseEnvelope", ["payload", "payloadType", "signatures"]);
  if (dsse["payloadType"] !== IN_TOTO_PAYLOAD) {
    throw new BitforbitError("input", `payloadType is ${JSON.stringify(dsse["payloadType"])}, not ${IN_TOTO_PAYLOAD}`);
  }
  const signature = fields(only(dsse["signatures"], "signatures"), "signatures[0]", ["sig"]);
  return { payload: octets(dsse, "payload"), signature: octets(signature, "sig") };
}

function logEntry(value: Json | undefined): Bundle["entry"] {
  const entry = fields(only(value, "tlogEntries"), "tlogEntries[0]", [
    "logIndex",
    "logId",
    "kindVersion",
    "inclusionProof",
    "canonicalizedBody",
  ]);
  const kind = fields(entry["kindVersion"], "kindVersion", ["kind", "version"]);
  if (kind["kind"] !== HASHEDREKORD_KIND || kind["version"] !== HASHEDREKORD_VERSION) {
    throw new BitforbitError("input", `a log entry of kind ${JSON.stringify(kind)} is not hashedrekord 0.0.2`);
  }
  const proof = fields(entry["inclusionProof"], "inclusionProof", [
    "logIndex",
    "rootHash",
    "treeSize",
    "hashes",
    "checkpoint",
  ]);
  const checkpoint = string(fields(proof["checkpoint"], "checkpoint", ["envelope"]), "envelope");
  if (checkpoint.length > MAX_CHECKPOINT) throw new BitforbitError("limit", "the checkpoint is larger than 64 KiB");
  const hashes = proof["hashes"];
  if (!Array.isArray(hashes) || hashes.length > MAX_PROOF) {
    throw new BitforbitError("limit", `inclusionProof.hashes is not a list of at most ${MAX_PROOF}`);
  }
  return {
    logIndex: number(entry, "logIndex"),
    logKeyHash: octets(fields(entry["logId"], "logId", ["keyId"]), "keyId"),
    proof: {
      logIndex: number(proof, "logIndex"),
      treeSize: number(proof, "treeSize"),
      rootHash: octets(proof, "rootHash"),
      hashes: hashes.map((hash, at) => octets({ hash }, "hash", `hashes[${at}]`)),
      checkpoint,
    },
    body: octets(entry, "canonicalizedBody"),
  };
}
