import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import { gunzipSync } from "node:zlib";
import { expanded, type Shown, survives } from "../../test/parts.ts";
import { memorySource } from "../bytesource.ts";
import { erofsParts } from "./erofs.ts";

const CASES = ["plain", "compact", "chunks", "legacy", "lz4hc", "fragments", "lzma", "zstd"];

const image = (name: string): Uint8Array =>
  new Uint8Array(gunzipSync(readFileSync(new URL(`../../test/golden/erofs/${name}.gz`, import.meta.url))));

const shownIn = (parts: readonly Shown[], path: string): string | undefined =>
  parts.find((part) => part.path === path && part.shown !== undefined)?.shown;

/** The contents of all files, whether as they are, decoded, or in the packed inode. */
async function contents(bytes: Uint8Array): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  const source = memorySource(bytes, "image");
  for (const part of await erofsParts(source, "image")) {
    if (part.kind !== "content") continue;
    const chunks: Uint8Array[] = [];
    const limits = { maxBytes: 1 << 20, maxRatio: 250, freeBytes: 1 << 20 };
    if (part.decode === undefined) chunks.push(source.read(part.offset, part.length));
    else await part.decode.run((chunk) => void chunks.push(chunk), limits);
    found.set(part.key, Buffer.concat(chunks).toString("latin1"));
  }
  return found;
}

const numbers = (changed: boolean): string =>
  Array.from({ length: 1601 }, (_, at) => (changed && at === 500 ? "two thousand five\n" : `${at + 1000}\n`)).join("");
const OTHERS = Array.from({ length: 12_000 }, (_, at) => `line ${at % 97}\n`).join("");

for (const name of CASES.flatMap((one) => [`${one}/a`, `${one}/b`])) {
  test(`${name}: inodes and contents by path`, async () => {
    const bytes = image(name);
    const changed = name.endsWith("b");
    const parts = await expanded(bytes, erofsParts);
    assert.equal(shownIn(parts, "inode bin/run › mode"), changed ? "0700" : "0755");
    assert.equal(shownIn(parts, "inode etc/link › link"), changed ? "../bin/walk" : "../bin/run");
    assert.equal(shownIn(parts, "inode dev/null › device"), changed ? "1:5" : "1:3");
    assert.equal(shownIn(parts, "inode etc/again › uid"), changed ? "1000" : "0");
    assert.equal(shownIn(parts, "directory etc › greeting"), "greeting, hard link to etc/again");
    const note = name.startsWith("compact") ? undefined : changed ? "two" : "one";
    assert.equal(shownIn(parts, "inode etc/conf › xattr user.note"), note);
    const found = await contents(bytes);
    const packed = found.get("packed inode") ?? "";
    const has = (path: string, content: string): void =>
      assert.ok(found.has(path) ? found.get(path) === content : packed.includes(content), path);
    has("lib/numbers", numbers(changed));
    has("lib/others", OTHERS);
    has("lib/zeros", "\0".repeat(3000));
    has("bin/run", "#!/bin/sh\necho run\n");
    has("etc/conf", `key = ${changed ? 2 : 1}\n`);
    has("lib/noise", found.get("lib/noise-again") ?? "that of the other");
  });
}

test("times with nanoseconds, and what all files share", async () => {
  const parts = await expanded(image("plain/b"), erofsParts);
  assert.equal(shownIn(parts, "inode bin/run › mtime"), "1700000060.500000000");
  assert.equal(shownIn(parts, "superblock › build-mtime"), "1700000100");
  assert.equal(shownIn(parts, "superblock › volume name"), "second");
  assert.equal(shownIn(parts, "shared xattr user.shared"), "common");
  assert.equal(shownIn(parts, "inode bin/run › user.shared=common"), "shared xattr");
});

test("names of xattrs with a long prefix", async () => {
  const parts = await expanded(image("fragments/a"), erofsParts);
  assert.equal(shownIn(parts, "superblock › incompatible features"), "zero_padding fragments_or_dedupe xattr_prefixes");
  assert.equal(shownIn(parts, "shared xattr user.shared"), "common");
});

test("files that share all their chunks have their contents", async () => {
  const found = await contents(image("chunks/a"));
  assert.equal(found.get("lib/noise")?.length, 4480);
  assert.equal(found.get("lib/noise-again"), found.get("lib/noise"));
});

test("what cannot be read is told", async () => {
  const bytes = image("plain/a");
  bytes[1104] = 0x80;
  await assert.rejects(expanded(bytes, erofsParts), /erofs, offset 1104: features 48bit, of which 48bit/);
  bytes[1024] = 0;
  await assert.rejects(expanded(bytes, erofsParts), /erofs, offset 1024: no magic number/);
});

for (const name of CASES) {
  test(`${name}: survives damage`, async () => {
    await survives(image(`${name}/a`), erofsParts, name === "lzma" ? 40 : 150);
    // Inodes and maps stand near the beginning.
    await survives(image(`${name}/a`).subarray(0, 8 << 10), erofsParts, 100);
  });
}
