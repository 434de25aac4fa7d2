import { strict as assert } from "node:assert";
import test from "node:test";
import { type Home, makeHome, NOW, removeHome } from "../../test/evidence.ts";
import { denial } from "../../test/denial.ts";
import { testWitness } from "../../test/witnesses.ts";
import { utf8 } from "../bytes.ts";
import { rfc3339 } from "../clock.ts";
import { BitforbitError } from "../errors.ts";
import type { RingKey } from "../keys/key-ring.ts";
import { openedRing, testKey, testRing } from "../keys/ring-for-tests.ts";
import type { Cosign } from "../log/writer.ts";
import { makeTrust, requireValid, type SigningMoment, type Trust, type TrustedKey } from "./trust.ts";
import { verify } from "./verify.ts";

const DAY = 86_400_000;
const home: Home = await makeHome(3);
test.after(() => removeHome(home));
const { origin } = home.log.identity;

/** Trust in a ring that has this home's key as `changes` say, and its log. */
async function trustWith(changes: Partial<RingKey>, issued = NOW, of: Home = home): Promise<Trust> {
  const { origin } = of.log.identity;
  const [root, other] = [testKey("root", NOW), testKey("artifact", NOW)];
  const { keyId, algorithm, publicKeyPem: publicKey } = of.keys.artifact;
  const own: RingKey = { keyId, role: "artifact", algorithm, publicKey, created: rfc3339(NOW), status: "active" };
  const { checkpoint } = of.keys;
  const log: RingKey = {
    ...own,
    keyId: checkpoint.keyId,
    role: "checkpoint",
    algorithm: checkpoint.algorithm,
    publicKey: checkpoint.publicKeyPem,
  };
  const ring = testRing([root, other], issued, { logs: [{ origin, key: log.keyId }] });
  const opened = await openedRing({ ...ring, keys: [...ring.keys, { ...own, ...changes }, log] }, [root]);
  return makeTrust({ keys: [], logs: [], keyRings: [{ name: "builder", opened }] });
}

const T = rfc3339(NOW - 10 * DAY);
const size = { origin, size: 300 };
const retired = { status: "retired", retired: { at: T } } as const;
const revoked = { status: "revoked", revoked: { since: T, at: rfc3339(NOW), reason: "stolen" } } as const;
const before = NOW - 11 * DAY;
const after = NOW - 9 * DAY;

const CASES: [string, Partial<RingKey>, Omit<SigningMoment, "now">, RegExp | undefined][] = [
  ["an active key, nobody knows when", {}, {}, undefined],
  ["an active key at a trusted time", {}, { trustedTime: after }, undefined],
  ["before it was valid", { validFrom: T }, { trustedTime: before }, /not valid yet when/],
  ["at the very start", { validFrom: T }, { trustedTime: NOW - 10 * DAY }, undefined],
  ["now, though it begins tomorrow", { validFrom: rfc3339(NOW + DAY) }, {}, /not valid yet/],
  ["after its end", { validUntil: T }, {}, /no longer valid/],
  ["after its end, signed before by trusted time", { validUntil: T }, { trustedTime: before }, undefined],
  ["at its very end", { validUntil: T }, { trustedTime: NOW - 10 * DAY }, /no longer valid/],
  ["retired, nobody knows when", retired, {}, /retired, and nothing proves/],
  ["retired, signed before", retired, { trustedTime: before }, undefined],
  ["retired, signed after", retired, { trustedTime: after }, /was retired when this was signed/],
  [
    "retired, in the log before",
    { ...retired, retired: { at: T, log: size } },
    { entry: { origin, index: 299 } },
    undefined,
  ],
  [
    "retired, in the log after",
    { ...retired, retired: { at: T, log: size } },
    { entry: { origin, index: 300 } },
    /nothing proves/,
  ],
  [
    "retired, in another log before",
    { ...retired, retired: { at: T, log: size } },
    { entry: { origin: "log.other", index: 1 } },
    /nothing proves/,
  ],
  [
    "retired and past its end, in the log before",
    { ...retired, validUntil: rfc3339(NOW - DAY), retired: { at: T, log: size } },
    { entry: { origin, index: 1 } },
    undefined,
  ],
  ["revoked, nobody knows when", revoked, {}, /revoked since .*\(stolen\), and nothing proves/],
  ["revoked, in the log at no known place", revoked, { entry: { origin, index: 0 } }, /nothing proves/],
  ["revoked, signed before", revoked, { trustedTime: before }, undefined],
  ["revoked, signed at that very moment", revoked, { trustedTime: NOW - 10 * DAY }, /is not older/],
  ["revoked, signed after", revoked, { trustedTime: after }, /is not older/],
  [
    "revoked, the log's place before but the time after",
    { ...revoked, revoked: { ...revoked.revoked, log: size } },
    { trustedTime: after, entry: { origin, index: 1 } },
    undefined,
  ],
  [
    "revoked, neither the log's place nor the time before",
    { ...revoked, revoked: { ...revoked.revoked, log: size } },
    { trustedTime: after, entry: { origin, index: 300 } },
    /is not older/,
  ],
  [
    "retired and past its end, in the log before, proven anew since",
    { ...retired, validUntil: rfc3339(NOW - DAY), retired: { at: T, log: size } },
    { trustedTime: NOW, entry: { origin, index: 1 } },
    undefined,
  ],
];

for (const [name, changes, moment, expected] of CASES) {
  test(`validity: ${name}`, async () => {
    const trust = await trustWith(changes);
    const key = trust.keys.find(({ key: { keyId } }) => keyId === home.keys.artifact.keyId);
    assert.ok(key !== undefined);
    const check = (): void => requireValid(key, { now: NOW, ...moment });
    if (expected === undefined) check();
    else assert.throws(check, (error) => error instanceof BitforbitError && expected.test(error.message));
  });
}

test("verify by a key-ring: its keys and its log, and no key that it does not have", async () => {
  const decide = (trust: Trust, now = NOW) => verify({ ...home.request, trust, now });
  const good = decide(await trustWith({}));
  assert.equal(good.ok, true);
  assert.deepEqual(good.facts.signedBy, [{ keyId: home.keys.artifact.keyId, name: "builder" }]);
  const denied = async (changes: Partial<RingKey>, message: RegExp): Promise<void> => {
    const decision = decide(await trustWith(changes));
    assert.equal(decision.ok, false);
    assert.match(decision.reasons.at(-1)?.message ?? "", message);
  };
  await denied(revoked, /revoked since/);
  await denied({ ...revoked, revoked: { ...revoked.revoked, log: { origin, size: 3 } } }, /revoked since/);
  await denied(retired, /retired/);
  await denied({ role: "root" }, /not trusted/);
  const kept = decide(await trustWith({ ...retired, retired: { at: T, log: { origin, size: 6 } } }));
  assert.equal(kept.ok, true, "entries 3, 4 and 5 were there when it was retired");
  const lost = decide(await trustWith({ ...retired, retired: { at: T, log: { origin, size: 3 } } }));
  assert.equal(lost.ok, false);

  const stale = decide(await trustWith({}, NOW - 365 * DAY));
  assert.equal(stale.ok, false);
  assert.match(stale.reasons.at(-1)?.message ?? "", /the key-ring of builder \(version 1\) expired at/);
  const early = decide(await trustWith({}, NOW + 365 * DAY));
  assert.match(early.reasons.at(-1)?.message ?? "", /in this machine's future/);
  assert.match(stale.reasons.at(-1)?.hint ?? "", /keys trust FILE/);
});

test("another version of a key-ring is another rule: no decision is taken from a cache", async () => {
  const [one, two] = [await trustWith({}), await trustWith(retired)];
  assert.notEqual(one.digest, two.digest);
});

test("a key of a policy file that is revoked is so whatever the time says", () => {
  const { publicKeyPem } = home.keys.artifact;
  const { keys } = makeTrust({ keys: [{ name: "k", publicKeyPem, revoked: true }], logs: [] });
  const [key] = keys as [TrustedKey];
  assert.throws(() => requireValid(key, { now: NOW, trustedTime: 0 }), /revoked/);
});

test("a key that is revoked since T: what witnesses saw before T stays good, later and without them nothing does", async (t) => {
  const [one, two] = [testWitness("w1.example"), testWitness("w2.example")];
  const witnesses = [one.key, two.key];
  const since = NOW - 10 * DAY;
  const policy = { ...home.request.policy, quorum: { witnesses: 2 } };
  /** The decision over evidence whose log's tree the two saw at those times. */
  const decided = async (seen: [number, number], changes: Partial<RingKey>, strip?: string) => {
    const cosign: Cosign = async ({ note }) => note + (await one.line(note, seen[0])) + (await two.line(note, seen[1]));
    const made = await makeHome(3, { cosign });
    t.after(() => removeHome(made));
    const trust = { ...(await trustWith(changes, NOW, made)), witnesses };
    const bundles = made.bundles.map((bytes) => {
      const text = Buffer.from(bytes).toString();
      return utf8(strip === undefined ? text : text.replace(new RegExp(`— ${strip} [^\\\\]*\\\\n`), ""));
    });
    if (strip !== undefined) assert.notDeepEqual(bundles, made.bundles);
    return verify({ ...made.request, bundles, policy, trust });
  };
  const early: [number, number] = [since - 3 * DAY, since - DAY];
  const good = await decided(early, revoked);
  assert.equal(good.ok, true, JSON.stringify(good.reasons));
  assert.deepEqual(good.facts.witnessed, {
    by: ["w1.example", "w2.example"],
    at: rfc3339(since - DAY),
  });
  const denied = async (why: RegExp, ...given: Parameters<typeof decided>): Promise<void> => {
    const { check, message } = denial(await decided(...given));
    assert.equal(check, "signature");
    assert.match(message, why);
  };
  // One of two may lie, so that the later time counts.
  await denied(/this signature is not older/, [since - 3 * DAY, since], revoked);
  await denied(/this signature is not older/, [since + DAY, since + DAY], revoked);
  await denied(/nothing proves that this signature is older/, early, revoked, "w1.example");
  await denied(/nothing proves that this signature is older/, [since - DAY, NOW + DAY], revoked);
  await denied(/was retired when this was signed/, [since, since], retired);
  assert.equal((await decided(early, retired)).ok, true);
  assert.equal((await decided(early, { validUntil: T })).ok, true, "past its end, and signed before");
  await denied(/no longer valid/, [since, since], { validUntil: T });
});

test("witnesses and names are part of the rules", async () => {
  const key = { name: "k", publicKeyPem: home.keys.artifact.publicKeyPem };
  const [one, two] = [testWitness("w1.example").listed, testWitness("w2.example").listed];
  const input = { keys: [key], logs: [home.log.identity] };
  const all = [
    makeTrust(input),
    makeTrust({ ...input, witnesses: [one] }),
    makeTrust({ ...input, witnesses: [one, two] }),
    makeTrust({ ...input, keys: [{ ...key, name: "other" }] }),
  ];
  assert.equal(new Set(all.map(({ digest }) => digest)).size, all.length);
  assert.equal(makeTrust({ ...input, witnesses: [two, one] }).digest, all[2]?.digest);
});
