import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import { expanded, type Shown, survives } from "../../test/parts.ts";
import { memorySource } from "../bytesource.ts";
import { elfParts } from "./elf-parts.ts";
import { MACHINE, readElf } from "./elf.ts";

const golden = (name: string): Uint8Array => new Uint8Array(readFileSync(`test/golden/elf/${name}`));
const cut = (name: string): Promise<Shown[]> => expanded(golden(name), elfParts);
const shownIn = (parts: readonly Shown[], path: string): string | undefined =>
  parts.find((part) => part.path === path)?.shown;

test("a shared library: what readelf says of it, by name", async () => {
  const parts = await cut("library/a");
  const shown = (path: string): string | undefined => shownIn(parts, path);
  assert.equal(shown("ELF header › machine"), "x86-64");
  assert.equal(shown("ELF header › type"), "DYN");
  assert.equal(shown("section .dynstr › SONAME"), "libpart.so.1");
  assert.equal(shown("section .dynstr › RUNPATH"), "/opt/one");
  assert.equal(
    shown("section .note.gnu.build-id › note build-id › build-id"),
    "cbc280a44bcf48129843ce75b4f46575a0213130",
  );
  assert.equal(shown("section .symtab › symbol twice › type"), "LOCAL FUNC");
  assert.equal(shown("section .symtab › symbol compute › type"), "GLOBAL FUNC");
  assert.equal(shown("section .dynsym › symbol puts › section"), "undefined");
  assert.ok(parts.some(({ path }) => path === "section .gnu.version › version of compute: V1"));
  assert.ok(parts.some(({ path }) => path === "section .gnu.version › version of announce: V2"));
  assert.ok(
    parts.some(({ path, kind }) => path === "section .note.package › note package › json" && kind === "content"),
  );
  assert.ok(parts.some(({ path }) => path === "section .rela.plt › JUMP_SLOT puts"));
});

test("code and data are cut by symbol, unwinding by function, and PLT entries have the name they call", async () => {
  const parts = await cut("library/b");
  const paths = new Set(parts.map(({ path }) => path));
  for (const path of [
    "section .text › function twice",
    "section .text › function compute",
    "section .text › function announce",
    "section .plt › function puts@plt",
    "section .data › object counter",
    "section .rodata › object banner",
    "section .eh_frame › FDE announce",
  ]) {
    assert.ok(paths.has(path), path);
  }
});

test("stripped: functions are found by the unwind table, exported ones by name", async () => {
  const parts = await cut("stripped/a");
  const functions = parts.filter(({ path }) => path.startsWith("section .text › function"));
  assert.deepEqual(
    functions.map(({ path }) => path.replace("section .text › ", "")),
    ["function", "function compute", "function announce"],
  );
  const whole = (await cut("library/a")).filter(({ path }) => path.startsWith("section .text › function"));
  assert.deepEqual(
    functions.map(({ length }) => length),
    whole.map(({ length }) => length),
  );
});

test("debug data: units, their entries, line tables with files and rows", async () => {
  const parts = await cut("library/a");
  assert.ok(parts.some(({ path }) => path === "section .debug_info › unit one/part.c › function compute › decl_line"));
  assert.equal(shownIn(parts, "section .debug_info › unit one/part.c › function announce › decl_line"), "6");
  assert.match(shownIn(parts, "section .debug_str › producer") ?? "", /^GNU C17 12\.2\.0 .*-g -O1/);
  assert.equal(shownIn(parts, "section .debug_line › line table of part.c › version"), "5");
  const rows = shownIn(parts, "section .debug_line › line table of part.c › lines of part.c");
  assert.match(rows ?? "", /^part\.c:4 {2}/);
});

test("object files: other machines, other byte orders, relocations by symbol", async () => {
  const arm = readElf(memorySource(golden("object-arm64/a")));
  assert.equal(arm.machine, MACHINE.AARCH64);
  const parts = await cut("object-arm64/a");
  assert.ok(parts.some(({ path }) => path === "section .text › function announce"));
  assert.ok(parts.some(({ path }) => path === "section .rela.text › CALL26 puts"));
  const power = readElf(memorySource(golden("object-powerpc/a")));
  assert.deepEqual([power.bits, power.little], [32, false]);
  assert.ok((await cut("object-powerpc/a")).some(({ path }) => path === "section .text › function announce"));
});

test("compressed debug sections give their plain bytes", async () => {
  const source = memorySource(golden("compressed-debug/a"));
  const section = (await elfParts(source)).find(({ key }) => key === "section .debug_info");
  const content = [...(section?.parts?.() ?? [])].find(({ kind }) => kind === "content");
  const chunks: Uint8Array[] = [];
  await content?.decode?.run((chunk) => void chunks.push(chunk), {
    maxBytes: 1 << 20,
    maxRatio: 250,
    freeBytes: 1 << 20,
  });
  // length(4) 5(2): a unit of DWARF 5 that fills the section
  const plain = Buffer.concat(chunks);
  assert.deepEqual([plain.readUInt32LE(0), plain.readUInt16LE(4)], [plain.length - 4, 5]);
});

test("Go: version, module and settings by key", async () => {
  const parts = await cut("go-buildinfo/b");
  assert.match(shownIn(parts, "section .go.buildinfo › Go version") ?? "", /^go1\.\d+/);
  assert.equal(shownIn(parts, "section .go.buildinfo › path"), "example.com/hello");
  assert.equal(shownIn(parts, "section .go.buildinfo › build -trimpath"), "true");
  assert.equal(shownIn(parts, "section .go.buildinfo › build -tags"), "extra");
});

test("hostile files give parts or a good error", async () => {
  for (const name of [
    "library/a",
    "object-arm64/a",
    "object-powerpc/a",
    "stripped/a",
    "compressed-debug/a",
    "go-buildinfo/a",
  ]) {
    await survives(golden(name), elfParts, 150);
  }
});
