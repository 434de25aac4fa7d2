import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import { expanded, survives } from "../../test/parts.ts";
import { memorySource } from "../bytesource.ts";
import { squashfsMetadataParts } from "./squashfs-metadata.ts";
import { squashfsTailParts } from "./squashfs-tails.ts";
import { squashfsParts } from "./squashfs.ts";

const LIMITS = { maxBytes: 16 << 20, maxRatio: 250, freeBytes: 16 << 20 };
const image = (name: string): Uint8Array =>
  new Uint8Array(readFileSync(new URL(`../../test/golden/squashfs/${name}`, import.meta.url)));

async function decoded(bytes: Uint8Array, key: string): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for (const part of await squashfsParts(memorySource(bytes), "image")) {
    if (part.key === key) await part.decode?.run((chunk) => void chunks.push(chunk), LIMITS);
  }
  return new Uint8Array(Buffer.concat(chunks));
}

const NUMBERS = Array.from({ length: 901 }, (_, at) => `${at + 1000}\n`).join("");

for (const name of ["tree/a", "tree/b", "order/a", "order/b", "xz/a", "lz4/a", "lzo/a", "level/a"]) {
  test(`${name}: files, inodes and attributes by path`, async () => {
    const bytes = image(name);
    const parts = await expanded(bytes, squashfsParts);
    const kinds = parts.filter((part) => !part.path.includes("›")).map((part) => `${part.path}: ${part.kind}`);
    assert.ok(kinds.includes("lib/others: content") && kinds.includes("fragments: content"), kinds.join("\n"));
    assert.equal(Buffer.from(await decoded(bytes, "lib/others")).toString("latin1"), NUMBERS);
    const metadata = await expanded(await decoded(bytes, "metadata"), squashfsMetadataParts);
    const shown = (path: string): string | undefined => metadata.find((part) => part.path === path)?.shown;
    const changed = name.endsWith("tree/b");
    assert.equal(shown("bin/run › mode"), changed ? "0700" : "0755");
    assert.equal(shown("bin/run › mtime"), changed ? "1700000060" : "1700000000");
    assert.equal(shown("etc/link › link"), changed ? "../bin/walk" : "../bin/run");
    assert.equal(shown("xattrs of etc/conf › user.note"), changed ? "two" : "one");
    assert.equal(shown("etc/conf › xattrs"), "user.note");
    assert.equal(shown("listing of etc › greeting › name"), "greeting, hard link to etc/again");
    assert.equal(shown("/ › kind"), "folder");
    const tails = await expanded(await decoded(bytes, "fragments"), squashfsTailParts);
    assert.ok(tails.some((part) => part.path === "etc/conf" && part.kind === "content" && part.length === 8));
    const end = tails.find((part) => part.path === "end of lib/others");
    assert.equal(end?.length, name.startsWith("tree") ? NUMBERS.length - 4096 : undefined);
  });
}

test("every byte of an image with tables and data is in a part", async () => {
  const bytes = image("tree/a");
  let at = 0;
  for (const part of await squashfsParts(memorySource(bytes), "image")) {
    assert.equal(part.offset, at, part.key);
    at += part.length;
  }
  assert.equal(at, bytes.length);
});

test("an older version is told", async () => {
  const bytes = image("tree/a");
  bytes[28] = 3;
  await assert.rejects(expanded(bytes, squashfsParts), /squashfs, offset 28: version 3\.0; 4\.0 is read/);
});

for (const name of ["tree/a", "xz/b", "lz4/b", "lzo/b", "order/b"]) {
  test(`${name}: survives damage`, async () => {
    await survives(image(name), squashfsParts, name.startsWith("xz") ? 60 : 300);
  });
}

test("damaged tables and fragments are survived", async () => {
  await survives(await decoded(image("tree/a"), "metadata"), squashfsMetadataParts, 500);
  await survives(await decoded(image("tree/a"), "fragments"), squashfsTailParts, 300);
});
