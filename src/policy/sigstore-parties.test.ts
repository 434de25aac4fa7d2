/** Attacks by those who issue certificates, timestamps and log entries, and by a wrong root of trust: each denied with its reason. */
import { strict as assert } from "node:assert";
import test from "node:test";
import {
  ARTIFACT,
  Authority,
  bytesOf,
  CODE_SIGNING,
  DIGEST,
  ecPair,
  extension,
  IDENTITY,
  ISSUER,
  SIGNED_AT,
  TIME_STAMPING,
  tlv,
  type TrustedRootJson,
  type Twist,
} from "../../test/authority.ts";
import { denial } from "../../test/denial.ts";
import { ours, sigstoreJs } from "../../test/sigstore-oracle.ts";
import { base64, concat, fromHex, utf8 } from "../bytes.ts";
import { sha256 } from "../digest.ts";
import { derOctets, derOid, derSequence } from "../format/der.ts";
import type { Check } from "./decision.ts";

const authority = new Authority();
const other = new Authority();
const trustedRoot = authority.trustedRoot();
const CASE = { artifact: ARTIFACT, trustedRoot, identity: IDENTITY, issuer: ISSUER, key: undefined };
const judge = ours(CASE);
const theirs = sigstoreJs(CASE);

/** Attacks that @sigstore/verify lets through: what it does not look at, and RFC 5280, Fulcio's profile or cosign do. */
const STRICTER: ReadonlySet<string> = new Set([
  // Extensions, purposes and versions of the signer's certificate.
  "a critical extension that is not known",
  "an extension twice",
  "a certificate for servers",
  "a certificate without a purpose",
  "a certificate for timestamps",
  "a certificate not for signatures",
  "a certificate without key usage",
  "an authority's certificate as a signer's",
  "a basic constraint with false written out",
  "a certificate of version 1",
  // The signer's name: one, and one issuer.
  "a certificate with two names",
  "a certificate with two issuers that differ",
  "a certificate whose issuer is not text",
  // Of the entry's body it compares signature and digest only.
  "an entry by another hash",
  "an entry with a field besides",
  "an entry by another signer's certificate",
  // It never compares an in-toto subject with the artifact.
  // The log's window is held against a promise's time, not against a timestamp's.
  "the log's key ended before the signature",
]);

// --- attacks on what the parties issue

const UNKNOWN = "1.2.3.4.5";
const FULCIO = "1.3.6.1.4.1.57264.1";
const names = (...items: Uint8Array[]): Uint8Array => extension("2.5.29.17", derSequence(...items), true);
const uri = (value: string): Uint8Array => tlv(0x86, utf8(value));
const MINUTE = 60_000;

const ISSUED: readonly (readonly [attack: string, check: Check, reason: RegExp, twist: Twist])[] = [
  [
    "a certificate by another authority of the same name",
    "certificate",
    /not signed by "intermediate"/,
    { issuerKey: other.intermediate },
  ],
  [
    "a certificate by an issuer of another name",
    "certificate",
    /no trusted authority is called "nobody"/,
    { leaf: { issuer: derSequence(tlv(0x31, derSequence(derOid("2.5.4.3"), tlv(0x0c, utf8("nobody"))))) } },
  ],
  [
    "a critical extension that is not known",
    "certificate",
    /critical extension 1\.2\.3\.4\.5/,
    { extensions: { odd: extension(UNKNOWN, Uint8Array.of(5, 0), true) } },
  ],
  [
    "an extension twice",
    "certificate",
    /extension 1\.2\.3\.4\.5 twice/,
    { extensions: { one: extension(UNKNOWN, Uint8Array.of(5, 0)), two: extension(UNKNOWN, Uint8Array.of(5, 0)) } },
  ],
  [
    "a certificate for servers",
    "certificate",
    /not for code signing/,
    { extensions: { purpose: extension("2.5.29.37", derSequence(derOid("1.3.6.1.5.5.7.3.1"))) } },
  ],
  ["a certificate without a purpose", "certificate", /not for code signing/, { extensions: { purpose: undefined } }],
  [
    "a certificate for timestamps",
    "certificate",
    /not for code signing/,
    { extensions: { purpose: extension("2.5.29.37", derSequence(derOid(TIME_STAMPING))) } },
  ],
  [
    "a certificate not for signatures",
    "certificate",
    /not for signatures/,
    { extensions: { keyUsage: extension("2.5.29.15", fromHex("03020520"), true) } },
  ],
  ["a certificate without key usage", "certificate", /not for signatures/, { extensions: { keyUsage: undefined } }],
  [
    "an authority's certificate as a signer's",
    "certificate",
    /is one of an authority/,
    { extensions: { authority: extension("2.5.29.19", derSequence(Uint8Array.of(1, 1, 0xff)), true) } },
  ],
  [
    "a basic constraint with false written out",
    "certificate",
    /false, which DER leaves out/,
    { extensions: { authority: extension("2.5.29.19", derSequence(Uint8Array.of(1, 1, 0)), true) } },
  ],
  ["a certificate of version 1", "certificate", /not of version 3/, { leaf: { version: 0 } }],
  [
    "a certificate that ends before it begins",
    "certificate",
    /ends before it begins/,
    { leaf: { from: SIGNED_AT, until: SIGNED_AT - MINUTE } },
  ],
  ["a certificate with no name", "certificate", /0 names/, { extensions: { names: undefined } }],
  [
    "a certificate with two names",
    "certificate",
    /2 names/,
    { extensions: { names: names(uri(IDENTITY), uri("https://evil.example/")) } },
  ],
  [
    "a certificate whose name has a line break",
    "certificate",
    /not printable ASCII/,
    { extensions: { names: names(uri(`${IDENTITY}\n`)) } },
  ],
  [
    "a certificate named by a host",
    "certificate",
    /not one that can be read/,
    { extensions: { names: names(tlv(0x82, utf8("example.org"))) } },
  ],
  ["a certificate that says not who vouched", "certificate", /who vouched/, { extensions: { issuer: undefined } }],
  [
    "a certificate with two issuers that differ",
    "certificate",
    /names two issuers/,
    { extensions: { older: extension(`${FULCIO}.1`, utf8("https://evil.example")) } },
  ],
  [
    "a certificate whose issuer is not text",
    "certificate",
    /tag 0x04/,
    { extensions: { issuer: extension(`${FULCIO}.8`, derOctets(utf8(ISSUER))) } },
  ],
  [
    "a certificate for another key of its issuer",
    "certificate",
    /names another key of its issuer/,
    { extensions: { wanted: extension("2.5.29.35", derSequence(tlv(0x80, sha256("another")))) } },
  ],
  ["no certificate timestamp", "certificate", /not shown to a certificate transparency log/, { noSct: true }],
  [
    "a certificate timestamp from another certificate",
    "certificate",
    /not one by the log https:\/\/ct\.example\/ for it/,
    { sctOver: utf8("another certificate") },
  ],
  ["a certificate timestamp by another key", "certificate", /not one by the log/, { sctKey: other.transparency }],
  [
    "a certificate timestamp before the log's key counted",
    "certificate",
    /transparency log that is not trusted/,
    { sctAt: Date.UTC(2020, 1, 1) },
  ],
  [
    "a signer's key on a curve that is not accepted",
    "certificate",
    /which is not accepted/,
    { leaf: { spki: oddCurve() } },
  ],
  [
    "a signer's key of RSA with 1024 bits",
    "certificate",
    /1024 bits, which is not accepted/,
    { leaf: { spki: weakRsa() } },
  ],
  [
    "a signature by another key than the certificate's",
    "signature",
    /signature is not one by/,
    { leaf: { spki: ecPair().spki } },
  ],
  [
    "signed before the certificate began (clock set back)",
    "time",
    /not valid when it signed, at 2026-06-01T11:58/,
    { stampedAt: SIGNED_AT - 2 * MINUTE },
  ],
  [
    "signed after the certificate ended",
    "time",
    /not valid when it signed, at 2026-06-01T13/,
    { stampedAt: SIGNED_AT + 60 * MINUTE },
  ],
  [
    "a timestamp from before its authority was trusted",
    "time",
    /outside the time in which/,
    { stampedAt: Date.UTC(2024, 1, 1) },
  ],
  ["no timestamp at all", "time", /nobody trusted says when/, { noStamp: true }],
  ["a timestamp from another signature", "time", /on another signature/, { stamped: utf8("another signature") }],
  [
    "a timestamp by another authority's key",
    "time",
    /not signed by https:\/\/stamps\.example/,
    { stampKey: other.stamps },
  ],
  ["a timestamp signed with another hash than it says", "time", /not signed by/, { stampHash: "sha512" }],
  ["a checkpoint by another key (a fork of the log)", "log", /bad signature by rekor\.example/, { logKey: other.log }],
  ["a checkpoint of another log", "log", /not signed by rekor\.example/, { origin: "other.example" }],
  [
    "an entry by another hash",
    "log",
    /digest by SHA2_512/,
    { entry: (entry) => JSON.parse(JSON.stringify(entry).replace('SHA2_256","digest', 'SHA2_512","digest')) },
  ],
  [
    "an entry with a field besides",
    "log",
    /unknown field extra/,
    { entry: (entry) => ({ ...(entry as object), extra: 1 }) },
  ],
  [
    "an entry about another digest",
    "log",
    /about another signed content/,
    {
      entry: (entry) =>
        JSON.parse(JSON.stringify(entry).replace(/"digest":"[^"]*"/, `"digest":"${base64(sha256("x"))}"`)),
    },
  ],
  [
    "an entry by another signer's certificate",
    "log",
    /about another signer/,
    {
      entry: (entry) =>
        JSON.parse(
          JSON.stringify(entry).replace(/"rawBytes":"[^"]*"/, `"rawBytes":"${base64(authority.leaf(ecPair().spki))}"`),
        ),
    },
  ],
  [
    "an entry of another kind inside",
    "log",
    /is a dsse 0\.0\.2, not a hashedrekord/,
    { entry: (entry) => ({ ...(entry as object), kind: "dsse" }) },
  ],
];

function oddCurve(): Uint8Array {
  return concat([
    fromHex("3056301006072a8648ce3d020106052b8104000a034200"),
    fromHex(
      "0479be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8",
    ),
  ]);
}

function weakRsa(): Uint8Array {
  const modulus = concat([Uint8Array.of(0), new Uint8Array(128).fill(0xc5)]);
  const key = derSequence(tlv(2, modulus), tlv(2, fromHex("010001")));
  return derSequence(
    derSequence(derOid("1.2.840.113549.1.1.1"), Uint8Array.of(5, 0)),
    tlv(3, concat([Uint8Array.of(0), key])),
  );
}

for (const [attack, check, reason, twist] of ISSUED) {
  test(`attack on what is issued: ${attack}`, () => {
    const bundle = authority.bundle(DIGEST, { signer: ecPair(), ...twist });
    const last = denial(judge(bytesOf(bundle)));
    assert.equal(theirs(bytesOf(bundle)) === undefined, STRICTER.has(attack), "@sigstore/verify");
    assert.match(last.message, reason);
    assert.equal(last.check, check);
  });
}

// --- attacks on the root of trust

const ROOTS: readonly (readonly [
  attack: string,
  check: Check,
  reason: RegExp,
  edit: (root: TrustedRootJson) => unknown,
])[] = [
  [
    "the log's key ended before the signature",
    "log",
    /outside the time/,
    (r) => r.tlogs.forEach(({ publicKey }) => (publicKey.validFor.end = "2026-01-01T00:00:00Z")),
  ],
  [
    "the authority was trusted only later",
    "time",
    /not valid when it signed/,
    (r) => r.certificateAuthorities.forEach(({ validFor }) => (validFor.start = "2026-07-01T00:00:00Z")),
  ],
  [
    "the timestamp authority was trusted only earlier",
    "time",
    /outside the time/,
    (r) => r.timestampAuthorities.forEach(({ validFor }) => (validFor.end = "2026-01-01T00:00:00Z")),
  ],
  ["no timestamp authority", "time", /authority that is not trusted/, (r) => (r.timestampAuthorities = [])],
  ["no certificate authority", "certificate", /no trusted authority/, (r) => (r.certificateAuthorities = [])],
  ["no certificate transparency log", "certificate", /transparency log that is not trusted/, (r) => (r.ctlogs = [])],
  ["no log", "log", /log that is not trusted/, (r) => (r.tlogs = [])],
  [
    "an authority without its root that signed it",
    "certificate",
    /not signed by "root"/,
    (r) =>
      r.certificateAuthorities[0]?.certChain.certificates.splice(1, 1, {
        rawBytes: base64(other.chain()[1] ?? assert.fail()),
      }),
  ],
  [
    "a timestamp authority that is only a root",
    "time",
    /is one of an authority/,
    (r) => r.timestampAuthorities[0]?.certChain.certificates.shift(),
  ],
];

for (const [attack, check, reason, edit] of ROOTS) {
  test(`the root of trust: ${attack}`, () => {
    const bundle = bytesOf(authority.bundle(DIGEST));
    assert.equal(judge(bundle).ok, true, "the twin");
    const changed = { ...CASE, trustedRoot: authority.trustedRoot((root) => void edit(root)) };
    const last = denial(ours(changed)(bundle));
    assert.equal(sigstoreJs(changed)(bundle) === undefined, STRICTER.has(attack), "@sigstore/verify");
    assert.match(last.message, reason);
    assert.ok(last.check === check || (check === "log" && last.check === "time"), last.check);
  });
}

const rootConstraint = (pathLength?: number): Uint8Array =>
  extension(
    "2.5.29.19",
    derSequence(Uint8Array.of(1, 1, 0xff), ...(pathLength === undefined ? [] : [Uint8Array.of(2, 1, pathLength)])),
    true,
  );

test("authorities that may not issue: path length, purpose, basic constraints", () => {
  const issue = extension("2.5.29.15", fromHex("03020106"), true);
  const sign = extension("2.5.29.15", fromHex("03020780"), true);
  const changes: [RegExp, (made: Authority) => void][] = [
    [/may not have 1 authorities below it/, (made) => (made.rootExtensions = [issue, rootConstraint(0)])],
    [/is not one of an authority/, (made) => (made.rootExtensions = [issue])],
    [/may not issue$/, (made) => (made.rootExtensions = [sign, rootConstraint()])],
    [
      /may not issue for this purpose/,
      (made) => (made.intermediateExtensions = [issue, extension("2.5.29.37", derSequence(derOid(TIME_STAMPING)))]),
    ],
    [
      /critical extension 2\.5\.29\.30/,
      (made) => (made.intermediateExtensions = [issue, extension("2.5.29.30", derSequence(), true)]),
    ],
    [
      /not for timestamps alone, marked critical/,
      (made) => (made.stampExtensions = [sign, extension("2.5.29.37", derSequence(derOid(TIME_STAMPING)))]),
    ],
    [
      /not for timestamps alone, marked critical/,
      (made) =>
        (made.stampExtensions = [
          sign,
          extension("2.5.29.37", derSequence(derOid(TIME_STAMPING), derOid(CODE_SIGNING)), true),
        ]),
    ],
  ];
  for (const [reason, change] of changes) {
    const made = new Authority();
    change(made);
    const decision = ours({ ...CASE, trustedRoot: made.trustedRoot() })(bytesOf(made.bundle(DIGEST)));
    assert.match(denial(decision).message, reason);
  }
});
