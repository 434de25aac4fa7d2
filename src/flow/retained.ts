/** What evidence of a log there is, since when, and what of it may go: by times that witnesses say, never by this machine's clock. */
import { type Bundle, parseBundle } from "../attest/bundle.ts";
import { DROPPING_V1 } from "../attest/dropping.ts";
import { readStatement } from "../attest/read.ts";
import { equalBytes, fromBase64 } from "../bytes.ts";
import { type Digest, digestOf, sha256 } from "../digest.ts";
import { BitforbitError } from "../errors.ts";
import { IN_TOTO_PAYLOAD, preAuthEncoding } from "../format/dsse.ts";
import { hashedRekord } from "../format/hashedrekord.ts";
import type { NoteVerifier, VerifierKey } from "../format/note.ts";
import { isObject, type Json, parseJson } from "../json.ts";
import { type Entry, readEntry } from "../log/entry.ts";
import { TILE_WIDTH } from "../log/tile.ts";
import type { VerifiedTree } from "../log/verified.ts";
import { type Witnessed, verifyCheckpoint } from "../log/witnessed.ts";
import { type RetentionPolicy, yearsAfter, yearsFor } from "../store/retention-policy.ts";
import type { Store } from "../store/store.ts";

const MAX_BUNDLE = 32 << 20;

/** A bundle of the store whose signature the log has. */
export interface Evidence {
  digest: Digest;
  size: number;
  bundle: Bundle;
  predicateType: string;
  subjects: readonly Digest[];
  /** Every artifact or attestation that its statement speaks of, its subjects among them. */
  mentions: ReadonlySet<Digest>;
  /** Of the bytes that were signed. */
  signed: Digest;
}

/** An entry of the log by one of the keys that are asked about. */
export interface OwnEntry extends Entry {
  index: number;
  leaf: Uint8Array;
}

/** The entries of a tree that these keys signed, and how many others there are. */
export async function entriesBy(
  tree: VerifiedTree,
  keyIds: ReadonlySet<string>,
): Promise<{ own: Map<number, OwnEntry>; others: number }> {
  const own = new Map<number, OwnEntry>();
  for (let tile = 0; tile * TILE_WIDTH < tree.size; tile++) {
    const { content } = await tree.entries(tile);
    for (const [at, leaf] of content.entries()) {
      const entry = readEntry(leaf);
      if (entry === undefined || !keyIds.has(entry.keyId)) continue;
      own.set(tile * TILE_WIDTH + at, { ...entry, index: tile * TILE_WIDTH + at, leaf: new Uint8Array(leaf) });
    }
  }
  return { own, others: tree.size - own.size };
}

/**
 * The bundles of the store that are the evidence of an entry: all blobs are
 * looked at, so that what is mentioned nowhere counts, and what `index.json`
 * says is not believed. `damaged`: blobs that are not what their names say.
 */
export async function evidenceIn(
  store: Store,
  entries: ReadonlyMap<number, OwnEntry>,
): Promise<{ evidence: Evidence[]; damaged: Digest[] }> {
  const evidence: Evidence[] = [];
  const damaged: Digest[] = [];
  for (const digest of await store.blobs()) {
    let bytes: Uint8Array;
    try {
      bytes = await store.getBlob(digest, MAX_BUNDLE);
    } catch (error) {
      if (!(error instanceof BitforbitError)) throw error;
      if (error.code !== "limit") damaged.push(digest);
      continue;
    }
    const found = evidenceOf(digest, bytes, entries);
    if (found !== undefined) evidence.push(found);
  }
  return { evidence, damaged };
}

function evidenceOf(digest: Digest, bytes: Uint8Array, entries: ReadonlyMap<number, OwnEntry>): Evidence | undefined {
  try {
    if (bytes[0] !== 0x7b) return undefined;
    const bundle = parseBundle(bytes);
    const leaf = entries.get(bundle.entry.logIndex)?.leaf;
    const encoding = preAuthEncoding(IN_TOTO_PAYLOAD, bundle.payload);
    // The leaf follows from payload, signature and key: a bundle with another of these is not its evidence.
    if (leaf === undefined || !equalBytes(leaf, hashedRekord(sha256(encoding), bundle.signature, keyIn(leaf)))) {
      return undefined;
    }
    const { predicateType, subjects } = readStatement(bundle.payload);
    const mentions = new Set<Digest>();
    collect(parseJson(bundle.payload, "the statement"), mentions);
    const about = subjects.map(({ sha256: hexadecimal }): Digest => `sha256:${hexadecimal}`);
    return { digest, size: bytes.length, bundle, predicateType, subjects: about, mentions, signed: digestOf(encoding) };
  } catch (error) {
    if (error instanceof BitforbitError) return undefined;
    throw error;
  }
}

function keyIn(leaf: Uint8Array): Uint8Array {
  let value: Json | undefined = parseJson(leaf, "the entry");
  for (const name of ["spec", "hashedRekordV002", "signature", "verifier", "publicKey", "rawBytes"]) {
    value = isObject(value) ? value[name] : undefined;
  }
  return fromBase64(typeof value === "string" ? value : "");
}

function collect(value: Json | undefined, into: Set<Digest>): void {
  if (Array.isArray(value)) for (const item of value) collect(item, into);
  if (!isObject(value)) return;
  for (const [name, item] of Object.entries(value)) {
    if (name === "sha256" && typeof item === "string" && /^[0-9a-f]{64}$/.test(item)) into.add(`sha256:${item}`);
    else collect(item, into);
  }
}

/** Whose words about time are believed. */
export interface TimeKeepers {
  log: NoteVerifier;
  witnesses: readonly VerifierKey[];
  quorum: number;
}

/**
 * By when each entry was in the log: the earliest that the witnesses of any
 * checkpoint at hand say whose tree has it.
 */
export class LogTimes {
  /** Sorted by size; each with the earliest time of all trees that are as large or larger. */
  readonly #known: { size: number; at: number; note: string }[] = [];

  constructor(keepers: TimeKeepers, notes: Iterable<string>) {
    const seen: { size: number; at: number; note: string }[] = [];
    for (const note of new Set(notes)) {
      const read = witnessedOrNot(note, keepers);
      if (read?.at !== undefined) seen.push({ size: read.checkpoint.size, at: read.at, note });
    }
    seen.sort((a, b) => b.size - a.size);
    for (const one of seen) {
      const before = this.#known[0];
      if (before === undefined || one.at < before.at) this.#known.unshift(one);
      else this.#known.unshift({ ...before, size: one.size });
    }
  }

  of(index: number): { at: number; note: string } | undefined {
    return this.#known.find(({ size }) => size > index);
  }
}

export function witnessedOrNot(note: string, { log, witnesses, quorum }: TimeKeepers): Witnessed | undefined {
  try {
    return verifyCheckpoint(note, log, witnesses, quorum);
  } catch (error) {
    if (error instanceof BitforbitError) return undefined;
    throw error;
  }
}

/**
 * When a cosigned checkpoint was there to be shown, at the earliest: as long as
 * fewer than `quorum` witnesses lie, one of the `quorum` latest is honest, and
 * whoever has its cosignature has it after the time in it.
 */
export function notBefore({ cosignedBy }: Witnessed, quorum: number): number | undefined {
  return quorum === 0 ? undefined : cosignedBy[cosignedBy.length - quorum]?.at;
}

export interface Retained {
  evidence: Evidence;
  years: number;
  /** By when it was logged, and when it may go at the earliest; undefined as long as no witness said. */
  logged?: { at: number; note: string };
  until?: number;
  /** Why it stays; undefined for what may go. */
  kept?: string;
}

/** What may go at `now` (a time of witnesses), and why the rest may not. */
export function retainedAt(
  evidence: readonly Evidence[],
  times: LogTimes,
  policy: RetentionPolicy,
  environments: ReadonlyMap<Digest, ReadonlySet<string>>,
  now: number | undefined,
): Retained[] {
  const all = evidence.map((one): Retained => {
    const promoted = new Set(one.subjects.flatMap((subject) => [...(environments.get(subject) ?? [])]));
    const years = yearsFor(policy, one.predicateType, promoted);
    const logged = times.of(one.bundle.entry.logIndex);
    if (one.predicateType === DROPPING_V1) return { evidence: one, years, kept: "it says what was dropped" };
    if (logged === undefined) return { evidence: one, years, kept: "no witness says by when it was logged" };
    const until = yearsAfter(logged.at, years);
    const hold = policy.holds.find(({ digest }) => [one.digest, one.signed, ...one.subjects].includes(digest));
    const rest = { evidence: one, years, logged, until };
    if (hold !== undefined) return { ...rest, kept: `on hold: ${hold.reason}` };
    if (now === undefined || until > now) return { ...rest, kept: "its retention is not over" };
    return rest;
  });
  keepReachable(all);
  return all;
}

/** What is retained keeps what it speaks of: evidence of one artifact goes together, and not before that of what was made of it. */
function keepReachable(all: readonly Retained[]): void {
  const about = new Map<Digest, Retained[]>();
  for (const one of all) {
    for (const digest of [one.evidence.digest, ...one.evidence.subjects]) {
      about.set(digest, [...(about.get(digest) ?? []), one]);
    }
  }
  const queue = all.filter(({ kept, evidence }) => kept !== undefined && evidence.predicateType !== DROPPING_V1);
  for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
    for (const digest of next.evidence.mentions) {
      for (const one of about.get(digest) ?? []) {
        if (one.kept !== undefined) continue;
        one.kept = `what is retained speaks of it: ${next.evidence.digest}`;
        queue.push(one);
      }
      about.delete(digest);
    }
  }
}
