import { strict as assert } from "node:assert";
import test from "node:test";
import * as fc from "fast-check";
import { survives } from "../../test/parts.ts";
import { memorySource } from "../bytesource.ts";
import { type Wide, wideEncoding } from "./wide-encoding.ts";
import { wideTextParts } from "./wide-text.ts";

function encoded(text: string, encoding: Wide, mark: boolean): Uint8Array {
  const whole = mark ? `\ufeff${text}` : text;
  if (encoding.startsWith("UTF-16")) {
    const bytes = Buffer.from(whole, "utf16le");
    return new Uint8Array(encoding.endsWith("BE") ? bytes.swap16() : bytes);
  }
  const bytes = Buffer.alloc([...whole].length * 4);
  for (const [index, character] of [...whole].entries()) {
    const code = character.codePointAt(0) ?? 0;
    if (encoding.endsWith("LE")) bytes.writeUInt32LE(code, index * 4);
    else bytes.writeUInt32BE(code, index * 4);
  }
  return new Uint8Array(bytes);
}

async function decoded(bytes: Uint8Array): Promise<string> {
  const chunks: Uint8Array[] = [];
  for (const { decode } of wideTextParts(memorySource(bytes), "x")) {
    await decode?.run((chunk) => chunks.push(chunk), { maxBytes: 1 << 24, maxRatio: 10, freeBytes: 1 << 24 });
  }
  return Buffer.concat(chunks).toString();
}

const ENCODINGS = ["UTF-16LE", "UTF-16BE", "UTF-32LE", "UTF-32BE"] as const;

test("any text with a mark comes out as it was", async () => {
  await fc.assert(
    fc.asyncProperty(fc.string({ unit: "binary" }), fc.constantFrom(...ENCODINGS), async (text, encoding) => {
      // Two zeros after the mark of UTF-16LE are that of UTF-32LE: such a text is not one of ours.
      fc.pre(!text.startsWith("\0"));
      assert.equal(await decoded(encoded(text, encoding, true)), text);
    }),
  );
});

test("without a mark, text of ASCII is known by its zeros", async () => {
  for (const encoding of ENCODINGS) {
    const text = "[section]\r\nkey=välue\r\n".repeat(3);
    const bytes = encoded(text, encoding, false);
    assert.deepEqual(wideEncoding(bytes, bytes.length), { encoding, mark: 0 });
    assert.equal(await decoded(bytes), text);
  }
  for (const bytes of [
    Buffer.from("plain text, plain text"),
    Buffer.alloc(64),
    Buffer.from([1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7, 0, 8, 0]),
  ]) {
    assert.equal(wideEncoding(bytes, bytes.length), undefined);
  }
  await survives(encoded("text, text, text\n", "UTF-16LE", true), wideTextParts);
});
