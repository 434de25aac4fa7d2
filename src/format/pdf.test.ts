import { strict as assert } from "node:assert";
import { readFileSync } from "node:fs";
import test from "node:test";
import { expanded, survives } from "../../test/parts.ts";
import { memorySource } from "../bytesource.ts";
import type { Part } from "./part.ts";
import { type PdfFilter, unfiltered } from "./pdf-filters.ts";
import { pdfObjectStreamParts, pdfParts } from "./pdf.ts";

const golden = (path: string): Uint8Array => new Uint8Array(readFileSync(`test/golden/pdf/${path}`));

async function contents(bytes: Uint8Array): Promise<Map<string, Uint8Array>> {
  const found = new Map<string, Uint8Array>();
  const source = memorySource(bytes, "x");
  for (const part of (await pdfParts(source, "x")) as Iterable<Part>) {
    for (const inner of part.parts?.() ?? []) {
      if (inner.decode === undefined) continue;
      const chunks: Uint8Array[] = [];
      await inner.decode.run((chunk) => chunks.push(chunk), { maxBytes: 1 << 20, maxRatio: 1000, freeBytes: 1 << 20 });
      found.set(`${part.key} ${inner.name ?? ""}`, new Uint8Array(Buffer.concat(chunks)));
    }
  }
  return found;
}

test("objects by number and kind, entries by name", async () => {
  const parts = await expanded(golden("plain/a"), pdfParts);
  const shown = new Map(parts.map(({ path, shown: value }) => [path, value]));
  assert.equal(shown.get("version"), "%PDF-1.3");
  const info = parts.find(({ path }) => path.endsWith("(Info) › CreationDate"));
  assert.match(info?.shown ?? "", /^\(D:20231115/);
  assert.ok(parts.some(({ path }) => /^object \d+ 0 \(Page\) › MediaBox$/.test(path)));
  assert.ok(parts.some(({ path }) => path === "trailer › ID"));
  assert.ok(parts.some(({ path, kind }) => path === "xref" && kind === "derived"));
  const claimed = parts.filter(({ kind }) => kind !== "group").reduce((sum, { length }) => sum + length, 0);
  assert.equal(claimed, golden("plain/a").length);
});

test("streams without their filters", async () => {
  const pages = [...(await contents(golden("plain/b"))).values()].map((bytes) => Buffer.from(bytes).toString("latin1"));
  assert.equal(pages.length, 2);
  assert.match(pages[0] ?? "", /Hello page 0 of build 0/);
  assert.match(pages[1] ?? "", /Hello page 1 of build 2/);
});

test("object streams hold objects", async () => {
  const inner = (await contents(golden("object-streams/a"))).entries();
  const [, bytes = new Uint8Array(0)] = [...inner].find(([name]) => name.endsWith(".pdf-objects")) ?? [];
  const parts = await expanded(bytes, pdfObjectStreamParts);
  assert.ok(
    parts.some(({ path }) => /^object \d+ 0 \(Catalog\) › Pages$/.test(path)),
    "a catalogue",
  );
  assert.ok(
    parts.some(({ path }) => /^object \d+ 0 \(Info\) › Title$/.test(path)),
    "information",
  );
  await survives(bytes, pdfObjectStreamParts);
});

test("an encrypted file's streams are left alone", async () => {
  assert.equal((await contents(golden("encrypted/a"))).size, 0);
});

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString("latin1");
const from = (data: string): Uint8Array => new Uint8Array(Buffer.from(data, "latin1"));

const filter = (name: string, more: Partial<PdfFilter> = {}): PdfFilter => {
  return { name, predictor: 1, colors: 1, bits: 8, columns: 1, earlyChange: 1, ...more };
};

test("filters, by the examples of the specification", () => {
  // ISO 32000-2, section 7.4.4.2, example 1.
  const lzw = Uint8Array.of(0x80, 0x0b, 0x60, 0x50, 0x22, 0x0c, 0x0c, 0x85, 0x01);
  assert.deepEqual([...unfiltered(lzw, [filter("LZWDecode")], 100)], [45, 45, 45, 45, 45, 65, 45, 45, 45, 66]);
  assert.equal(text(unfiltered(from('87cURD]i,"Ebo80~>'), [filter("ASCII85Decode")], 100)), "Hello World!");
  assert.equal(text(unfiltered(from("48 65 6C 6c 6f7>"), [filter("AHx")], 100)), "Hellop");
  assert.equal(text(unfiltered(Uint8Array.of(2, 97, 98, 99, 254, 120, 128), [filter("RL")], 100)), "abcxxx");
  assert.throws(() => unfiltered(Uint8Array.of(129, 120, 129, 120), [filter("RL")], 200), { code: "limit" });
});

test("damage gives parts or an error of ours", async () => {
  await survives(golden("plain/a"), pdfParts);
  await survives(golden("object-streams/a"), pdfParts);
});
