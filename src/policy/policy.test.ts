import { strict as assert } from "node:assert";
import test from "node:test";
import { BUILDER, type Home, NOW, SOURCE, makeHome, removeHome } from "../../test/evidence.ts";
import { denial } from "../../test/denial.ts";
import { rfc3339 } from "../clock.ts";
import type { OpenedRing, RingKey } from "../keys/key-ring.ts";
import { publicKeys } from "../keys/keys.ts";
import { openedRing, testKey, testRing } from "../keys/ring-for-tests.ts";
import { defaultPolicy, parsePolicy, policyDocument, policyToml, readPolicy } from "./policy.ts";
import { sourceAllowed } from "./sources.ts";
import { verify } from "./verify.ts";

const home: Home = await makeHome(0);
test.after(() => removeHome(home));

const policyText = (extra = ""): string => `
version = 1
builders = ["${BUILDER}"]
sources = ["${SOURCE}"]
${extra}
[[keys]]
name = "release"
publicKey = """
${home.keys.artifact.publicKeyPem}"""

[[logs]]
origin = "${home.log.identity.origin}"
publicKey = """
${home.log.identity.publicKeyPem}"""
`;

test("a policy file decides as the same policy in memory, and what it does not say is demanded", () => {
  const { policy, trust } = parsePolicy(policyText(), "policy.toml");
  assert.deepEqual(policy, {
    builders: [BUILDER],
    sources: [SOURCE],
    requireCanonical: true,
    requireSbom: true,
    requireReproduced: true,
  });
  const decision = verify({ ...home.request, policy, trust });
  assert.equal(decision.ok, true);
  assert.deepEqual(decision.facts.signedBy, [{ keyId: home.keys.artifact.keyId, name: "release" }]);
});

test("TOML written is TOML read, and JSON says the same", () => {
  const input = {
    keys: [{ name: "release", publicKeyPem: home.keys.artifact.publicKeyPem, validUntil: NOW, revoked: true }],
    logs: [home.log.identity],
    expires: NOW + 1000,
  };
  const { policy } = parsePolicy(policyText("requireSbom = false"), "policy.toml");
  const written = parsePolicy(policyToml(policy, input), "written.toml");
  assert.equal(written.policy.requireSbom, false);
  assert.equal(written.trust.expires, NOW + 1000);
  assert.deepEqual([written.trust.keys[0]?.validUntil, written.trust.keys[0]?.revoked], [NOW, { since: 0 }]);
  const json = parsePolicy(
    JSON.stringify({
      version: 1,
      ...policy,
      expires: "2026-11-23T00:00:01Z",
      keys: [
        {
          name: "release",
          publicKey: home.keys.artifact.publicKeyPem,
          validUntil: "2026-11-23T00:00:00Z",
          revoked: true,
        },
      ],
      logs: [{ origin: home.log.identity.origin, publicKey: home.log.identity.publicKeyPem }],
    }),
    "policy.json",
  );
  assert.equal(json.trust.digest, written.trust.digest);
  assert.deepEqual(json.policy, written.policy);
});

test("a policy that is wrong is refused, and says where", () => {
  const cases: [string, RegExp][] = [
    ["version = 1\nbuilders = [\n", /cannot parse policy\.toml:\d+:\d+/],
    [policyText("requireSBOM = true"), /policy\.toml: requireSBOM/],
    [policyText('requireSbom = "no"'), /policy\.toml: requireSbom/],
    [policyText('expires = "tomorrow"'), /expires: "tomorrow" is not a time/],
    [policyText().replace("version = 1", "version = 2"), /policy\.toml: version/],
    [policyText().replace(`["${BUILDER}"]`, "[]"), /policy\.toml: builders/],
    [policyText().replace(SOURCE, "git+*://x"), /sources\.0: a \* may only stand at the end/],
    [policyText().split("[[logs]]")[0] ?? "", /policy\.toml: logs/],
    [policyText().replaceAll("BEGIN PUBLIC KEY", "BEGIN PRIVATE KEY"), /the key "release" is not one PEM block/],
    [
      policyText().replace(home.keys.artifact.publicKeyPem, home.keys.checkpoint.publicKeyPem),
      /artifacts are signed with P-256/,
    ],
    [policyText() + (policyText().split("[[logs]]")[1] ?? "").replace(/^/, "[[logs]]"), /is trusted twice/],
    ["x".repeat(2 << 20), /larger than a policy/],
  ];
  for (const [text, message] of cases) {
    assert.throws(
      () => parsePolicy(text, "policy.toml"),
      (error: Error) => {
        assert.match(error.message, message);
        assert.equal(error.name, "BitforbitError");
        return true;
      },
    );
  }
});

const ringPolicy = (more = ""): string =>
  `version = 1\nbuilders = ["${BUILDER}"]\nsources = ["*"]\n[[keyRings]]\nname = "builder"\npath = "b.keyring"\n${more}`;

test("a policy by a key-ring: its keys and logs, its version in the rules' digest, nothing when it is stale", async () => {
  const root = testKey("root", NOW);
  const [artifact, checkpoint] = [home.keys.artifact, home.keys.checkpoint].map(
    ({ keyId, algorithm, publicKeyPem: publicKey }, at): RingKey => ({
      keyId,
      role: at === 0 ? "artifact" : "checkpoint",
      algorithm,
      publicKey,
      created: rfc3339(NOW),
      status: "active",
    }),
  );
  if (artifact === undefined || checkpoint === undefined) return assert.fail();
  const at = async (version: number): Promise<OpenedRing> => {
    const ring = testRing([root], NOW, {
      version,
      logs: [{ origin: home.log.identity.origin, key: checkpoint.keyId }],
    });
    return await openedRing({ ...ring, keys: [...ring.keys, artifact, checkpoint] }, [root]);
  };
  const { policy, trust } = parsePolicy(ringPolicy(), "policy.toml", [await at(1)]);
  const good = verify({ ...home.request, policy, trust });
  assert.equal(good.ok, true, JSON.stringify(good.reasons));
  assert.notEqual(parsePolicy(ringPolicy(), "policy.toml", [await at(2)]).trust.digest, trust.digest);
  const stale = denial(verify({ ...home.request, policy, trust, now: NOW + 366 * 86_400_000 }));
  assert.match(stale.message, /the key-ring of builder \(version 1\) expired/);
  assert.match(stale.hint ?? "", /keys refresh/);

  assert.deepEqual(readPolicy(ringPolicy(), "policy.toml").rings, [{ name: "builder", path: "b.keyring" }]);
  assert.deepEqual((policyDocument(ringPolicy(), "policy.toml")["keyRings"] as unknown[]).length, 1);
  for (const [text, message] of [
    [ringPolicy(), /1 are named, 0 were handed in/],
    [ringPolicy("minimumVersion = 0"), /minimumVersion/],
    [ringPolicy("root = { threshold = 1, keys = [] }"), /keyRings\.0\.root\.keys/],
    [ringPolicy('[[keyRings]]\nname = "builder"\npath = "c"'), /the name builder is taken/],
    [ringPolicy("[rebuilders]\nthreshold = 1\noperators = [{ name = 'A', keys = ['b'] }]"), /no key is called b/],
  ] as const) {
    assert.throws(() => parsePolicy(text, "policy.toml"), { code: "input", message });
  }
});

test("sources: exact, or a prefix that nothing climbs out of", () => {
  const cases: [string, string, boolean][] = [
    [SOURCE, SOURCE, true],
    [`${SOURCE}x`, SOURCE, false],
    ["git+https://example.org/team/a", "git+https://example.org/team/*", true],
    ["git+https://example.org/teams/a", "git+https://example.org/team/*", false],
    ["git+https://example.org/team/../evil/a", "git+https://example.org/team/*", false],
    ["git+https://example.org/team/%2e%2e/evil", "git+https://example.org/team/*", false],
    ["git+https://example.org/team/a?b", "git+https://example.org/team/*", false],
    ["git+https://example.org@evil.example/a", "git+https://example.org*", false],
    ["anything at all", "*", true],
    ["", "*", true],
  ];
  for (const [uri, allowed, answer] of cases) assert.equal(sourceAllowed(uri, allowed), answer, `${uri} by ${allowed}`);
});

test("the default policy trusts this home only, and demands everything", async () => {
  const { artifact } = await publicKeys(home.folder);
  const { policy, trust } = defaultPolicy({
    artifactKey: artifact,
    log: home.log.identity,
    builder: BUILDER,
    sources: [SOURCE],
  });
  assert.ok(policy.requireCanonical && policy.requireSbom && policy.requireReproduced);
  assert.equal(verify({ ...home.request, policy, trust }).ok, true);
  assert.deepEqual(
    trust.keys.map(({ key }) => key.keyId),
    [artifact.keyId],
  );
});
