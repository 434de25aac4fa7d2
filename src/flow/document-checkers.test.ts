/** What comes along in an evidence file holds by the rules, is not theirs to judge, or ends the verification. */
import { strict as assert } from "node:assert";
import test from "node:test";
import { type Home, makeHome, NOW, removeHome } from "../../test/evidence.ts";
import { cosigning, testWitness } from "../../test/witnesses.ts";
import { rfc3339 } from "../clock.ts";
import { KEY_RING_PAYLOAD, type KeyRing } from "../keys/key-ring.ts";
import { openedRing, testKey, testRing } from "../keys/ring-for-tests.ts";
import { CHECKPOINT, documentCheckers } from "./document-checkers.ts";
import type { Rules } from "./trust.ts";

const [one, two] = [testWitness("w1.example"), testWitness("w2.example")];
const home: Home = await makeHome(3, { cosign: cosigning([one], NOW - 1000) });
const plain: Home = await makeHome(3);
test.after(() => {
  removeHome(home);
  removeHome(plain);
});
const by = (more: Partial<Rules> = {}): Rules => ({ ...home.request, from: "a test", ...more });

test("key-rings: a version of the trusted one, and none that ends a key which still counts", async () => {
  const [root, artifact, stranger] = [testKey("root", NOW), testKey("artifact", NOW), testKey("root", NOW)];
  const ring = (version: number, changes: Partial<KeyRing> = {}): KeyRing =>
    testRing([root, artifact], NOW, { version, ...changes });
  const trusted = await openedRing(ring(2), [root]);
  const checker = documentCheckers(by({ rings: [trusted] }), NOW).get(KEY_RING_PAYLOAD) ?? assert.fail();
  const check = async (came: KeyRing, key = root): Promise<boolean> =>
    checker({ type: KEY_RING_PAYLOAD, text: (await openedRing(came, [key])).envelope });
  assert.equal(await check(ring(2)), true);
  assert.equal(await check(ring(1)), true, "what was known when the file was made");
  assert.equal(await check(ring(3)), true);
  assert.equal(await check({ ...testRing([stranger], NOW), ring: "f".repeat(32) }, stranger), false);
  const revoked = { since: rfc3339(NOW), at: rfc3339(NOW), reason: "stolen" };
  const ended = [root.entry, { ...artifact.entry, status: "revoked" as const, revoked }];
  await assert.rejects(check(ring(3, { keys: ended })), {
    code: "refused",
    message: /version 3, in which the key .* is revoked/,
  });
  await assert.rejects(check(ring(3, { keys: [root.entry] })), { code: "refused", message: /is gone/ });
  await assert.rejects(check(ring(2, { expires: rfc3339(NOW + 1000) })), { message: /trusted under the same number/ });
  await assert.rejects(check(testRing([stranger, artifact], NOW, { version: 3 }), stranger), {
    message: /0 of the 1 root keys/,
  });
  const text = trusted.envelope.replace('"sig":"', '"sig":"AAAA');
  assert.throws(() => checker({ type: KEY_RING_PAYLOAD, text }), { code: "refused", message: /bad signature/ });
});

const holds = (text: string, rules: Rules): boolean =>
  (documentCheckers(rules, NOW).get(CHECKPOINT) ?? assert.fail())({ type: CHECKPOINT, text });

test("checkpoints: of a trusted log, with the witnesses that the policy demands", async () => {
  const { note } = await home.log.checkpoint();
  const { note: other } = await plain.log.checkpoint();
  const demanding = (...witnesses: (typeof one)[]): Rules =>
    by({
      policy: { ...home.request.policy, quorum: { witnesses: witnesses.length } },
      trust: { ...home.request.trust, witnesses: witnesses.map(({ key }) => key) },
    });
  assert.equal(holds(note, by()), true);
  assert.equal(holds(note, demanding(one)), true);
  assert.throws(() => holds(note, demanding(one, two)), { code: "refused", message: /not w2\.example/ });
  assert.equal(holds(other, by()), false, "a log that nobody here trusts");
  assert.throws(() => holds(note.replace("\n6\n", "\n7\n"), by()), { code: "refused", message: /bad signature/ });
  assert.equal(holds("", by()), false);
});
