/** A summary says reproduced only when two operators' builders, each trusted and logged, give these very bytes. */
import { strict as assert } from "node:assert";
import test from "node:test";
import { provenance, type Statement } from "../attest/statement.ts";
import { readVerificationSummary, REPRODUCED } from "../attest/statement-kinds.ts";
import { type Digest, digestOf } from "../digest.ts";
import { makeTrust } from "../policy/trust.ts";
import { BUILDER, DIGEST, type Home, makeHome, NOW, removeHome, SOURCE } from "../../test/evidence.ts";
import { rebuildVotes, summaryOf } from "./summary.ts";
import type { Rules } from "./trust.ts";

const [ours, theirs] = [await makeHome(5), await makeHome(9)];
test.after(() => {
  removeHome(ours);
  removeHome(theirs);
});

const OTHER = "https://rebuilder.example/v1";
const artifact = { digest: DIGEST, name: "hello", path: undefined };

function rules(names: [string, string], builders = [BUILDER, OTHER]): Rules {
  const keys = [ours, theirs].map((home, at) => ({
    name: names[at] ?? "",
    publicKeyPem: home.keys.artifact.publicKeyPem,
  }));
  const logs = [ours, theirs].map(({ log }) => log.identity);
  return { policy: { ...ours.request.policy, builders }, trust: makeTrust({ keys, logs }), from: "a test" };
}

const rebuilt = (builder: string, digest: Digest): Statement =>
  provenance({
    subjects: [{ name: "hello", digest }],
    source: { uri: SOURCE, digest: { gitCommit: "0".repeat(40) } },
    externalParameters: {},
    internalParameters: {},
    canonical: true,
    materials: [],
    builder: { id: builder, version: "1" },
    invocationId: "rebuild",
    startedOn: NOW - 1,
    finishedOn: NOW,
  });

const vote = async (home: Home, builder: string, digest = DIGEST): Promise<Uint8Array[]> =>
  await home.sign([rebuilt(builder, digest)]);

async function levels(votes: Uint8Array[], by: Rules): Promise<string[]> {
  const { made } = summaryOf(artifact, [...ours.bundles, ...votes], by, NOW);
  return readVerificationSummary(made.predicate).verifiedLevels;
}

test("two independent rebuilders earn it; one operator, one builder, other bytes or nobody we trust do not", async () => {
  const apart = rules(["us", "them"]);
  assert.deepEqual(await levels([], apart), ["SLSA_BUILD_LEVEL_1"]);
  assert.deepEqual(await levels(await vote(theirs, OTHER), apart), ["SLSA_BUILD_LEVEL_1", REPRODUCED]);
  // The same name in the policy: one operator with two keys.
  assert.deepEqual(await levels(await vote(theirs, OTHER), rules(["us", "us"])), ["SLSA_BUILD_LEVEL_1"]);
  // The same builder id, which says that it is one platform.
  assert.deepEqual(await levels(await vote(theirs, BUILDER), apart), ["SLSA_BUILD_LEVEL_1"]);
  assert.deepEqual(await levels(await vote(ours, OTHER), apart), ["SLSA_BUILD_LEVEL_1"]);
  assert.deepEqual(await levels(await vote(theirs, OTHER, digestOf("other bytes")), apart), ["SLSA_BUILD_LEVEL_1"]);
  assert.deepEqual(await levels(await vote(theirs, OTHER), rules(["us", "them"], [BUILDER])), ["SLSA_BUILD_LEVEL_1"]);
});

test("operators are those that the policy's rebuilders name; a key of nobody's has no vote", async () => {
  const apart = rules(["us", "them"]);
  const by = (operators: { name: string; keys: string[] }[]): Rules => ({
    ...apart,
    policy: { ...apart.policy, minimumGrade: "partial", rebuilders: { threshold: 1, operators } },
  });
  const votes = await vote(theirs, OTHER);
  const [we, they] = [
    { name: "A", keys: ["us"] },
    { name: "B", keys: ["them"] },
  ];
  assert.deepEqual(await levels(votes, by([we, they])), ["SLSA_BUILD_LEVEL_1", REPRODUCED]);
  assert.deepEqual(await levels(votes, by([{ name: "A", keys: ["us", "them"] }])), ["SLSA_BUILD_LEVEL_1"]);
  assert.deepEqual(await levels(votes, by([we])), ["SLSA_BUILD_LEVEL_1"]);
  const all = rebuildVotes(artifact, [...ours.bundles, ...votes], by([we, they]), NOW);
  assert.deepEqual(
    all.map(({ operator }) => operator),
    ["A", "B"],
  );
});

test("what is denied is summed up as FAILED, and its inputs are those that counted", async () => {
  const by = rules(["us", "them"]);
  const { made, decision } = summaryOf(artifact, ours.bundles.slice(0, 1), by, NOW);
  assert.equal(decision.ok, false);
  assert.deepEqual(readVerificationSummary(made.predicate).verifiedLevels, ["FAILED"]);
  const broken = new Uint8Array([1]);
  const whole = summaryOf(artifact, [...ours.bundles, broken], by, NOW).made.predicate;
  assert.equal((whole["inputAttestations"] as unknown[]).length, 3);
  assert.equal(rebuildVotes(artifact, ours.bundles, by, NOW).length, 1);
});
