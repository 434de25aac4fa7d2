/** Bytes and digests: encodings are inverse pairs, and what is not canonical is refused. */
import { strict as assert } from "node:assert";
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import * as fc from "fast-check";
import {
  base64,
  concat,
  equalBytes,
  fromBase64,
  fromHex,
  hex,
  neutralised,
  showable,
  utf8,
  utf8Text,
} from "./bytes.ts";
import { digestOf, digestOfFile, hexOf, isDigest, parseDigest, sha256, sha256Hex } from "./digest.ts";
import { BitforbitError } from "./errors.ts";
import { byteOrder, sortedBy } from "./order.ts";

/** Any code point that UTF-8 can say; controls and the ends of planes more often than chance would. */
const character = fc
  .oneof(
    fc.integer({ min: 0, max: 0x2100 }),
    fc.integer({ min: 0xe000, max: 0x10ffff }),
    fc.constantFrom(0, 27, 0x7f, 0x9b, 0x202e, 0x2066, 0xd7ff, 0xe000, 0xffff, 0x10000, 0x10ffff),
  )
  .map((point) => String.fromCodePoint(point));

const isInput = (error: unknown): boolean => error instanceof BitforbitError && error.code === "input";

test("hex, base64 and UTF-8 give back what they were given, of views too", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(20), (bytes, cut) => {
      const view = bytes.subarray(Math.min(cut, bytes.length));
      assert.deepEqual(fromHex(hex(view)), new Uint8Array(view));
      assert.deepEqual(fromBase64(base64(view)), new Uint8Array(view));
      const text = utf8Text(view);
      if (text !== undefined) assert.deepEqual(utf8(text), new Uint8Array(view));
      assert.equal(utf8Text(view), showable(view) === text ? text : undefined);
    }),
  );
  fc.assert(fc.property(fc.string({ unit: character }), (text) => assert.equal(utf8Text(utf8(text)), text)));
  assert.equal(utf8Text(new Uint8Array([0xef, 0xbb, 0xbf, 0x61])), "\ufeffa", "a byte order mark is text");
});

test("only canonical hexadecimal and base64 are read", () => {
  for (const text of ["0", "0G", "AB", " 00", "00 ", "00\n", "0x00"]) assert.throws(() => fromHex(text), isInput, text);
  for (const text of ["QQ", "QQ=", "QR==", "QQ==\n", " QQ==", "Q Q==", "QUI-", "Q===", "====", "QQ==QQ=="]) {
    assert.throws(() => fromBase64(text), isInput, text);
  }
  fc.assert(
    fc.property(fc.string(), (text) => {
      try {
        assert.equal(base64(fromBase64(text)), text);
      } catch (error) {
        assert.ok(isInput(error));
      }
    }),
  );
});

test("untrusted text is shown harmless: no control, no escape, no change of direction", () => {
  assert.equal(
    neutralised("a\u001b[31mb\u0007\u009b\u202e\u2066c\r"),
    "a\\u001b[31mb\\u0007\\u009b\\u202e\\u2066c\\u000d",
  );
  assert.equal(neutralised("zeile\n\tä 😀"), "zeile\n\tä 😀");
  fc.assert(
    fc.property(fc.string({ unit: character }), (text) => {
      assert.doesNotMatch(neutralised(text), /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/);
      assert.equal(neutralised(neutralised(text)), neutralised(text));
    }),
  );
});

test("equality and joining", () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 20 }), { maxLength: 6 }), (parts) => {
      const joined = concat(parts);
      assert.deepEqual(
        [...joined],
        parts.flatMap((part) => [...part]),
      );
      assert.ok(equalBytes(joined, new Uint8Array(joined)));
      assert.ok(!equalBytes(joined, concat([joined, new Uint8Array(1)])));
    }),
  );
});

test("digests: known values, files streamed, and nothing but the one form", async (t) => {
  assert.equal(digestOf(""), "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  assert.equal(sha256Hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  assert.equal(hex(sha256("abc")), sha256Hex("abc"));
  const folder = mkdtempSync(join(tmpdir(), "digest-test-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const bytes = new Uint8Array((3 << 20) + 17).map((_, at) => at * 31);
  writeFileSync(join(folder, "big"), bytes);
  assert.equal(await digestOfFile(join(folder, "big")), digestOf(bytes));
  await assert.rejects(digestOfFile(join(folder, "none")), /ENOENT/);
  const good = digestOf("x");
  assert.equal(parseDigest(good), good);
  assert.equal(hexOf(good), createHash("sha256").update("x").digest("hex"));
  for (const text of [
    good.toUpperCase(),
    good.slice(0, -1),
    `${good}0`,
    `${good}\n`,
    ` ${good}`,
    hexOf(good),
    good.replace("sha256", "sha512"),
    "",
  ]) {
    assert.ok(!isDigest(text), text);
    assert.throws(() => parseDigest(text), isInput);
  }
});

test("byte order is that of the UTF-8 encodings, for every pair", () => {
  const text = fc.string({ unit: character, maxLength: 8 });
  fc.assert(
    fc.property(text, text, (a, b) => {
      assert.equal(Math.sign(byteOrder(a, b)), Math.sign(Buffer.compare(Buffer.from(a), Buffer.from(b))));
      assert.equal(Math.sign(byteOrder(a, b)), -Math.sign(byteOrder(b, a)) + 0);
    }),
  );
  assert.deepEqual(
    sortedBy(["ä", "z", "Z", "\ud83d\ude00", "\ufb33"], (x) => x),
    ["Z", "z", "ä", "\ufb33", "\ud83d\ude00"],
  );
});
