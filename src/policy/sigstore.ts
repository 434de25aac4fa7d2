/**
 * Whether a Sigstore bundle of anybody's is a good signature over an artifact,
 * by someone who was named: the checks of Sigstore's client specification, in
 * order, over what was handed in. Pure and offline. All that a bundle carries
 * must hold: a timestamp or a log entry that does not is no reason to look at
 * the others.
 */
import { type SigstoreBundle, parseSigstoreBundle } from "../attest/sigstore-bundle.ts";
import { readStatement, type ReadStatement } from "../attest/read.ts";
import type { TrustedRoot } from "../attest/read-trusted-root.ts";
import { equalBytes, fromHex, hex } from "../bytes.ts";
import { digestOf, type Digest, hexOf, isDigest, sha256 } from "../digest.ts";
import { BitforbitError, messageOf } from "../errors.ts";
import { IN_TOTO_PAYLOAD, preAuthEncoding } from "../format/dsse.ts";
import { verifyDigest } from "../format/ecdsa-digest.ts";
import type { SignedContent } from "../format/rekor-entry.ts";
import type { VerifyingKey } from "../format/verifying-key.ts";
import { parseCertificate } from "../format/x509.ts";
import { canonicalJson, type Json } from "../json.ts";
import { CertificatePaths, covers } from "./certificate-path.ts";
import type { Check, Decision, Facts, Reason, SetAside } from "./decision.ts";
import { type AcceptedIdentity, acceptedAs, identityWords, mismatch, type SignerIdentity } from "./identity.ts";
import { checkLogTime, proveEntry, type ProvenEntry } from "./log-entry.ts";
import { timestampedAt, type TrustedTime } from "./trusted-time.ts";

const MAX_BUNDLES = 256;

export type Accepted =
  | { kind: "key"; name: string; key: VerifyingKey }
  | { kind: "identities"; identities: readonly AcceptedIdentity[] };

export interface SigstoreRequest {
  /** `bytes` are needed only where a signature is over the artifact itself and not by a P-256 key. */
  artifact: { digest: string; name?: string; bytes?: Uint8Array };
  bundles: readonly Uint8Array[];
  root: TrustedRoot;
  /** Of that root; handed in, it remembers certificates from one verification to the next. */
  paths?: CertificatePaths;
  accept: Accepted;
}

/** What one bundle proves. */
export interface Attested {
  signer: { keyId: string; name: string };
  identity: SignerIdentity | undefined;
  times: readonly TrustedTime[];
  entry: ProvenEntry;
  /** Of an in-toto envelope. */
  statement: ReadStatement | undefined;
}

/** The decision, with a reason for every check made. Throws only for a mistake of the caller's. */
export function verifySigstore(request: SigstoreRequest): Decision {
  const { artifact, bundles, root, accept } = request;
  const facts: Facts = {
    digest: artifact.digest,
    ...(artifact.name === undefined ? {} : { name: artifact.name }),
    signedBy: [],
    rules: rulesDigest(root, accept),
  };
  const denied = (check: Check, message: string, hint: string): Decision => ({
    ok: false,
    reasons: [{ check, ok: false, message, hint }],
    setAside: [],
    facts,
  });
  if (!isDigest(artifact.digest)) {
    return denied("digest", `not a digest: ${JSON.stringify(artifact.digest.slice(0, 100))}`, HINTS.digest);
  }
  if (bundles.length === 0) return denied("bundle", `there is no bundle for ${artifact.digest}`, HINTS.bundle);
  if (bundles.length > MAX_BUNDLES) {
    return denied("bundle", `${bundles.length} bundles are over ${MAX_BUNDLES}`, "hand in those of this artifact only");
  }
  const setAside: SetAside[] = [];
  let first: Reason[] | undefined;
  for (const [at, bytes] of bundles.entries()) {
    const examination = new Examination(request, artifact.digest);
    const attested = examination.run(bytes);
    if (attested !== undefined)
      return { ok: true, reasons: examination.reasons, setAside, facts: { ...facts, ...factsOf(attested) } };
    const failed = examination.reasons.at(-1);
    if (failed !== undefined) setAside.push({ bundle: at, check: failed.check, message: failed.message });
    first ??= examination.reasons;
  }
  return { ok: false, reasons: first ?? [], setAside, facts };
}

/** One bundle: what it proves, or with its last reason why it does not. */
export function examineBundle(
  request: Omit<SigstoreRequest, "bundles">,
  digest: Digest,
  bundle: Uint8Array,
): { attested: Attested | undefined; reasons: readonly Reason[] } {
  const examination = new Examination({ ...request, bundles: [bundle] }, digest);
  return { attested: examination.run(bundle), reasons: examination.reasons };
}

/** Digest of whom and what is believed: with an artifact's digest, the key under which a decision may be cached. */
export function rulesDigest(root: TrustedRoot, accept: Accepted): Digest {
  const known = digests.get(root) ?? new WeakMap<Accepted, Digest>();
  const found = known.get(accept) ?? rulesDigestOf(root, accept);
  digests.set(root, known.set(accept, found));
  return found;
}

/** Worked out once for whom and what decides on many artifacts. */
const digests = new WeakMap<TrustedRoot, WeakMap<Accepted, Digest>>();

function rulesDigestOf(root: TrustedRoot, accept: Accepted): Digest {
  const accepted =
    accept.kind === "key"
      ? hex(sha256(accept.key.spki))
      : accept.identities.map((identity) => JSON.parse(JSON.stringify(identity)) as Json);
  return digestOf(canonicalJson({ root: root.digest, accepted }));
}

function factsOf({ signer, identity, times, entry, statement }: Attested): Partial<Facts> {
  const [time] = times;
  const { sourceUri: uri, sourceDigest: commit, sourceRef: ref, builder, run } = identity?.claims ?? {};
  return {
    signedBy: [signer],
    log: {
      origin: entry.origin,
      index: entry.index,
      ...(entry.treeSize === undefined ? {} : { treeSize: entry.treeSize }),
    },
    ...(identity === undefined ? {} : { identity: { subject: identity.subject, issuer: identity.issuer } }),
    ...(time === undefined ? {} : { signedAt: new Date(time.at).toISOString().replace(/\.\d{3}Z$/, "Z") }),
    ...(statement === undefined ? {} : { predicateType: statement.predicateType }),
    ...(builder === undefined ? {} : { builder }),
    ...(run === undefined ? {} : { invocationId: run }),
    ...(uri === undefined || commit === undefined
      ? {}
      : { source: { uri, digest: { gitCommit: commit }, ...(ref === undefined ? {} : { ref }) } }),
  };
}

/** One bundle on its way through the checks. */
class Examination {
  readonly reasons: Reason[] = [];
  readonly #request: SigstoreRequest;
  readonly #digest: Digest;

  constructor(request: SigstoreRequest, digest: Digest) {
    this.#request = request;
    this.#digest = digest;
    this.reasons.push({
      check: "digest",
      ok: true,
      message: `${request.artifact.name ?? "the artifact"} is ${digest}`,
    });
  }

  run(bytes: Uint8Array): Attested | undefined {
    const { root, accept } = this.#request;
    const paths = this.#request.paths ?? new CertificatePaths(root);
    const bundle = this.#step(
      "bundle",
      () => parseSigstoreBundle(bytes),
      (read) => `a bundle v${read.version}`,
    );
    if (bundle === undefined) return undefined;
    const signer = this.#step(
      "certificate",
      () => signerOf(bundle, accept, paths),
      ({ name }) => `signed by ${name}`,
    );
    if (signer === undefined) return undefined;
    const { artifact } = this.#request;
    const encoding =
      bundle.content.kind === "message"
        ? artifact.bytes
        : preAuthEncoding(bundle.content.payloadType, bundle.content.payload);
    const good = this.#step(
      "signature",
      () => checkSignature(bundle, signer, this.#digest, encoding),
      signatureMessage,
    );
    if (good === undefined) return undefined;
    const subject = this.#step(
      "subject",
      () => checkSubject(bundle, this.#digest),
      (about) => about.message,
    );
    if (subject === undefined) return undefined;
    const signed = signedContent(bundle, this.#digest, signer, encoding);
    const proven = this.#step(
      "log",
      () => provenEntries(bundle, signed, root),
      ([entry]) => entryMessage(entry),
    );
    if (proven === undefined) return undefined;
    const times = this.#step("time", () => trustedTimes(bundle, proven, signer, paths), timeMessage);
    if (times === undefined) return undefined;
    const { identity } = signer;
    const accepted = this.#step(
      "identity",
      () => checkIdentity(identity, accept),
      (message) => message,
    );
    if (accepted === undefined) return undefined;
    return {
      signer: { keyId: signer.keyId, name: signer.name },
      identity,
      times,
      entry: proven[0],
      statement: subject.statement,
    };
  }

  #step<T>(check: Check, work: () => T, message: (value: T) => string): T | undefined {
    try {
      const value = work();
      this.reasons.push({ check, ok: true, message: message(value) });
      return value;
    } catch (error) {
      // A mistake of ours must not pass for bad evidence.
      if (!(error instanceof BitforbitError)) throw error;
      this.reasons.push({ check, ok: false, message: messageOf(error), hint: HINTS[check] ?? HINTS.bundle });
      return undefined;
    }
  }
}

interface BundleSigner {
  name: string;
  keyId: string;
  key: VerifyingKey;
  identity: SignerIdentity | undefined;
  verifier: SignedContent["verifier"];
  /** When the signer counts; undefined for a key, which the verifier vouches for. */
  windows: readonly { from: number; until: number }[] | undefined;
}

function signerOf(bundle: SigstoreBundle, accept: Accepted, paths: CertificatePaths): BundleSigner {
  const { signer } = bundle;
  if (signer.kind === "key") {
    if (accept.kind !== "key") throw refused("the bundle is signed with a key, and no key is trusted");
    const { key, name } = accept;
    const keyId = Buffer.from(sha256(key.spki)).toString("base64");
    return { name, keyId, key, identity: undefined, verifier: { kind: "key", der: key.spki }, windows: undefined };
  }
  if (accept.kind === "key") throw refused("the bundle is signed with a certificate, and only a key is trusted");
  for (const other of signer.others) {
    const certificate = parseCertificate(other, "a certificate of the bundle's chain");
    // A bundle that brings its own root asks to be believed for its own sake.
    if (equalBytes(certificate.issuer, certificate.subject)) throw refused("the bundle's chain has a root certificate");
  }
  const { key, identity, windows } = paths.signer(signer.leaf);
  const keyId = Buffer.from(sha256(key.spki)).toString("base64");
  return { name: identity.subject, keyId, key, identity, verifier: { kind: "certificate", der: signer.leaf }, windows };
}

/** What a log entry must be about. Of a message the digest is the artifact's own, whatever the bundle claims. */
function signedContent(
  { content }: SigstoreBundle,
  digest: Digest,
  { verifier }: BundleSigner,
  encoding: Uint8Array | undefined,
): SignedContent {
  const { signature } = content;
  if (content.kind === "message" || encoding === undefined) {
    return { digest: fromHex(hexOf(digest)), signature, verifier, envelope: undefined };
  }
  const { payload, payloadType } = content;
  const envelope = { payload, payloadType, payloadDigest: sha256(payload) };
  return { digest: sha256(encoding), signature, verifier, envelope };
}

function provenEntries(
  bundle: SigstoreBundle,
  signed: SignedContent,
  root: TrustedRoot,
): [ProvenEntry, ...ProvenEntry[]] {
  const bodies = new Set(bundle.entries.map(({ logId, body }) => `${hex(logId)} ${hex(sha256(body))}`));
  if (bodies.size < bundle.entries.length) throw refused("the bundle has one log entry twice");
  const [first, ...rest] = bundle.entries.map((entry) => proveEntry(entry, signed, root));
  if (first === undefined) throw refused("the bundle has no log entry");
  return [first, ...rest];
}

function entryMessage({ origin, index, treeSize }: ProvenEntry): string {
  return treeSize === undefined
    ? `promised by the log ${origin} at index ${index}`
    : `in the log ${origin} at index ${index}`;
}

function trustedTimes(
  bundle: SigstoreBundle,
  entries: readonly ProvenEntry[],
  { windows }: BundleSigner,
  paths: CertificatePaths,
): TrustedTime[] {
  const { signature } = bundle.content;
  const times = bundle.timestamps.map((timestamp) => timestampedAt(timestamp, signature, paths));
  for (const { integrated, origin } of entries)
    if (integrated !== undefined) times.push({ at: integrated, by: origin });
  const seen = new Set(times.map(({ at, by }) => `${at} ${by}`));
  if (seen.size < times.length) throw refused("the bundle has one timestamp twice");
  const at = times.map((time) => time.at);
  for (const entry of entries) checkLogTime(entry, at);
  if (windows === undefined) return times;
  if (times.length === 0) throw refused("nobody trusted says when the certificate's key signed");
  const outside = at.find((time) => !windows.some((window) => covers(window, time)));
  if (outside === undefined) return times;
  throw refused(`the certificate was not valid when it signed, at ${new Date(outside).toISOString()}`);
}

function timeMessage(times: readonly TrustedTime[]): string {
  const [first] = times;
  if (first === undefined) return "without a trusted time, which a trusted key does not need";
  return `signed at ${new Date(first.at).toISOString().replace(/\.\d{3}Z$/, "Z")}, says ${first.by}`;
}

/** `signed`: what was signed, or undefined when of the artifact there is only its digest. */
function checkSignature(
  { content }: SigstoreBundle,
  { key, name }: BundleSigner,
  digest: Digest,
  signed: Uint8Array | undefined,
): "message" | "envelope" {
  const { kind, signature } = content;
  const artifact = fromHex(hexOf(digest));
  if (kind === "message" && !equalBytes(content.digest, artifact)) {
    throw refused(`the bundle is about sha256:${hex(content.digest)}, not about ${digest}`);
  }
  if (kind === "message" && signed !== undefined && !equalBytes(sha256(signed), artifact)) {
    throw new Error("the artifact's bytes are not those of its digest");
  }
  const good =
    signed === undefined
      ? verifiesDigest(key, artifact, signature)
      : key.verify(signed, signature, key.family === "ed25519" ? "none" : "sha256");
  if (!good) throw refused(`the signature is not one by ${name} over ${kind === "message" ? digest : "the payload"}`);
  return kind;
}

function verifiesDigest(key: VerifyingKey, digest: Uint8Array, signature: Uint8Array): boolean {
  if (key.curve === "prime256v1") return verifyDigest(digest, signature, key.spki.subarray(-65));
  throw refused(
    `a signature by ${key.curve ?? key.family} over the artifact itself needs the file, not only its digest`,
  );
}

function signatureMessage(kind: "message" | "envelope"): string {
  return kind === "message" ? "a good signature over the artifact" : "a good signature over the statement";
}

function checkSubject(
  { content }: SigstoreBundle,
  digest: Digest,
): { message: string; statement: ReadStatement | undefined } {
  if (content.kind === "message") return { message: "the signature is over the artifact itself", statement: undefined };
  if (content.payloadType !== IN_TOTO_PAYLOAD) {
    throw refused(`the envelope holds ${content.payloadType.slice(0, 80)}, which names no artifact`);
  }
  const statement = readStatement(content.payload);
  if (!statement.subjects.some(({ sha256: subject }) => subject === hexOf(digest))) {
    throw refused(`the statement is about sha256:${statement.subjects[0]?.sha256}, not about ${digest}`);
  }
  return { message: `a statement of type ${statement.predicateType} about this digest`, statement };
}

function checkIdentity(identity: SignerIdentity | undefined, accept: Accepted): string {
  if (accept.kind === "key") return `the key is ${accept.name}, which is trusted`;
  if (identity === undefined) throw refused("nobody is named");
  const as = acceptedAs(identity, accept.identities);
  if (as === undefined) {
    const why = accept.identities.map((one) => {
      const name = one.name === undefined ? "" : `${one.name}: `;
      return `${name}${mismatch(identity, one)}`;
    });
    throw refused(`${identityWords(identity)}, is not accepted: ${why.slice(0, 4).join("; ")}`);
  }
  return `${identity.subject} is accepted, vouched for by ${identity.issuer}`;
}

function refused(message: string): BitforbitError {
  return new BitforbitError("refused", message);
}

const HINTS: Readonly<Partial<Record<Check, string>> & Record<"digest" | "bundle", string>> = {
  digest: "a digest is 'sha256:' and 64 lower-case hexadecimal digits",
  bundle: "fetch the artifact's bundles again from where it was published",
  certificate: "if the signer is right, hand in the trusted root (or key) of the authority that vouches for it",
  time: "ask the publisher for a bundle whose timestamp is by an authority of the trusted root",
  log: "ask the publisher for a bundle with a valid entry in a log of the trusted root",
  signature: "the artifact was changed after it was signed, or the bundle belongs to another one: fetch both again",
  subject: "the artifact was changed after it was signed, or the bundle belongs to another one: fetch both again",
  identity: "if that signer is right, name it by --identity and --issuer",
};
