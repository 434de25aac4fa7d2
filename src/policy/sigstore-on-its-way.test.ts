/** Attacks on a bundle of others on its way: each denied with its reason, its intact twin allowed. */
import { strict as assert } from "node:assert";
import test from "node:test";
import {
  ARTIFACT,
  Authority,
  type BundleJson,
  bytesOf,
  DIGEST,
  ecdsa,
  type EntryJson,
  IDENTITY,
  ISSUER,
  SIGNED_AT,
  tlv,
} from "../../test/authority.ts";
import { denial } from "../../test/denial.ts";
import { ours, sigstoreJs } from "../../test/sigstore-oracle.ts";
import { base64, concat, fromBase64, utf8 } from "../bytes.ts";
import { digestOf, sha256 } from "../digest.ts";
import { derSequence } from "../format/der.ts";
import type { Check } from "./decision.ts";

const authority = new Authority();
const trustedRoot = authority.trustedRoot();
const CASE = { artifact: ARTIFACT, trustedRoot, identity: IDENTITY, issuer: ISSUER, key: undefined };
const judge = ours(CASE);
const theirs = sigstoreJs(CASE);

/** Attacks that @sigstore/verify lets through: what it does not look at, and RFC 5280, Fulcio's profile or cosign do. */
const STRICTER: ReadonlySet<string> = new Set([
  // Extensions, purposes and versions of the signer's certificate.
  // The signer's name: one, and one issuer.
  // Of the entry's body it compares signature and digest only.
  // It never compares an in-toto subject with the artifact.
  "the bundle of another artifact",
  // The log's window is held against a promise's time, not against a timestamp's.
]);

// --- attacks on a bundle on its way

const flip = (text: string, at = 0.5): string => {
  const bytes = fromBase64(text);
  const place = Math.floor(bytes.length * at);
  bytes[place] = (bytes[place] ?? 0) ^ 1;
  return base64(bytes);
};
const first = (bundle: BundleJson): EntryJson => bundle.verificationMaterial.tlogEntries[0] ?? assert.fail();
const proof = (bundle: BundleJson) => first(bundle).inclusionProof ?? assert.fail();
const stamps = (bundle: BundleJson) => bundle.verificationMaterial.timestampVerificationData.rfc3161Timestamps;
const foreign = authority.bundle(DIGEST);
const replayed = authority.bundle(digestOf("an older release"));

const EDITS: readonly (readonly [
  attack: string,
  check: Check,
  reason: RegExp,
  edit: (bundle: BundleJson) => unknown,
])[] = [
  ["the bundle of another artifact", "subject", /about sha256:.* not about/, () => replayed],
  [
    "the payload of another artifact",
    "signature",
    /signature is not one by/,
    (b) => void (b.dsseEnvelope.payload = replayed.dsseEnvelope.payload),
  ],
  [
    "another payload type",
    "signature",
    /signature is not one by/,
    (b) => void (b.dsseEnvelope.payloadType = "text/plain"),
  ],
  [
    "the certificate of another signature",
    "signature",
    /signature is not one by/,
    (b) => void (b.verificationMaterial.certificate = foreign.verificationMaterial.certificate),
  ],
  [
    "the certificate cut off",
    "certificate",
    /ends too late/,
    (b) =>
      void (b.verificationMaterial.certificate.rawBytes = base64(
        fromBase64(b.verificationMaterial.certificate.rawBytes).subarray(0, -1),
      )),
  ],
  [
    "the certificate with a byte behind it",
    "certificate",
    /1 bytes too many/,
    (b) =>
      void (b.verificationMaterial.certificate.rawBytes = base64(
        concat([fromBase64(b.verificationMaterial.certificate.rawBytes), Uint8Array.of(0)]),
      )),
  ],
  [
    "the certificate's length in a longer form",
    "certificate",
    /not in its shortest form/,
    (b) => void (b.verificationMaterial.certificate.rawBytes = longer(b.verificationMaterial.certificate.rawBytes)),
  ],
  [
    "the certificate's signature changed",
    "certificate",
    /not signed by "intermediate"/,
    (b) => void (b.verificationMaterial.certificate.rawBytes = flip(b.verificationMaterial.certificate.rawBytes, 0.99)),
  ],
  [
    "the issuer's own certificate",
    "certificate",
    /is one of an authority/,
    (b) => void (b.verificationMaterial.certificate.rawBytes = base64(authority.chain()[0] ?? assert.fail())),
  ],
  [
    "the log entry of another signature",
    "log",
    /about another/,
    (b) => void (b.verificationMaterial.tlogEntries = foreign.verificationMaterial.tlogEntries),
  ],
  ["the log entry twice", "log", /one log entry twice/, (b) => void b.verificationMaterial.tlogEntries.push(first(b))],
  ["no log entry", "log", /no log entry/, (b) => void (b.verificationMaterial.tlogEntries = [])],
  [
    "the entry's body not canonical",
    "log",
    /not canonical JSON/,
    (b) =>
      void (first(b).canonicalizedBody = base64(
        utf8(JSON.stringify(JSON.parse(Buffer.from(first(b).canonicalizedBody, "base64").toString()), null, 1)),
      )),
  ],
  [
    "a log that is not trusted (key-id collision in four bytes)",
    "log",
    /log that is not trusted/,
    (b) => void (first(b).logId.keyId = flip(first(b).logId.keyId, 0.9)),
  ],
  [
    "a proof's hash changed",
    "log",
    /does not lead to the root/,
    (b) => void (proof(b).hashes[0] = flip(proof(b).hashes[0] ?? "")),
  ],
  ["a proof without its last hash", "log", /does not lead to the root/, (b) => void proof(b).hashes.pop()],
  [
    "a proof with a hash too many",
    "log",
    /does not lead to the root/,
    (b) => void proof(b).hashes.push(base64(sha256("x"))),
  ],
  ["the proof's index moved", "log", /states two indexes/, (b) => void (proof(b).logIndex = "2")],
  ["both indexes moved", "log", /does not lead to the root/, (b) => void (proof(b).logIndex = first(b).logIndex = "2")],
  [
    "an index beyond the tree",
    "log",
    /does not lead to the root/,
    (b) => void (proof(b).logIndex = first(b).logIndex = "4"),
  ],
  [
    "the checkpoint's size changed",
    "log",
    /bad signature/,
    (b) => void (proof(b).checkpoint.envelope = proof(b).checkpoint.envelope.replace("\n4\n", "\n5\n")),
  ],
  [
    "the checkpoint without a signature",
    "log",
    /1 to 64 are allowed/,
    (b) => void (proof(b).checkpoint.envelope = proof(b).checkpoint.envelope.replace(/—.*\n/, "")),
  ],
  [
    "a promise of the second log",
    "log",
    /not one by|promise/,
    (b) =>
      void Object.assign(first(b), {
        integratedTime: String(SIGNED_AT / 1000),
        inclusionPromise: { signedEntryTimestamp: base64(ecdsa(authority.first, utf8("x"))) },
      }),
  ],
  ["the timestamp twice", "time", /one timestamp twice/, (b) => void stamps(b).push(...stamps(b))],
  [
    "a good timestamp and one of another signature",
    "time",
    /on another signature/,
    (b) => void stamps(b).push(...stamps(foreign)),
  ],
  [
    "the timestamp cut off",
    "time",
    /ends too late|too early/,
    (b) =>
      void (stamps(b)[0] = {
        signedTimestamp: base64(fromBase64(stamps(b)[0]?.signedTimestamp ?? "").subarray(0, -3)),
      }),
  ],
  [
    "the timestamp's signature changed",
    "time",
    /not signed by/,
    (b) => void (stamps(b)[0] = { signedTimestamp: flip(stamps(b)[0]?.signedTimestamp ?? "", 0.99) }),
  ],
  [
    "the timestamp not granted",
    "time",
    /status 2/,
    (b) => void (stamps(b)[0] = { signedTimestamp: base64(derSequence(derSequence(Uint8Array.of(2, 1, 2)))) }),
  ],
  [
    "the DSSE signature changed",
    "signature",
    /signature is not one by/,
    (b) => void (b.dsseEnvelope.signatures[0] = { sig: flip(b.dsseEnvelope.signatures[0]?.sig ?? "") }),
  ],
  [
    "the malleated signature (n − s)",
    "log",
    /about another signature/,
    (b) => void (b.dsseEnvelope.signatures[0] = { sig: malleated(b.dsseEnvelope.signatures[0]?.sig ?? "") }),
  ],
  [
    "two DSSE signatures",
    "bundle",
    /signatures has 2 items/,
    (b) => void b.dsseEnvelope.signatures.push({ sig: "AAAA" }),
  ],
  [
    "a chain in a v0.3 bundle",
    "bundle",
    /field x509CertificateChain/,
    (b) =>
      void (b.verificationMaterial = {
        ...b.verificationMaterial,
        certificate: undefined,
        x509CertificateChain: { certificates: [b.verificationMaterial.certificate] },
      } as never),
  ],
  [
    "seventeen log entries",
    "bundle",
    /not a list of at most 16/,
    (b) => void (b.verificationMaterial.tlogEntries = Array.from({ length: 17 }, () => first(b))),
  ],
  [
    "a v0.1 bundle that only proves",
    "bundle",
    /has no inclusionPromise|field certificate/,
    (b) => void (b.mediaType = "application/vnd.dev.sigstore.bundle+json;version=0.1"),
  ],
];

function longer(encoded: string): string {
  const bytes = fromBase64(encoded);
  return base64(concat([Uint8Array.of(0x30, 0x83, 0), bytes.subarray(2)]));
}

/** The order of P-256: s and n − s are both good (ECDSA is malleable). */
function malleated(encoded: string): string {
  const der = fromBase64(encoded);
  const order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
  const r = der.subarray(2, 4 + (der[3] ?? 0));
  const s = order - BigInt(`0x${Buffer.from(der.subarray(r.length + 4)).toString("hex")}`);
  const plain = Buffer.from(s.toString(16).padStart(64, "0"), "hex");
  let from = 0;
  while (plain[from] === 0) from++;
  const short = plain.subarray(from);
  const bytes = (short[0] ?? 0) >= 0x80 ? concat([Uint8Array.of(0), short]) : short;
  return base64(derSequence(r, tlv(2, bytes)));
}

for (const [attack, check, reason, edit] of EDITS) {
  test(`attack on the bundle on its way: ${attack}`, () => {
    const bundle = authority.bundle(DIGEST);
    assert.equal(judge(bytesOf(bundle)).ok, true, "the twin");
    const changed = (edit(bundle) as BundleJson | undefined) ?? bundle;
    const last = denial(judge(bytesOf(changed)));
    assert.equal(theirs(bytesOf(changed)) === undefined, STRICTER.has(attack), "@sigstore/verify");
    assert.match(last.message, reason);
    assert.equal(last.check, check);
  });
}
