import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import { expanded, survives } from "../../test/parts.ts";
import { memorySource } from "../bytesource.ts";
import { arParts } from "./ar-parts.ts";
import { rustMetadataParts } from "./rust-metadata.ts";

const golden = (name: string): Uint8Array => new Uint8Array(readFileSync(`test/golden/ar/${name}`));

test("a GNU archive: members by their long names, header fields as written, contents apart", async () => {
  const parts = await expanded(golden("static/a"), arParts);
  const shown = (path: string): string | undefined => parts.find((part) => part.path === path)?.shown;
  assert.deepEqual(
    parts.filter((part) => part.kind === "group").map((part) => part.path),
    ["symbol table", "long names", "f.o", "a_member_with_a_long_name.o", "h.o"],
  );
  assert.equal(shown("f.o › mtime"), "1700000000");
  assert.equal(shown("a_member_with_a_long_name.o › mode"), "100644");
  assert.equal(parts.find((part) => part.path === "a_member_with_a_long_name.o › name reference")?.kind, "derived");
  const content = parts.find((part) => part.path === "h.o › ");
  assert.equal(content?.kind, "content");
  assert.deepEqual(
    [
      ...golden("static/a")
        .subarray(content?.offset ?? 0)
        .subarray(0, 4),
    ],
    [0x7f, 0x45, 0x4c, 0x46],
  );
});

test("thin and BSD archives", async () => {
  const thin = await expanded(golden("thin/a"), arParts);
  assert.ok(thin.some((part) => part.path === "a_member_with_a_long_name.o › mtime"));
  assert.ok(!thin.some((part) => part.kind === "content"));
  const bsd = await expanded(golden("bsd/a"), arParts);
  assert.ok(bsd.some((part) => part.path === "a_member_with_a_long_name.o › name" && part.kind === "field"));
  assert.ok(bsd.some((part) => part.path === "symbol table › symbols" && part.kind === "derived"));
});

test("every byte of a GNU archive belongs to a part", async () => {
  const source = memorySource(golden("static/b"));
  let at = 0;
  for (const part of arParts(source)) {
    assert.equal(part.offset, at, part.key);
    at += part.length;
  }
  assert.equal(at, source.size);
});

test("damaged archives give parts or a good error", async () => {
  for (const name of ["static/a", "thin/a", "bsd/a"]) await survives(golden(name), arParts, 200);
});

test("a Rust library: which compiler wrote its metadata", async () => {
  const archive = golden("rlib/a");
  const at = Buffer.from(archive).indexOf("rust\0\0\0");
  const metadata = await expanded(archive.subarray(at), rustMetadataParts);
  assert.match(
    metadata.find(({ path }) => path === "compiler")?.shown ?? "",
    /^rustc 1\.95\.0 \(59807616e 2026-04-14\)$/,
  );
  await survives(archive.subarray(at, at + 400), rustMetadataParts, 200);
});
