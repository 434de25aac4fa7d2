import { strict as assert } from "node:assert";
import { createHash } from "node:crypto";
import test from "node:test";
import * as fc from "fast-check";
import { type Home, makeHome, NOW, removeHome } from "../../test/evidence.ts";
import { cosigning, testWitness } from "../../test/witnesses.ts";
import { parseBundle } from "../attest/bundle.ts";
import { base64, fromBase64, utf8 } from "../bytes.ts";
import { BitforbitError } from "../errors.ts";
import type { JsonObject } from "../json.ts";
import type { Check, Decision } from "./decision.ts";
import type { VerifyRequest } from "./hearing.ts";
import { verify } from "./verify.ts";

const home: Home = await makeHome();
const stranger: Home = await makeHome(3);
test.after(() => {
  removeHome(home);
  removeHome(stranger);
});

const { request } = home;

function denied(decision: Decision): { check: Check; message: string; hint?: string } {
  const last = decision.reasons.at(-1) ?? assert.fail("a decision without reasons");
  assert.equal(decision.ok, false, "allowed");
  assert.equal(last.ok, false);
  assert.ok(decision.reasons.slice(0, -1).every(({ ok }) => ok));
  assert.ok((last.hint ?? "").length > 0, "a denial without a hint");
  return last;
}

// --- attacks on the bundle of the provenance: JSON in, JSON (or bytes) out

type Path = readonly (string | number)[];

function edited(bytes: Uint8Array, path: Path, edit: (value: unknown, parent: JsonObject) => unknown): Uint8Array {
  const root = JSON.parse(Buffer.from(bytes).toString()) as JsonObject;
  let parent: JsonObject = root;
  for (const name of path.slice(0, -1)) parent = parent[name] as JsonObject;
  const last = path.at(-1) ?? assert.fail();
  const value = edit(parent[last], parent);
  if (value === undefined) delete parent[last];
  else parent[last] = value as JsonObject;
  return utf8(JSON.stringify(root));
}

const flip = (text: unknown): string => {
  const bytes = fromBase64(String(text));
  bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1;
  return base64(bytes);
};
const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString();
const ENTRY = ["verificationMaterial", "tlogEntries", 0] as const;
const PROOF = [...ENTRY, "inclusionProof"] as const;
const DSSE = ["dsseEnvelope"] as const;

/** The order of P-256: s and n − s are both good (ECDSA is malleable). */
function malleated(signature: unknown): string {
  const der = fromBase64(String(signature));
  const order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
  const rLength = der[3] ?? 0;
  const r = der.subarray(2, 4 + rLength);
  const s = BigInt(`0x${Buffer.from(der.subarray(6 + rLength)).toString("hex")}`);
  let hex = (order - s).toString(16).padStart(64, "0");
  if (Number.parseInt(hex.slice(0, 2), 16) >= 0x80) hex = `00${hex}`;
  while (hex.startsWith("00") && Number.parseInt(hex.slice(2, 4), 16) < 0x80) hex = hex.slice(2);
  const sBytes = Buffer.from(hex, "hex");
  const body = Buffer.concat([r, Uint8Array.of(2, sBytes.length), sBytes]);
  return base64(Buffer.concat([Uint8Array.of(0x30, body.length), body]));
}

const ATTACKS: readonly [name: string, check: Check, reason: RegExp, attack: (bytes: Uint8Array) => Uint8Array][] = [
  ["an empty file", "bundle", /cannot parse the bundle/, () => new Uint8Array()],
  ["cut off in the middle", "bundle", /cannot parse the bundle/, (bytes) => bytes.subarray(0, bytes.length >> 1)],
  ["not UTF-8", "bundle", /not UTF-8/, () => Uint8Array.of(0xff, 0xfe)],
  ["a list instead of an object", "bundle", /the bundle is not an object/, () => utf8("[]")],
  [
    "nested ten thousand deep",
    "bundle",
    /cannot parse|nested deeper/,
    () => utf8("[".repeat(10_000) + "]".repeat(10_000)),
  ],
  [
    "media type v0.4",
    "bundle",
    /mediaType is/,
    (b) => edited(b, ["mediaType"], () => "application/vnd.dev.sigstore.bundle.v0.4+json"),
  ],
  ["an unknown field at the top", "bundle", /unknown field "extra"/, (b) => edited(b, ["extra"], () => 1)],
  [
    "an unknown field in the signature",
    "bundle",
    /unknown field "keyid"/,
    (b) => edited(b, [...DSSE, "signatures", 0, "keyid"], () => "x"),
  ],
  [
    "two contents (both oneofs)",
    "bundle",
    /unknown field "messageSignature"/,
    (b) => edited(b, ["messageSignature"], () => ({})),
  ],
  [
    "a certificate beside the key",
    "bundle",
    /unknown field "certificate"/,
    (b) => edited(b, ["verificationMaterial", "certificate"], () => ({})),
  ],
  ["a duplicate key", "bundle", /duplicate key "mediaType"/, (b) => utf8(text(b).replace("{", '{"mediaType":"x",'))],
  [
    "__proto__ as a field",
    "bundle",
    /unknown field "__proto__"/,
    (b) => utf8(text(b).replace("{", '{"__proto__":{},')),
  ],
  [
    "two signatures",
    "bundle",
    /signatures has 2 items/,
    (b) => edited(b, [...DSSE, "signatures"], (list) => [...(list as []), ...(list as [])]),
  ],
  ["no signature", "bundle", /signatures has 0 items/, (b) => edited(b, [...DSSE, "signatures"], () => [])],
  [
    "two log entries",
    "bundle",
    /tlogEntries has 2 items/,
    (b) => edited(b, ["verificationMaterial", "tlogEntries"], (list) => [...(list as []), ...(list as [])]),
  ],
  [
    "no log entry",
    "bundle",
    /tlogEntries has 0 items/,
    (b) => edited(b, ["verificationMaterial", "tlogEntries"], () => []),
  ],
  ["no inclusion proof", "bundle", /has no inclusionProof/, (b) => edited(b, [...PROOF], () => undefined)],
  [
    "a promise instead of a proof",
    "bundle",
    /unknown field "inclusionPromise"/,
    (b) => edited(b, [...ENTRY, "inclusionPromise"], () => ({ signedEntryTimestamp: "" })),
  ],
  [
    "base64 with stray bits",
    "bundle",
    /rootHash is not canonical base64/,
    // 32 bytes leave two bits of the last digit unused: the next letter decodes to the same bytes.
    (b) =>
      edited(b, [...PROOF, "rootHash"], (hash) =>
        String(hash).replace(/.=$/, (end) => `${String.fromCharCode(end.charCodeAt(0) + 1)}=`),
      ),
  ],
  [
    "base64url",
    "bundle",
    /payload is not canonical base64/,
    (b) => edited(b, [...DSSE, "payload"], (payload) => `-_${String(payload)}`),
  ],
  ["a negative index", "bundle", /logIndex is "-1"/, (b) => edited(b, [...ENTRY, "logIndex"], () => "-1")],
  ["an index as a number", "bundle", /logIndex is not a string/, (b) => edited(b, [...ENTRY, "logIndex"], () => 300)],
  [
    "an index beyond doubles",
    "bundle",
    /logIndex is "9007199254740993"/,
    (b) => edited(b, [...ENTRY, "logIndex"], () => "9007199254740993"),
  ],
  [
    "an index with a leading zero",
    "bundle",
    /logIndex is "0300"/,
    (b) => edited(b, [...ENTRY, "logIndex"], () => "0300"),
  ],
  [
    "a proof of 65 hashes",
    "bundle",
    /not a list of at most 64/,
    (b) => edited(b, [...PROOF, "hashes"], () => Array.from({ length: 65 }, () => base64(new Uint8Array(32)))),
  ],
  [
    "another entry kind",
    "bundle",
    /not hashedrekord 0\.0\.2/,
    (b) => edited(b, [...ENTRY, "kindVersion", "kind"], () => "dsse"),
  ],
  [
    "an older entry version",
    "bundle",
    /not hashedrekord 0\.0\.2/,
    (b) => edited(b, [...ENTRY, "kindVersion", "version"], () => "0.0.1"),
  ],
  [
    "another payload type",
    "bundle",
    /payloadType is "text\/plain"/,
    (b) => edited(b, [...DSSE, "payloadType"], () => "text/plain"),
  ],
  [
    "another key's hint",
    "signature",
    /which is not trusted/,
    (b) => edited(b, ["verificationMaterial", "publicKey", "hint"], () => stranger.keys.artifact.keyId),
  ],
  [
    "the payload changed",
    "signature",
    /the signature is not one by/,
    (b) =>
      edited(b, [...DSSE, "payload"], (payload) =>
        base64(utf8(text(fromBase64(String(payload))).replace("local", "cloud"))),
      ),
  ],
  [
    "the signature changed",
    "signature",
    /the signature is not one by/,
    (b) => edited(b, [...DSSE, "signatures", 0, "sig"], flip),
  ],
  [
    "the signature with a byte behind it",
    "signature",
    /the signature is not one by/,
    (b) =>
      edited(b, [...DSSE, "signatures", 0, "sig"], (sig) =>
        base64(Buffer.concat([fromBase64(String(sig)), Uint8Array.of(0)])),
      ),
  ],
  [
    "a stranger's signature under our hint",
    "signature",
    /the signature is not one by/,
    (b) => edited(b, [...DSSE, "signatures"], () => JSON.parse(text(stranger.bundles[0] ?? b)).dsseEnvelope.signatures),
  ],
  ["a bundle by a stranger, whole", "signature", /which is not trusted/, () => stranger.bundles[0] ?? assert.fail()],
  [
    "the malleated signature (n − s)",
    "log",
    /not about this signature/,
    (b) => edited(b, [...DSSE, "signatures", 0, "sig"], malleated),
  ],
  ["a hash of the proof changed", "log", /does not lead to the root/, (b) => edited(b, [...PROOF, "hashes", 0], flip)],
  [
    "a hash of another length",
    "log",
    /does not lead to the root/,
    (b) => edited(b, [...PROOF, "hashes", 0], () => base64(new Uint8Array(31))),
  ],
  [
    "the proof without its last hash",
    "log",
    /does not lead to the root/,
    (b) => edited(b, [...PROOF, "hashes"], (hashes) => (hashes as []).slice(0, -1)),
  ],
  [
    "the proof with a hash too many",
    "log",
    /does not lead to the root/,
    (b) => edited(b, [...PROOF, "hashes"], (hashes) => [...(hashes as []), base64(new Uint8Array(32))]),
  ],
  ["two indexes that differ", "log", /states two indexes/, (b) => edited(b, [...ENTRY, "logIndex"], () => "299")],
  [
    "both indexes moved",
    "log",
    /does not lead to the root/,
    (b) =>
      edited(
        edited(b, [...ENTRY, "logIndex"], () => "299"),
        [...PROOF, "logIndex"],
        () => "299",
      ),
  ],
  [
    "the proof's own root and size",
    "log",
    /another tree than its checkpoint/,
    (b) => edited(b, [...PROOF, "rootHash"], flip),
  ],
  [
    "the proof's own size",
    "log",
    /another tree than its checkpoint/,
    (b) => edited(b, [...PROOF, "treeSize"], () => "302"),
  ],
  [
    "the checkpoint's size changed",
    "log",
    /bad signature by log-/,
    (b) => edited(b, [...PROOF, "checkpoint", "envelope"], (note) => String(note).replace("\n303\n", "\n304\n")),
  ],
  [
    "the checkpoint's origin changed",
    "log",
    /bad signature|not signed by/,
    (b) => edited(b, [...PROOF, "checkpoint", "envelope"], (note) => `x${String(note)}`),
  ],
  [
    "the checkpoint without a signature",
    "log",
    /1 to 64 are allowed/,
    (b) => edited(b, [...PROOF, "checkpoint", "envelope"], (note) => String(note).replace(/—.*\n/, "")),
  ],
  [
    "the checkpoint signed by another log",
    "log",
    /not signed by log-/,
    (b) =>
      edited(
        b,
        [...PROOF, "checkpoint"],
        () => JSON.parse(text(stranger.bundles[0] ?? b)).verificationMaterial.tlogEntries[0].inclusionProof.checkpoint,
      ),
  ],
  [
    "a log that is not trusted",
    "log",
    /a log that is not trusted/,
    (b) => edited(b, [...ENTRY, "logId", "keyId"], flip),
  ],
  [
    "another entry's body",
    "log",
    /not about this signature/,
    (b) =>
      edited(
        b,
        [...ENTRY, "canonicalizedBody"],
        () => JSON.parse(text(home.bundles[1] ?? b)).verificationMaterial.tlogEntries[0].canonicalizedBody,
      ),
  ],
  [
    "the body re-serialised",
    "log",
    /not about this signature/,
    (b) =>
      edited(b, [...ENTRY, "canonicalizedBody"], (body) =>
        base64(utf8(JSON.stringify(JSON.parse(text(fromBase64(String(body)))), null, 1))),
      ),
  ],
  [
    "another bundle's log entry",
    "log",
    /not about this signature/,
    (b) => edited(b, [...ENTRY], () => JSON.parse(text(home.bundles[1] ?? b)).verificationMaterial.tlogEntries[0]),
  ],
];

for (const [name, check, reason, attack] of ATTACKS) {
  test(`attack on the bundle: ${name}`, () => {
    const [provenance = new Uint8Array(), ...others] = home.bundles;
    const changed = attack(provenance);
    assert.notDeepEqual(changed, provenance);
    // Alone: the denial names the fault. With the rest of the evidence: still denied, and the bundle is set aside for it.
    const alone = denied(verify({ ...request, bundles: [changed] }));
    assert.equal(alone.check, check);
    assert.match(alone.message, reason);
    const among = verify({ ...request, bundles: [...others, changed] });
    assert.equal(denied(among).check, "builder");
    assert.deepEqual(
      among.setAside.map(({ bundle, check }) => ({ bundle, check })),
      [{ bundle: 2, check }],
    );
    // Beside the sound evidence it changes nothing: there is no gain in adding it, as there is none in hiding one.
    assert.equal(verify({ ...request, bundles: [changed, ...home.bundles] }).ok, true);
  });
}

// --- attacks on what witnesses say: the same note under all bundles

const [w1, w2] = [testWitness("w1.example"), testWitness("w2.example")];
const seenAt = NOW - 60_000;
const witnessed: Home = await makeHome(3, { cosign: cosigning([w1, w2], seenAt) });
const other: Home = await makeHome(3, { cosign: cosigning([w1, w2], seenAt) });
test.after(() => {
  removeHome(witnessed);
  removeHome(other);
});

const byWitnesses: VerifyRequest = {
  ...witnessed.request,
  policy: { ...witnessed.request.policy, quorum: { witnesses: 2 } },
  trust: { ...witnessed.request.trust, witnesses: [w1.key, w2.key] },
};
const envelopePath: Path = [...PROOF, "checkpoint", "envelope"];
const noteOf = (bytes: Uint8Array): string =>
  JSON.parse(text(bytes)).verificationMaterial.tlogEntries[0].inclusionProof.checkpoint.envelope;
const lineOf = (note: string, name: string): string =>
  note.split(/(?<=\n)/).find((line) => line.startsWith(`— ${name} `)) ?? assert.fail();
/** The line with its time or its signature changed: key id (4), time (8), signature (64). */
const changedAt = (line: string, at: number): string => {
  const [dash, name, encoded = ""] = line.trim().split(" ");
  const bytes = fromBase64(encoded);
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  return `${dash} ${name} ${base64(bytes)}\n`;
};

const ON_WITNESSES: readonly [name: string, reason: RegExp, attack: (note: string) => string | Promise<string>][] = [
  ["one stripped", /1 of the 2 witnesses .* not w2\.example/, (note) => note.replace(lineOf(note, w2.key.name), "")],
  ["all stripped", /0 of the 2 witnesses/, (note) => note.replace(/— w[12]\.example .*\n/g, "")],
  [
    "one twice, for the other",
    /1 of the 2 witnesses .* not w2\.example/,
    (note) => note.replace(lineOf(note, w2.key.name), lineOf(note, w1.key.name)),
  ],
  [
    "one twice, at two times",
    /1 of the 2 witnesses .* not w2\.example/,
    async (note) => note.replace(lineOf(note, w2.key.name), await w1.line(note, seenAt - 1000)),
  ],
  [
    "a signature forged",
    /bad signature by w1\.example/,
    (note) => note.replace(lineOf(note, w1.key.name), (line) => changedAt(line, 40)),
  ],
  [
    "a time set back",
    /bad signature by w1\.example/,
    (note) => note.replace(lineOf(note, w1.key.name), (line) => changedAt(line, 10)),
  ],
  [
    "a witness of another log",
    /bad signature by w2\.example/,
    (note) => note.replace(lineOf(note, w2.key.name), lineOf(noteOf(other.bundles[0] ?? assert.fail()), w2.key.name)),
  ],
  [
    "a stranger under a witness's name",
    /1 of the 2 witnesses .* not w2\.example/,
    async (note) =>
      note.replace(lineOf(note, w2.key.name), await testWitness(w2.key.name, "stranger").line(note, seenAt)),
  ],
  [
    "a stranger under a witness's name and key id",
    /bad signature by w2\.example/,
    async (note) => {
      const [dash, name, encoded = ""] = (await testWitness(w2.key.name, "stranger").line(note, seenAt))
        .trim()
        .split(" ");
      const id = fromBase64(lineOf(note, w2.key.name).trim().split(" ")[2] ?? "").subarray(0, 4);
      const forged = base64(Buffer.concat([id, fromBase64(encoded).subarray(4)]));
      return note.replace(lineOf(note, w2.key.name), `${dash} ${name} ${forged}\n`);
    },
  ],
  [
    "one from the future",
    /1 of the 2 witnesses .* not w2\.example/,
    async (note) => note.replace(lineOf(note, w2.key.name), await w2.line(note, NOW + 86_400_000)),
  ],
  [
    "the log's own signature with a cosignature's time before it",
    /0 of the 2 witnesses/,
    (note) =>
      note.replace(
        /— w[12]\.example .*\n/g,
        `— w1.example ${lineOf(note, witnessed.log.identity.origin).split(" ")[2]}`,
      ),
  ],
];

for (const [name, reason, attack] of ON_WITNESSES) {
  test(`attack on the witnesses: ${name}`, async () => {
    assert.equal(verify(byWitnesses).ok, true);
    const [bundle = new Uint8Array()] = witnessed.bundles;
    const changed = await attack(noteOf(bundle));
    assert.notEqual(changed, noteOf(bundle));
    const bundles = witnessed.bundles.map((bytes) => edited(bytes, envelopePath, () => changed));
    const { check, message } = denied(verify({ ...byWitnesses, bundles }));
    assert.equal(check, "quorum");
    assert.match(message, reason);
    // Beside the sound evidence it changes nothing.
    assert.equal(verify({ ...byWitnesses, bundles: [...bundles, ...witnessed.bundles] }).ok, true);
  });
}

test("any byte of a bundle changed: denied, or the same statement; nothing but our errors inside", () => {
  const [provenance = new Uint8Array(), ...others] = home.bundles;
  const payload = createHash("sha256").update(parseBundle(provenance).payload).digest("hex");
  fc.assert(
    fc.property(fc.nat(provenance.length - 1), fc.nat(255), (at, value) => {
      const changed = Uint8Array.from(provenance);
      changed[at] = value;
      const decision = verify({ ...request, bundles: [changed, ...others] });
      if (!decision.ok) return;
      assert.equal(createHash("sha256").update(parseBundle(changed).payload).digest("hex"), payload);
    }),
    { numRuns: 1500 },
  );
});

test("the bundle parser gives a bundle or an error of ours, for any JSON", () => {
  const keys = fc.constantFrom(
    "mediaType",
    "verificationMaterial",
    "dsseEnvelope",
    "publicKey",
    "tlogEntries",
    "hint",
    "payload",
    "x",
  );
  const { value } = fc.letrec((tie) => ({
    value: fc.oneof(
      { depthSize: "small" },
      fc.jsonValue(),
      fc.array(tie("value"), { maxLength: 3 }),
      fc.dictionary(keys, tie("value")),
    ),
  }));
  fc.assert(
    fc.property(value, (json) => {
      assert.throws(() => parseBundle(utf8(JSON.stringify(json))), BitforbitError);
    }),
    { numRuns: 300 },
  );
  assert.throws(() => parseBundle(new Uint8Array(33 << 20)), { code: "limit" });
});
