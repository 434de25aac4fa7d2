/** Bundles of others: what is allowed, Rekor v1 and keys, identities, caches. */
import { strict as assert } from "node:assert";
import test from "node:test";
import {
  ARTIFACT,
  Authority,
  bytesOf,
  DIGEST,
  ecdsa,
  ecPair,
  extension,
  edPair,
  IDENTITY,
  ISSUER,
  SIGNED_AT,
  tlv,
} from "../../test/authority.ts";
import { denial } from "../../test/denial.ts";
import { ours, sigstoreJs } from "../../test/sigstore-oracle.ts";
import { readTrustedRoot } from "../attest/read-trusted-root.ts";
import { base64, utf8 } from "../bytes.ts";
import { digestOf, sha256 } from "../digest.ts";
import { IN_TOTO_PAYLOAD, preAuthEncoding } from "../format/dsse.ts";
import { spkiPem } from "../format/spki.ts";
import { canonicalJson } from "../json.ts";
import { derSequence } from "../format/der.ts";
import { DecisionCache } from "./decision-cache.ts";

const authority = new Authority();
const other = new Authority();
const trustedRoot = authority.trustedRoot();
const CASE = { artifact: ARTIFACT, trustedRoot, identity: IDENTITY, issuer: ISSUER, key: undefined };
const judge = ours(CASE);
const theirs = sigstoreJs(CASE);

test("the intact twin: allowed by ours and by @sigstore/verify, from a file and from a digest", () => {
  const bundle = bytesOf(authority.bundle(DIGEST));
  const decision = judge(bundle);
  assert.deepEqual([decision.ok, theirs(bundle)], [true, undefined], decision.reasons.at(-1)?.message);
  assert.equal(ours(CASE, true)(bundle).ok, true);
  assert.deepEqual(
    decision.reasons.map(({ check }) => check),
    ["digest", "bundle", "certificate", "signature", "subject", "log", "time", "identity"],
  );
  assert.equal(decision.facts.source?.uri, "https://github.com/example/tool");
  assert.equal(decision.facts.source?.digest["gitCommit"], "0123456789abcdef0123456789abcdef01234567");
  assert.equal(decision.facts.signedAt, "2026-06-01T12:00:00Z");
});

// --- Rekor v1, keys, identities, caches

/** A v0.3 bundle by a key, in the first log: promise, or promise and body of another kind. */
function keyed(body: object, kind: string, version: string, content: object, mediaType: string) {
  const entry = authority.logged(canonicalJson(body as never), kind, version);
  const at = SIGNED_AT / 1000;
  return utf8(
    JSON.stringify({
      mediaType,
      verificationMaterial: { publicKey: { hint: "x" }, tlogEntries: [authority.promise(entry, at)] },
      ...content,
    }),
  );
}

const hash = (bytes: Uint8Array) => ({ algorithm: "sha256", value: Buffer.from(sha256(bytes)).toString("hex") });
const twice = (bytes: Uint8Array): string => base64(utf8(base64(bytes)));
const names = (...items: Uint8Array[]): Uint8Array => extension("2.5.29.17", derSequence(...items), true);
const uri = (value: string): Uint8Array => tlv(0x86, utf8(value));
const V01 = "application/vnd.dev.sigstore.bundle+json;version=0.1";

test("Rekor v1's three kinds of entries by a promise, with a key, and each about something else", () => {
  const pair = ecPair();
  const case1 = { ...CASE, key: spkiPem(pair.spki) };
  const payload = utf8(
    JSON.stringify({
      _type: "https://in-toto.io/Statement/v0.1",
      subject: [{ name: "a", digest: { sha256: DIGEST.slice(7) } }],
      predicateType: "x",
      predicate: {},
    }),
  );
  const encoding = preAuthEncoding(IN_TOTO_PAYLOAD, payload);
  const pem = base64(utf8(spkiPem(pair.spki)));
  const [plain, enveloped] = [ecdsa(pair, ARTIFACT), ecdsa(pair, encoding)];
  const message = {
    messageSignature: {
      messageDigest: { algorithm: "SHA2_256", digest: base64(sha256(ARTIFACT)) },
      signature: base64(plain),
    },
  };
  const envelope = {
    dsseEnvelope: {
      payload: base64(payload),
      payloadType: IN_TOTO_PAYLOAD,
      signatures: [{ sig: base64(enveloped), keyid: "any" }],
    },
  };
  const kinds = (signature: Uint8Array, content: Uint8Array): [string, string, object, object][] => [
    [
      "hashedrekord",
      "0.0.1",
      message,
      {
        apiVersion: "0.0.1",
        kind: "hashedrekord",
        spec: { data: { hash: hash(content) }, signature: { content: base64(signature), publicKey: { content: pem } } },
      },
    ],
    [
      "dsse",
      "0.0.1",
      envelope,
      {
        apiVersion: "0.0.1",
        kind: "dsse",
        spec: {
          envelopeHash: hash(content),
          payloadHash: hash(content),
          signatures: [{ signature: base64(signature), verifier: pem }],
        },
      },
    ],
    [
      "intoto",
      "0.0.2",
      envelope,
      {
        apiVersion: "0.0.2",
        kind: "intoto",
        spec: {
          content: {
            envelope: { payloadType: IN_TOTO_PAYLOAD, signatures: [{ publicKey: pem, sig: twice(signature) }] },
            hash: hash(content),
            payloadHash: hash(content),
          },
        },
      },
    ],
  ];
  for (const [at, [kind, version, content]] of kinds(plain, payload).entries()) {
    const of = at === 0 ? ([plain, ARTIFACT] as const) : ([enveloped, payload] as const);
    const body = (signature: Uint8Array, signed: Uint8Array): object =>
      kinds(signature, signed)[at]?.[3] ?? assert.fail();
    const bundle = keyed(body(...of), kind, version, content, V01);
    assert.equal(ours(case1)(bundle).ok, true, `${kind}: ${ours(case1)(bundle).reasons.at(-1)?.message}`);
    assert.equal(ours(case1, true)(bundle).ok, true, kind);
    assert.equal(sigstoreJs(case1)(bundle), undefined, kind);
    for (const [signature, signed, reason] of [
      [of[0], utf8("other"), /about another (signed content|payload)/],
      [ecdsa(pair, of[1]), of[1], /about another signature/],
    ] as const) {
      const last = denial(ours(case1)(keyed(body(signature, signed), kind, version, content, V01)));
      assert.deepEqual([last.check, reason.test(last.message)], ["log", true], last.message);
    }
    const alien = JSON.stringify(body(...of)).replace(pem, base64(utf8(spkiPem(ecPair().spki))));
    assert.match(
      denial(ours(case1)(keyed(JSON.parse(alien), kind, version, content, V01))).message,
      /about another signer/,
    );
    const moved = JSON.parse(new TextDecoder().decode(bundle));
    moved.verificationMaterial.tlogEntries[0].integratedTime = String(SIGNED_AT / 1000 - 60);
    assert.match(denial(ours(case1)(utf8(JSON.stringify(moved)))).message, /promise is not one by/);
    assert.match(denial(ours({ ...CASE, key: spkiPem(ecPair().spki) })(bundle)).message, /signature is not one by/);
    assert.match(denial(ours(CASE)(bundle)).message, /no key is trusted/);
    assert.match(
      denial(ours(case1)(keyed(body(...of), kind, version, content, V01.replace("0.1", "0.2")))).message,
      /no inclusionProof/,
    );
  }
  assert.match(
    denial(ours(case1)(bytesOf(authority.bundle(DIGEST)))).message,
    /certificate, and only a key is trusted/,
  );
});

test("identities: exact, by their beginning, never by what climbs or by anybody else", () => {
  const bundle = bytesOf(authority.bundle(DIGEST));
  const as = (identity: string, issuer = ISSUER) => ours({ ...CASE, identity, issuer })(bundle);
  for (const identity of [
    IDENTITY,
    "https://github.com/example/tool/*",
    "https://github.com/example/*",
    IDENTITY.replace("v1", "*"),
  ]) {
    assert.equal(as(identity).ok, true, identity);
  }
  for (const identity of [
    "",
    "*",
    "https://github.com/example/too",
    "https://github.com/exampl",
    IDENTITY.toUpperCase(),
    `${IDENTITY} `,
    IDENTITY.replace(".yml", "?yml"),
    "https://github.com/.*",
  ]) {
    assert.equal(denial(as(identity)).check, "identity", identity);
  }
  assert.equal(denial(as(IDENTITY, "https://accounts.example")).check, "identity");
  const climbing = authority.bundle(DIGEST, {
    extensions: { names: names(uri("https://github.com/example/../evil/x")) },
  });
  assert.equal(
    denial(ours({ ...CASE, identity: "https://github.com/example/*" })(bytesOf(climbing))).check,
    "identity",
  );
  const mail = authority.bundle(DIGEST, { extensions: { names: names(tlv(0x81, utf8("a@example.org"))) } });
  assert.equal(ours({ ...CASE, identity: "a@example.org" })(bytesOf(mail)).ok, true);
});

test("several bundles: one that holds is enough, the others are set aside; none is no evidence", () => {
  const good = bytesOf(authority.bundle(DIGEST));
  const bad = bytesOf(other.bundle(DIGEST));
  const all = ours(CASE);
  assert.equal(all(good).ok, true);
  assert.equal(denial(all(bad)).check, "certificate");
});

test("certificates are remembered with their verdict: bad ones as well", () => {
  const signer = ecPair();
  const remembering = ours(CASE);
  const bad = bytesOf(authority.bundle(DIGEST, { signer, sctKey: other.transparency }));
  const good = bytesOf(authority.bundle(DIGEST, { signer }));
  for (let round = 0; round < 3; round++) {
    assert.equal(denial(remembering(bad)).check, "certificate");
    assert.equal(remembering(good).ok, true);
  }
});

test("a decision is remembered under digest and rules, only when it allows, and only for its time", () => {
  const cache = new DecisionCache(2);
  const allowed = judge(bytesOf(authority.bundle(DIGEST)));
  const { rules } = allowed.facts;
  cache.keep(allowed, 1000);
  assert.equal(cache.find(DIGEST, rules, 999), allowed);
  assert.equal(cache.find(DIGEST, digestOf("other rules"), 999), undefined);
  assert.equal(cache.find(digestOf("other artifact"), rules, 999), undefined);
  assert.equal(cache.find(DIGEST, rules, 1000), undefined);
  const denied = judge(bytesOf(other.bundle(DIGEST)));
  cache.keep(denied, 1000);
  assert.equal(cache.find(DIGEST, denied.facts.rules, 0), undefined);
  for (const name of ["a", "b", "c"]) cache.keep({ ...allowed, facts: { ...allowed.facts, digest: name } }, 1000);
  assert.deepEqual(
    ["a", "b", "c"].map((name) => cache.find(name, rules, 0) !== undefined),
    [false, true, true],
  );
});

test("a trusted root that is not one: named errors", () => {
  const broken: [RegExp, (text: string) => string][] = [
    [/mediaType is/, (text) => text.replace("trustedroot", "other")],
    [/duplicate key/, (text) => text.replace("{", '{"tlogs":[],')],
    [/unknown field "x"/, (text) => text.replace("{", '{"x":[],')],
    [/not canonical base64/, (text) => text.replace(/"keyId":"./, '"keyId":" ')],
    [/validFor\.start is "soon"/, (text) => text.replace("2025-01-01T00:00:00Z", "soon")],
    [/SHA2_512/, (text) => text.replace("SHA2_256", "SHA2_512")],
    [/baseUrl is/, (text) => text.replace("https://rekor.example", "::")],
  ];
  const text = new TextDecoder().decode(trustedRoot);
  for (const [reason, edit] of broken) {
    assert.throws(() => readTrustedRoot(utf8(edit(text))), { message: reason, code: "input" });
  }
  assert.throws(() => readTrustedRoot(new Uint8Array(5 << 20)), { code: "limit" });
  // A key that is not what it says costs a denial, when it is used.
  const wrong = authority.trustedRoot((root) =>
    root.tlogs.forEach(({ publicKey }) => (publicKey.rawBytes = base64(edPair().spki))),
  );
  assert.equal(denial(ours({ ...CASE, trustedRoot: wrong })(bytesOf(authority.bundle(DIGEST)))).check, "log");
});
