/** Published Sigstore bundles, keyed and keyless, v1 and v2 logs: ours beside @sigstore/verify, each with its reason. */
import { strict as assert } from "node:assert";
import test from "node:test";
import { parseBundle } from "../src/attest/bundle.ts";
import { utf8 } from "../src/bytes.ts";
import { BitforbitError } from "../src/errors.ts";
import type { Check } from "../src/policy/decision.ts";
import { ours, sigstoreJs } from "./sigstore-oracle.ts";
import { type SigstoreVector, sigstoreVectors, vectorsFolder } from "./sigstore-vectors.ts";

const skip = vectorsFolder === undefined ? "published vectors are not in ../shared" : false;

/** Why each that must fail is refused: the check, and what it says. */
const REASONS: Readonly<Record<string, readonly [Check, RegExp]>> = {
  "bundle-empty-certificate-chain_fail": ["bundle", /x509CertificateChain has no certificates/],
  "bundle-invalid-base64-signature_fail": ["bundle", /signature is not canonical base64/],
  "bundle-negative-log-index_fail": ["bundle", /logIndex is "-1"/],
  "bundle-with-root-cert_fail": ["certificate", /chain has a root certificate/],
  "checkpoint-bad-keyhint_fail": ["log", /checkpoint is not signed by rekor\.sigstore\.dev/],
  "dsse-invalid-sig_fail": ["signature", /signature is not one by/],
  "dsse-mismatch-sig_fail": ["log", /about another signature/],
  "inclusion-proof-corrupted-hash_fail": ["log", /does not lead to the root/],
  "integrated-time-in-future_fail": ["time", /not valid when it signed/],
  "intoto-log-entry-mismatch_fail": ["log", /about another/],
  "intoto-set-outside-signing-cert-validity_fail": ["time", /not valid when it signed, at 2023-02-02/],
  "invalid-ct-key_fail": ["certificate", /certificate transparency log that is not trusted/],
  "managed-key-no-key_fail": ["certificate", /signed with a key, and no key is trusted/],
  "message-digest-mismatch_fail": ["signature", /the bundle is about sha256:a1cf/],
  "rekor2-checkpoint-missing-log-signature_fail": ["log", /has 0 signatures/],
  "rekor2-checkpoint-missing-root-hash_fail": ["log", /bad signature by log2025-alpha1/],
  "rekor2-dsse-invalid-sig_fail": ["signature", /signature is not one by/],
  "rekor2-dsse-mismatch-sig_fail": ["log", /about another signature/],
  "rekor2-no-inclusion-proof_fail": ["bundle", /has no inclusionProof/],
  "rekor2-timestamp-outside-trust-root-tsa-validity_fail": ["time", /outside the time in which .* counts/],
  "rekor2-timestamp-payload-mismatch_fail": ["time", /on another signature/],
  "rekor2-timestamp-untrusted-tsa-without-embedded-cert_fail": ["time", /authority that is not trusted/],
  "signature-mismatch_fail": ["signature", /signature is not one by/],
  "wrong-hashedrekord-artifact_fail": ["log", /about another signed content/],
  "wrong-hashedrekord-entry_fail": ["log", /about another signed content/],
};

function named(name: string): SigstoreVector {
  return sigstoreVectors().find((vector) => vector.name === name) ?? assert.fail(name);
}

type Edit = (text: string) => string;

/** Changes to a good bundle that @sigstore/verify accepts and we do not, and why we are the stricter. */
const STRICTER: readonly (readonly [change: string, edit: Edit, refusal: RegExp, why: string])[] = [
  [
    "an unknown field",
    (text) => text.replace("{", '{"extra":1,'),
    /unknown field "extra"/,
    "a later reader may know it: two verifiers would judge two bundles",
  ],
  [
    "a duplicate key",
    (text) => text.replace("{", '{"mediaType":"x",'),
    /duplicate key/,
    "parsers differ in which of the two they take",
  ],
  [
    "both kinds of content",
    (text) => text.replace("{", '{"dsseEnvelope":null,'),
    /several of one choice: dsseEnvelope, messageSignature/,
    "which one was verified depends on the parser",
  ],
  [
    "two signers",
    (text) => text.replace('"verificationMaterial":{', '"verificationMaterial":{"publicKey":null,'),
    /several of one choice: publicKey, certificate/,
    "which one signed depends on the parser",
  ],
  [
    "base64 with white space",
    (text) => text.replace(/("signature":")/, "$1 "),
    /signature is not canonical base64/,
    "one value with several encodings defeats comparing bundles",
  ],
  [
    "base64 without padding",
    (text) => text.replace(/("digest":"[^"=]*)=+"/, '$1"'),
    /digest is not canonical base64/,
    "the same",
  ],
  [
    "base64url",
    (text) => text.replace(/"rawBytes":"[^"]*"/, (field) => field.replaceAll("+", "-").replaceAll("/", "_")),
    /rawBytes is not canonical base64/,
    "the same",
  ],
  [
    "a number for a 64-bit string",
    (text) => text.replace(/"logIndex":"(\d+)"/, '"logIndex":$1'),
    /logIndex is not a string/,
    "above 2^53 a double is another number",
  ],
  [
    "an unknown media type",
    (text) => text.replace("bundle.v0.3+json", "bundle.v0.4+json"),
    /mediaType is/,
    "what a later version means is not known",
  ],
  [
    "a root hash in the proof that is not the checkpoint's",
    (text) => text.replace(/"rootHash":"..../, '"rootHash":"AAAA'),
    /another tree than its checkpoint/,
    "what shows the field to a person would show a lie",
  ],
  [
    "a tree size in the proof that is not the checkpoint's",
    (text) => text.replace(/"treeSize":"\d/, '"treeSize":"9'),
    /another tree than its checkpoint/,
    "the same",
  ],
];

test("every published bundle is accepted or refused as it must be, for its reason", { skip }, () => {
  const vectors = sigstoreVectors();
  for (const vector of vectors) {
    for (const fromDigest of [false, true]) {
      const decision = ours(vector, fromDigest)(vector.bundle);
      const last = decision.reasons.at(-1);
      assert.equal(decision.ok, !vector.fails, `${vector.name}: ${last?.message}`);
      if (!vector.fails) continue;
      const [check, reason] = REASONS[vector.name] ?? assert.fail(`${vector.name} has no reason`);
      assert.equal(last?.check, check, vector.name);
      assert.match(last.message, reason, vector.name);
      assert.ok((last.hint ?? "").length > 0, vector.name);
    }
  }
  assert.ok(vectors.length >= 34);
  assert.deepEqual(
    vectors.filter(({ fails }) => fails).map(({ name }) => name),
    Object.keys(REASONS).sort(),
  );
});

test("@sigstore/verify agrees on every one", { skip }, () => {
  for (const vector of sigstoreVectors()) {
    const theirs = sigstoreJs(vector)(vector.bundle);
    assert.equal(theirs === undefined, !vector.fails, `${vector.name}: ${theirs}`);
  }
});

test("where ours is stricter than @sigstore/verify, and why", { skip }, () => {
  const vector = named("happy-path-v0.3-new-mediaType");
  const [accept, judge] = [sigstoreJs(vector), ours(vector)];
  const text = JSON.stringify(JSON.parse(new TextDecoder().decode(vector.bundle)));
  assert.equal(judge(utf8(text)).ok, true);
  for (const [change, edit, refusal, why] of STRICTER) {
    const changed = utf8(edit(text));
    assert.notEqual(edit(text), text, change);
    assert.equal(accept(changed), undefined, `@sigstore/verify refuses ${change}`);
    assert.match(judge(changed).reasons.at(-1)?.message ?? "", refusal, `${change}: ${why}`);
  }
});

test("what accepted bundles say: signer, time, log, and from GitHub's claims the commit", { skip }, () => {
  const happy = named("happy-path-v0.3-new-mediaType");
  const { facts } = ours(happy)(happy.bundle);
  assert.deepEqual(facts.identity, { subject: happy.identity, issuer: happy.issuer });
  assert.equal(facts.signedAt, "2024-03-19T17:26:26Z");
  assert.equal(facts.log?.origin.split(" ")[0], "rekor.sigstore.dev");
  assert.equal(facts.source?.uri, "https://github.com/sigstore-conformance/extremely-dangerous-public-oidc-beacon");
  assert.match(facts.source?.digest["gitCommit"] ?? "", /^[0-9a-f]{40}$/);
  const second = named("rekor2-timestamp-without-embedded-cert");
  assert.equal(ours(second)(second.bundle).facts.signedAt, "2025-08-06T19:03:51Z");
  const another = ours({ ...happy, identity: happy.identity.replace("main", "other") })(happy.bundle).reasons.at(-1);
  assert.equal(another?.check, "identity");
  assert.equal(ours({ ...happy, issuer: "https://accounts.example" })(happy.bundle).reasons.at(-1)?.check, "identity");
});

test("none of them is taken for evidence of ours", { skip }, () => {
  for (const { name, bundle } of sigstoreVectors()) assert.throws(() => parseBundle(bundle), BitforbitError, name);
});
