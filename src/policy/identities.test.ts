/** Identities in a policy: who is accepted, and every way of being nearly that. */
import { strict as assert } from "node:assert";
import test from "node:test";
import {
  Authority,
  type BundleJson,
  bytesOf,
  ecPair,
  extension,
  FULCIO,
  IDENTITY,
  ISSUER,
  SIGNED_AT,
  tlv,
  type Twist,
  utf8String,
} from "../../test/authority.ts";
import { denial } from "../../test/denial.ts";
import { BUILDER, DIGEST, makeHome, removeHome, SOURCE, statementsAbout } from "../../test/evidence.ts";
import { readTrustedRoot } from "../attest/read-trusted-root.ts";
import { concat, utf8 } from "../bytes.ts";
import { digestOf } from "../digest.ts";
import { derOid, derSequence } from "../format/der.ts";
import type { Check, Decision } from "./decision.ts";
import { type AcceptedIdentity, looseness } from "./identity.ts";
import { withIdentities } from "./identity-judge.ts";
import { parsePolicy, policyDocument, readPolicy } from "./policy.ts";
import { makeTrust } from "./trust.ts";
import { verify } from "./verify.ts";

const NOW = SIGNED_AT + 86_400_000;
const REPOSITORY = "https://github.com/example/tool";
const authority = new Authority();
const root = readTrustedRoot(authority.trustedRoot());
const home = await makeHome(3);
test.after(() => removeHome(home));

const RELEASE: AcceptedIdentity = { name: "release", issuer: ISSUER, subject: IDENTITY };
const POLICY = `version = 1
builders = ["${BUILDER}"]
sources = ["${SOURCE}"]
trustedRoot = "trusted_root.json"
[[identities]]
name = "release"
issuer = "${ISSUER}"
subject = "${IDENTITY}"
`;
const { policy } = parsePolicy(POLICY, "policy.toml");

/** Provenance, SBOM and reproduction, each signed by a job of its own. */
function bundles(twist: Twist = {}, by = authority): BundleJson[] {
  return statementsAbout(DIGEST).map((statement) => by.bundle(DIGEST, { statement, ...twist }));
}

const trustIn = (identities: readonly AcceptedIdentity[]): ReturnType<typeof makeTrust> =>
  withIdentities(makeTrust({ keys: [], logs: [] }), root, identities);

function decide(all: readonly BundleJson[], identities: readonly AcceptedIdentity[] = [RELEASE]): Decision {
  const artifact = { digest: DIGEST, name: "hello" };
  return verify({ artifact, bundles: all.map(bytesOf), policy, trust: trustIn(identities), now: NOW });
}

const named = (uri: string): Twist => ({
  extensions: { names: extension("2.5.29.17", derSequence(tlv(0x86, utf8(uri))), true) },
});
const san = (...names: Uint8Array[]): Twist => ({
  extensions: { names: extension("2.5.29.17", derSequence(...names), true) },
});
const vouched = (issuer: string): Twist => ({ extensions: { issuer: extension(`${FULCIO}.8`, utf8String(issuer)) } });
const claimed = (number: number, value: string | undefined): Twist => ({
  extensions: {
    [{ 12: "source", 14: "ref" }[number] ?? "more"]:
      value === undefined ? undefined : extension(`${FULCIO}.${number}`, utf8String(value)),
  },
});
const EMAIL = { ...RELEASE, subject: "someone@example.com" };
/** otherName, as Fulcio writes user names. */
const userName = (text: string): Uint8Array => tlv(0xa0, concat([derOid(`${FULCIO}.7`), tlv(0xa0, utf8String(text))]));

test("a job that the policy names is believed, by its workflow, its repository or its ref", () => {
  const twist: Twist = { extensions: { workflow: extension(`${FULCIO}.18`, utf8String(IDENTITY)) } };
  const ways: AcceptedIdentity[] = [
    RELEASE,
    { name: "any tag", issuer: ISSUER, subject: IDENTITY.replace(/v1$/, "*") },
    { name: "organisation", issuer: ISSUER, subject: "https://github.com/example/*" },
    { name: "repository", issuer: ISSUER, repository: REPOSITORY, ref: "refs/tags/v*" },
    { name: "workflow", issuer: ISSUER, workflow: IDENTITY.replace(/v1$/, "v*") },
  ];
  for (const one of ways) {
    const { ok, reasons, facts } = decide(bundles(twist), [one]);
    assert.ok(ok, JSON.stringify(reasons.at(-1)));
    assert.deepEqual(
      facts.signedBy.map(({ name }) => name),
      [one.name],
    );
    assert.deepEqual(facts.identity, { subject: IDENTITY, issuer: ISSUER });
    assert.equal(facts.signedAt, "2026-06-01T12:00:00Z");
    assert.equal(facts.log?.origin, "rekor.example");
    const checks = reasons.map(({ check }) => check);
    assert.deepEqual(checks.slice(0, 8), [
      "digest",
      "bundle",
      "certificate",
      "signature",
      "subject",
      "log",
      "time",
      "identity",
    ]);
  }
  assert.ok(decide(bundles(san(tlv(0x81, utf8("someone@example.com")))), [EMAIL]).ok);
  assert.ok(decide(bundles(san(userName("robot!example.com"))), [{ ...RELEASE, subject: "robot!example.com" }]).ok);
});

const BELOW: AcceptedIdentity = { name: "below", issuer: ISSUER, subject: "https://github.com/example/*" };
const TAGS: AcceptedIdentity = { name: "tags", issuer: ISSUER, repository: REPOSITORY, ref: "refs/tags/*" };

/** Each is nearly the job that is accepted. */
const ATTACKS: readonly [name: string, check: Check, says: RegExp, twist: Twist, accepted?: AcceptedIdentity][] = [
  ["a subject with something behind it", "identity", /the subject is not/, named(`${IDENTITY}.evil`)],
  ["a subject with something before it", "identity", /the subject is not/, named(`https://evil.example/${IDENTITY}`)],
  ["a subject in other case", "identity", /the subject is not/, named(IDENTITY.replace("example", "Example"))],
  ["another ref of the workflow", "identity", /the subject is not/, named(IDENTITY.replace("tags", "heads"))],
  [
    "an owner whose name is longer",
    "identity",
    /the subject/,
    named(IDENTITY.replace("example", "example-evil")),
    BELOW,
  ],
  [
    "a subject that climbs",
    "identity",
    /the subject/,
    named("https://github.com/example/../evil/a@refs/heads/b"),
    BELOW,
  ],
  ["a subject that climbs, escaped", "identity", /the subject/, named("https://github.com/example/%2e%2e/evil"), BELOW],
  ["a subject with a query", "identity", /the subject/, named("https://github.com/example/a?b"), BELOW],
  ["a subject with a fragment", "identity", /the subject/, named("https://github.com/example/a#b"), BELOW],
  ["a subject with a backslash", "identity", /the subject/, named("https://github.com/example/a\\b"), BELOW],
  ["a subject of another scheme", "identity", /the subject/, named(IDENTITY.replace("https", "http")), BELOW],
  [
    "a subject with a user before the host",
    "identity",
    /the subject/,
    named("https://github.com@evil.example/x"),
    BELOW,
  ],
  ["a subject with a space", "certificate", /not printable ASCII/, named("https://github.com/example/a b"), BELOW],
  ["a subject in look-alike letters", "certificate", /not printable ASCII/, named(IDENTITY.replace("a", "а"))],
  ["a subject with NUL in it", "certificate", /not printable ASCII/, named(`${IDENTITY}\0.evil`)],
  ["an issuer with a slash behind it", "identity", /the issuer is not/, vouched(`${ISSUER}/`)],
  ["an issuer with a host behind it", "identity", /the issuer is not/, vouched(`${ISSUER}.evil.example`)],
  ["an issuer in the clear", "identity", /the issuer is not/, vouched(ISSUER.replace("https", "http"))],
  ["an issuer in other case", "identity", /the issuer is not/, vouched(ISSUER.replace("token", "Token"))],
  ["an issuer in look-alike letters", "identity", /the issuer is not/, vouched(ISSUER.replace("o", "о"))],
  ["an issuer's other address", "identity", /the issuer is not/, vouched("https://gitlab.com")],
  ["no issuer", "certificate", /does not say who vouched/, { extensions: { issuer: undefined } }],
  [
    "two issuers",
    "certificate",
    /names two issuers/,
    { extensions: { older: extension(`${FULCIO}.1`, utf8("https://evil.example")) } },
  ],
  ["an e-mail address as a URI", "identity", /no e-mail address/, named("someone@example.com"), EMAIL],
  ["an e-mail address as a user's name", "identity", /no e-mail/, san(userName("someone@example.com")), EMAIL],
  ["a URI as an e-mail address", "identity", /the subject is no URI/, san(tlv(0x81, utf8(IDENTITY)))],
  ["a URI as a user's name", "identity", /the subject is no URI/, san(userName(IDENTITY))],
  ["a host's name", "certificate", /not one that can be read/, san(tlv(0x82, utf8("github.com")))],
  ["two names", "certificate", /has 2 names/, san(tlv(0x86, utf8(IDENTITY)), tlv(0x86, utf8("https://evil.example")))],
  ["no name", "certificate", /has 0 names/, { extensions: { names: undefined } }],
  ["another repository", "identity", /the repository is not/, claimed(12, "https://github.com/evil/tool"), TAGS],
  ["a repository with a longer name", "identity", /the repository is not/, claimed(12, `${REPOSITORY}-evil`), TAGS],
  ["no repository", "identity", /the repository is not/, claimed(12, undefined), TAGS],
  ["a branch instead of a tag", "identity", /the ref is not/, claimed(14, "refs/heads/main"), TAGS],
  ["a ref that climbs", "identity", /the ref is not/, claimed(14, "refs/tags/../heads/main"), TAGS],
  ["no ref", "identity", /the ref is not/, claimed(14, undefined), TAGS],
  ["no workflow", "identity", /the workflow is not/, {}, { name: "w", issuer: ISSUER, workflow: IDENTITY }],
  ["a certificate that has ended, and no trusted time", "time", /nobody trusted says when/, { noStamp: true }],
  ["signed after the certificate's end", "time", /was not valid when it signed/, { stampedAt: SIGNED_AT + 3_600_000 }],
  ["signed before it began", "time", /was not valid when it signed/, { stampedAt: SIGNED_AT - 3_600_000 }],
  ["a timestamp on another signature", "time", /on another signature/, { stamped: utf8("x") }],
  ["a timestamp by a stranger", "time", /not signed by/, { stampKey: ecPair("P-384") }],
  ["no certificate timestamp", "certificate", /not shown to a certificate transparency log/, { noSct: true }],
  ["a certificate timestamp by a stranger", "certificate", /not one by the log/, { sctKey: ecPair() }],
  ["issued by a stranger under the name", "certificate", /is not signed by/, { issuerKey: ecPair("P-384") }],
  [
    "a certificate of an authority",
    "certificate",
    /of an authority/,
    { extensions: { basic: extension("2.5.29.19", derSequence(Uint8Array.of(1, 1, 255)), true) } },
  ],
  [
    "a certificate for servers",
    "certificate",
    /not for code signing/,
    { extensions: { purpose: extension("2.5.29.37", derSequence(derOid("1.3.6.1.5.5.7.3.1"))) } },
  ],
  ["a checkpoint by a stranger", "log", /checkpoint|signature|note/, { logKey: authority.log, origin: "evil.example" }],
  ["another key's certificate", "signature", /not one by/, { certificate: authority.leaf(ecPair().spki) }],
];

for (const [name, check, says, twist, accepted = RELEASE] of ATTACKS) {
  test(`attack on an identity: ${name}`, () => {
    const decision = decide(bundles(twist), [accepted]);
    const last = denial(decision);
    assert.equal(last.check, check, last.message);
    assert.match(last.message, says);
    assert.equal(decision.setAside.length, 3);
    assert.equal(decision.setAside[0]?.check, check);
    // Who else signed takes nothing away from good evidence that lies beside it.
    assert.ok(decide([...bundles(twist), ...bundles()], [RELEASE]).ok);
  });
}

test("what is denied says who was found, in each that is accepted what does not fit, and what to do", () => {
  const two = [RELEASE, { name: "nightly", issuer: "https://gitlab.com", repository: REPOSITORY }];
  const { message, hint = "" } = denial(decide(bundles(named("https://github.com/evil/tool@refs/heads/x")), two));
  assert.match(message, /^https:\/\/github\.com\/evil\/tool@refs\/heads\/x, vouched for by https:\/\/token\./);
  assert.match(message, /repository https:\/\/github\.com\/example\/tool, ref refs\/tags\/v1, is not accepted/);
  assert.match(message, /release: the subject is not .*; nightly: the issuer is not https:\/\/gitlab\.com$/);
  assert.match(hint, /add it to the policy's identities/);
});

test("another authority's root, a statement about something else, and a policy of keys only", () => {
  const foreign = denial(decide(bundles({}, new Authority())));
  assert.equal(foreign.check, "certificate");
  const about = statementsAbout(digestOf("other")).map((statement) => authority.bundle(DIGEST, { statement }));
  assert.match(denial(decide(about)).message, /is about sha256:/);
  const keys = denial(verify({ ...home.request, bundles: bundles().map(bytesOf) }));
  assert.deepEqual([keys.check, keys.message], ["bundle", "signed with a certificate, where only keys are trusted"]);
  assert.match(keys.hint ?? "", /identities and trustedRoot/);
});

test("keys and identities in one policy: each counts, in any order, and nothing is gained by hiding one", () => {
  const both = withIdentities(home.request.trust, root, [RELEASE]);
  const [provenance, sbom, reproduction] = bundles().map(bytesOf);
  const [keyedProvenance, , keyedReproduction] = home.bundles;
  assert.ok(provenance && sbom && reproduction && keyedProvenance && keyedReproduction);
  const decided = (all: Uint8Array[]): Decision => verify({ ...home.request, trust: both, bundles: all });
  const mixed = [keyedReproduction, sbom, provenance];
  assert.ok(decided(mixed).ok && decided(mixed.toReversed()).ok && decided(home.bundles).ok);
  assert.deepEqual(new Set(decided(mixed).facts.signedBy.map(({ name }) => name)).size, 2);
  assert.equal(denial(decided([sbom, keyedReproduction])).check, "builder");
  const broken = utf8("{}");
  assert.ok(decided([broken, ...mixed]).ok);
  assert.equal(denial(decided([broken])).check, "bundle");
  const gone = verify({ ...home.request, trust: { ...both, expires: 1 }, bundles: mixed });
  assert.match(denial(gone).message, /has expired/);
});

test("a decision's rules change with the root and with every field of an identity", () => {
  const digests = [
    [RELEASE],
    [{ ...RELEASE, ref: "refs/tags/v1" }],
    [{ ...RELEASE, repository: REPOSITORY }],
    [{ ...RELEASE, issuer: `${ISSUER}/` }],
    [RELEASE, RELEASE],
  ].map((identities) => trustIn(identities).digest);
  const other = withIdentities(makeTrust({ keys: [], logs: [] }), readTrustedRoot(new Authority().trustedRoot()), [
    RELEASE,
  ]);
  assert.equal(new Set([...digests, other.digest, makeTrust({ keys: [], logs: [] }).digest]).size, 7);
});

test("rebuilders may be identities: two operators, each with its own", () => {
  const second = IDENTITY.replace("example/tool", "other/tool");
  const names = [RELEASE, { name: "other", issuer: ISSUER, subject: second }];
  const operators = [
    { name: "us", keys: ["release"] },
    { name: "them", keys: ["other"] },
  ];
  const voted = (all: BundleJson[]): Decision =>
    verify({
      artifact: { digest: DIGEST },
      bundles: all.map(bytesOf),
      policy: { ...policy, rebuilders: { threshold: 2, operators } },
      trust: trustIn(names),
      now: NOW,
    });
  assert.ok(voted([...bundles(), ...bundles(named(second))]).ok);
  assert.equal(denial(voted([...bundles(), ...bundles()])).check, "rebuilders");
});

test("a policy that is too loose, or names nobody, is refused where it is written", () => {
  const by = (more: string): string => POLICY.slice(0, POLICY.indexOf("[[identities]]")) + more;
  const one = `[[identities]]\nname = "a"\nissuer = "${ISSUER}"\n`;
  const cases: [string, RegExp][] = [
    [by(one), /identities: a would be anybody of https:\/\/token/],
    [by(`${one}ref = "refs/tags/*"`), /would be anybody/],
    [by(`${one}subject = "*"`), /identities\.0\.subject: a \* may only stand behind a whole segment/],
    [by(`${one}subject = "https://github.com/*"`), /behind a whole segment/],
    [by(`${one}subject = "https://github.com/example*"`), /behind a whole segment/],
    [by(`${one}subject = "someone@*"`), /behind a whole segment/],
    [by(`${one}subject = "https://*/example/tool"`), /only stand at the end/],
    [by(`${one}repository = "https://github.com/example/*"`), /a repository is named exactly/],
    [by(`[[identities]]\nname = "a"\nissuer = "https://*"\nsubject = "b"`), /an issuer is named exactly/],
    [by(`${one}subject = "b"\nissuers = []`), /identities\.0/],
    [by(""), /keys: none are listed, and no keyRings or identities/],
    [by(`${one}subject = "b"\n${one}subject = "c"`), /identities: the name a is taken/],
    [POLICY.replace(/trustedRoot.*\n/, ""), /identities and trustedRoot go together/],
    [
      `rebuilders = { threshold = 1, operators = [{ name = "us", keys = ["stranger"] }] }\n${POLICY}`,
      /no key is called/,
    ],
  ];
  for (const [text, says] of cases) assert.throws(() => readPolicy(text, "policy.toml"), says);
  assert.equal(looseness("https://github.com/o/r/.github/workflows/r.yml@refs/tags/v*"), undefined);
  assert.deepEqual(readPolicy(POLICY, "policy.toml").identities?.list, [RELEASE]);
  const document = policyDocument(POLICY, "policy.toml");
  assert.deepEqual(readPolicy(JSON.stringify(document), "policy.json").identities?.list, [RELEASE]);
});
