/**
 * Dropping evidence whose time is over. In this order, each step on the disk
 * before the next: the signed statements in a journal, their entries in the
 * log, the statements in the store, and only then the evidence is deleted. A
 * run that was killed in between is finished by the next.
 */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import * as v from "valibot";
import { BUNDLE_V03 } from "../attest/bundle.ts";
import { DROPPING_V1, droppingStatement, MAX_DROPPED } from "../attest/dropping.ts";
import { type SignedPayload, signedBundle, signPayloads, withEntry } from "../attest/sign.ts";
import { base64, equalBytes, fromBase64, utf8 } from "../bytes.ts";
import { type Clock, rfc3339, systemClock } from "../clock.ts";
import { type Digest, isDigest } from "../digest.ts";
import { writeDurable } from "../durable.ts";
import { BitforbitError } from "../errors.ts";
import { exclusively } from "../exclusive.ts";
import { type NoteVerifier, openNote } from "../format/note.ts";
import { parseJson } from "../json.ts";
import { readHomeRing } from "../keys/home-ring.ts";
import { type Keys, publicKeys } from "../keys/keys.ts";
import { noteText } from "../log/checkpoint.ts";
import { cosignWith } from "../log/cosigners.ts";
import { readIfThere } from "../log/folder.ts";
import { type LeafProof, type LogReader, openLogReader } from "../log/reader.ts";
import { TILE_WIDTH } from "../log/tile.ts";
import type { Witnesses } from "../log/witness-list.ts";
import { type Log, openLog } from "../log/writer.ts";
import { parseRetention, type RetentionPolicy } from "../store/retention-policy.ts";
import { openStore, type Store } from "../store/store.ts";
import type { Home } from "./home.ts";
import { keysOf } from "./keys.ts";
import { withLedger } from "./record.ts";
import {
  entriesBy,
  evidenceIn,
  LogTimes,
  notBefore,
  type Retained,
  retainedAt,
  type TimeKeepers,
  witnessedOrNot,
} from "./retained.ts";
import { witnessesOf } from "./witness-list.ts";
import { logOptions } from "./witnesses.ts";

/** What clocks of honest machines may differ by. */
const CLOCKS_DIFFER = 5 * 60_000;

/** The retention policy of a home, or of a file. */
export async function retentionOf(home: Home, file?: string): Promise<RetentionPolicy> {
  const path = file ?? join(home.root, "retention.toml");
  const text = await readIfThere(path);
  if (text === undefined && file !== undefined) throw new BitforbitError("input", `no such file: ${file}`);
  return parseRetention(text, path);
}

/** The ids of all keys that ever signed statements for this home. */
export async function artifactKeyIds(home: Home): Promise<Set<string>> {
  const opened = await readHomeRing(home.root);
  if (opened === undefined) return new Set([(await publicKeys(home.root)).artifact.keyId]);
  return new Set(opened.ring.keys.filter(({ role }) => role === "artifact").map(({ keyId }) => keyId));
}

export interface RetentionPlan {
  policy: RetentionPolicy;
  /** By which the plan is made, as witnesses say it; undefined where there are none, and then nothing may go. */
  now: number | undefined;
  /** The checkpoint that says so. */
  note: string;
  items: Retained[];
}

/** What is retained until when, by the newest time that witnesses said; nothing is asked of the network. */
export async function retentionPlan(home: Home): Promise<RetentionPlan> {
  const log = await openLogReader(home.log, (await publicKeys(home.root)).checkpoint.pem);
  const { note } = await log.newest();
  return await planAt(home, await openStore(home.store), log, note);
}

async function planAt(home: Home, store: Store, log: LogReader, note: string): Promise<RetentionPlan> {
  const policy = await retentionOf(home);
  const { tree } = await log.newest();
  const { own } = await entriesBy(tree, await artifactKeyIds(home));
  const { evidence } = await evidenceIn(store, own);
  const named = await witnessesOf(home);
  const keepers = keepersOf(log.verifier, named);
  const notes = evidence.map(({ bundle }) => bundle.entry.proof.checkpoint);
  const times = new LogTimes(keepers, [...notes, note]);
  const seen = witnessedOrNot(note, keepers);
  const now = seen === undefined ? undefined : notBefore(seen, keepers.quorum);
  return { policy, now, note, items: retainedAt(evidence, times, policy, await promotedInto(home), now) };
}

export function keepersOf(log: NoteVerifier, named: Witnesses | undefined): TimeKeepers {
  return { log, witnesses: (named?.witnesses ?? []).map(({ key }) => key), quorum: named?.quorum ?? 0 };
}

async function promotedInto(home: Home): Promise<Map<Digest, Set<string>>> {
  const into = new Map<Digest, Set<string>>();
  for (const event of await withLedger(home, async (ledger) => await ledger.events({ kinds: ["promote"] }))) {
    if (event.ok !== true || event.artifact === undefined || event.environment === undefined) continue;
    into.set(event.artifact, (into.get(event.artifact) ?? new Set()).add(event.environment));
  }
  return into;
}

export interface Pruned {
  plan: RetentionPlan;
  dropped: { digest: Digest; predicateType: string; size: number; index: number }[];
  /** Pieces that a run before this one had begun to drop. */
  finished: number;
}

export interface PruneOptions {
  passphrase?: string;
  clock?: Clock;
  /** After each step that reached the disk: tests end the process there. */
  step?: (what: string) => void;
}

/** Drops what may go. Throws `refused` without witnesses, or when their time and this machine's contradict each other. */
export async function prune(home: Home, options: PruneOptions = {}): Promise<Pruned> {
  const clock = options.clock ?? systemClock;
  const step = options.step ?? (() => undefined);
  return await exclusively(join(home.root, ".retention.lock"), async () => {
    const keys = await keysOf(home, options.passphrase, clock);
    const named = await witnessesOf(home);
    if (named === undefined) throw withoutTime(home);
    const log = await openLog(home.log, keys.checkpoint, await logOptions(home));
    const store = await openStore(home.store);
    const run: Run = { home, keys, log, store, clock, step };
    const finished = await finishJournal(run);
    const plan = await planAt(home, store, log, await freshNote(log, named));
    if (plan.now === undefined) throw withoutTime(home);
    if (plan.now > clock.now() + CLOCKS_DIFFER) {
      throw new BitforbitError(
        "refused",
        `the witnesses say that it is ${rfc3339(plan.now)}, and this machine's clock says ${rfc3339(clock.now())}`,
        { hint: "one of them is wrong: nothing is dropped before they agree" },
      );
    }
    const due = plan.items.filter(({ kept }) => kept === undefined);
    for (let at = 0; at < due.length; at += MAX_DROPPED) await drop(run, plan, due.slice(at, at + MAX_DROPPED));
    const dropped = due.map(({ evidence: { digest, predicateType, size, bundle } }) => {
      return { digest, predicateType, size, index: bundle.entry.logIndex };
    });
    return { plan, dropped, finished };
  });
}

function withoutTime(home: Home): BitforbitError {
  return new BitforbitError("refused", "there is no trusted time: no witness cosigns the log, so nothing is dropped", {
    hint: `a clock can be set forward; name witnesses in ${join(home.root, "witnesses")} ('bitforbit witness', or others' own)`,
  });
}

/** The newest checkpoint, cosigned anew: what witnesses said when the log last grew may be long ago. */
async function freshNote(log: Log, named: Witnesses): Promise<string> {
  const { checkpoint, note, tree } = await log.newest();
  if (tree.size === 0) return note;
  const text = noteText(note);
  const lines = note.slice(text.length + 1).split(/(?<=\n)/);
  const own = lines.filter((line) => openNote(`${text}\n${line}`, [log.verifier]).signedBy.length > 0);
  const bare = `${text}\n${own.join("")}`;
  return await cosignWith(named)({ ...checkpoint, note: bare }, async (from) => (await log.consistency(from)).hashes);
}

interface Run {
  home: Home;
  keys: Keys;
  log: Log;
  store: Store;
  clock: Clock;
  step(what: string): void;
}

interface Journal {
  /** Entries of the log before it. */
  size: number;
  /** Base64. */
  payload: string;
  signature: string;
  /** PEM of the key that signed. */
  key: string;
  keyId: string;
  artifacts: string[];
  bundles: string[];
}

const Shape: v.GenericSchema<Journal> = v.strictObject({
  size: v.pipe(v.number(), v.safeInteger(), v.minValue(0)),
  payload: v.string(),
  signature: v.string(),
  key: v.string(),
  keyId: v.string(),
  artifacts: v.array(v.string()),
  bundles: v.array(v.string()),
});

const journalOf = (home: Home): string => join(home.root, "retention.journal");

async function drop(run: Run, plan: RetentionPlan, due: readonly Retained[]): Promise<void> {
  const { keys, log, home } = run;
  const made = droppingStatement({
    origin: log.identity.origin,
    policy: plan.policy.digest,
    now: plan.note,
    dropped: due.map(({ evidence, logged, until }) => ({
      bundle: evidence.digest,
      predicateType: evidence.predicateType,
      index: evidence.bundle.entry.logIndex,
      signed: evidence.signed,
      logged: logged?.at ?? 0,
      until: until ?? 0,
      checkpoint: logged?.note ?? "",
    })),
  });
  const [signed] = await signPayloads([utf8(JSON.stringify(made))], keys.artifact);
  if (signed === undefined) throw new BitforbitError("outside", "the statement was not signed");
  const { size } = await log.checkpoint();
  const journal: Journal = {
    size,
    payload: base64(signed.payload),
    signature: base64(signed.signature),
    key: keys.artifact.publicKeyPem,
    keyId: keys.artifact.keyId,
    artifacts: [...new Set(due.flatMap(({ evidence }) => evidence.subjects))].sort(),
    bundles: due.map(({ evidence }) => evidence.digest),
  };
  await writeDurable(journalOf(home), `${JSON.stringify(journal)}\n`);
  run.step("journal");
  await finish(run, journal);
}

/** Ends what a run before began; gives how many pieces that were. */
async function finishJournal(run: Run): Promise<number> {
  const path = journalOf(run.home);
  const text = await readIfThere(path, 64 << 20);
  if (text === undefined) return 0;
  const parsed = v.safeParse(Shape, parseJson(text, path));
  if (!parsed.success) throw new BitforbitError("input", `${path}: ${parsed.issues[0].message}`);
  await finish(run, parsed.output);
  return parsed.output.bundles.length;
}

async function finish(run: Run, journal: Journal): Promise<void> {
  const { log, store, clock, step } = run;
  const signed = withEntry(fromBase64(journal.payload), fromBase64(journal.signature), journal.key);
  const proof = (await proofSince(log, journal.size, signed)) ?? (await log.appendAll([signed.entry]))[0];
  await log.settled();
  step("logged");
  const bundle = signedBundle(signed, journal.keyId, proof, log.identity);
  await store.putBlob(bundle, BUNDLE_V03);
  step("stored");
  for (const artifact of digestsOf(journal.artifacts)) {
    if ((await store.artifact(artifact)) === undefined) continue;
    await store.attach(artifact, bundle, DROPPING_V1, { created: clock.now() });
  }
  step("attached");
  await store.dropBundles(digestsOf(journal.bundles));
  step("deleted");
  await rm(journalOf(run.home), { force: true });
  step("done");
}

const digestsOf = (texts: readonly string[]): Digest[] => texts.filter(isDigest);

/** The proof of an entry that a run before may have logged. */
async function proofSince(log: Log, size: number, { entry }: SignedPayload): Promise<LeafProof | undefined> {
  const { tree } = await log.newest();
  for (let tile = Math.floor(size / TILE_WIDTH); tile * TILE_WIDTH < tree.size; tile++) {
    const { content } = await tree.entries(tile);
    const at = content.findIndex((leaf) => equalBytes(leaf, entry));
    if (at >= 0) return await log.prove(tile * TILE_WIDTH + at);
  }
  return undefined;
}
