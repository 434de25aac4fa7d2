/**
 * Reading the Sigstore bundles of others: v0.1, v0.2 and v0.3, signed with a
 * key or with a certificate, a DSSE envelope or a signature over the artifact
 * itself. As strict as `bundle.ts`: what a second parser could read in another
 * way is an error. Nothing here is verified yet.
 */
import { BitforbitError } from "../errors.ts";
import { type Json, type JsonObject, parseJson } from "../json.ts";
import { fields, list, numberOrZero, octets, oneOf, only, string } from "./protobuf-json.ts";

const MAX_BUNDLE = 32 << 20;
const MAX_PROOF = 64;
const MAX_CHECKPOINT = 64 << 10;
const MAX_CHAIN = 10;
const MAX_ENTRIES = 16;
const MAX_TIMESTAMPS = 16;
const MAX_TYPE = 256;

const VERSIONS: Readonly<Record<string, BundleVersion>> = {
  "application/vnd.dev.sigstore.bundle+json;version=0.1": "0.1",
  "application/vnd.dev.sigstore.bundle+json;version=0.2": "0.2",
  "application/vnd.dev.sigstore.bundle+json;version=0.3": "0.3",
  "application/vnd.dev.sigstore.bundle.v0.3+json": "0.3",
};

type BundleVersion = "0.1" | "0.2" | "0.3";

export interface SigstoreBundle {
  version: BundleVersion;
  /** The signer: a hint at a key, or a certificate (DER) with what came besides it. */
  signer: { kind: "key"; hint: string } | { kind: "certificate"; leaf: Uint8Array; others: Uint8Array[] };
  content: EnvelopeContent | MessageContent;
  entries: LoggedEntry[];
  /** RFC 3161, DER. */
  timestamps: Uint8Array[];
}

export interface EnvelopeContent {
  kind: "envelope";
  payload: Uint8Array;
  payloadType: string;
  signature: Uint8Array;
}

export interface MessageContent {
  kind: "message";
  /** SHA-256 of the artifact, as the bundle claims. */
  digest: Uint8Array;
  signature: Uint8Array;
}

export interface LoggedEntry {
  logIndex: number;
  logId: Uint8Array;
  kind: string;
  version: string;
  /** Seconds since 1970, a claim unless the promise signs it. */
  integratedTime: number | undefined;
  promise: Uint8Array | undefined;
  proof: ClaimedProof | undefined;
  body: Uint8Array;
}

export interface ClaimedProof {
  logIndex: number;
  treeSize: number;
  rootHash: Uint8Array;
  hashes: Uint8Array[];
  checkpoint: string;
}

/** Parses a bundle of any version. Throws `input` or `limit`, naming the field. */
export function parseSigstoreBundle(bytes: Uint8Array): SigstoreBundle {
  if (bytes.length > MAX_BUNDLE) {
    throw new BitforbitError("limit", `a bundle of ${bytes.length} bytes is over ${MAX_BUNDLE}`);
  }
  const bundle = fields(
    parseJson(bytes, "the bundle"),
    "the bundle",
    ["mediaType", "verificationMaterial"],
    ["dsseEnvelope", "messageSignature"],
  );
  const mediaType = string(bundle, "mediaType");
  const version = VERSIONS[mediaType];
  if (version === undefined) {
    throw new BitforbitError("input", `mediaType is ${JSON.stringify(mediaType.slice(0, 80))}, not of a known bundle`);
  }
  const material = fields(
    bundle["verificationMaterial"],
    "verificationMaterial",
    [],
    ["publicKey", "certificate", "x509CertificateChain", "tlogEntries", "timestampVerificationData"],
  );
  const content = oneOf(bundle, "the bundle", ["dsseEnvelope", "messageSignature"]);
  return {
    version,
    signer: signerOf(material, version),
    content: content === "dsseEnvelope" ? envelope(bundle[content]) : message(bundle[content]),
    entries: list(material["tlogEntries"], "tlogEntries", MAX_ENTRIES).map((entry, at) => logged(entry, at, version)),
    timestamps: timestamps(material["timestampVerificationData"]),
  };
}

function signerOf(material: JsonObject, version: BundleVersion): SigstoreBundle["signer"] {
  const kind = oneOf(material, "verificationMaterial", ["publicKey", "certificate", "x509CertificateChain"]);
  if (kind === "publicKey") {
    const key = fields(material[kind], kind, [], ["hint"]);
    return { kind: "key", hint: Object.hasOwn(key, "hint") ? string(key, "hint") : "" };
  }
  if ((kind === "certificate") !== (version === "0.3")) {
    throw new BitforbitError("input", `a bundle v${version} has the field ${kind}`);
  }
  if (kind === "certificate") {
    return { kind: "certificate", leaf: raw(material[kind], "certificate"), others: [] };
  }
  const chain = fields(material[kind], kind, ["certificates"]);
  const [leaf, ...others] = list(chain["certificates"], "certificates", MAX_CHAIN).map((certificate, at) =>
    raw(certificate, `certificates[${at}]`),
  );
  if (leaf === undefined) throw new BitforbitError("input", "x509CertificateChain has no certificates");
  return { kind: "certificate", leaf, others };
}

function raw(value: Json | undefined, what: string): Uint8Array {
  return octets(fields(value, what, ["rawBytes"]), "rawBytes", `${what}.rawBytes`);
}

function envelope(value: Json | undefined): EnvelopeContent {
  const dsse = fields(value, "dsseEnvelope", ["payload", "payloadType", "signatures"]);
  const payloadType = string(dsse, "payloadType");
  if (payloadType === "" || payloadType.length > MAX_TYPE) {
    throw new BitforbitError("input", `payloadType is ${JSON.stringify(payloadType.slice(0, 80))}`);
  }
  // A keyid is a hint that nobody signed: it is passed over.
  const signature = fields(only(dsse["signatures"], "signatures"), "signatures[0]", ["sig"], ["keyid"]);
  if (Object.hasOwn(signature, "keyid")) string(signature, "keyid");
  return { kind: "envelope", payload: octets(dsse, "payload"), payloadType, signature: octets(signature, "sig") };
}

function message(value: Json | undefined): MessageContent {
  const signed = fields(value, "messageSignature", ["messageDigest", "signature"]);
  const digest = fields(signed["messageDigest"], "messageDigest", ["algorithm", "digest"]);
  if (digest["algorithm"] !== "SHA2_256") {
    throw new BitforbitError(
      "input",
      `messageDigest.algorithm is ${JSON.stringify(digest["algorithm"])}, not SHA2_256`,
    );
  }
  const bytes = octets(digest, "digest", "messageDigest.digest");
  if (bytes.length !== 32) throw new BitforbitError("input", `messageDigest.digest has ${bytes.length} bytes, not 32`);
  return { kind: "message", digest: bytes, signature: octets(signed, "signature") };
}

function logged(value: Json, at: number, version: BundleVersion): LoggedEntry {
  const what = `tlogEntries[${at}]`;
  const entry = fields(
    value,
    what,
    ["logId", "kindVersion", "canonicalizedBody"],
    ["logIndex", "integratedTime", "inclusionPromise", "inclusionProof"],
  );
  const kind = fields(entry["kindVersion"], `${what}.kindVersion`, ["kind", "version"]);
  const promise = entry["inclusionPromise"];
  const proof = entry["inclusionProof"];
  // v0.1 demands the promise, the later ones the proof.
  if (version === "0.1" && promise === undefined) throw new BitforbitError("input", `${what} has no inclusionPromise`);
  if (version !== "0.1" && proof === undefined) throw new BitforbitError("input", `${what} has no inclusionProof`);
  const integratedTime = numberOrZero(entry, "integratedTime");
  return {
    logIndex: numberOrZero(entry, "logIndex"),
    logId: octets(fields(entry["logId"], `${what}.logId`, ["keyId"]), "keyId"),
    kind: string(kind, "kind"),
    version: string(kind, "version"),
    integratedTime: integratedTime === 0 ? undefined : integratedTime,
    promise:
      promise === undefined
        ? undefined
        : octets(fields(promise, "inclusionPromise", ["signedEntryTimestamp"]), "signedEntryTimestamp"),
    proof: proof === undefined ? undefined : claimedProof(proof, version),
    body: octets(entry, "canonicalizedBody"),
  };
}

/** v0.1 had proofs without a checkpoint: they prove nothing, and the promise stands for itself. */
function claimedProof(value: Json, version: BundleVersion): ClaimedProof | undefined {
  const names = version === "0.1" ? ["rootHash", "treeSize"] : ["rootHash", "treeSize", "checkpoint"];
  const proof = fields(value, "inclusionProof", names, ["logIndex", "hashes", "checkpoint"]);
  if (!Object.hasOwn(proof, "checkpoint")) return undefined;
  const checkpoint = string(fields(proof["checkpoint"], "checkpoint", ["envelope"]), "envelope");
  if (checkpoint.length > MAX_CHECKPOINT) throw new BitforbitError("limit", "the checkpoint is larger than 64 KiB");
  return {
    logIndex: numberOrZero(proof, "logIndex"),
    treeSize: numberOrZero(proof, "treeSize"),
    rootHash: octets(proof, "rootHash"),
    hashes: list(proof["hashes"], "inclusionProof.hashes", MAX_PROOF).map((hash, at) =>
      octets({ hash }, "hash", `hashes[${at}]`),
    ),
    checkpoint,
  };
}

function timestamps(value: Json | undefined): Uint8Array[] {
  if (value === undefined) return [];
  const data = fields(value, "timestampVerificationData", [], ["rfc3161Timestamps"]);
  return list(data["rfc3161Timestamps"], "rfc3161Timestamps", MAX_TIMESTAMPS).map((timestamp, at) => {
    const what = `rfc3161Timestamps[${at}]`;
    return octets(fields(timestamp, what, ["signedTimestamp"]), "signedTimestamp", what);
  });
}
