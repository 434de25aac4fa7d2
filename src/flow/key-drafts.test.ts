/** A key-ring of several people: how it is made and changed, and what each attack on the way meets. */
import { strict as assert } from "node:assert";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { scratchFolder } from "../../test/command.ts";
import { testKey } from "../keys/ring-for-tests.ts";
import { fixedClock } from "../clock.ts";
import { BitforbitError } from "../errors.ts";
import { canonicalJson, type Json } from "../json.ts";
import { homeRingFile, readHomeRing, trustRing } from "../keys/home-ring.ts";
import { openKeyRing } from "../keys/key-ring.ts";
import { draftText, readDraft } from "../keys/ring-draft.ts";
import { type PublicKey, parsePublicKey } from "../keys/verifier.ts";
import { homeAt } from "./home.ts";
import { collect, type DraftState, type Proposal, propose, publish, signProposal } from "./key-drafts.ts";
import type { KeyHolder } from "./key-lifecycle.ts";
import { refreshRing } from "./key-lifecycle.ts";
import { keysOf } from "./keys.ts";

const NOW = Date.UTC(2026, 10, 23);
const clock = fixedClock(NOW);

interface Person extends KeyHolder {
  root: PublicKey;
}

async function person(folder: string, name: string): Promise<Person> {
  const home = homeAt(join(folder, name));
  await keysOf(home, undefined, clock);
  const root = parsePublicKey(readFileSync(join(home.root, "keys", "root.pub"), "utf8"));
  return { home, clock, root };
}

const nothing: Proposal = { addRoots: [], removeRoots: [], retire: [] };
const textOf = ({ draft }: DraftState): string => draftText(draft);

/** A publisher and two others, who trust the publisher's key-ring as it is. */
async function people(t: TestContext): Promise<{ publisher: Person; ann: Person; ben: Person }> {
  const folder = scratchFolder(t);
  const [publisher, ann, ben] = [
    await person(folder, "publisher"),
    await person(folder, "ann"),
    await person(folder, "ben"),
  ];
  for (const one of [ann, ben]) await tell(publisher, one);
  return { publisher, ann, ben };
}

async function tell(from: Person, to: Person): Promise<void> {
  await trustRing(to.home.root, (await homeRingFile(from.home.root)) ?? "", "the publisher's");
}

/** Two of three: the publisher's own root key, Ann's and Ben's. */
async function joined({ publisher, ann, ben }: Awaited<ReturnType<typeof people>>): Promise<void> {
  const proposed = await propose(publisher, { ...nothing, addRoots: [ann.root, ben.root], threshold: 2 });
  const signed = await signProposal(ann, textOf(proposed), "the draft");
  await publish(publisher, await collect(publisher, [{ text: textOf(signed), what: "ann's" }]));
}

const rejects = async (work: Promise<unknown>, message: RegExp): Promise<void> => {
  await assert.rejects(work, (error) => error instanceof BitforbitError && message.test(error.message));
};

test("several people make a key-ring, change it by the threshold, and an older verifier follows", async (t) => {
  const all = await people(t);
  const { publisher, ann, ben } = all;
  const begun = await readHomeRing(publisher.home.root);
  const proposed = await propose(publisher, { ...nothing, addRoots: [ann.root, ben.root], threshold: 2 });
  assert.deepEqual(
    proposed.needs.map(({ root, threshold, signed, met }) => [root, threshold, signed, met]),
    [
      ["present", 1, [publisher.root.keyId], true],
      ["next", 2, [publisher.root.keyId], false],
    ],
  );
  assert.deepEqual(proposed.needs[1]?.missing, [ann.root.keyId, ben.root.keyId]);
  assert.match(proposed.changes.join("\n"), /2 of 3 root keys sign, instead of 1 of 1/);
  const early = await collect(publisher, [{ text: textOf(proposed), what: "the draft" }]);
  await rejects(publish(publisher, early), /signed by 1 of the 2 root keys that are needed \(its own root\)/);
  const signed = await signProposal(ann, textOf(proposed), "the draft");
  assert.deepEqual(signed.signedNow, [ann.root.keyId]);
  const again = await signProposal(ann, textOf(signed), "the draft");
  assert.deepEqual([again.signedNow, textOf(again)], [[], textOf(signed)], "who signed already signs no more");
  const whole = await collect(
    publisher,
    [proposed, signed].map((state) => ({ text: textOf(state), what: "a draft" })),
  );
  assert.ok(whole.needs.every(({ met }) => met));
  const opened = await publish(publisher, whole);
  assert.deepEqual([opened.ring.version, opened.ring.root.threshold], [2, 2]);
  for (const one of [ann, ben]) await tell(publisher, one);

  // One alone can no longer change it; the publisher may go, by two that stay.
  await assert.rejects(refreshRing(publisher, undefined), { code: "refused" });
  const gone = await propose(publisher, { ...nothing, removeRoots: [publisher.root.keyId] });
  const byAnn = await signProposal(ann, textOf(gone), "gone");
  assert.deepEqual(
    byAnn.needs.map(({ met }) => met),
    [true, false],
    "the new root is ann's and ben's, and two sign",
  );
  const byBen = await signProposal(ben, textOf(gone), "gone");
  const both = [byAnn, byBen].map((state, at) => ({ text: textOf(state), what: `draft ${at}` }));
  const last = await publish(publisher, await collect(publisher, both));
  assert.deepEqual(last.ring.root.keys, [ann.root.keyId, ben.root.keyId]);
  const file = (await homeRingFile(publisher.home.root)) ?? "";
  assert.equal(openKeyRing(file, "the file", begun).ring.version, 3, "who trusts version 1 follows");
  const state = await propose(publisher, { ...nothing, days: 30 });
  assert.deepEqual(
    [state.signedNow, state.draft.signatures.size],
    [[], 0],
    "the publisher proposes, and signs nothing",
  );
});

test("keys retire and are revoked by several people", async (t) => {
  const all = await people(t);
  const { publisher, ann } = all;
  await joined(all);
  await tell(publisher, ann);
  const artifact = (await readHomeRing(publisher.home.root))?.ring.keys.find(({ role }) => role === "artifact");
  assert.ok(artifact !== undefined);
  const revoke = { key: artifact.keyId, since: NOW - 1000, reason: "stolen" };
  const proposed = await propose(publisher, { ...nothing, revoke });
  assert.match(proposed.changes.join("\n"), /the artifact key .* is revoked since 2026-11-22T23:59:59Z: stolen/);
  const signed = await signProposal(ann, textOf(proposed), "the draft");
  const { ring } = await publish(publisher, await collect(publisher, [{ text: textOf(signed), what: "ann's" }]));
  assert.equal(ring.keys.find(({ keyId }) => keyId === artifact.keyId)?.status, "revoked");
  await tell(publisher, ann);
  const rotated = await signProposal(ann, textOf(await propose(publisher, { ...nothing, rotate: {} })), "the draft");
  await publish(publisher, await collect(publisher, [{ text: textOf(rotated), what: "ann's" }]));
  const { artifact: signer } = await keysOf(publisher.home, undefined, clock);
  assert.notEqual(signer.keyId, artifact.keyId, "the new key signs, once it is published");
  await rejects(propose(publisher, { ...nothing, retire: [publisher.root.keyId] }), /signs the key-ring/);
  await rejects(propose(publisher, { ...nothing, revoke: { ...revoke, since: NOW + 1000 } }), /is not over yet/);
});

test("attacks on a draft: changed, replayed, swapped, signed by strangers or twice", async (t) => {
  const all = await people(t);
  const { publisher, ann, ben } = all;
  await joined(all);
  for (const one of [ann, ben]) await tell(publisher, one);
  const proposed = await propose(publisher, { ...nothing, days: 100 });
  const signed = await signProposal(ann, textOf(proposed), "the draft");
  const only = (text: string): Promise<DraftState> => collect(publisher, [{ text, what: "the draft" }]);

  const changedTo = (change: (ring: Record<string, unknown>) => void): string => {
    const line = JSON.parse(textOf(signed)) as { payload: string };
    const ring = JSON.parse(Buffer.from(line.payload, "base64").toString()) as Record<string, unknown>;
    change(ring);
    return JSON.stringify({ ...line, payload: Buffer.from(canonicalJson(ring as Json)).toString("base64") });
  };
  const later = changedTo((ring) => (ring["expires"] = "2099-01-01T00:00:00Z"));
  await rejects(only(later), /bad signature by the root key/);
  await rejects(signProposal(ben, later, "the draft"), /bad signature by the root key/);
  await rejects(
    only(changedTo((ring) => (ring["root"] = { threshold: 0, keys: [ann.root.keyId] }))),
    /root\.threshold/,
  );
  await rejects(
    only(changedTo((ring) => (ring["root"] = { threshold: 3, keys: [ann.root.keyId] }))),
    /threshold is more than there are root keys/,
  );
  await rejects(
    only(changedTo((ring) => (ring["root"] = { threshold: 2, keys: [ann.root.keyId, ann.root.keyId] }))),
    /a root key is listed twice/,
  );
  // The same key under another id: an id is the digest of the key's one encoding.
  const twice = changedTo((ring) => {
    const keys = ring["keys"] as { keyId: string; role: string }[];
    const id = "A".repeat(43) + "=";
    ring["keys"] = [
      ...keys,
      ...keys.filter(({ keyId }) => keyId === ann.root.keyId).map((key) => ({ ...key, keyId: id })),
    ];
    ring["root"] = { threshold: 2, keys: [ann.root.keyId, id] };
  });
  await rejects(only(twice), /is not what its id says/);
  const line = JSON.parse(textOf(signed)) as { signatures: { keyid: string; sig: string }[] };
  const [first] = line.signatures;
  assert.ok(first !== undefined);
  await rejects(only(JSON.stringify({ ...line, signatures: [first, first] })), /one key signs twice/);
  const renamed = { keyid: ben.root.keyId, sig: first.sig };
  await rejects(only(JSON.stringify({ ...line, signatures: [first, renamed] })), /bad signature by the root key/);
  const stranger = testKey("root", NOW).signer;
  const sig = Buffer.from(await stranger.sign(Buffer.from("x"))).toString("base64");
  await rejects(
    only(JSON.stringify({ ...line, signatures: [first, { keyid: stranger.keyId, sig }] })),
    /which is no root key/,
  );
  const another = await propose(publisher, { ...nothing, days: 101 });
  const two = [signed, another].map((state, at) => ({ text: textOf(state), what: `draft ${at}` }));
  await rejects(collect(publisher, two), /draft 1 \(sha256:.*\) is another draft than draft 0/);

  await publish(publisher, await only(textOf(signed)));
  await rejects(only(textOf(signed)), /is version 3, and the trusted key-ring has version 3/);
  await rejects(only(textOf(another)), /is version 3, and the trusted key-ring has version 3/);
  await tell(publisher, ann);
  await rejects(
    signProposal(ann, textOf(another), "an old draft"),
    /is version 3, and the trusted key-ring has version 3/,
  );
  const next = await propose(publisher, nothing);
  await rejects(signProposal(ben, textOf(next), "the draft"), /is version 4, and the trusted key-ring has version 2/);
});

test("thresholds that cannot be, keys that are there, people who are strangers, files that are no drafts", async (t) => {
  const { publisher, ann, ben } = await people(t);
  for (const threshold of [0, 3]) {
    await rejects(
      propose(publisher, { ...nothing, addRoots: [ann.root], threshold }),
      new RegExp(`a threshold of ${threshold} of 2 root keys cannot be`),
    );
  }
  await rejects(propose(publisher, { ...nothing, addRoots: [ann.root, ann.root] }), /has the key .* already/);
  await rejects(propose(publisher, { ...nothing, removeRoots: [publisher.root.keyId] }), /a threshold of 1 of 0/);
  await rejects(propose(publisher, { ...nothing, removeRoots: [ann.root.keyId] }), /no key has the id/);
  const proposed = await propose(publisher, { ...nothing, addRoots: [ann.root], threshold: 2 });
  await rejects(signProposal(ben, textOf(proposed), "the draft"), /no root key of .* is asked to sign/);
  const stranger = await person(scratchFolder(t), "stranger");
  await rejects(signProposal(stranger, textOf(proposed), "the draft"), /is of the key-ring .*, which .* does not know/);
  for (const bad of ["", "{}", "[]", "x".repeat(5 << 20), textOf(proposed) + textOf(proposed)]) {
    assert.throws(() => readDraft(bad, "the draft"), BitforbitError);
  }
  const unsigned = { ...JSON.parse(textOf(proposed)), signatures: [] } as object;
  assert.throws(() => openKeyRing(JSON.stringify(unsigned), "it"), /has no signature/, "a draft is no key-ring");
  assert.equal(readDraft(JSON.stringify(unsigned), "it").signatures.size, 0);
});
