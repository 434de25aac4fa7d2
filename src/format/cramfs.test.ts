import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import { gunzipSync } from "node:zlib";
import { expanded, type Shown, survives } from "../../test/parts.ts";
import { memorySource } from "../bytesource.ts";
import { cramfsParts } from "./cramfs.ts";
import type { Parse } from "./part.ts";
import { romfsParts } from "./romfs.ts";

const image = (name: string): Uint8Array =>
  new Uint8Array(gunzipSync(readFileSync(new URL(`../../test/golden/${name}.gz`, import.meta.url))));

const shownIn = (parts: readonly Shown[], path: string): string | undefined =>
  parts.find((part) => part.path === path && part.shown !== undefined)?.shown;

async function contents(bytes: Uint8Array, parse: Parse): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  const source = memorySource(bytes, "image");
  for (const part of await parse(source, "image")) {
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

for (const name of ["little/a", "little/b", "big/a", "big/b"]) {
  test(`cramfs ${name}: inodes and contents by path`, async () => {
    const bytes = image(`cramfs/${name}`);
    const changed = name.endsWith("b");
    const parts = await expanded(bytes, cramfsParts);
    assert.equal(shownIn(parts, "inode bin/run › mode"), changed ? "0700" : "0755");
    assert.equal(shownIn(parts, "inode dev/null › device"), changed ? "1:5" : "1:3");
    assert.equal(shownIn(parts, "inode etc/again › uid"), changed ? "1000" : "0");
    assert.equal(shownIn(parts, "superblock › edition"), name.startsWith("big") ? "1" : "0");
    const found = await contents(bytes, cramfsParts);
    assert.equal(found.get("lib/numbers"), numbers(changed));
    assert.equal(found.get("lib/others"), OTHERS);
    assert.equal(found.get("lib/zeros"), "\0".repeat(3000));
    assert.equal(found.get("link etc/link"), changed ? "../bin/walk" : "../bin/run");
    assert.equal(found.get("lib/noise")?.length, 4480);
    assert.equal(found.get("lib/noise-again"), found.get("lib/noise"));
  });
}

for (const name of ["tree/a", "tree/b"]) {
  test(`romfs ${name}: files by path`, async () => {
    const bytes = image(`romfs/${name}`);
    const changed = name.endsWith("b");
    const parts = await expanded(bytes, romfsParts);
    assert.equal(shownIn(parts, "superblock › volume name"), changed ? "vol b" : "vol a");
    assert.equal(shownIn(parts, "inode bin/run › type=executable-file"), "type");
    assert.equal(shownIn(parts, "inode dev/null › device"), changed ? "1:5" : "1:3");
    assert.equal(shownIn(parts, "inode etc/link › link"), changed ? "../bin/walk" : "../bin/run");
    const found = await contents(bytes, romfsParts);
    assert.equal(found.get("lib/numbers"), numbers(changed));
    assert.equal(found.get("etc/conf"), `key = ${changed ? 2 : 1}\n`);
  });
}

test("what is neither is told", async () => {
  await assert.rejects(expanded(new Uint8Array(2000), cramfsParts), /cramfs, offset 0: no magic number/);
  await assert.rejects(expanded(new Uint8Array(2000), romfsParts), /romfs, offset 0: no magic number/);
});

test("cramfs and romfs survive damage", async () => {
  await survives(image("cramfs/little/a"), cramfsParts, 200);
  await survives(image("cramfs/big/a").subarray(0, 2048), cramfsParts, 200);
  await survives(image("romfs/tree/a"), romfsParts, 200);
  await survives(image("romfs/tree/a").subarray(0, 2048), romfsParts, 200);
});
