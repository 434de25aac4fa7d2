import { strict as assert } from "node:assert";
import { readFileSync } from "node:fs";
import test from "node:test";
import { expanded, survives } from "../../test/parts.ts";
import { memorySource } from "../bytesource.ts";
import { sfntParts } from "./sfnt.ts";
import { woffParts } from "./woff.ts";

const golden = (path: string): Uint8Array => new Uint8Array(readFileSync(`test/golden/font/${path}`));
const shown = async (bytes: Uint8Array): Promise<Map<string, string | undefined>> =>
  new Map((await expanded(bytes, sfntParts)).map(({ path, shown: value, kind }) => [path, value ?? kind]));

async function unpacked(path: string): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for (const { decode } of woffParts(memorySource(golden(path)), path)) {
    await decode?.run((chunk) => chunks.push(chunk), { maxBytes: 1 << 24, maxRatio: 1000, freeBytes: 1 << 24 });
  }
  return new Uint8Array(Buffer.concat(chunks));
}

test("tables by tag, times as seconds, names, glyphs by name", async () => {
  const found = await shown(golden("truetype/a"));
  assert.equal(found.get("table head › modified mtime"), String(3786912000 + 86400 - 2082844800));
  assert.equal(found.get("table head › unitsPerEm"), "2048");
  assert.equal(found.get("table name › version (Windows)"), "Version 1");
  assert.equal(found.get("table name › family (Windows)"), "DejaVu Sans");
  assert.equal(found.get("table glyf › glyph Euro"), "bytes");
  assert.equal(found.get("table glyf › glyph .notdef"), "bytes");
});

test("a font packed for the web is the font", async () => {
  const plain = await shown(golden("truetype/b"));
  for (const path of ["woff/b", "woff2/b"]) {
    const found = await shown(await unpacked(path));
    const tables = [...plain.keys()].filter((key) => /^table (?:head|name|OS\/2|hhea|cmap|hmtx)/.test(key));
    assert.ok(tables.length > 20);
    for (const key of tables) {
      // WOFF2 sets the flag that says that a font was rearranged without loss.
      const flags = path.startsWith("woff2") && key === "table head › flags";
      assert.equal(found.get(key), flags ? "0x081f" : plain.get(key), `${path}: ${key}`);
    }
  }
  assert.equal((await shown(await unpacked("woff/b"))).get("table glyf › glyph Euro"), "bytes");
});

test("damage gives parts or an error of ours", async () => {
  await survives(golden("truetype/a"), sfntParts, 150);
  await survives(golden("woff/a"), woffParts, 150);
  await survives(golden("woff2/a"), woffParts, 150);
});
