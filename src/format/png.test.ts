import { strict as assert } from "node:assert";
import { readFileSync } from "node:fs";
import test from "node:test";
import { expanded, survives } from "../../test/parts.ts";
import { memorySource } from "../bytesource.ts";
import { BitforbitError } from "../errors.ts";
import type { Part } from "./part.ts";
import { pngParts } from "./png.ts";

const golden = (path: string): Uint8Array => new Uint8Array(readFileSync(`test/golden/png/${path}`));

/** The content of the pixels of an image. */
function pixels(image: Uint8Array): Part {
  for (const part of pngParts(memorySource(image, "image"), "image")) {
    if (part.key !== "pixels") continue;
    for (const inner of part.parts?.() ?? []) if (inner.kind === "content") return inner;
  }
  throw new BitforbitError("input", "no pixels");
}

function compared(a: Uint8Array, b: Uint8Array): string | undefined {
  return pixels(a).compare?.(pixels(b), memorySource(a), memorySource(b));
}

async function decoded(part: Part): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  await part.decode?.run((chunk) => chunks.push(chunk), { maxBytes: 1 << 24, maxRatio: 1000, freeBytes: 1 << 24 });
  return new Uint8Array(Buffer.concat(chunks));
}

test("chunks by name, texts by keyword, times as seconds", async () => {
  const parts = await expanded(golden("metadata-and-pixels/a"), pngParts);
  const shown = new Map(parts.map(({ path, shown: value }) => [path, value]));
  assert.equal(shown.get("chunk IHDR › width"), "64");
  assert.equal(shown.get("chunk IHDR › colour type"), "RGB");
  assert.equal(shown.get("chunk tIME › mtime"), String(Date.UTC(2024, 0, 2, 3, 4, 5) / 1000));
  assert.equal(shown.get("chunk gAMA › gamma"), "0.45455");
  assert.equal(shown.get("text Software › text"), "Pillow 1");
  assert.equal(shown.get("text Title › text"), "Tïtle Pillow 1");
  assert.equal(shown.get("text Title › language"), "de");
  assert.equal(shown.get("chunk eXIf › EXIF › DateTime"), "2024:01:01 00:00:01");
  assert.ok(parts.some(({ path, kind }) => path === "text Comment › text" && kind === "content"));
});

test("pixels are decoded and compared", async () => {
  const [a, b] = [golden("metadata-and-pixels/a"), golden("metadata-and-pixels/b")];
  assert.equal(compared(a, b), "6 of 3072 pixels differ, in the box 3,10–8,10, largest difference 80");
  const rows = await decoded(pixels(a));
  assert.equal(rows.length, 64 * 48 * 3);
  // The picture is made so: red 4x, green 5y, blue xy, modulo 256.
  for (let y = 0; y < 48; y++) {
    for (let x = 0; x < 64; x++) {
      const at = (y * 64 + x) * 3;
      assert.deepEqual([...rows.subarray(at, at + 3)], [(x * 4) % 256, (y * 5) % 256, (x * y) % 256]);
    }
  }
});

test("interlaced or not, of every colour type: the same pixels", () => {
  for (const kind of ["bits-1", "palette-4", "grey-8", "grey-16", "rgb-8", "rgba-8"]) {
    const plain = golden(`interlace-${kind}/a`);
    const interlaced = golden(`interlace-${kind}/b`);
    assert.equal(compared(plain, interlaced), "all pixels are the same: only filters or compression differ", kind);
  }
});

test("damage gives parts or an error of ours", async () => {
  await survives(golden("metadata-and-pixels/a"), pngParts);
  const image = golden("interlace-palette-4/b");
  await survives(image, (source) => [pixels(source.read(0, source.size))]);
});
