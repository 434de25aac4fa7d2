import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import { expanded, type Shown, survives } from "../../test/parts.ts";
import { type ByteSource, memorySource } from "../bytesource.ts";
import { valueText } from "./android-chunks.ts";
import { configurationText } from "./android-configuration.ts";
import { androidResourceParts } from "./android-resources.ts";
import { androidXmlParts } from "./android-xml.ts";
import { apkSigningPart } from "./apk-signing.ts";
import { looksLikeAndroidResources, looksLikeAndroidXml } from "./archive-magic.ts";
import { readZip, readZipMember } from "./zip.ts";

const android = memorySource(new Uint8Array(readFileSync("test/golden/apk/signed/b.apk")), "b.apk");

async function member(name: string): Promise<Uint8Array> {
  const entry = readZip(android).entries.find((one) => one.name === name);
  assert.ok(entry);
  const chunks: Uint8Array[] = [];
  await readZipMember(android, entry, (chunk) => chunks.push(chunk), { maxBytes: 1e6, maxRatio: 250, freeBytes: 1e6 });
  return new Uint8Array(Buffer.concat(chunks));
}

const shownOf = (parts: readonly Shown[], path: string): string | undefined => {
  const part = parts.find((one) => one.path === path);
  assert.ok(part, path);
  return part.shown;
};
const claimed = (parts: readonly Shown[]): number =>
  parts.filter((part) => part.kind !== "group").reduce((sum, part) => sum + part.length, 0);

test("a manifest's elements stand within each other, strings belong to the keys", async () => {
  const bytes = await member("AndroidManifest.xml");
  assert.ok(looksLikeAndroidXml(bytes));
  const parts = await expanded(bytes, androidXmlParts);
  assert.equal(claimed(parts), bytes.length);
  assert.equal(shownOf(parts, "manifest › versionCode › value"), "2");
  assert.equal(shownOf(parts, "resource ids › versionCode"), "0x0101021b");
  assert.equal(shownOf(parts, "manifest › uses-sdk › targetSdkVersion › value"), "29");
  assert.equal(shownOf(parts, "manifest › application › debuggable › value"), "false");
  const permission = "android.permission.INTERNET";
  assert.equal(shownOf(parts, `manifest › uses-permission ${permission} › name="${permission}"`), permission);
  assert.equal(shownOf(parts, "manifest › application › activity .Main"), 'name=".Main"');
});

test("resources are known by type, configuration and name", async () => {
  const bytes = await member("resources.arsc");
  assert.ok(looksLikeAndroidResources(bytes));
  const parts = await expanded(bytes, androidResourceParts);
  assert.equal(claimed(parts), bytes.length);
  const above = "package org.example.planted";
  assert.equal(shownOf(parts, `${above} › string › app_name="Changed"`), "Changed");
  assert.equal(shownOf(parts, `${above} › string (de) › greeting="Hallo"`), "Hallo");
  assert.equal(shownOf(parts, `${above} › color › back › value`), "#ff000002");
  assert.equal(shownOf(parts, `${above} › dimen › gap › value`), "22dp");
  assert.equal(shownOf(parts, `${above} › bool › added › value`), "true");
  assert.equal(shownOf(parts, `${above} › array › days › 0x02000001="Tue"`), "Tue");
});

function signing(source: ByteSource): ReturnType<typeof apkSigningPart> {
  const { entries } = readZip(source);
  const from = Math.max(...entries.map((entry) => entry.end));
  return apkSigningPart(source, from, entries[0]?.offset ?? 0);
}

test("the signing block's schemes, certificates and keys", async () => {
  const block = signing(android);
  assert.ok(block);
  const parts = await expanded(android, () => [block]);
  assert.equal(claimed(parts), block.length);
  for (const scheme of ["signature v2", "signature v3"]) {
    const signer = `signing block › ${scheme} › signer`;
    const certificate = parts.find((part) => part.path === `${signer} › signed data › certificate`);
    assert.equal(certificate?.kind, "content");
    assert.equal(android.read(certificate?.offset ?? 0, 1)[0], 0x30);
  }
  assert.equal(shownOf(parts, "signing block › signature v3 › signer › least SDK"), "24");
  assert.equal(apkSigningPart(android, 0, 40), undefined);
});

const none = (): undefined => undefined;

test("values and configurations are written as in the sources", () => {
  assert.equal(valueText(1, 0x7f010002, none), "@0x7f010002");
  assert.equal(valueText(5, 0x0e02, none), "14sp");
  assert.equal(valueText(0x10, 0xffff_ffff, none), "-1");
  assert.equal(valueText(4, 0x3fc0_0000, none), "1.5");
  assert.equal(valueText(0x1d, 0xff00_00ff, none), "#ff0000ff");
  const bytes = new Uint8Array(36);
  bytes.set([36]);
  bytes.set([0x64, 0x65, 0x41, 0x54], 8);
  bytes.set([2, 0, 240, 0], 12);
  bytes.set([21], 24);
  bytes.set([0x58, 2], 30);
  assert.equal(configurationText(bytes), "de-rAT-sw600dp-land-hdpi-v21");
});

test("damage is told with its place", async () => {
  const bytes = await member("AndroidManifest.xml");
  bytes[12] = 0xff;
  bytes[15] = 0xff;
  const message = /^in: Android resources, offset 8: a chunk of \d+ bytes with a header of 28, \d+ are left$/;
  assert.throws(() => androidXmlParts(memorySource(bytes, "in")), { code: "input", message });
});

test("hostile input gives parts or an error", async () => {
  await survives(await member("AndroidManifest.xml"), androidXmlParts);
  await survives(await member("resources.arsc"), androidResourceParts);
  const block = signing(android);
  assert.ok(block);
  const bytes = android.read(block.offset, block.length).slice();
  await survives(bytes, (source) => [apkSigningPart(source, 0, source.size)].filter((part) => part !== undefined));
});
