import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import { expanded, type Shown, survives } from "../../test/parts.ts";
import { memorySource } from "../bytesource.ts";
import { looksLikeRpm } from "./archive-magic.ts";
import { rpmParts } from "./rpm.ts";

const golden = (side: string): Buffer => readFileSync(`test/golden/rpm/planted/${side}`);
const found = (parts: readonly Shown[], path: string): Shown => {
  const part = parts.find((one) => one.path === path);
  assert.ok(part, path);
  return part;
};

test("values have the names and the meaning that rpm gives them", async () => {
  assert.ok(looksLikeRpm(golden("b")));
  const parts = await expanded(golden("b"), rpmParts);
  // As `rpm -qp --queryformat` states them.
  for (const [path, value] of [
    ["lead › name", "planted-1.0-1"],
    ["header › buildtime", "1795417921"],
    ["header › buildhost", "two.example.org"],
    ["header › payloadcompressor", "gzip"],
    ["header › filemodes › /usr/bin/planted", "100700"],
    ["header › filemtimes › /usr/bin/planted › mtime", "1600000777"],
    ["header › fileflags › /etc/planted.conf", "config, noreplace"],
    ["header › filelinktos › /usr/bin/link", "planted"],
    ["header › requireflags › other", ">="],
    ["header › requireversion › other", "2"],
    ["header › changelogtext › A Person <person@example.org> - 1.0-1", "- world"],
  ] as const) {
    assert.equal(found(parts, path).shown, value, path);
  }
});

test("what follows from the rest is derived, and every byte is claimed", async () => {
  const bytes = golden("a");
  const parts = await expanded(bytes, rpmParts);
  for (const path of ["signature › sha256", "header › payloaddigest", "header › filedigests › /usr/bin/planted"]) {
    assert.equal(found(parts, path).kind, "derived", path);
  }
  const digest = found(parts, "header › filedigests › /etc/planted.conf");
  assert.equal(
    bytes.toString("latin1", digest.offset, digest.offset + 64),
    "8d0d4c8a1e6ab75ae2f81abf1e1e66ce1ab7be53c7b8f245a41907fc45b3a801",
  );
  const claimed = parts.filter((part) => part.kind !== "group").reduce((sum, part) => sum + part.length, 0);
  assert.equal(claimed, bytes.length);
  const payload = found(parts, "payload");
  assert.deepEqual([...bytes.subarray(payload.offset, payload.offset + 3)], [0x1f, 0x8b, 8]);
});

test("damage is told with its place", () => {
  const bytes = golden("a");
  bytes.writeUInt32BE(0x7fff_0000, 112 + 8);
  const message = "in: rpm, offset 120: a value at 2147418112 of 4276";
  assert.throws(() => rpmParts(memorySource(bytes, "in")), { code: "input", message });
  assert.throws(() => rpmParts(memorySource(golden("a").subarray(0, 5000))), { code: "input", message: /at 5000/ });
  bytes.writeUInt32BE(0xffff_ffff, 96 + 8);
  assert.throws(() => rpmParts(memorySource(bytes)), { code: "limit" });
});

test("hostile input gives parts or an error", async () => {
  await survives(golden("b"), rpmParts);
});
