import { strict as assert } from "node:assert";
import test from "node:test";
import { digestOf } from "../digest.ts";
import type { JsonObject } from "../json.ts";
import {
  isReproduced,
  readRelease,
  readTestResult,
  readVerificationSummary,
  type RebuildVote,
  releaseStatement,
  REPRODUCED,
  testResultStatement,
  verificationSummary,
} from "./statement-kinds.ts";

const digest = digestOf("x");
const subject = { name: "x", digest };
const passed = {
  result: "PASSED" as const,
  configuration: [{ name: "ci.yml", digest: { gitBlob: "ebe4add40f63c3c98bc9b32ff1e736f04120b023" } }],
  url: "https://x.example/run/1",
  passedTests: ["a", "b"],
  warnedTests: [],
  failedTests: [],
};
const vote = (builder: string, operator: string, of = digest): RebuildVote => ({ builder, operator, digest: of });
const summary = (votes: RebuildVote[], ok = true): JsonObject =>
  verificationSummary({
    subject,
    verifier: "https://x.example/v",
    timeVerified: 0,
    resourceUri: "pkg:generic/x",
    policy: { uri: "urn:p", digest },
    inputs: [digestOf("b"), digestOf("a"), digestOf("b")],
    passed: ok,
    buildLevel: 1,
    votes,
  }).predicate;

test("what is built is read back", () => {
  assert.deepEqual(readTestResult(testResultStatement([subject], passed).predicate), passed);
  const release = { purl: "pkg:npm/%40s/n@1.0.0", releaseId: "7" };
  assert.deepEqual(readRelease(releaseStatement([subject], release).predicate), release);
  assert.deepEqual(readVerificationSummary(summary([])), {
    verifier: "https://x.example/v",
    timeVerified: 0,
    resourceUri: "pkg:generic/x",
    policy: "urn:p",
    passed: true,
    verifiedLevels: ["SLSA_BUILD_LEVEL_1"],
  });
});

test("reproduced: two operators with two builders and this very digest, nothing less", () => {
  const cases: [RebuildVote[], boolean][] = [
    [[], false],
    [[vote("b1", "o1")], false],
    [[vote("b1", "o1"), vote("b1", "o1")], false],
    [[vote("b1", "o1"), vote("b2", "o1")], false],
    [[vote("b1", "o1"), vote("b1", "o2")], false],
    [[vote("b1", "o1"), vote("b2", "o2", digestOf("other"))], false],
    [[vote("b1", "o1"), vote("b2", "o2")], true],
    [[vote("b1", "o1"), vote("b2", "o1"), vote("b1", "o2")], true],
  ];
  for (const [votes, expected] of cases) {
    assert.equal(isReproduced(digest, votes), expected, JSON.stringify(votes));
    assert.equal((summary(votes)["verifiedLevels"] as string[]).includes(REPRODUCED), expected);
    assert.deepEqual(summary(votes, false)["verifiedLevels"], ["FAILED"]);
  }
});

const result = (change: JsonObject): void => void readTestResult({ ...passed, ...change } as JsonObject);
const vsa = (change: JsonObject): void => void readVerificationSummary({ ...summary([]), ...change });

test("each field that is wrong is named", () => {
  const cases: [() => void, RegExp][] = [
    [() => result({ result: "ok" }), /result is "ok", not one of PASSED/],
    [() => result({ configuration: {} }), /configuration is \{\}, not a list of objects/],
    [() => result({ configuration: [{ name: "x" }] }), /digest is missing/],
    [() => result({ configuration: [{ digest: { sha256: "XY" } }] }), /digests in lower-case/],
    [() => result({ failedTests: ["c"] }), /PASSED, and 1 tests failed/],
    [() => result({ warnedTests: ["c"] }), /PASSED, and 1 tests warned/],
    [() => result({ passedTests: ["a", "a"] }), /without one text twice/],
    [() => result({ extra: 1 }), /unknown field "extra"/],
    [() => void readRelease({ purl: "pkg:npm/a" }), /names no version/],
    [() => void readRelease({ purl: "npm/a@1" }), /not a package URL/],
    [() => vsa({ timeVerified: "yesterday" }), /timeVerified is "yesterday", not a time/],
    [() => vsa({ verificationResult: "FAILED" }), /FAILED, and the levels say otherwise/],
    [() => vsa({ verifiedLevels: ["SLSA_BUILD_LEVEL_1", "SLSA_BUILD_LEVEL_2"] }), /more than one level of one track/],
    [() => vsa({ policy: {} }), /uri is missing/],
    [() => vsa({ verifier: "x" }), /verifier is "x", not an object/],
    [() => vsa({ inputAttestations: [{}] }), /digest is missing/],
  ];
  for (const [read, message] of cases) assert.throws(read, { name: "BitforbitError", message });
  assert.doesNotThrow(() => result({ "https://x.example/more": 1 }));
});
