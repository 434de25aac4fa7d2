import { strict as assert } from "node:assert";
import { readFileSync } from "node:fs";
import test from "node:test";
import { expanded, survives } from "../../test/parts.ts";
import { memorySource } from "../bytesource.ts";
import type { Part } from "./part.ts";
import { pemParts } from "./pem.ts";
import { pgpParts } from "./pgp.ts";

const golden = (path: string): Uint8Array => new Uint8Array(readFileSync(`test/golden/pgp/${path}`));
const shown = async (bytes: Uint8Array): Promise<Map<string, string | undefined>> =>
  new Map((await expanded(bytes, pgpParts)).map(({ path, shown: value, kind }) => [path, value ?? kind]));

/** What the first content among the parts holds. */
async function plain(parts: Iterable<Part>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for (const { parts: inside } of parts) {
    for (const { decode } of inside?.() ?? []) {
      await decode?.run((chunk) => chunks.push(chunk), { maxBytes: 1 << 20, maxRatio: 100, freeBytes: 1 << 20 });
    }
  }
  return new Uint8Array(Buffer.concat(chunks));
}

test("a key's packets: times, user ids, subpackets of signatures", async () => {
  const found = await shown(golden("key/a"));
  assert.equal(found.get("public key › created mtime"), "1700000000");
  assert.equal(found.get("public key › algorithm"), "EdDSA");
  assert.equal(found.get("user ID Test One <one@example.org> › user ID"), "Test One <one@example.org>");
  assert.equal(found.get("signature (positive certification) › created mtime"), "1700000000");
  assert.equal(found.get("signature (positive certification) › key expires after"), `${365 * 86400} seconds`);
  assert.equal(found.get("signature (positive certification) › hash"), "SHA-256");
  assert.match(found.get("signature (positive certification) › unhashed › issuer key ID") ?? "", /^[0-9a-f]{16}$/);
});

test("what was signed, within what was compressed", async () => {
  const signed = await shown(await plain(pgpParts(memorySource(golden("signed/b")), "b")));
  assert.equal(signed.get("literal data › name"), "msg2");
  assert.equal(signed.get("literal data › data"), "content");
  assert.equal(signed.get("signature (binary) › created mtime"), "1700000300");
});

test("armour holds packets, its checksum follows", async () => {
  const parts = await expanded(golden("detached/a"), pemParts);
  assert.equal(parts.find(({ path }) => path === "PGP SIGNATURE › Comment")?.shown, "made 1");
  const signature = await shown(await plain(pemParts(memorySource(golden("detached/a")), "a")));
  assert.equal(signature.get("signature (binary) › created mtime"), "1700000200");
});

test("damage gives parts or an error of ours", async () => {
  await survives(golden("key/a"), pgpParts);
  await survives(golden("signed/a"), pgpParts);
});
