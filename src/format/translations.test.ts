import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import { expanded, type Shown, survives } from "../../test/parts.ts";
import { memorySource } from "../bytesource.ts";
import { looksLikeMo, looksLikePo } from "./archive-magic.ts";
import { moParts } from "./gettext-mo.ts";
import { poParts } from "./gettext-po.ts";
import { propertiesParts } from "./java-properties.ts";

const golden = (path: string): Uint8Array => readFileSync(`test/golden/${path}`);
const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text));
const shownOf = (parts: readonly Shown[], path: string): string | undefined =>
  parts.find((part) => part.path === path)?.shown;
const claimed = (parts: readonly Shown[]): number =>
  parts.filter((part) => part.kind !== "group").reduce((sum, part) => sum + part.length, 0);

test("compiled catalogues of both byte orders have their messages by msgid", async () => {
  for (const path of ["gettext/mo/a", "gettext/big-endian/a.mo"]) {
    const parts = await expanded(golden(path), moParts);
    assert.ok(looksLikeMo(golden(path)));
    assert.equal(shownOf(parts, "%d file"), "%d Datei | %d Dateien", path);
    assert.equal(shownOf(parts, "msgid %d file"), "%d file | %d files");
    assert.equal(shownOf(parts, "menu | Open"), "Öffnen");
    assert.equal(shownOf(parts, "header › Language"), "de");
    assert.equal(shownOf(parts, "byte order"), path.includes("big") ? "big endian" : "little endian");
    // The empty msgid and the NUL behind the header have nothing to tell.
    assert.equal(claimed(parts), golden(path).length - 2);
  }
});

test("entries are known by context and msgid, the header by its fields", async () => {
  const parts = await expanded(golden("gettext/po/a.po"), poParts);
  assert.ok(looksLikePo(golden("gettext/po/a.po"), "a.po"));
  assert.equal(shownOf(parts, "header › POT-Creation-Date"), "2024-01-01 12:00+0000");
  assert.equal(shownOf(parts, "%d file › references"), "src/main.c:12 src/main.c:30");
  assert.equal(shownOf(parts, "%d file › flags"), "c-format");
  assert.equal(shownOf(parts, "%d file › msgstr[1]"), "%d Dateien");
  assert.equal(shownOf(parts, "menu | Open › msgstr"), "Öffnen");
  assert.equal(shownOf(parts, "Close › msgstr"), "Schließen\nbitte");
  assert.equal(shownOf(parts, "Old › msgstr"), "Alt");
  assert.equal(claimed(parts), golden("gettext/po/a.po").length);
  assert.throws(() => [...poParts(memorySource(bytes('msgid "a"\nhello\n'), "in"))], {
    code: "input",
    message: 'in: PO, offset 10: "hello"',
  });
});

test("properties go on over lines, with their escapes undone", async () => {
  const text =
    "#note\n#Mon Jan 01 12:00:00 UTC 2024\n\na=1\nb : x\\\n   y\\\\\nc\\ d\\=e v\\u00e4\\tz\n  f\n!last\ng=\\";
  const parts = await expanded(bytes(text), propertiesParts);
  assert.deepEqual(
    parts.map(({ path, shown }) => [path, shown]),
    [
      ["comment", "note"],
      ["date", "Mon Jan 01 12:00:00 UTC 2024"],
      ["blank line", "empty"],
      ["a", "1"],
      ["b", "xy\\"],
      ["c d=e", "vä\tz"],
      ["f", ""],
      ["comment", "last"],
      ["g", ""],
    ],
  );
  assert.equal(claimed(parts), text.length);
  assert.throws(() => [...propertiesParts(memorySource(bytes("a=\0")))], { code: "input" });
});

test("damage is told with its place", () => {
  const broken = Uint8Array.from(golden("gettext/mo/a"));
  broken[12] = 0xff;
  broken[13] = 0xff;
  const message = /^in: gettext catalogue, offset 12: a table at 65535 of 32 bytes, but the file ends at \d+$/;
  assert.throws(() => [...moParts(memorySource(broken, "in"))], { code: "input", message });
  broken[11] = 0xff;
  assert.throws(() => [...moParts(memorySource(broken))], { code: "limit" });
});

test("hostile input gives parts or an error", async () => {
  await survives(golden("gettext/mo/a"), moParts);
  await survives(golden("gettext/po/a.po"), poParts);
  await survives(golden("properties/stored/a.properties"), propertiesParts);
});
