/** Whom a verifier believes: keys that sign artifacts, and logs. Handed in, never fetched. */
import { hex } from "../bytes.ts";
import { canonicalJson } from "../json.ts";
import type { ReadStatement } from "../attest/read.ts";
import { type Digest, digestOf } from "../digest.ts";
import { BitforbitError } from "../errors.ts";
import { cosignatureVerifier } from "../format/cosignature.ts";
import {
  type NoteVerifier,
  noteVerifier,
  parseVerifierKey,
  type VerifierKey,
  verifierKeyText,
} from "../format/note.ts";
import type { LogPosition, OpenedRing, RingKey } from "../keys/key-ring.ts";
import { instantOf, requireFresh } from "../keys/ring-freshness.ts";
import { type PublicKey, parsePublicKey } from "../keys/verifier.ts";
import { sortedBy } from "../order.ts";
import type { Reason } from "./decision.ts";

export interface TrustedKey {
  name: string;
  /** Under which the rules list it: its own name, or its key-ring's. */
  listed: string;
  key: PublicKey;
  /** Milliseconds since 1970, inclusive: signatures of before are no good. */
  validFrom?: number;
  /** Milliseconds since 1970, exclusive: of the time when a signature was made, or of now where nobody can say when. */
  validUntil?: number;
  /** The key signs no more since `at`; what was provably signed before stays good. */
  retired?: { at: number; log?: LogPosition };
  /** The key-ring that the key is from, and when that is stale (milliseconds since 1970): then the key counts for nothing. */
  ring?: { what: string; issued: number; expires: number };
  /** Signatures since then, and all without trusted time, are no good. 0: whenever they were made. */
  revoked?: { since: number; reason?: string; log?: LogPosition };
}

/** Who signed a statement that counts. */
export interface AcceptedSigner {
  name: string;
  listed: string;
  key: { keyId: string };
}

/** What a bundle that is signed with a certificate proves. */
export interface CertifiedStatement {
  statement: ReadStatement;
  key: AcceptedSigner;
  identity: { subject: string; issuer: string };
  /** Milliseconds since 1970: by when it was signed, as somebody trusted says. */
  signedAt: number;
  logged: { origin: string; index: number; treeSize: number; log: TrustedLog; checkpoint: string };
}

/** Judges bundles that are signed with a certificate, by the identities that a policy names. */
export interface IdentityJudge {
  /** Digest of the identities and of the root that vouches for them. */
  digest: string;
  /** Undefined for what is signed with a key; without a statement, the last reason says why. Never throws for evidence. */
  judge(
    bundle: Uint8Array,
    digest: Digest,
  ): { statement: CertifiedStatement | undefined; reasons: readonly Reason[] } | undefined;
}

export interface TrustedLog {
  origin: string;
  verifier: NoteVerifier;
}

export interface Trust {
  keys: readonly TrustedKey[];
  logs: readonly TrustedLog[];
  /** Whose certificates are believed; without it, bundles that are signed with one do not count. */
  identities?: IdentityJudge;
  /** Who is believed to have seen a log's checkpoint, and when; each key once. How many must is the policy's word. */
  witnesses?: readonly VerifierKey[];
  /** Milliseconds since 1970 from when on this list is stale, and everything is denied. */
  expires?: number;
  /** Digest of all of it. */
  digest: string;
}

export interface TrustInput {
  keys: readonly { name: string; publicKeyPem: string; validUntil?: number; revoked?: boolean }[];
  logs: readonly { origin: string; publicKeyPem: string }[];
  /** Verifier keys of witnesses (`NAME+hash+key`). */
  witnesses?: readonly string[];
  expires?: number;
  /** Key-rings whose signatures were verified; `name` stands for their keys in messages. Keys of a stale one count for nothing. */
  keyRings?: readonly { name: string; opened: OpenedRing }[];
}

/** When a signature was made, as far as it is known. Times are milliseconds since 1970. */
export interface SigningMoment {
  now: number;
  /** By when it was made, as somebody who is trusted for it says: witnesses of the log's tree, a timestamp authority. */
  trustedTime?: number;
  /** Where a trusted log has the signature, by a verified inclusion proof. */
  entry?: { origin: string; index: number };
}

/**
 * Throws `refused` unless a signature by `key` counts: the key was valid when
 * it was made. Of a key that is retired or revoked since T, a signature needs
 * proof that it is older: trusted time before T, or a place in the log that was
 * taken by then, as the key-ring says.
 */
export function requireValid(key: TrustedKey, moment: SigningMoment): void {
  const { name, validFrom, validUntil, retired, revoked } = key;
  const { now, trustedTime } = moment;
  if (key.ring !== undefined) requireFresh(key.ring, now);
  if (revoked !== undefined && !isBefore(revoked.since, revoked.log, moment))
    throw refused(revokedMessage(key, moment));
  if (retired !== undefined && !isBefore(retired.at, retired.log, moment)) {
    throw refused(
      trustedTime === undefined
        ? `the key ${name} was retired, and nothing proves that this was signed before`
        : `the key ${name} was retired when this was signed`,
    );
  }
  if (validFrom !== undefined && trustedTime !== undefined && trustedTime < validFrom) {
    throw refused(`the key ${name} was not valid yet when this was signed`);
  }
  if (validFrom !== undefined && now < validFrom) throw refused(`the key ${name} is not valid yet`);
  // At the latest: what is older than the key's last day in use was not made after it.
  const last = Math.min(retired?.at ?? now, revoked?.since ?? now, trustedTime ?? now, now);
  if (validUntil !== undefined && last >= validUntil) {
    throw refused(`the key ${name} is no longer valid`);
  }
}

function revokedMessage({ name, revoked }: TrustedKey, { trustedTime }: SigningMoment): string {
  const why = revoked?.reason === undefined ? "" : ` (${revoked.reason})`;
  if (revoked === undefined || revoked.since === 0) return `the key ${name} is revoked${why}`;
  const when =
    trustedTime === undefined ? "nothing proves that this signature is older" : "this signature is not older";
  return `the key ${name} is revoked since ${new Date(revoked.since).toISOString()}${why}, and ${when}`;
}

function refused(message: string): BitforbitError {
  return new BitforbitError("refused", message);
}

/**
 * Whether the signature was there before `time`: by trusted time, or by its
 * place in the log. A later time does not speak against the place: whoever
 * proves an old entry anew does so under a newer checkpoint.
 */
function isBefore(time: number, log: LogPosition | undefined, { trustedTime, entry }: SigningMoment): boolean {
  if (trustedTime !== undefined && trustedTime < time) return true;
  return log !== undefined && entry !== undefined && entry.origin === log.origin && entry.index < log.size;
}

/** Parses keys once, for many verifications. Throws `input` for a key or log that cannot be used, or is named twice. */
export function makeTrust(input: TrustInput): Trust {
  const keys = [...input.keys.map(listedKey), ...(input.keyRings ?? []).flatMap(ringKeys)];
  const logs = [...input.logs, ...(input.keyRings ?? []).flatMap(ringLogs)].map(({ origin, publicKeyPem }) => ({
    origin,
    verifier: noteVerifier(origin, publicKeyPem),
  }));
  unique(
    keys.map(({ key }) => key.keyId),
    "key",
  );
  unique(
    logs.map(({ origin }) => origin),
    "log",
  );
  const witnesses = (input.witnesses ?? []).map(witnessKey);
  unique(
    witnesses.map(({ publicKey }) => hex(publicKey)),
    "witness key",
  );
  const { expires } = input;
  const digest = trustDigest(keys, witnesses, input);
  return { keys, logs, witnesses, digest, ...(expires === undefined ? {} : { expires }) };
}

function witnessKey(text: string): VerifierKey {
  const key = parseVerifierKey(text);
  cosignatureVerifier(key);
  return key;
}

function listedKey({ name, publicKeyPem, validUntil, revoked }: TrustInput["keys"][number]): TrustedKey {
  const key = parsePublicKey(publicKeyPem, `the key ${JSON.stringify(name)}`);
  if (key.algorithm !== "ecdsa-p256") {
    throw new BitforbitError(
      "input",
      `the key ${JSON.stringify(name)} is ${key.algorithm}: artifacts are signed with P-256`,
    );
  }
  return {
    name,
    listed: name,
    key,
    ...(revoked === true ? { revoked: { since: 0 } } : {}),
    ...(validUntil === undefined ? {} : { validUntil }),
  };
}

/** The keys that sign bundles: what else a ring has (a post-quantum second key) signs nothing that a bundle can carry. */
function ringKeys({ name, opened }: { name: string; opened: OpenedRing }): TrustedKey[] {
  const { version, issued, expires, keys } = opened.ring;
  const what = `the key-ring of ${name} (version ${version})`;
  const ring = { what, issued: instantOf(issued), expires: instantOf(expires) };
  return keys
    .filter(({ role, algorithm }) => role === "artifact" && algorithm === "ecdsa-p256")
    .map((key) => ({ ...trustedKey(name, key), ring }));
}

function trustedKey(name: string, { publicKey, validFrom, validUntil, retired, revoked, status }: RingKey): TrustedKey {
  return {
    name: status === "active" ? name : `${name} (${status})`,
    listed: name,
    key: parsePublicKey(publicKey),
    ...(validFrom === undefined ? {} : { validFrom: instantOf(validFrom) }),
    ...(validUntil === undefined ? {} : { validUntil: instantOf(validUntil) }),
    ...(retired === undefined ? {} : { retired: { at: instantOf(retired.at), ...position(retired.log) } }),
    ...(revoked === undefined
      ? {}
      : { revoked: { since: instantOf(revoked.since), reason: revoked.reason, ...position(revoked.log) } }),
  };
}

const position = (log: LogPosition | undefined): { log?: LogPosition } => (log === undefined ? {} : { log });

function ringLogs({ opened }: { opened: OpenedRing }): { origin: string; publicKeyPem: string }[] {
  const { keys, logs } = opened.ring;
  return logs.flatMap(({ origin, key }) => {
    const found = keys.find(({ keyId }) => keyId === key);
    // A revoked checkpoint key signs trees that nobody can tell from the log's own.
    return found === undefined || found.status === "revoked" ? [] : [{ origin, publicKeyPem: found.publicKey }];
  });
}

function trustDigest(keys: readonly TrustedKey[], witnesses: readonly VerifierKey[], input: TrustInput): string {
  return digestOf(
    canonicalJson({
      keys: sortedBy(keys, ({ key }) => key.keyId).map(({ name, key, validUntil, revoked }) => [
        key.keyId,
        name,
        validUntil ?? null,
        revoked?.since ?? null,
      ]),
      logs: sortedBy(input.logs, ({ origin }) => origin).map(({ origin, publicKeyPem }) => [
        origin,
        publicKeyPem.trim(),
      ]),
      witnesses: witnesses.map(verifierKeyText).sort(),
      expires: input.expires ?? null,
      keyRings: (input.keyRings ?? []).map(({ opened }) => opened.digest).sort(),
    }),
  );
}

function unique(names: readonly string[], what: string): void {
  const twice = names.find((name, at) => names.indexOf(name) !== at);
  if (twice !== undefined) throw new BitforbitError("input", `the ${what} ${twice} is trusted twice`);
}
