/**
 * Three more predicates, each built and read strictly: in-toto test-result
 * v0.1 and release v0.1 (in-toto/attestation, spec/predicates), and SLSA's
 * verification summary v1 (slsa.dev, "Verification Summary Attestation").
 */
import { rfc3339 } from "../clock.ts";
import { type Digest, hexOf } from "../digest.ts";
import { BitforbitError } from "../errors.ts";
import { parsePurl } from "../format/purl.ts";
import type { JsonObject } from "../json.ts";
import { sortedBy } from "../order.ts";
import {
  choiceAt,
  digestSetAt,
  objectAt,
  objectsAt,
  onlyFields,
  optionalText,
  textAt,
  textsAt,
  timeAt,
} from "./predicate-fields.ts";
import { type Statement, statement, type Subject } from "./statement.ts";

export const TEST_RESULT = "https://in-toto.io/attestation/test-result/v0.1";
export const RELEASE = "https://in-toto.io/attestation/release/v0.1";
export const VSA = "https://slsa.dev/verification_summary/v1";

export interface TestResult {
  result: "PASSED" | "WARNED" | "FAILED";
  /** The configurations of the tests, each by name or uri, and digest. */
  configuration: { name?: string; uri?: string; digest: Record<string, string> }[];
  url?: string;
  passedTests: string[];
  warnedTests: string[];
  failedTests: string[];
}

export function testResultStatement(subjects: readonly Subject[], result: TestResult): Statement {
  const predicate: JsonObject = { ...result, configuration: result.configuration.map((one) => ({ ...one })) };
  readTestResult(predicate);
  return statement(subjects, TEST_RESULT, predicate);
}

/** Throws `input` for what is no test result, or one that contradicts itself. */
export function readTestResult(predicate: JsonObject): TestResult {
  onlyFields(predicate, "the test result", [
    "result",
    "configuration",
    "url",
    "passedTests",
    "warnedTests",
    "failedTests",
  ]);
  const result = choiceAt(predicate, "result", ["PASSED", "WARNED", "FAILED"]);
  const url = optionalText(predicate, "url");
  const [passedTests, warnedTests, failedTests] = (["passedTests", "warnedTests", "failedTests"] as const).map((name) =>
    textsAt(predicate, name, "may be missing"),
  ) as [string[], string[], string[]];
  if (result !== "FAILED" && failedTests.length > 0) {
    throw new BitforbitError("input", `the result is ${result}, and ${failedTests.length} tests failed`);
  }
  if (result === "PASSED" && warnedTests.length > 0) {
    throw new BitforbitError("input", `the result is PASSED, and ${warnedTests.length} tests warned`);
  }
  return {
    result,
    configuration: objectsAt(predicate, "configuration").map((one) => {
      const [name, uri] = [optionalText(one, "name"), optionalText(one, "uri")];
      return {
        ...(name === undefined ? {} : { name }),
        ...(uri === undefined ? {} : { uri }),
        digest: digestSetAt(one, "digest"),
      };
    }),
    ...(url === undefined ? {} : { url }),
    passedTests,
    warnedTests,
    failedTests,
  };
}

export interface Release {
  /** With a version. */
  purl: string;
  /** Stays the same from release to release. */
  releaseId?: string;
}

export function releaseStatement(subjects: readonly Subject[], release: Release): Statement {
  const predicate: JsonObject = { ...release };
  readRelease(predicate);
  return statement(subjects, RELEASE, predicate);
}

/** Throws `input`, also for a purl without a version. `packageId` is what version 0.2 calls `releaseId`. */
export function readRelease(predicate: JsonObject): Release {
  onlyFields(predicate, "the release", ["purl", "releaseId", "packageId"]);
  const purl = textAt(predicate, "purl");
  if (parsePurl(purl).version === undefined) {
    throw new BitforbitError("input", `the release ${purl} names no version`, { hint: "pkg:npm/name@1.0.0" });
  }
  const releaseId = optionalText(predicate, "releaseId") ?? optionalText(predicate, "packageId");
  return { purl, ...(releaseId === undefined ? {} : { releaseId }) };
}

/** That somebody rebuilt an artifact: taken from a provenance whose signature was verified. */
export interface RebuildVote {
  /** SLSA builder id. */
  builder: string;
  /** Who runs it, by whom the verifier trusts: never by what the provenance says. */
  operator: string;
  /** What came out. */
  digest: Digest;
}

/** SLSA: two or more independently operated builders, which is neither one operator twice nor one builder twice. */
export function isReproduced(artifact: Digest, votes: readonly RebuildVote[]): boolean {
  const agreeing = votes.filter(({ digest }) => digest === artifact);
  return agreeing.some((one) =>
    agreeing.some((other) => one.operator !== other.operator && one.builder !== other.builder),
  );
}

export const REPRODUCED = "SLSA_BUILD_REPRODUCED";

export interface VerificationFacts {
  subject: Subject;
  /** URI of who verified. */
  verifier: string;
  /** Milliseconds since 1970. */
  timeVerified: number;
  /** URI of what was verified. */
  resourceUri: string;
  policy: { uri: string; digest: Digest };
  /** Digests of the attestations that decided. */
  inputs: readonly Digest[];
  passed: boolean;
  buildLevel: 0 | 1 | 2 | 3;
  votes: readonly RebuildVote[];
}

/** What a verification found; `SLSA_BUILD_REPRODUCED` stands in it only where two independent rebuilders agree. */
export function verificationSummary(facts: VerificationFacts): Statement {
  const { subject, passed, policy } = facts;
  const reproduced = isReproduced(subject.digest, facts.votes) ? [REPRODUCED] : [];
  const predicate: JsonObject = {
    verifier: { id: facts.verifier },
    timeVerified: rfc3339(facts.timeVerified),
    resourceUri: facts.resourceUri,
    policy: { uri: policy.uri, digest: { sha256: hexOf(policy.digest) } },
    inputAttestations: sortedBy(new Set(facts.inputs), (digest) => digest).map((digest) => ({
      digest: { sha256: hexOf(digest) },
    })),
    verificationResult: passed ? "PASSED" : "FAILED",
    verifiedLevels: passed ? [`SLSA_BUILD_LEVEL_${facts.buildLevel}`, ...reproduced] : ["FAILED"],
    slsaVersion: "1.2",
  };
  return statement([subject], VSA, predicate);
}

export interface VerificationSummary {
  verifier: string;
  timeVerified: number;
  resourceUri: string;
  policy: string;
  passed: boolean;
  verifiedLevels: string[];
}

/** Throws `input`, also for a summary that contradicts itself. */
export function readVerificationSummary(predicate: JsonObject): VerificationSummary {
  onlyFields(predicate, "the verification summary", [
    "verifier",
    "timeVerified",
    "resourceUri",
    "policy",
    "inputAttestations",
    "verificationResult",
    "verifiedLevels",
    "dependencyLevels",
    "slsaVersion",
  ]);
  if (predicate["inputAttestations"] !== undefined) {
    for (const input of objectsAt(predicate, "inputAttestations")) digestSetAt(input, "digest");
  }
  const verifiedLevels = textsAt(predicate, "verifiedLevels");
  const passed = choiceAt(predicate, "verificationResult", ["PASSED", "FAILED"]) === "PASSED";
  if (passed === verifiedLevels.includes("FAILED")) {
    throw new BitforbitError("input", `the result is ${passed ? "PASSED" : "FAILED"}, and the levels say otherwise`);
  }
  for (const track of ["BUILD", "SOURCE"]) {
    const levels = verifiedLevels.filter((level) => level.startsWith(`SLSA_${track}_LEVEL_`));
    if (levels.length > 1) throw new BitforbitError("input", `more than one level of one track: ${levels.join(", ")}`);
  }
  return {
    verifier: textAt(objectAt(predicate, "verifier"), "id"),
    timeVerified: timeAt(predicate, "timeVerified"),
    resourceUri: textAt(predicate, "resourceUri"),
    policy: textAt(objectAt(predicate, "policy"), "uri"),
    passed,
    verifiedLevels,
  };
}
