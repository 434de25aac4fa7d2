import { strict as assert } from "node:assert";
import test from "node:test";
import { memorySource } from "../bytesource.ts";
import { utf8 } from "../bytes.ts";
import { cpioArchive } from "./cpio-write.ts";
import { cpioParts } from "./cpio.ts";

test("our own reader finds what was written, and the same members give the same bytes", () => {
  const members = [
    { path: "folder", mode: 0o40755, content: new Uint8Array() },
    { path: "folder/one", mode: 0o100644, content: utf8("12345") },
    { path: "init", mode: 0o100755, content: utf8("#!") },
  ];
  const archive = cpioArchive(members);
  assert.deepEqual(cpioArchive(members), archive);
  assert.equal(archive.length % 4, 0);
  const contents: Record<string, string> = {};
  for (const member of cpioParts(memorySource(archive))) {
    for (const part of member.parts?.() ?? []) {
      const text = Buffer.from(archive.subarray(part.offset, part.offset + part.length)).toString();
      if (part.kind === "content") contents[part.name ?? ""] = text;
    }
  }
  assert.deepEqual(contents, { "folder/one": "12345", init: "#!" });
});
