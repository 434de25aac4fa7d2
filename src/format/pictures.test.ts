import { strict as assert } from "node:assert";
import { readFileSync } from "node:fs";
import test from "node:test";
import { expanded, survives } from "../../test/parts.ts";
import { bmpParts, icoParts } from "./bitmap.ts";
import { gifParts } from "./gif.ts";
import { jpegParts } from "./jpeg.ts";
import type { Parse } from "./part.ts";
import { riffParts } from "./riff.ts";
import { tiffParts } from "./tiff.ts";

const golden = (path: string): Uint8Array => new Uint8Array(readFileSync(`test/golden/${path}`));

async function shown(path: string, parse: Parse): Promise<Map<string, string | undefined>> {
  const parts = await expanded(golden(path), parse);
  const claimed = parts.filter(({ kind }) => kind !== "group").reduce((sum, { length }) => sum + length, 0);
  assert.ok(
    claimed * 100 >= golden(path).length * 98,
    `${path}: ${claimed} bytes of ${golden(path).length} have a name`,
  );
  return new Map(parts.map(({ path: at, shown: value, kind }) => [at, value ?? kind]));
}

test("JPEG: Exif by its tags, comments, tables, contents", async () => {
  const found = await shown("jpeg/metadata/a", jpegParts);
  assert.equal(found.get("APP1 Exif ›  › DateTime"), "2024:01:01 00:00:01");
  assert.equal(found.get("APP1 Exif ›  › DateTimeOriginal"), "2024:02:03 04:05:01");
  assert.equal(found.get("APP1 Exif ›  › ExposureTime"), "1 60");
  assert.equal(found.get("APP1 Exif ›  › GPSLatitude"), "50/1 4/1 1/1");
  assert.equal(found.get("comment › text"), "made at 1");
  assert.equal(found.get("frame › width"), "37");
  assert.equal(found.get("frame › marker"), "baseline");
  assert.equal(found.get("APP0 JFIF › density x"), "72");
  assert.equal(found.get("APP1 http://ns.adobe.com/xap/1.0 › "), "content");
  assert.equal((await shown("jpeg/metadata/b", jpegParts)).get("frame › marker"), "progressive");
});

test("GIF: images, delays, comments", async () => {
  const found = await shown("gif/metadata/b", gifParts);
  assert.equal(found.get("width"), "37");
  assert.equal(found.get("graphic control › delay"), "20 hundredths of a second");
  assert.equal(found.get("comment › text"), "made at 2");
  assert.ok(found.has("image 2 › pixels (LZW)"));
  assert.ok(found.has("application NETSCAPE2.0 › data"));
});

test("WebP, TIFF, icon, bitmap", async () => {
  const webp = await shown("webp/metadata/a", riffParts);
  assert.equal(webp.get("chunk VP8X › width"), "37");
  assert.equal(webp.get("chunk VP8X › flags"), "XMP, EXIF");
  assert.equal(webp.get("chunk EXIF › Software"), "Software 1");
  const tiff = await shown("tiff/metadata/a", tiffParts);
  assert.equal(tiff.get("DateTime"), "2024:01:01 00:00:01");
  assert.equal(tiff.get("strip 0"), "bytes");
  const ico = await shown("ico/metadata/a", icoParts);
  assert.equal(ico.get("image 16 × 16, 32 bits"), "content");
  const bmp = await shown("bmp/metadata/a", bmpParts);
  assert.equal(bmp.get("height"), "16");
  assert.equal(bmp.get("pixels"), "bytes");
});

test("damage gives parts or an error of ours", async () => {
  await survives(golden("jpeg/metadata/a"), jpegParts);
  await survives(golden("gif/metadata/a"), gifParts);
  await survives(golden("webp/metadata/a"), riffParts);
  await survives(golden("tiff/metadata/a"), tiffParts);
  await survives(golden("ico/metadata/a"), icoParts);
  await survives(golden("bmp/metadata/a"), bmpParts);
});
