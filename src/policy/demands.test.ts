/** What a policy may demand: each met and not met, more evidence never against the artifact, nothing weaker instead. */
import { strict as assert } from "node:assert";
import test from "node:test";
import * as fc from "fast-check";
import { denial } from "../../test/denial.ts";
import { DIGEST, type Home, makeHome, NOW, removeHome, statementsAbout } from "../../test/evidence.ts";
import { testWitness } from "../../test/witnesses.ts";
import { utf8 } from "../bytes.ts";
import { verifierKeyText } from "../format/note.ts";
import type { JsonObject } from "../json.ts";
import { affectedBy, parseAdvisories } from "./advisories.ts";
import type { Check, Decision } from "./decision.ts";
import type { Demands } from "./demands.ts";
import { leastChange } from "./least-change.ts";
import { parsePolicy, policyDocument, policyToml } from "./policy.ts";
import { compileRules } from "./rules.ts";
import { makeTrust } from "./trust.ts";
import type { VerifyRequest } from "./hearing.ts";
import { verify } from "./verify.ts";

const home: Home = await makeHome();
const second: Home = await makeHome(5);
test.after(() => {
  removeHome(home);
  removeHome(second);
});

const COMPONENTS = [
  { type: "library", name: "left-pad", version: "1.3.0", purl: "pkg:npm/left-pad@1.3.0", hashes: [] },
  { type: "library", name: "odd", version: "weird", purl: "pkg:npm/odd@weird" },
];

/** Evidence with what the demands look at: a signed tag, a pinned environment, an SBOM with components, a full grade. */
async function evidence(of: Home, change: (statements: JsonObject[]) => void = () => {}): Promise<Uint8Array[]> {
  const statements = JSON.parse(JSON.stringify(statementsAbout(DIGEST))) as JsonObject[];
  const [provenance, sbom, account] = statements as unknown as { predicate: Record<string, JsonObject> }[];
  if (provenance === undefined || sbom === undefined || account === undefined) return assert.fail();
  const internal = (provenance.predicate["buildDefinition"] as JsonObject)["internalParameters"] as JsonObject;
  internal["tagSignature"] = "good";
  internal["environment"] = { type: "debian", pinned: true, suite: "bookworm" };
  Object.assign(sbom.predicate, { components: COMPONENTS, dependencies: [] });
  Object.assign(account.predicate, { grade: "full" });
  change(statements);
  return await of.sign(statements as never);
}

const bundles = await evidence(home);
const builder = home.request.policy.builders[0] ?? "";

function requestWith(demands: Demands, more: Partial<VerifyRequest> = {}): VerifyRequest {
  const rules = demands.rules === undefined ? {} : { rules: compileRules(demands.rules, "policy") };
  return {
    ...home.request,
    bundles,
    policy: { ...home.request.policy, requireCanonical: true, ...demands },
    ...rules,
    ...more,
  };
}

const decide = (demands: Demands, more: Partial<VerifyRequest> = {}): Decision => verify(requestWith(demands, more));
const advisory = (id: string, affected: object): Uint8Array => utf8(JSON.stringify([{ id, affected: [affected] }]));
const advisories = (source: Uint8Array) => ({ list: parseAdvisories(source, "advisories"), digest: "sha256:x" });
const leftPad = (more: object): Uint8Array =>
  advisory("OSV-1", { package: { ecosystem: "npm", name: "left-pad" }, ...more });
const range = (...events: object[]): Uint8Array => leftPad({ ranges: [{ type: "SEMVER", events }] });
const rule = (expression: string): Demands => ({ rules: [{ name: "own", expression }] });
const DAY = 86_400_000;

/** A demand that the evidence meets, and one that it does not, with the check that denies. */
const TABLE: readonly (readonly [
  name: string,
  met: Demands,
  unmet: Demands,
  check: Check,
  reason: RegExp,
  more?: Partial<VerifyRequest>,
])[] = [
  [
    "SLSA level",
    { minimumLevel: 2, levels: { [builder]: 2 } },
    { minimumLevel: 3, levels: { [builder]: 2 } },
    "level",
    /has SLSA level 2; 3 is needed/,
  ],
  ["SLSA level of a builder that is not named", { minimumLevel: 0 }, { minimumLevel: 1 }, "level", /has SLSA level 0/],
  [
    "environment",
    { environments: ["host", "debian:*"] },
    { environments: ["debian:trixie"] },
    "environment",
    /environment debian:bookworm, which is not allowed/,
  ],
  [
    "completeness",
    { minimumCompleteness: 0.8 },
    { minimumCompleteness: 0.9 },
    "sbom",
    /complete to 0\.83; 0\.9 is needed/,
  ],
  [
    "forbidden component",
    { forbiddenComponents: ["pkg:npm/right-pad", "pkg:npm/left"] },
    { forbiddenComponents: ["pkg:npm/left-pad"] },
    "components",
    /pkg:npm\/left-pad@1\.3\.0 is forbidden/,
  ],
  [
    "forbidden version",
    { forbiddenComponents: ["pkg:npm/left-pad@1.2.0"] },
    { forbiddenComponents: ["pkg:npm/left-pad@1.3.0"] },
    "components",
    /forbidden/,
  ],
  [
    "forbidden kind",
    { forbiddenComponents: ["pkg:deb/*"] },
    { forbiddenComponents: ["pkg:npm/*"] },
    "components",
    /forbidden by pkg:npm\/\*/,
  ],
  ["age", { maximumAge: "1h" }, { maximumAge: "1h" }, "age", /more than 1h ago/, { now: NOW + DAY }],
  ["a clock set back", { maximumAge: "1h" }, { maximumAge: "1h" }, "age", /in the future/, { now: NOW - DAY }],
  [
    "a rule of its own",
    rule('source.uri.startsWith("git+https://example.org/") && components.all(c, !c.contains("evil"))'),
    rule("size(components) > 5"),
    "rule",
    /own: it is false/,
  ],
  ["a rule that is no truth", rule("canonical || true"), rule("builder"), "rule", /no true or false/],
  ["a rule that cannot be evaluated", rule("ageDays < 30"), rule("source.nothing == 1"), "rule", /cannot be evaluated/],
  ["logs", { quorum: { logs: 1 } }, { quorum: { logs: 2 } }, "quorum", /in 1 log; 2 are needed/],
];

for (const [name, met, unmet, check, reason, more] of TABLE) {
  test(`demand: ${name}`, async () => {
    const allowed = await canonical(met);
    assert.equal(allowed.ok, true, allowed.reasons.at(-1)?.message);
    const denied = await canonical(unmet, more);
    const last = denial(denied);
    assert.deepEqual([last.check, reason.test(last.message)], [check, true], last.message);
  });
}

async function canonical(demands: Demands, more: Partial<VerifyRequest> = {}): Promise<Decision> {
  return await Promise.resolve(decide(demands, more));
}

test("a signed tag: good only, of a tag only", async () => {
  assert.equal(decide({ requireSignedTag: true }).ok, true);
  for (const [signature, reason] of [
    ["bad", /was bad, not good/],
    ["unsigned", /was unsigned/],
    [undefined, /was unknown/],
  ] as const) {
    const changed = await evidence(home, ([provenance]) => {
      const definition = (provenance as unknown as { predicate: Record<string, JsonObject> }).predicate[
        "buildDefinition"
      ];
      Object.assign((definition as JsonObject)["internalParameters"] as object, { tagSignature: signature ?? null });
    });
    const last = denial(decide({ requireSignedTag: true }, { bundles: changed }));
    assert.deepEqual([last.check, reason.test(last.message)], ["tag", true], last.message);
  }
});

test("a grade: full is not partial", async () => {
  assert.equal(decide({ minimumGrade: "full" }).ok, true);
  const partial = { bundles: home.bundles };
  assert.match(denial(decide({ minimumGrade: "full" }, partial)).message, /grade partial; full is needed/);
  assert.equal(decide({ minimumGrade: "partial" }, partial).ok, true);
});

test("k of n rebuilders: operators count, not keys or bundles", async () => {
  const keys = [
    { name: "one", publicKeyPem: home.keys.artifact.publicKeyPem },
    { name: "two", publicKeyPem: second.keys.artifact.publicKeyPem },
  ];
  const logs = [home.log.identity, second.log.identity];
  const trust = makeTrust({ keys, logs });
  const operators = [
    { name: "A", keys: ["one"] },
    { name: "B", keys: ["two"] },
    { name: "C", keys: ["none"] },
  ];
  const demand: Demands = { rebuilders: { threshold: 2, operators } };
  const theirs = await evidence(second);
  assert.equal(decide(demand, { trust, bundles: [...bundles, ...theirs] }).ok, true);
  assert.match(denial(decide(demand, { trust })).message, /A gave these bytes; 2 of 3 are needed/);
  assert.equal(denial(decide(demand, { trust, bundles: [...bundles, ...(await evidence(home))] })).check, "rebuilders");
  const one = {
    rebuilders: {
      threshold: 2,
      operators: [
        { name: "A", keys: ["one", "two"] },
        { name: "B", keys: ["x"] },
      ],
    },
  };
  assert.equal(denial(decide(one, { trust, bundles: [...bundles, ...theirs] })).check, "rebuilders");
  const both = {
    rebuilders: {
      threshold: 1,
      operators: [
        { name: "A", keys: ["one"] },
        { name: "B", keys: ["one"] },
      ],
    },
  };
  assert.match(denial(decide(both, { trust })).message, /no operator/);
});

test("a quorum of witnesses that nobody names or that did not sign denies", () => {
  const demand: Demands = { quorum: { witnesses: 2 } };
  assert.match(denial(decide(demand)).message, /2 witnesses are demanded, and none are named/);
  const witnesses = ["w1.example", "w2.example"].map((name) => testWitness(name).key);
  const found = denial(decide(demand, { trust: { ...home.request.trust, witnesses } }));
  assert.match(found.message, /0 of the 2 witnesses .* not w1\.example, w2\.example/);
});

test("vulnerable components: by version and range, in any SBOM, closed without advisories", async () => {
  const deny: Demands = { denyVulnerable: true };
  const affected = [
    leftPad({ versions: ["1.3.0"] }),
    range({ introduced: "0" }, { fixed: "1.3.1" }),
    range({ introduced: "1.0.0" }, { last_affected: "1.3.0" }),
  ];
  for (const source of affected)
    assert.match(
      denial(decide(deny, { advisories: advisories(source) })).message,
      /left-pad@1\.3\.0 is affected by OSV-1/,
    );
  const clear = [
    leftPad({ versions: ["1.2.0"] }),
    range({ introduced: "0" }, { fixed: "1.3.0" }),
    range({ introduced: "1.3.1" }),
    range({ introduced: "0" }, { fixed: "1.0.0" }, { introduced: "2.0.0" }),
  ];
  for (const source of clear) assert.equal(decide(deny, { advisories: advisories(source) }).ok, true);
  assert.match(denial(decide(deny)).message, /no advisories were handed in/);
  assert.equal(
    decide({}, { advisories: advisories(affected[0] ?? utf8("")) }).ok,
    true,
    "only where the policy says so",
  );
  const odd = advisory("OSV-2", {
    package: { purl: "pkg:npm/odd" },
    ranges: [{ type: "ECOSYSTEM", events: [{ introduced: "0" }, { fixed: "2" }] }],
  });
  assert.match(
    denial(decide(deny, { advisories: advisories(odd) })).message,
    /OSV-2/,
    "what cannot be compared is affected",
  );
  const other = await evidence(
    home,
    ([, sbom]) => void Object.assign((sbom as { predicate: object }).predicate, { components: [] }),
  );
  assert.equal(decide(deny, { bundles: other, advisories: advisories(affected[0] ?? utf8("")) }).ok, true);
  const beside = decide(deny, { bundles: [...other, ...bundles], advisories: advisories(affected[0] ?? utf8("")) });
  assert.equal(denial(beside).check, "vulnerable", "an SBOM that hides it does not help");
  assert.deepEqual(
    parseAdvisories(utf8('{"id":"x","withdrawn":"2020","affected":[{"package":{"purl":"pkg:npm/a"}}]}'), "a")[0]
      ?.affected,
    undefined,
  );
  assert.equal(
    affectedBy(
      "pkg:maven/g/a@1",
      parseAdvisories(advisory("M", { package: { ecosystem: "Maven", name: "g:a" }, versions: ["1"] }), "a"),
    )?.id,
    "M",
  );
  assert.throws(() => parseAdvisories(utf8("[1]"), "file"), { code: "input", message: /file\[0\] is no OSV advisory/ });
});

test("more evidence never turns allow into deny, and none of the demands falls back to weaker evidence", async () => {
  const demands: Demands = {
    requireSignedTag: true,
    environments: ["debian:*"],
    maximumAge: "1h",
    minimumCompleteness: 0.8,
    forbiddenComponents: ["pkg:npm/evil"],
    minimumGrade: "full",
    rules: [{ name: "own", expression: 'components.exists(c, c.contains("left-pad")) && environment != "host"' }],
  };
  const weaker = [...home.bundles, ...second.bundles, utf8("{}"), utf8("not json")];
  assert.equal(decide(demands).ok, true);
  assert.equal(decide(demands, { bundles: weaker }).ok, false);
  const pool = [...bundles, ...weaker];
  const take = (which: readonly number[]): Uint8Array[] => which.map((at) => pool[at] ?? utf8(""));
  fc.assert(
    fc.property(fc.shuffledSubarray([...pool.keys()]), fc.shuffledSubarray([...pool.keys()]), (some, more) => {
      const less = decide(demands, { bundles: take(some) });
      const all = decide(demands, { bundles: take([...new Set([...more, ...some])]) });
      if (less.ok) assert.equal(all.ok, true, all.reasons.at(-1)?.message);
      // Allowed only with all three strong ones, whatever else is there.
      assert.equal(
        less.ok,
        [0, 1, 2].every((at) => some.includes(at)),
      );
    }),
    { numRuns: 60 },
  );
});

test("the least change: every demand that is not met, in order, and each of them enough", async () => {
  const demands: Demands = {
    minimumLevel: 3,
    maximumAge: "1h",
    forbiddenComponents: ["pkg:npm/left-pad"],
    ...rule("false"),
  };
  const { policy } = requestWith(demands);
  const again = (changed: typeof policy): Promise<Decision> =>
    Promise.resolve(verify({ ...requestWith(demands), policy: changed }));
  const { changes, complete } = await leastChange(policy, again);
  assert.deepEqual(
    changes.map(({ check }) => check),
    ["level", "components", "rule"],
  );
  assert.deepEqual(
    changes.map((change) => change.policy),
    [["minimumLevel"], ["forbiddenComponents"], ["rules"]],
  );
  assert.equal(complete, true);
  const none = await leastChange(policy, (changed) =>
    Promise.resolve(verify({ ...requestWith(demands), policy: changed, bundles: [] })),
  );
  assert.deepEqual([none.changes.map(({ check }) => check), none.complete], [["bundle"], false]);
});

test("the file: read, shown and written back with its demands; mistakes named", () => {
  const keys = [{ name: "one", publicKeyPem: home.keys.artifact.publicKeyPem }];
  const demands: Demands = {
    minimumLevel: 2,
    levels: { [builder]: 2 },
    maximumAge: "90d",
    environments: ["debian:*"],
    rebuilders: { threshold: 1, operators: [{ name: "A", keys: ["one"] }] },
    quorum: { witnesses: 2 },
    rules: [{ name: "r", expression: "canonical" }],
  };
  const witnesses = ["w1.example", "w2.example"].map((name) => testWitness(name).listed);
  const text = policyToml({ ...home.request.policy, ...demands }, { keys, logs: [home.log.identity], witnesses });
  const { policy, trust } = parsePolicy(text, "policy.toml");
  assert.deepEqual(
    trust.witnesses?.map(({ name }) => name),
    ["w1.example", "w2.example"],
  );
  assert.deepEqual(policyDocument(text, "policy.toml")["witnesses"], witnesses);
  assert.deepEqual({ ...policy }, { ...home.request.policy, ...demands });
  assert.deepEqual(policyDocument(text, "policy.toml")["rebuilders"], demands.rebuilders);
  for (const [from, to, reason] of [
    ['maximumAge = "90d"', 'maximumAge = "soon"', /maximumAge: an age is written as/],
    ["threshold = 1", "threshold = 2", /2 of 1 operators cannot agree/],
    ['keys = [ "one" ]', 'keys = [ "who" ]', /no key is called who/],
    ["minimumLevel = 2", "minimumLevel = 5", /minimumLevel/],
    ["witnesses = 2", "witnesses = 0", /quorum\.witnesses/],
    ["witnesses = 2", "witnesses = 3", /quorum\.witnesses: 3 of 2 witnesses cannot sign/],
    ["witnesses = 2", "logs = 1", /2 are named, and quorum\.witnesses does not say/],
    [witnesses[1] ?? "", witnesses[0] ?? "", /the witness key .* is trusted twice/],
    [witnesses[1] ?? "", "w2.example", /not a verifier key: "w2\.example"/],
    [
      witnesses[1] ?? "",
      verifierKeyText({ name: "log.example", type: 1, publicKey: new Uint8Array(32) }),
      /of type 1; a witness's is of type 4/,
    ],
    ["minimumLevel = 2", "minimumLevle = 2", /minimumLevle/],
  ] as const) {
    assert.notEqual(text.replace(from, to), text, from);
    assert.throws(() => parsePolicy(text.replace(from, to), "policy.toml"), { code: "input", message: reason });
  }
});

const compile = (expression: string) => compileRules([{ name: "r", expression }], "policy.toml");

test("rules are bounded, and named when they cannot be read", () => {
  for (const [expression, reason] of [
    ["1 +", /the rule "r"/],
    ["nobody == 1", /nobody/],
    ["x".repeat(2001), /longer than 2000/],
    ["components.all(a, components.all(b, components.all(c, true)))", /more than 2 lists/],
    [`true${" || true".repeat(600)}`, /the rule "r"|2000/],
  ] as const) {
    assert.throws(() => compile(expression), { message: reason });
  }
  assert.throws(
    () =>
      compileRules(
        Array.from({ length: 65 }, () => ({ name: "r", expression: "true" })),
        "p",
      ),
    { code: "limit" },
  );
  assert.match(denial(decide(rule("true"), { rules: [] })).message, /rules were not loaded/);
});
