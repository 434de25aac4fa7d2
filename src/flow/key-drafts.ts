/** A key-ring of several people: a change is proposed, signed by each root key's holder at home, collected and published. */
import { rfc3339, systemClock } from "../clock.ts";
import { BitforbitError } from "../errors.ts";
import { publishHomeRing, readHomeRing, trustedRings } from "../keys/home-ring.ts";
import type { KeyRing, OpenedRing, RingKey } from "../keys/key-ring.ts";
import { openRingKey } from "../keys/keys.ts";
import { addPlace } from "../keys/places.ts";
import {
  changesOf,
  checkDraft,
  type Draft,
  draftText,
  joinDrafts,
  type Need,
  newDraft,
  readDraft,
  signDraft,
} from "../keys/ring-draft.ts";
import type { Signer } from "../keys/signer.ts";
import type { PublicKey } from "../keys/verifier.ts";
import { findKey, type KeyHolder, type NewKey, newSigner } from "./key-lifecycle.ts";
import { keyEvent, keyOptions, logPosition, nextRing, recordKeys } from "./keys.ts";

export interface Proposal {
  addRoots: readonly PublicKey[];
  /** Ids, or the beginnings of ids. */
  removeRoots: readonly string[];
  threshold?: number;
  retire: readonly string[];
  /** A new artifact key, made in this home; those of its algorithm retire. */
  rotate?: Omit<NewKey, "role">;
  revoke?: { key: string; since: number; reason: string };
  days?: number;
}

export interface DraftState {
  draft: Draft;
  needs: Need[];
  changes: string[];
  /** Ids that signed in this very run. */
  signedNow: string[];
}

/** The next version of the home's key-ring, signed with what root keys this home has. Throws `input` or `refused`. */
export async function propose(holder: KeyHolder, proposal: Proposal): Promise<DraftState> {
  const present = await ownRing(holder);
  const draft = newDraft(await proposed(holder, present, proposal));
  return await signedWith(holder, draft, present, "the draft");
}

async function proposed(
  { home, passphrase, clock = systemClock }: KeyHolder,
  { ring }: OpenedRing,
  asked: Proposal,
): Promise<KeyRing> {
  const now = rfc3339(clock.now());
  const log = await logPosition(home, await readHomeRing(home.root));
  const retired = { status: "retired", retired: { at: now, ...(log === undefined ? {} : { log }) } } as const;
  const keys = new Map(ring.keys.map((key) => [key.keyId, key]));
  const roots = new Set(ring.root.keys);
  for (const { keyId, algorithm, pem } of asked.addRoots) {
    if (keys.has(keyId)) throw new BitforbitError("conflict", `the key-ring has the key ${keyId} already`);
    const key: RingKey = {
      keyId,
      role: "root",
      algorithm,
      publicKey: pem,
      created: now,
      validFrom: now,
      status: "active",
    };
    keys.set(keyId, key);
    roots.add(keyId);
  }
  for (const named of asked.removeRoots) {
    const key = findKey(ring, named);
    if (!roots.delete(key.keyId)) throw new BitforbitError("input", `${key.keyId} is no root key that signs`);
    keys.set(key.keyId, { ...key, ...retired });
  }
  for (const named of asked.retire) {
    const key = endable(ring, named);
    if (key.status !== "active") throw new BitforbitError("input", `the key ${key.keyId} is ${key.status} already`);
    keys.set(key.keyId, { ...key, ...retired });
  }
  if (asked.rotate !== undefined) {
    const { algorithm, ...where } = asked.rotate;
    const options = keyOptions(home, passphrase);
    const { signer, uri } = await newSigner(home, { role: "artifact", ...where }, algorithm, options);
    if (keys.has(signer.keyId))
      throw new BitforbitError("conflict", `the key-ring has the key ${signer.keyId} already`);
    for (const key of ring.keys) {
      if (key.role !== "artifact" || key.status !== "active" || key.algorithm !== signer.algorithm) continue;
      keys.set(key.keyId, { ...key, ...retired });
    }
    const entry = { keyId: signer.keyId, algorithm: signer.algorithm, publicKey: signer.publicKeyPem };
    keys.set(signer.keyId, { ...entry, role: "artifact", created: now, validFrom: now, status: "active" });
    await addPlace(home.root, signer.keyId, uri);
  }
  if (asked.revoke !== undefined) {
    const key = endable(ring, asked.revoke.key);
    const { since, reason } = asked.revoke;
    if (since > clock.now()) throw new BitforbitError("input", `${rfc3339(since)} is not over yet`);
    if (key.revoked !== undefined && key.revoked.since < rfc3339(since)) {
      throw new BitforbitError("refused", `the key ${key.keyId} is revoked since ${key.revoked.since} already`);
    }
    keys.set(key.keyId, { ...key, status: "revoked", revoked: { since: rfc3339(since), at: now, reason } });
  }
  const threshold = asked.threshold ?? ring.root.threshold;
  if (threshold < 1 || threshold > roots.size) {
    throw new BitforbitError("input", `a threshold of ${threshold} of ${roots.size} root keys cannot be`, {
      hint: `--threshold takes 1 to ${roots.size}`,
    });
  }
  const next = nextRing(ring, clock.now(), asked.days === undefined ? undefined : asked.days * 86_400_000);
  return { ...next, keys: [...keys.values()], root: { threshold, keys: [...roots] } };
}

function endable(ring: KeyRing, named: string): RingKey {
  const key = findKey(ring, named);
  if (!ring.root.keys.includes(key.keyId)) return key;
  throw new BitforbitError("refused", `the root key ${key.keyId} signs the key-ring`, {
    hint: "take it out with --remove-root",
  });
}

/** Signs a draft with the root keys that this home has and the draft needs. Throws `refused` when it has none of them. */
export async function signProposal(holder: KeyHolder, text: string, what: string): Promise<DraftState> {
  const draft = readDraft(text, what);
  const present = await trustedVersion(holder, draft, what);
  const before = checkDraft(draft, present, what);
  const state = await signedWith(holder, draft, present, what);
  if (state.signedNow.length > 0) return state;
  const wanted = before.flatMap(({ missing }) => missing);
  const own = (await ownRing(holder)).ring.root.keys;
  if (own.some((id) => draft.signatures.has(id))) return state;
  throw new BitforbitError("refused", `no root key of ${holder.home.root} is asked to sign ${what}`, {
    hint: `it is for ${[...new Set(wanted)].join(", ")}; 'bitforbit keys export --role root' prints yours`,
  });
}

/** Joins what was signed. Throws `refused` for drafts that differ, are old, or have a bad signature. */
export async function collect(
  holder: KeyHolder,
  files: readonly { text: string; what: string }[],
): Promise<DraftState> {
  const present = await ownRing(holder);
  const drafts = files.map(({ text, what }) => ({ draft: readDraft(text, what), what }));
  // Each by itself first: a bad signature is told by the file that it is in.
  for (const { draft, what } of drafts) checkDraft(draft, present, what);
  const draft = joinDrafts(drafts);
  return stateOf(draft, present, "the joined draft", []);
}

/** Makes a draft that has all signatures the home's key-ring. */
export async function publish({ home, clock = systemClock }: KeyHolder, { draft }: DraftState): Promise<OpenedRing> {
  const before = (await readHomeRing(home.root))?.ring;
  const opened = await publishHomeRing(home.root, draftText(draft).trimEnd(), "the joined draft");
  const known = new Map((before?.keys ?? []).map((key) => [key.keyId, key]));
  const events = opened.ring.keys.flatMap((key) => {
    const was = known.get(key.keyId);
    if (was === undefined) return [keyEvent(opened.ring, key, "create", clock)];
    if (was.status === key.status) return [];
    const more = key.revoked === undefined ? {} : { since: key.revoked.since, reason: key.revoked.reason };
    return [keyEvent(opened.ring, key, key.status === "revoked" ? "revoke" : "retire", clock, more)];
  });
  await recordKeys(home, events);
  return opened;
}

async function signedWith(holder: KeyHolder, draft: Draft, present: OpenedRing, what: string): Promise<DraftState> {
  const { home, passphrase } = holder;
  const needed = new Set([...present.ring.root.keys, ...draft.ring.root.keys]);
  const own = await readHomeRing(home.root);
  const signers: Signer[] = [];
  for (const key of own?.ring.keys ?? []) {
    if (!needed.has(key.keyId) || draft.signatures.has(key.keyId)) continue;
    try {
      signers.push(await openRingKey(home.root, key, keyOptions(home, passphrase)));
    } catch (error) {
      // Of a ring of several people the other private halves are elsewhere; a wrong passphrase is to be told.
      if (!(error instanceof BitforbitError) || error.code !== "refused") throw error;
    }
  }
  return stateOf(
    await signDraft(draft, signers),
    present,
    what,
    signers.map(({ keyId }) => keyId),
  );
}

function stateOf(draft: Draft, present: OpenedRing, what: string, signedNow: string[]): DraftState {
  const needs = checkDraft(draft, present, what);
  return { draft, needs, changes: changesOf(present.ring, draft.ring), signedNow };
}

async function ownRing({ home }: KeyHolder): Promise<OpenedRing> {
  const opened = await readHomeRing(home.root);
  if (opened !== undefined) return opened;
  throw new BitforbitError("input", `${home.root} has no key-ring`, { hint: "'bitforbit keys create' makes one" });
}

/** The version of the draft's key-ring that this home knows: nobody signs what he cannot compare. */
async function trustedVersion({ home }: KeyHolder, { ring }: Draft, what: string): Promise<OpenedRing> {
  const all = [await readHomeRing(home.root), ...(await trustedRings(home.root))];
  const known = all.find((one) => one?.ring.ring === ring.ring);
  if (known !== undefined) return known;
  throw new BitforbitError("refused", `${what} is of the key-ring ${ring.ring}, which ${home.root} does not know`, {
    hint: "take the present one first, from who publishes it: 'bitforbit keys trust FILE'",
  });
}
