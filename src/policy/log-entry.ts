/**
 * Entries of Rekor, v1 and v2, from a bundle: that the log promised or proved
 * them, at what time, and that they are about this signature.
 */
import type { LoggedEntry } from "../attest/sigstore-bundle.ts";
import { covers } from "./certificate-path.ts";
import type { RootLog, TrustedRoot } from "../attest/read-trusted-root.ts";
import { base64, equalBytes, hex } from "../bytes.ts";
import { BitforbitError } from "../errors.ts";
import type { NoteVerifier } from "../format/note.ts";
import { checkEntryBody, type SignedContent } from "../format/rekor-entry.ts";
import { canonicalJson } from "../json.ts";
import { verifyInclusion } from "../log/proof.ts";
import { leafHash, sameRoot } from "../log/tile.ts";
import { signedCheckpoint } from "./opened-checkpoints.ts";

export interface ProvenEntry {
  origin: string;
  index: number;
  /** Without it the log only promised. */
  treeSize: number | undefined;
  /** Milliseconds since 1970, where the log signed a time. */
  integrated: number | undefined;
  log: RootLog;
  /** The whole note, where the log proved the entry. */
  checkpoint: string | undefined;
}

/** Throws `input` or `refused`. */
export function proveEntry(entry: LoggedEntry, signed: SignedContent, root: TrustedRoot): ProvenEntry {
  const log = root.logs.find(({ id }) => equalBytes(id, entry.logId));
  if (log === undefined) throw refused("the entry is in a log that is not trusted");
  checkEntryBody(entry, signed);
  const integrated = entry.promise === undefined ? undefined : promisedAt(entry, entry.promise, log);
  const proven = entry.proof === undefined ? undefined : includedIn(entry, entry.proof, log);
  if (integrated === undefined && proven === undefined) throw refused("the log neither promised nor proved the entry");
  return {
    origin: proven?.origin ?? log.url.host,
    index: entry.logIndex,
    treeSize: proven?.treeSize,
    integrated,
    log,
    checkpoint: entry.proof?.checkpoint,
  };
}

/** A log's entry counts when the log's key did, by every time that is known. */
export function checkLogTime({ log }: ProvenEntry, times: readonly number[]): void {
  const outside = times.find((at) => !covers(log.valid, at));
  if (outside !== undefined) {
    throw refused(`${new Date(outside).toISOString()} is outside the time in which the key of ${log.url.host} counts`);
  }
}

/** Rekor v1's promise: a signature over the entry with index and time. */
function promisedAt(entry: LoggedEntry, promise: Uint8Array, log: RootLog): number {
  if (entry.integratedTime === undefined) throw refused("the log's promise has no time");
  const signed = canonicalJson({
    body: base64(entry.body),
    integratedTime: entry.integratedTime,
    logID: hex(entry.logId),
    logIndex: entry.logIndex,
  });
  const key = log.key();
  if (!key.verify(signed, promise, key.family === "ed25519" ? "none" : "sha256")) {
    throw refused(`the promise is not one by ${log.url.host} for this entry`);
  }
  return entry.integratedTime * 1000;
}

/** Root and size are those of the checkpoint that the log signed; what the proof says besides must agree. */
function includedIn(
  entry: LoggedEntry,
  proof: NonNullable<LoggedEntry["proof"]>,
  log: RootLog,
): { origin: string; treeSize: number } {
  const verifier = noteVerifierOf(log);
  const { origin, size, root } = signedCheckpoint(proof.checkpoint, verifier);
  // Rekor v1 adds the number of its tree.
  const named = origin === verifier.name || (!isSecond(log) && origin.startsWith(`${verifier.name} - `));
  if (!named) throw refused(`the checkpoint is of ${JSON.stringify(origin.slice(0, 80))}, not of ${verifier.name}`);
  if (proof.treeSize !== size || !sameRoot(proof.rootHash, root)) {
    throw refused("the inclusion proof is for another tree than its checkpoint");
  }
  // In Rekor v1 the entry's index counts over all trees, the proof's in this one.
  if (isSecond(log) && proof.logIndex !== entry.logIndex) throw refused("the log entry states two indexes");
  if (!verifyInclusion(proof.logIndex, size, leafHash(entry.body), proof.hashes, root)) {
    throw refused(`the inclusion proof does not lead to the root of ${verifier.name}`);
  }
  return { origin, treeSize: size };
}

/** Rekor v2 signs with Ed25519 under its host name; v1 with ECDSA under host and port. */
function isSecond(log: RootLog): boolean {
  return log.key().family === "ed25519";
}

const verifiers = new WeakMap<RootLog, NoteVerifier>();

/** What verifies a log's notes: Rekor v2 signs under its host name, v1 under host and port. */
export function noteVerifierOf(log: RootLog): NoteVerifier {
  const known = verifiers.get(log);
  if (known !== undefined) return known;
  const key = log.key();
  const verifier: NoteVerifier = {
    name: isSecond(log) ? log.url.hostname : log.url.host,
    keyHash: log.id,
    verify: (text, signature) => key.verify(text, signature, key.family === "ed25519" ? "none" : "sha256"),
  };
  verifiers.set(log, verifier);
  return verifier;
}

function refused(message: string): BitforbitError {
  return new BitforbitError("refused", message);
}
