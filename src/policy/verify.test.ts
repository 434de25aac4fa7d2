import { strict as assert } from "node:assert";
import test from "node:test";
import {
  BUILDER,
  DIGEST,
  type Home,
  NOW,
  SOURCE,
  makeHome,
  removeHome,
  statementsAbout,
  world,
} from "../../test/evidence.ts";
import { type Statement, reproductionStatement } from "../attest/statement.ts";
import { digestOf } from "../digest.ts";
import type { JsonObject } from "../json.ts";
import type { Check, Decision } from "./decision.ts";
import { makeTrust } from "./trust.ts";
import type { VerifyRequest } from "./hearing.ts";
import { verify } from "./verify.ts";

const home: Home = await makeHome();
const stranger: Home = await makeHome(3);
test.after(() => {
  removeHome(home);
  removeHome(stranger);
});

const { request } = home;
const trustInput = {
  keys: [{ name: "release", publicKeyPem: home.keys.artifact.publicKeyPem }],
  logs: [home.log.identity],
};

function denied(decision: Decision): { check: Check; message: string; hint?: string } {
  const last = decision.reasons.at(-1) ?? assert.fail("a decision without reasons");
  assert.equal(decision.ok, false, "allowed");
  assert.equal(last.ok, false);
  assert.ok(decision.reasons.slice(0, -1).every(({ ok }) => ok));
  assert.ok((last.hint ?? "").length > 0, "a denial without a hint");
  return last;
}

test("whole evidence is allowed, with a reason for every check in order", () => {
  const decision = verify(request);
  assert.equal(decision.ok, true);
  assert.deepEqual(
    decision.reasons.map(({ check }) => check),
    ["digest", "bundle", "signature", "subject", "log", "builder", "source", "canonical", "sbom", "reproduced"],
  );
  assert.ok(decision.reasons.every(({ ok, message }) => ok && message.length > 0));
  assert.deepEqual(decision.setAside, []);
  assert.deepEqual(decision.facts, {
    digest: DIGEST,
    name: "hello",
    rules: decision.facts.rules,
    signedBy: [{ keyId: home.keys.artifact.keyId, name: "this home's key" }],
    log: { origin: home.log.identity.origin, index: 300, treeSize: 303 },
    builder: BUILDER,
    invocationId: "build-1",
    source: { uri: SOURCE, digest: { gitCommit: "0123456789abcdef0123456789abcdef01234567" }, ref: "refs/tags/v1" },
    startedOn: "2026-11-22T23:59:00Z",
    finishedOn: "2026-11-22T23:59:59Z",
    canonical: true,
    sbom: { specVersion: "1.6", components: 0 },
    reproduced: {
      verdict: "reproducible",
      grade: "partial",
      worlds: ["canonical", "adversarial"],
      lacks: ["no libfaketime"],
    },
  });
  JSON.stringify(decision);
});

// --- evidence that is sound and says the wrong thing

async function signed(change: (statement: Statement, at: number) => Statement | undefined): Promise<Uint8Array[]> {
  const statements = statementsAbout(DIGEST)
    .map(change)
    .filter((statement) => statement !== undefined);
  return await home.sign(statements);
}

const withPredicate =
  (at: number, edit: (predicate: JsonObject) => void) =>
  (statement: Statement, index: number): Statement => {
    if (index === at) edit(statement.predicate);
    return statement;
  };
const inside = (predicate: JsonObject, ...path: string[]): JsonObject =>
  path.reduce((object, name) => object[name] as JsonObject, predicate);

const WRONG: readonly [
  name: string,
  check: Check,
  reason: RegExp,
  change: (statement: Statement, at: number) => Statement | undefined,
][] = [
  [
    "nothing about this digest",
    "subject",
    /the statement is about sha256:/,
    (_, at) => statementsAbout(digestOf("other"))[at],
  ],
  [
    "a subject without SHA-256",
    "subject",
    /a subject's SHA-256 is missing/,
    (s) => ({ ...s, subject: [{ name: "hello", digest: { sha1: "x" } as never }] }),
  ],
  [
    "a subject in upper case",
    "subject",
    /a subject's SHA-256 is "/,
    (s) => ({ ...s, subject: [{ name: "hello", digest: { sha256: DIGEST.slice(7).toUpperCase() } }] }),
  ],
  ["no subject", "subject", /not a list of 1 to/, (s) => ({ ...s, subject: [] })],
  ["another statement type", "subject", /_type is "x"/, (s) => ({ ...s, _type: "x" as never })],
  ["an unknown field in the statement", "subject", /unknown field "extra"/, (s) => ({ ...s, extra: 1 })],
  ["no provenance", "builder", /no SLSA provenance v1/, (s, at) => (at === 0 ? undefined : s)],
  [
    "an older provenance",
    "builder",
    /no SLSA provenance v1/,
    (s, at) => (at === 0 ? { ...s, predicateType: "https://slsa.dev/provenance/v0.2" } : s),
  ],
  [
    "another builder",
    "builder",
    /the builder https:\/\/evil is not allowed/,
    withPredicate(0, (p) => void (inside(p, "runDetails", "builder")["id"] = "https://evil")),
  ],
  [
    "another build type",
    "builder",
    /the build type x is not known/,
    withPredicate(0, (p) => void (inside(p, "buildDefinition")["buildType"] = "x")),
  ],
  [
    "a provenance without a builder",
    "builder",
    /builder is missing/,
    withPredicate(0, (p) => void delete inside(p, "runDetails")["builder"]),
  ],
  [
    "a provenance without a source",
    "builder",
    /source is missing/,
    withPredicate(0, (p) => void delete inside(p, "buildDefinition", "externalParameters")["source"]),
  ],
  [
    "another source",
    "source",
    /the source git\+https:\/\/evil\.example is not allowed/,
    withPredicate(
      0,
      (p) => void (inside(p, "buildDefinition", "externalParameters", "source")["uri"] = "git+https://evil.example"),
    ),
  ],
  [
    "a local build",
    "canonical",
    /a local build/,
    withPredicate(0, (p) => void (inside(p, "buildDefinition", "internalParameters")["canonical"] = false)),
  ],
  [
    "canonical as a word",
    "canonical",
    /a local build/,
    withPredicate(0, (p) => void (inside(p, "buildDefinition", "internalParameters")["canonical"] = "true")),
  ],
  ["no SBOM", "sbom", /no CycloneDX SBOM/, (s, at) => (at === 1 ? undefined : s)],
  ["an SBOM that is none", "sbom", /not a CycloneDX document/, withPredicate(1, (p) => void delete p["components"])],
  ["no reproduction", "reproduced", /no account of a build in two worlds/, (s, at) => (at === 2 ? undefined : s)],
  [
    "a build that differs",
    "reproduced",
    /verdict is differs/,
    withPredicate(2, (p) => void (p["verdict"] = "differs")),
  ],
  [
    "one world only",
    "reproduced",
    /only 1 world gave/,
    withPredicate(2, (p) => void (p["worlds"] = (p["worlds"] as JsonObject[]).slice(0, 1))),
  ],
  [
    "one world, twice",
    "reproduced",
    /only 2 worlds gave/,
    withPredicate(
      2,
      (p) => void (p["worlds"] = (p["worlds"] as JsonObject[]).map((w) => ({ ...w, name: "canonical" }))),
    ),
  ],
  [
    "two worlds, of which one gave other bytes",
    "reproduced",
    /only 1 world gave/,
    withPredicate(2, (p) => void (inside(p, "worlds", "1")["outputs"] = [])),
  ],
  [
    "worlds that are no list",
    "reproduced",
    /worlds is not a list/,
    withPredicate(2, (p) => void (p["worlds"] = "two")),
  ],
];

for (const [name, check, reason, change] of WRONG) {
  test(`sound evidence that does not suffice: ${name}`, async () => {
    const policy = { ...request.policy, sources: [SOURCE] };
    const last = denied(verify({ ...request, policy, bundles: await signed(change) }));
    assert.equal(last.check, check);
    assert.match(last.message, reason);
  });
}

// --- whom and what the verifier was told to believe

const CIRCUMSTANCES: readonly [name: string, check: Check, reason: RegExp, change: Partial<VerifyRequest>][] = [
  ["another artifact", "subject", /is about/, { artifact: { digest: digestOf("other") } }],
  ["not a digest", "digest", /not a digest/, { artifact: { digest: "sha256:xyz" } }],
  ["a tag instead of a digest", "digest", /not a digest/, { artifact: { digest: "hello:latest" } }],
  ["no bundle", "bundle", /there is no bundle/, { bundles: [] }],
  [
    "too many bundles",
    "bundle",
    /257 bundles are over/,
    { bundles: Array.from({ length: 257 }, () => new Uint8Array()) },
  ],
  ["no trusted key", "signature", /not trusted/, { trust: makeTrust({ ...trustInput, keys: [] }) }],
  [
    "a revoked key",
    "signature",
    /the key release is revoked/,
    {
      trust: makeTrust({
        ...trustInput,
        keys: [{ name: "release", publicKeyPem: home.keys.artifact.publicKeyPem, revoked: true }],
      }),
    },
  ],
  [
    "a key that has expired",
    "signature",
    /no longer valid/,
    {
      trust: makeTrust({
        ...trustInput,
        keys: [{ name: "release", publicKeyPem: home.keys.artifact.publicKeyPem, validUntil: NOW }],
      }),
    },
  ],
  ["a stale list", "signature", /has expired/, { trust: makeTrust({ ...trustInput, expires: NOW }) }],
  ["no trusted log", "log", /not trusted/, { trust: makeTrust({ ...trustInput, logs: [] }) }],
  [
    "the log's name with another key",
    "log",
    /not trusted/,
    {
      trust: makeTrust({
        ...trustInput,
        logs: [{ origin: home.log.identity.origin, publicKeyPem: stranger.keys.checkpoint.publicKeyPem }],
      }),
    },
  ],
  [
    "another name for the log's key",
    "log",
    /not trusted/,
    { trust: makeTrust({ ...trustInput, logs: [{ ...home.log.identity, origin: "log.example" }] }) },
  ],
];

for (const [name, check, reason, change] of CIRCUMSTANCES) {
  test(`denied by circumstance: ${name}`, () => {
    const last = denied(verify({ ...request, ...change }));
    assert.equal(last.check, check);
    assert.match(last.message, reason);
  });
}

test("builder, source and canonical must be those of one provenance", async () => {
  const [good, bom, reproduction] = statementsAbout(DIGEST);
  const local = structuredClone(good);
  inside(local.predicate, "buildDefinition", "internalParameters")["canonical"] = false;
  const elsewhere = structuredClone(good);
  inside(elsewhere.predicate, "buildDefinition", "externalParameters", "source")["uri"] = "git+https://evil.example";
  const bundles = await home.sign([local, elsewhere, bom, reproduction]);
  const policy = { ...request.policy, sources: [SOURCE] };
  assert.equal(denied(verify({ ...request, policy, bundles })).check, "canonical");
  assert.equal(verify({ ...request, policy, bundles: [...bundles, ...home.bundles] }).ok, true);
});

test("what a policy does not demand is not needed, and is told when there", async () => {
  const policy = { ...request.policy, requireSbom: false, requireReproduced: false, requireCanonical: false };
  const [provenance = new Uint8Array()] = home.bundles;
  const decision = verify({ ...request, policy, bundles: [provenance] });
  assert.equal(decision.ok, true);
  assert.deepEqual(
    decision.reasons.map(({ check }) => check),
    ["digest", "bundle", "signature", "subject", "log", "builder", "source"],
  );
  assert.equal(verify({ ...request, policy }).facts.sbom?.components, 0);
  const differs = reproductionStatement({
    subjects: [{ name: "hello", digest: DIGEST }],
    invocationId: "build-1",
    verdict: "differs",
    worlds: [{ world: world("canonical"), outputs: [] }],
    causes: [{ cause: "clock" }],
    lacks: [],
  });
  assert.equal(verify({ ...request, policy, bundles: [provenance, ...(await home.sign([differs]))] }).ok, true);
});

test("hiding evidence never helps: no part of the evidence is allowed unless the whole is", () => {
  const needed = home.bundles.length;
  for (let mask = 0; mask < 1 << needed; mask++) {
    const bundles = home.bundles.filter((_, at) => (mask >> at) & 1);
    assert.equal(verify({ ...request, bundles }).ok, bundles.length === needed);
  }
});

test("the rules' digest names policy and trust", () => {
  const rules = (change: Partial<VerifyRequest>): string => verify({ ...request, ...change }).facts.rules;
  const same = rules({});
  assert.equal(rules({ now: 0, bundles: [] }), same);
  const others = [
    rules({ policy: { ...request.policy, requireSbom: false } }),
    rules({ policy: { ...request.policy, builders: ["x"] } }),
    rules({ trust: makeTrust(trustInput) }),
    rules({ trust: makeTrust({ ...trustInput, expires: NOW }) }),
    rules({ trust: makeTrust({ ...trustInput, logs: [] }) }),
  ];
  // A key's name matters: operators of rebuilds and rules in CEL go by it.
  assert.equal(new Set([same, ...others]).size, 6);
});
