import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import { gunzipSync } from "node:zlib";
import { expanded, type Shown, survives } from "../../test/parts.ts";
import { longTime, shortTime } from "./iso9660-susp.ts";
import { iso9660Parts } from "./iso9660.ts";

const image = (name: string): Uint8Array =>
  new Uint8Array(gunzipSync(readFileSync(new URL(`../../test/golden/iso9660/${name}.gz`, import.meta.url))));

const shownIn = (parts: readonly Shown[], path: string): string | undefined =>
  parts.find((part) => part.path === path && part.shown !== undefined)?.shown;

for (const name of ["genisoimage/a", "genisoimage/b", "xorriso/a", "xorriso/b"]) {
  test(`${name}: records and contents by their Rock Ridge names`, async () => {
    const bytes = image(name);
    const changed = name.endsWith("b");
    const parts = await expanded(bytes, iso9660Parts);
    assert.equal(shownIn(parts, "directory bin › run ›  › mode"), changed ? "0700" : "0755");
    assert.equal(shownIn(parts, "directory bin › run ›  › mtime"), changed ? "1700000060" : "1700000000");
    assert.equal(shownIn(parts, "directory etc › link › link"), changed ? "../bin/walk" : "../bin/run");
    const long = "n".repeat(90);
    assert.equal(shownIn(parts, "more of lib/far › link"), `${long}/${long}`);
    const content = parts.find(({ path, kind }) => path === "lib/others" && kind === "content");
    const text = Buffer.from(bytes.subarray(content?.offset, (content?.offset ?? 0) + (content?.length ?? 0)));
    assert.equal(text.toString("latin1"), Array.from({ length: 901 }, (_, at) => `${at + 1000}\n`).join(""));
    assert.equal(shownIn(parts, "boot catalog › boot entry › bootable"), "yes");
  });
}

test("a Joliet tree shares its contents with the first", async () => {
  const parts = await expanded(image("genisoimage/a"), iso9660Parts);
  assert.equal(shownIn(parts, "Joliet volume › volume"), "VOLUME_a");
  assert.equal(shownIn(parts, "Joliet directory etc › conf › recorded-mtime"), "1700000000");
  assert.equal(parts.filter(({ path }) => path === "etc/conf").length, 1);
});

test("a hybrid image shows its partition table and what was appended", async () => {
  const parts = await expanded(image("xorriso/b"), iso9660Parts);
  assert.equal(shownIn(parts, "GPT header › disk GUID"), "22222222-2222-2242-8222-222222222222");
  assert.ok(parts.some(({ path, kind, length }) => path === "partition 2" && kind === "content" && length >= 20480));
});

test("times with zones are seconds since the epoch", () => {
  assert.equal(shortTime(Uint8Array.of(123, 11, 14, 22, 13, 20, 0)), "1700000000");
  assert.equal(shortTime(Uint8Array.of(123, 11, 14, 23, 13, 20, 4)), "1700000000");
  assert.equal(longTime(Buffer.from("2023111417132000\xec", "latin1")), "1700000000");
  assert.equal(longTime(Buffer.from("2023111422132050\0")), "1700000000.50");
  assert.equal(longTime(Buffer.from(`${"0".repeat(16)}\0`)), "none");
});

test("what is no ISO 9660 is told", async () => {
  const bytes = image("xorriso/a");
  bytes[32769] = 0;
  await assert.rejects(expanded(bytes, iso9660Parts), /ISO 9660, offset 32768: no volume descriptor CD001/);
});

for (const name of ["genisoimage/a", "xorriso/a"]) {
  test(`${name}: survives damage`, async () => {
    await survives(image(name), iso9660Parts, 60);
    const bytes = image(name);
    // The structures alone, so that damage meets them.
    const cut = Buffer.concat([bytes.subarray(0, 512), new Uint8Array(32256), bytes.subarray(32768, 72 << 10)]);
    await survives(new Uint8Array(cut), iso9660Parts, 150);
  });
}
