/**
 * The key-ring: which keys a signer has, for what, from when until when. One
 * canonical JSON document (RFC 8785), signed in DSSE by a threshold of root
 * keys over exactly its bytes. Its rules are TUF's (specification 1.0, 5.3):
 *
 *   - a version is numbered; a verifier never goes back to a smaller number,
 *     and two documents with one number are a fault that is shown;
 *   - it expires: who is cut off from newer ones notices (freeze);
 *   - a change of root keys is signed by a threshold of the old and of the new.
 *
 * A key-ring file has one envelope a line: every version that changed the root,
 * in order, and last the newest, so that whoever trusts an older one can follow.
 * No clock, no file, no private key is touched here.
 */
import * as v from "valibot";
import { base64, equalBytes, fromBase64, utf8Text } from "../bytes.ts";
import { rfc3339 } from "../clock.ts";
import { type Digest, digestOf } from "../digest.ts";
import { BitforbitError } from "../errors.ts";
import { preAuthEncoding } from "../format/dsse.ts";
import type { KeyAlgorithm } from "../format/spki.ts";
import { type Json, canonicalJson, parseJson } from "../json.ts";
import { instantOf } from "./ring-freshness.ts";
import { type PublicKey, parsePublicKey } from "./verifier.ts";

export const KEY_RING_PAYLOAD = "application/vnd.bitforbit.key-ring+json";
export const KEY_RING_TYPE = "https://bitforbit.dev/key-ring/v1";

const MAX_FILE = 4 << 20;
const MAX_LINES = 128;
const MAX_KEYS = 1024;
const MAX_SIGNATURES = 32;

const ROLES = ["root", "artifact", "checkpoint"] as const;
export type Role = (typeof ROLES)[number];

/** Entries below `size` in that log were there at the time: an order that needs no clock. */
export interface LogPosition {
  origin: string;
  size: number;
}

/** A key and what it may do. Times are RFC 3339 in UTC, whole seconds: one text for one instant. */
export interface RingKey {
  /** As `PublicKey.keyId`. */
  keyId: string;
  role: Role;
  algorithm: KeyAlgorithm;
  /** PEM. */
  publicKey: string;
  created: string;
  validFrom?: string;
  validUntil?: string;
  status: "active" | "retired" | "revoked";
  retired?: { at: string; log?: LogPosition };
  revoked?: { since: string; at: string; reason: string; log?: LogPosition };
}

export interface KeyRing {
  type: typeof KEY_RING_TYPE;
  /** Random, given once: two key-rings are never taken for versions of one. */
  ring: string;
  version: number;
  issued: string;
  expires: string;
  root: { threshold: number; keys: string[] };
  /** Days after which a key of the role is due to be rotated. */
  rotation: Record<Role, number>;
  keys: RingKey[];
  /** Logs of the same signer; `key` is the id of a checkpoint key. */
  logs: { origin: string; key: string }[];
}

const instant = v.pipe(v.string(), v.regex(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/, "not a time in UTC"), v.check(isTime));
const text = (max: number) =>
  v.pipe(v.string(), v.nonEmpty(), v.maxLength(max), v.regex(/^[^\p{Cc}]*$/u, "has control characters"));
const whole = (min: number, max: number) => v.pipe(v.number(), v.safeInteger(), v.minValue(min), v.maxValue(max));
const Position = v.strictObject({ origin: text(256), size: whole(0, Number.MAX_SAFE_INTEGER) });

const Key = v.strictObject({
  keyId: text(64),
  role: v.picklist(ROLES),
  algorithm: v.picklist(["ecdsa-p256", "ed25519", "ml-dsa-44"]),
  publicKey: v.pipe(v.string(), v.maxLength(4096)),
  created: instant,
  validFrom: v.exactOptional(instant),
  validUntil: v.exactOptional(instant),
  status: v.picklist(["active", "retired", "revoked"]),
  retired: v.exactOptional(v.strictObject({ at: instant, log: v.exactOptional(Position) })),
  revoked: v.exactOptional(
    v.strictObject({ since: instant, at: instant, reason: text(1024), log: v.exactOptional(Position) }),
  ),
});

const days = whole(1, 36_500);

/** The shape of the signed document: schemas/key-ring.schema.json. */
export const KeyRingShape: v.GenericSchema<KeyRing> = v.strictObject({
  type: v.literal(KEY_RING_TYPE),
  ring: v.pipe(v.string(), v.regex(/^[0-9a-f]{32}$/, "not 32 hexadecimal digits")),
  version: whole(1, Number.MAX_SAFE_INTEGER),
  issued: instant,
  expires: instant,
  root: v.strictObject({
    threshold: whole(1, MAX_SIGNATURES),
    keys: v.pipe(v.array(text(64)), v.minLength(1), v.maxLength(MAX_SIGNATURES)),
  }),
  rotation: v.strictObject({ root: days, artifact: days, checkpoint: days }),
  keys: v.pipe(v.array(Key), v.minLength(1), v.maxLength(MAX_KEYS)),
  logs: v.pipe(v.array(v.strictObject({ origin: text(256), key: text(64) })), v.maxLength(64)),
});

/** A key-ring whose signatures were verified. */
export interface OpenedRing {
  ring: KeyRing;
  /** Of the signed bytes: two documents with one version have two. */
  digest: Digest;
  /** The envelope it came in, without the newline. */
  envelope: string;
}

/** Signs key-rings: a root key. */
export interface RingSigner {
  keyId: string;
  sign(bytes: Uint8Array): Promise<Uint8Array>;
}

function isTime(time: string): boolean {
  const at = Date.parse(time);
  return !Number.isNaN(at) && rfc3339(at) === time;
}

/** One line of a key-ring file: `ring` signed by each of `signers`. Throws as `openKeyRing` does for a ring that is not sound. */
export async function signKeyRing(ring: KeyRing, signers: readonly RingSigner[]): Promise<string> {
  const payload = canonicalJson(ring as unknown as Json);
  readRing(payload, "the new key-ring");
  const encoding = preAuthEncoding(KEY_RING_PAYLOAD, payload);
  const signatures: { keyid: string; sig: string }[] = [];
  for (const signer of signers) signatures.push({ keyid: signer.keyId, sig: base64(await signer.sign(encoding)) });
  return JSON.stringify({ payload: base64(payload), payloadType: KEY_RING_PAYLOAD, signatures });
}

/**
 * The newest key-ring of a file, each version vouched for by the one before.
 * `pinned` is what the verifier trusts already; without it the first line is
 * taken at its own word, so the file must have come from a place to be trusted.
 * Whether it is fresh is asked of `requireFresh`. Throws `input` or `limit` for
 * a file that is malformed, `refused` for one that is not signed as it should
 * be, goes back, or contradicts what is pinned.
 */
export function openKeyRing(file: Uint8Array | string, what: string, pinned?: OpenedRing): OpenedRing {
  const lines = linesOf(file, what);
  let trusted = pinned;
  for (const [at, envelope] of lines.entries()) {
    const where = lines.length === 1 ? what : `${what}, line ${at + 1}`;
    const { payload, signatures } = readEnvelope(envelope, where);
    const ring = readRing(payload, where);
    const digest = digestOf(payload);
    if (trusted !== undefined) {
      if (ring.ring !== trusted.ring.ring) throw refused(`${where} is another key-ring than the one that is trusted`);
      if (ring.version < trusted.ring.version) continue;
      if (ring.version === trusted.ring.version) {
        if (digest !== trusted.digest) throw forked(where, ring.version, trusted.digest, digest);
        continue;
      }
      requireThreshold(trusted.ring, payload, signatures, `${where} (version ${ring.version})`, "before it");
    }
    requireThreshold(ring, payload, signatures, `${where} (version ${ring.version})`, "its own");
    trusted = { ring, digest, envelope };
  }
  if (trusted === undefined) throw new BitforbitError("input", `${what} has no key-ring`);
  requireNotBefore(lines, trusted, what, pinned);
  return trusted;
}

/** What a verifier was told of a key-ring by another way: who its first root keys were, how new it must be. */
export interface RingPin {
  root?: KeyRing["root"];
  minimumVersion?: number;
}

/**
 * The newest key-ring of a file that goes back, version by version, to the
 * pinned root. Throws as `openKeyRing` does, and `refused` for a file that has
 * no version with that root, or none that is new enough.
 */
export function openPinnedRing(file: string, what: string, { root, minimumVersion = 1 }: RingPin): OpenedRing {
  const opened = openKeyRing(file, what, root === undefined ? undefined : versionWith(file, what, root));
  const { version } = opened.ring;
  if (version >= minimumVersion) return opened;
  throw refused(
    `${what} has version ${version}, older than version ${minimumVersion} that is demanded`,
    "somebody hands out an old key-ring: fetch the newest from its owner",
  );
}

/** The first version of a file that has this root and is signed by it. */
function versionWith(file: string, what: string, root: KeyRing["root"]): OpenedRing {
  const pinned = { threshold: root.threshold, keys: [...root.keys].sort() };
  for (const line of linesOf(file, what)) {
    const { threshold, keys } = readRing(readEnvelope(line, what).payload, what).root;
    if (sameRoot({ threshold, keys: [...keys].sort() }, pinned)) return openKeyRing(line, what);
  }
  throw refused(
    `${what} has no version with the pinned root (${root.threshold} of ${root.keys.join(", ")})`,
    "it is another's key-ring, or its beginning was cut off: ask its owner by another way which root it has",
  );
}

/** A file that ends in an older version than the pinned one is a rollback, though each of its lines is signed. */
function requireNotBefore(lines: readonly string[], newest: OpenedRing, what: string, pinned?: OpenedRing): void {
  if (pinned === undefined || newest !== pinned) return;
  const { version } = readRing(readEnvelope(lines.at(-1) ?? "", what).payload, what);
  if (version >= pinned.ring.version) return;
  throw refused(
    `${what} has version ${version}, older than version ${pinned.ring.version} that is trusted`,
    "somebody hands out an old key-ring: fetch the newest from its owner",
  );
}

/** The lines that a file must have after `next` follows `previous`: old versions stay only where the root changed after them. */
export function appendRing(file: string | undefined, next: OpenedRing): string {
  if (file === undefined) return `${next.envelope}\n`;
  const lines = linesOf(file, "the key-ring");
  const last = lines.at(-1) ?? "";
  const newest = readRing(readEnvelope(last, "the key-ring").payload, "the key-ring");
  const before = lines.at(-2);
  // Kept where it brought its root: that is what an older verifier follows from.
  const keep =
    before === undefined || !sameRoot(readRing(readEnvelope(before, "the key-ring").payload, "").root, newest.root);
  return `${[...(keep ? lines : lines.slice(0, -1)), next.envelope].join("\n")}\n`;
}

function sameRoot(a: KeyRing["root"], b: KeyRing["root"]): boolean {
  return equalBytes(canonicalJson(a), canonicalJson(b));
}

function linesOf(file: Uint8Array | string, what: string): string[] {
  if (file.length > MAX_FILE) throw new BitforbitError("limit", `${what} is larger than ${MAX_FILE} bytes`);
  const content = typeof file === "string" ? file : utf8Text(file);
  if (content === undefined) throw new BitforbitError("input", `${what} is not UTF-8`);
  const lines = content.replace(/\n$/, "").split("\n");
  if (lines.length > MAX_LINES) throw new BitforbitError("limit", `${what} has more than ${MAX_LINES} versions`);
  return lines;
}

interface Envelope {
  payload: Uint8Array;
  signatures: { keyid: string; sig: Uint8Array }[];
}

const EnvelopeShape = v.strictObject({
  payload: v.string(),
  payloadType: v.literal(KEY_RING_PAYLOAD),
  signatures: v.pipe(
    v.array(v.strictObject({ keyid: text(64), sig: v.pipe(v.string(), v.maxLength(8192)) })),
    v.maxLength(2 * MAX_SIGNATURES), // by the old root and by the new
  ),
});

function readEnvelope(line: string, what: string): Envelope {
  const envelope = readUnfinished(line, what);
  if (envelope.signatures.length === 0) throw new BitforbitError("input", `${what} has no signature`);
  return envelope;
}

/** An envelope that may have too few signatures yet; none of them is looked at. Throws `input` or `limit`. */
export function readUnfinished(line: string, what: string): Envelope {
  if (line.length > MAX_FILE) throw new BitforbitError("limit", `${what} is larger than ${MAX_FILE} bytes`);
  const { payload, signatures } = shaped(EnvelopeShape, parseJson(line, what), what);
  const ids = signatures.map(({ keyid }) => keyid);
  if (new Set(ids).size < ids.length) throw new BitforbitError("input", `${what}: one key signs twice`);
  return {
    payload: fromBase64(payload),
    signatures: signatures.map(({ keyid, sig }) => ({ keyid, sig: fromBase64(sig) })),
  };
}

/** The ring in a payload, sound in itself; who signed it is not looked at. Throws `input`. */
export function readRing(payload: Uint8Array, what: string): KeyRing {
  const value = parseJson(payload, what);
  const ring = shaped(KeyRingShape, value, what);
  if (!equalBytes(canonicalJson(value), payload)) throw new BitforbitError("input", `${what} is not canonical JSON`);
  const wrong = (problem: string): BitforbitError => new BitforbitError("input", `${what}: ${problem}`);
  const ids = ring.keys.map(({ keyId }) => keyId);
  if (new Set(ids).size < ids.length) throw wrong("a key stands in it twice");
  for (const key of ring.keys) checkKey(key, wrong);
  if (new Set(ring.root.keys).size < ring.root.keys.length) throw wrong("a root key is listed twice");
  if (ring.root.threshold > ring.root.keys.length) throw wrong("the threshold is more than there are root keys");
  for (const id of ring.root.keys) {
    const key = ring.keys.find(({ keyId }) => keyId === id);
    if (key?.role !== "root" || key.status !== "active")
      throw wrong(`the root key ${id} is not an active root key of it`);
  }
  for (const { origin, key } of ring.logs) {
    if (ring.keys.find(({ keyId }) => keyId === key)?.role !== "checkpoint") {
      throw wrong(`the log ${origin} has a key that is no checkpoint key`);
    }
  }
  if (new Set(ring.logs.map(({ origin }) => origin)).size < ring.logs.length) throw wrong("a log stands in it twice");
  if (instantOf(ring.expires) <= instantOf(ring.issued)) throw wrong("it expires before it was issued");
  return ring;
}

function checkKey(key: RingKey, wrong: (problem: string) => BitforbitError): void {
  const { keyId, algorithm } = parsePublicKey(key.publicKey, `the key ${key.keyId}`);
  if (keyId !== key.keyId || algorithm !== key.algorithm) throw wrong(`the key ${key.keyId} is not what its id says`);
  if ((key.status === "revoked") !== (key.revoked !== undefined)) {
    throw wrong(`the key ${key.keyId} is ${key.status}, against what 'revoked' says`);
  }
  if (key.status === "retired" && key.retired === undefined) throw wrong(`the key ${key.keyId} is retired since when?`);
  if (key.status === "active" && key.retired !== undefined) throw wrong(`the key ${key.keyId} is active and retired`);
  if (key.validFrom !== undefined && key.validUntil !== undefined && key.validUntil <= key.validFrom) {
    throw wrong(`the key ${key.keyId} is valid for no time`);
  }
}

/** A threshold of `by`'s root keys must have signed; a bad signature by one of them rejects all. */
function requireThreshold(
  by: KeyRing,
  payload: Uint8Array,
  signatures: Envelope["signatures"],
  what: string,
  whose: string,
): void {
  const encoding = preAuthEncoding(KEY_RING_PAYLOAD, payload);
  let good = 0;
  for (const { keyid, sig } of signatures) {
    if (!by.root.keys.includes(keyid)) continue;
    if (!publicKeyOf(by, keyid).verify(encoding, sig))
      throw refused(
        `${what} has a bad signature by the root key ${keyid}`,
        "it was changed after it was signed: fetch it again from its owner",
      );
    good++;
  }
  if (good >= by.root.threshold) return;
  throw refused(
    `${what} is signed by ${good} of the ${by.root.threshold} root keys that are needed (${whose} root)`,
    whose === "its own"
      ? "its owners have yet to sign it: ask them for the signed one"
      : "it may be forged: ask its owner by another way",
  );
}

function publicKeyOf(ring: KeyRing, keyId: string): PublicKey {
  const key = ring.keys.find((candidate) => candidate.keyId === keyId);
  return parsePublicKey(key?.publicKey ?? "", `the key ${keyId}`);
}

function shaped<T extends v.GenericSchema>(shape: T, value: unknown, what: string): v.InferOutput<T> {
  const parsed = v.safeParse(shape, value);
  if (parsed.success) return parsed.output;
  const [issue] = parsed.issues;
  throw new BitforbitError("input", `${what}: ${v.getDotPath(issue) ?? "it"}: ${issue.message}`);
}

function forked(what: string, version: number, ours: Digest, theirs: Digest): BitforbitError {
  return refused(
    `${what} has version ${version} as ${theirs}, but ${ours} is trusted under the same number`,
    "its owner signed two: keep both files as proof, and ask",
  );
}

function refused(message: string, hint?: string): BitforbitError {
  return new BitforbitError("refused", message, hint === undefined ? {} : { hint });
}

/** How many keys in use are no older than the ring's own rotation policy: M9 of one key-ring. */
export function rotationCompliance(ring: KeyRing, now: number): { inUse: number; within: number; due: RingKey[] } {
  const active = ring.keys.filter(({ status }) => status === "active");
  const due = active.filter(({ created, role }) => now - instantOf(created) > ring.rotation[role] * 86_400_000);
  return { inUse: active.length, within: active.length - due.length, due };
}
