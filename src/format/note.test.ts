import { strict as assert } from "node:assert";
import { createPublicKey, generateKeyPairSync, sign } from "node:crypto";
import test from "node:test";
import * as fc from "fast-check";
import { base64, fromBase64, utf8 } from "../bytes.ts";
import { BitforbitError } from "../errors.ts";
import { type NoteVerifier, noteKeyHash, noteVerifier, openNote, signNote } from "./note.ts";

/** SubjectPublicKeyInfo of a raw Ed25519 key (RFC 8410). */
const pemOf = (raw: Uint8Array): string =>
  `-----BEGIN PUBLIC KEY-----\n${base64(Buffer.concat([Buffer.from("302a300506032b6570032100", "hex"), raw]))}\n-----END PUBLIC KEY-----\n`;

// The example of golang.org/x/mod/sumdb/note's documentation.
const PETER = noteVerifier(
  "PeterNeumann",
  pemOf(fromBase64("ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW").subarray(1)),
);
const PUBLISHED =
  "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n\n" +
  "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

function newSigner(name: string): {
  name: string;
  keyHash: Uint8Array;
  sign(bytes: Uint8Array): Promise<Uint8Array>;
  verifier: NoteVerifier;
} {
  const { privateKey } = generateKeyPairSync("ed25519");
  const verifier = noteVerifier(name, createPublicKey(privateKey).export({ format: "pem", type: "spki" }).toString());
  return { name, keyHash: verifier.keyHash, sign: async (bytes) => sign(null, bytes, privateKey), verifier };
}

test("the published example opens, with the published key id", () => {
  assert.deepEqual(openNote(PUBLISHED, [PETER]).signedBy, [PETER]);
  assert.equal(Buffer.from(PETER.keyHash.subarray(0, 4)).toString("hex"), "c74f20a3");
});

test("any change of one character is rejected, or leaves no signature", () => {
  fc.assert(
    fc.property(fc.nat(PUBLISHED.length - 1), fc.constantFrom("A", "\n", " ", "\u0007", "—", "="), (at, character) => {
      if (PUBLISHED[at] === character) return;
      const changed = PUBLISHED.slice(0, at) + character + PUBLISHED.slice(at + 1);
      let signedBy: unknown[] = [];
      try {
        ({ signedBy } = openNote(changed, [PETER]));
      } catch (error) {
        assert.ok(error instanceof BitforbitError);
      }
      assert.equal(signedBy.length, 0);
    }),
    { numRuns: 500 },
  );
});

test("unknown signatures are left aside, a bad one by a known key rejects the note", async () => {
  const [one, two] = [newSigner("one.example"), newSigner("two.example")];
  const note = await signNote("text\n", one);
  const both = note + (await signNote("text\n", two)).split("\n\n")[1];
  assert.deepEqual(openNote(both, [two.verifier]).signedBy, [two.verifier]);
  assert.deepEqual(openNote(both, [two.verifier, one.verifier]).signedBy, [one.verifier, two.verifier]);
  // Same name, another key: not known by its id, so not wrong either.
  assert.deepEqual(openNote(note, [newSigner("one.example").verifier]).signedBy, []);
  const forged = `${both}— one.example ${base64(Buffer.concat([one.keyHash.subarray(0, 4), new Uint8Array(64)]))}\n`;
  assert.deepEqual(openNote(forged, [two.verifier]).signedBy, [two.verifier]);
  const moved = note.replace("text", "test");
  assert.throws(() => openNote(moved, [one.verifier]), {
    code: "refused",
    message: "bad signature by one.example on a note",
  });
});

test("malformed notes are rejected, each by its fault", () => {
  const line = PUBLISHED.split("\n\n")[1] ?? "";
  const cases: [string, RegExp][] = [
    ["text\n", /no empty line/],
    ["text\n\n", /1 to 64/],
    [`text\n\n${line.trimEnd()}`, /end in a newline/],
    [`${PUBLISHED}x\n`, /not a note signature/],
    [`te\rxt\n\n${line}`, /control characters/],
    [`text\n\n${line.replace("— ", "- ")}`, /not a note signature/],
    [`text\n\n— a+b x08go/ZJ\n`, /not a note signature/],
    [`text\n\n— a x08g\n`, /too short/],
    [`text\n\n— a x08go/ZJkuB=\n`, /canonical base64/],
    [`text\n\n${line.repeat(65)}`, /1 to 64/],
    [`${"x".repeat(70_000)}\n\n${line}`, /larger than/],
  ];
  for (const [note, message] of cases) assert.throws(() => openNote(note, [PETER]), { message });
});

test("names that cannot stand in a signature line are refused", async () => {
  for (const name of ["", "a b", "a+b", "a\nb"]) {
    await assert.rejects(signNote("x\n", { ...newSigner("x"), name }), { code: "input" });
  }
  await assert.rejects(signNote("no newline", newSigner("x")), { code: "input" });
  assert.equal(noteKeyHash("x", new Uint8Array(32)).length, 32);
  assert.throws(
    () =>
      noteVerifier(
        "p256",
        generateKeyPairSync("ec", { namedCurve: "P-256" }).publicKey.export({ format: "pem", type: "spki" }).toString(),
      ),
    {
      message: /not ed25519/,
    },
  );
  assert.equal(utf8("—").length, 3);
});
