import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import { expanded, survives } from "../../test/parts.ts";
import { memorySource } from "../bytesource.ts";
import { looksLikeCompress, looksLikeLzip, looksLikeLzma } from "./archive-magic.ts";
import { brotliParts, unbrotli } from "./brotli.ts";
import { compressParts, uncompress } from "./compress-z.ts";
import { lzipParts, lzmaParts, unlzip, unlzma } from "./lzma.ts";

const golden = (path: string): Uint8Array => readFileSync(`test/golden/${path}`);

async function unpacked(run: typeof unlzma, bytes: Uint8Array): Promise<string> {
  const chunks: Uint8Array[] = [];
  const size = await run(memorySource(bytes), (chunk) => chunks.push(chunk));
  const content = Buffer.concat(chunks);
  assert.equal(size, content.length);
  return content.toString();
}

const lines = Array.from({ length: 3000 }, (_, at) => `${at % 97} the quick brown fox ${at % 13}\n`);
const content = lines.join("");
const changed = lines.map((line, at) => (at === 16 ? line.replace("fox", "cow") : line)).join("");

const FORMATS = [
  { run: unlzma, parts: lzmaParts, files: ["lzma/alone/a.lzma", "lzma/alone/b.lzma"], looksLike: looksLikeLzma },
  { run: unlzip, parts: lzipParts, files: ["lzip/members/a", "lzip/members/b"], looksLike: looksLikeLzip },
  {
    run: uncompress,
    parts: compressParts,
    files: ["compress/codes/a", "compress/codes/b"],
    looksLike: looksLikeCompress,
  },
  {
    run: unbrotli,
    parts: brotliParts,
    files: ["brotli/line/a.br", "brotli/line/b.br"],
    looksLike: (): boolean => true,
  },
] as const;

for (const { run, parts, files, looksLike } of FORMATS) {
  test(`${files[0]}: the content comes out, damage is told, bombs are refused`, async () => {
    const [a, b] = [golden(files[0]), golden(files[1])];
    assert.ok(looksLike(a, files[0]) && looksLike(b, `${files[1]}.lzma`));
    assert.equal(await unpacked(run, a), content);
    assert.equal(await unpacked(run, b), changed);
    if (run !== uncompress) await assert.rejects(unpacked(run, a.subarray(0, a.length - 30)), { code: "input" });
    const limits = { maxBytes: 10_000, maxRatio: 250, freeBytes: 0 };
    await assert.rejects(
      run(memorySource(b), () => undefined, limits),
      { code: "limit" },
    );
    await survives(a, parts, 150);
    await survives(b, parts, 150);
  });
}

const shown = async (path: string, parts: typeof lzmaParts | typeof lzipParts): Promise<unknown> =>
  (await expanded(golden(path), parts)).map((part) => [part.path, part.kind, part.shown]);

const member = (kind: string, dictionary: string): unknown[] => [
  ["magic", "derived", undefined],
  ["version", "field", "1"],
  ["dictionary size", "field", dictionary],
  ["unlzip", kind, undefined],
  ["checksum", "derived", undefined],
  ["content size", "derived", undefined],
  ["member size", "derived", undefined],
];

test("the compressor's choices are fields", async () => {
  assert.deepEqual(await shown("lzma/alone/b.lzma", lzmaParts), [
    ["properties", "field", "lc 1, lp 2, pb 1"],
    ["dictionary size", "field", "65536"],
    ["content size", "field", "unknown"],
    ["unlzma", "content", undefined],
  ]);
  assert.deepEqual(await shown("lzip/members/b", lzipParts), [
    ...member("content", "26624"),
    ...member("stored", "53248"),
  ]);
  assert.deepEqual(await shown("compress/codes/b", compressParts), [
    ["magic", "field", undefined],
    ["flags", "field", "codes of at most 12 bits, table may be emptied"],
    ["uncompress", "content", undefined],
  ]);
});
