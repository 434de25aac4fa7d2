/**
 * After a key was revoked or retired: what it provably signed before is signed
 * anew with the key that signs now, logged and stored beside the old evidence;
 * what nothing proves is named, to be built again. In order of the artifacts'
 * digests, in batches; a run that is killed goes on where it was.
 */
import { join } from "node:path";
import { payloadOf } from "../attest/payload.ts";
import { readStatement } from "../attest/read.ts";
import { signedBundle, type SignedPayload, signPayloads, withEntry } from "../attest/sign.ts";
import { base64, fromBase64, hex } from "../bytes.ts";
import { type Clock, systemClock } from "../clock.ts";
import { type Digest, parseDigest, sha256Hex } from "../digest.ts";
import { BitforbitError } from "../errors.ts";
import { exclusively } from "../exclusive.ts";
import { readHomeRing } from "../keys/home-ring.ts";
import type { KeyRing, RingKey } from "../keys/key-ring.ts";
import type { Keys } from "../keys/keys.ts";
import type { LeafProof } from "../log/reader.ts";
import { leafHash } from "../log/tile.ts";
import { type Log, openLog } from "../log/writer.ts";
import { verify } from "../policy/verify.ts";
import { type NewAttestation, openStore, type Referrer, type Store, type StoredArtifact } from "../store/store.ts";
import { findKey, type KeyHolder } from "./key-lifecycle.ts";
import { keyEvent, keysOf, recordKeys } from "./keys.ts";
import { type Journal, type Loss, openJournal, type ResignBatch, type ResignItem } from "./resign-journal.ts";
import { type Rules, rulesFor } from "./trust.ts";
import { logOptions } from "./witnesses.ts";

/** Statements that are signed, logged and stored together. */
const BATCH = 1024;

export type ResignStep = "journalled" | "logged" | "stored" | "done";

export interface ResignOptions {
  /** One key instead of all that are revoked or retired. */
  key?: string;
  /** Told after each step of a batch, when it is durable; `artifacts` so far of all. */
  onStep?: (step: ResignStep, artifacts: number, all: number) => void;
  /** Statements a batch. */
  batch?: number;
}

export interface Resigned {
  /** The key that signs now. */
  keyId: string;
  artifacts: number;
  /** Statements that were signed anew, by this run and those that it went on from. */
  resigned: number;
  /** What cannot be saved without building again. */
  lost: Loss[];
}

/** Throws `refused` when there is no active key to sign with, `input` when no key was ended, `outside` when a key service fails. */
export async function resign(holder: KeyHolder, options: ResignOptions = {}): Promise<Resigned> {
  const { home, passphrase, clock = systemClock } = holder;
  return await exclusively(join(home.root, ".resign.lock"), async () => {
    const keys = await keysOf(home, passphrase, clock);
    const opened = await readHomeRing(home.root);
    if (opened === undefined) throw new BitforbitError("outside", `the key-ring of ${home.root} is gone`);
    const ended = endedKeys(opened.ring, options.key);
    const journal = await openJournal(
      join(home.root, "resign.jsonl"),
      keys.artifact.keyId,
      ended.map(({ keyId }) => keyId),
    );
    try {
      const store = await openStore(home.store);
      const log = await openLog(home.log, keys.checkpoint, await logOptions(home));
      const rules = await rulesFor(home, undefined);
      const from = new Set(ended.map(({ keyId }) => keyId));
      const run = new Resigning({ keys, store, log, rules, clock, journal, from, options });
      const result = await run.all();
      const active = opened.ring.keys.find(({ keyId }) => keyId === keys.artifact.keyId);
      const counts = { resigned: result.resigned, lost: result.lost.length, artifacts: result.artifacts };
      if (active !== undefined) await recordKeys(home, [keyEvent(opened.ring, active, "resign", clock, counts)]);
      await journal.remove();
      return result;
    } finally {
      await journal.close();
    }
  });
}

function endedKeys(ring: KeyRing, named: string | undefined): RingKey[] {
  const all = named === undefined ? ring.keys : [findKey(ring, named)];
  const ended = all.filter(({ role, status }) => role === "artifact" && status !== "active");
  if (ended.length > 0) return ended;
  throw new BitforbitError("input", "no artifact key was revoked or retired: there is nothing to sign anew", {
    hint: "'bitforbit keys revoke KEY --since T --reason …' comes first, then 'bitforbit keys rotate'",
  });
}

interface Parts {
  keys: Keys;
  store: Store;
  log: Log;
  rules: Rules;
  clock: Clock;
  journal: Journal;
  /** Keys whose signatures are to be replaced. */
  from: ReadonlySet<string>;
  options: ResignOptions;
}

/** A statement of an artifact that one of the old keys signed. */
interface Found {
  artifact: StoredArtifact;
  referrer: Referrer;
  payload: Uint8Array;
}

class Resigning {
  readonly #parts: Parts;
  #all = 0;
  #at = 0;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  async all(): Promise<Resigned> {
    const { store, journal, keys } = this.#parts;
    const artifacts = await store.artifacts();
    this.#all = artifacts.length;
    const batches = [...journal.batches];
    const open = batches[journal.done];
    if (open !== undefined) await this.#finish(open, await this.#again(open), true);
    const last = batches.at(-1)?.last ?? "";
    this.#at = artifacts.filter(({ digest }) => digest <= last).length;
    for (let at = this.#at; at < artifacts.length;) {
      const { batch, signed, next } = await this.#collect(artifacts, at);
      await journal.write(batch);
      this.#tell("journalled");
      await this.#finish(batch, signed, false);
      batches.push(batch);
      at = next;
      this.#at = next;
    }
    return {
      keyId: keys.artifact.keyId,
      artifacts: artifacts.length,
      resigned: batches.reduce((sum, { items }) => sum + items.length, 0),
      lost: batches.flatMap(({ lost }) => lost),
    };
  }

  #tell(step: ResignStep): void {
    this.#parts.options.onStep?.(step, this.#at, this.#all);
  }

  /** Whole artifacts from `from` on until there are enough statements, judged and signed. */
  async #collect(
    artifacts: readonly StoredArtifact[],
    from: number,
  ): Promise<{ batch: ResignBatch; signed: SignedPayload[]; next: number }> {
    const { log, keys, options } = this.#parts;
    const found: Found[] = [];
    const lost: Loss[] = [];
    let next = from;
    for (; next < artifacts.length && found.length + lost.length < (options.batch ?? BATCH); next++) {
      const artifact = artifacts[next];
      if (artifact !== undefined) await this.#judge(artifact, found, lost);
    }
    const { size } = await log.checkpoint();
    const signed = await signPayloads(
      found.map(({ payload }) => payload),
      keys.artifact,
    );
    const items = found.map(({ artifact, referrer }, at) => ({
      artifact: artifact.digest,
      predicateType: referrer.predicateType,
      from: referrer.digest,
      signature: base64(signed[at]?.signature ?? new Uint8Array()),
    }));
    return { batch: { size, items, lost, last: artifacts[next - 1]?.digest ?? "" }, signed, next };
  }

  /** Which of an artifact's statements are to be signed anew, and which nothing proves. */
  async #judge(artifact: StoredArtifact, found: Found[], lost: Loss[]): Promise<void> {
    const { from, store, rules, clock, keys } = this.#parts;
    const { policy, trust } = rules;
    const old: { referrer: Referrer; bytes: Uint8Array; payload: Uint8Array }[] = [];
    /** Statements that the present key vouches for already. */
    const current = new Set<string>();
    for (const referrer of await store.referrers(artifact.digest)) {
      const bytes = await referrer.bundle();
      const { hint, payload } = payloadOf(bytes);
      if (from.has(hint)) old.push({ referrer, bytes, payload });
      else if (hint === keys.artifact.keyId) current.add(sha256Hex(payload));
    }
    for (const { referrer, bytes, payload } of old) {
      if (current.has(sha256Hex(payload))) continue;
      current.add(sha256Hex(payload));
      const request = { artifact: { digest: artifact.digest }, bundles: [bytes], policy, trust, now: clock.now() };
      const { reasons } = verify(request);
      // By the log: who signed what and when is then settled. Whether policy allows it is not asked here.
      if (reasons.some(({ check, ok }) => check === "log" && ok)) {
        found.push({ artifact, referrer, payload });
        continue;
      }
      const reason = reasons.find(({ ok }) => !ok)?.message ?? "it cannot be verified";
      lost.push({
        artifact: artifact.digest,
        name: artifact.name,
        predicateType: readStatement(payload).predicateType,
        reason,
      });
    }
  }

  /** Logs what is not in the log yet, stores what is not in the store yet. */
  async #finish(batch: ResignBatch, signed: readonly SignedPayload[], again: boolean): Promise<void> {
    const { log, keys, store, journal } = this.#parts;
    const proofs = await this.#logged(batch, signed);
    this.#tell("logged");
    const attached = batch.items.map((item, at) => {
      const one = signed[at];
      if (one === undefined) throw new BitforbitError("outside", `the statement of ${item.artifact} is gone`);
      const bundle = signedBundle(one, keys.artifact.keyId, proofs[at], log.identity);
      return { item, bundle, payload: sha256Hex(one.payload) };
    });
    const missing: NewAttestation[] = [];
    for (const { item, bundle, payload } of attached) {
      const artifact = parseDigest(item.artifact);
      if (again && (await this.#has(store, artifact, payload))) continue;
      missing.push({ artifact, bundle, predicateType: item.predicateType });
    }
    await store.attachAll(missing);
    this.#tell("stored");
    await journal.finish();
    this.#tell("done");
  }

  /** Proofs for a batch: found in the log where a run before this one got so far, appended otherwise. */
  async #logged({ size }: ResignBatch, signed: readonly SignedPayload[]): Promise<LeafProof[]> {
    const { log } = this.#parts;
    const now = (await log.checkpoint()).size;
    const places = new Map<string, number>();
    for (let index = size; index < now; index++) places.set(hex(leafHash(await log.entry(index))), index);
    const placeOf = ({ entry }: SignedPayload): number | undefined => places.get(hex(leafHash(entry)));
    const missing = signed.filter((one) => placeOf(one) === undefined);
    const fresh = await log.appendAll(missing.map(({ entry }) => entry));
    const proofs: LeafProof[] = [];
    for (const one of signed) {
      const place = placeOf(one);
      const proof = place === undefined ? fresh.shift() : await log.prove(place);
      if (proof === undefined) throw new BitforbitError("outside", "the log gave too few proofs");
      proofs.push(proof);
    }
    return proofs;
  }

  /** The signatures of a batch that was journalled and not finished. */
  async #again({ items }: ResignBatch): Promise<SignedPayload[]> {
    const { store, keys } = this.#parts;
    const signed: SignedPayload[] = [];
    for (const item of items)
      signed.push(withEntry(await this.#payload(store, item), fromBase64(item.signature), keys.artifact.publicKeyPem));
    return signed;
  }

  async #payload(store: Store, { artifact, from }: ResignItem): Promise<Uint8Array> {
    const referrer = (await store.referrers(parseDigest(artifact))).find(({ digest }) => digest === from);
    if (referrer !== undefined) return payloadOf(await referrer.bundle()).payload;
    throw new BitforbitError("input", `the store has lost the attestation ${from} of ${artifact}`, {
      hint: "'bitforbit store check' says what else is missing",
    });
  }

  async #has(store: Store, artifact: Digest, payload: string): Promise<boolean> {
    for (const referrer of await store.referrers(artifact)) {
      const bundle = payloadOf(await referrer.bundle());
      if (bundle.hint === this.#parts.keys.artifact.keyId && sha256Hex(bundle.payload) === payload) return true;
    }
    return false;
  }
}
