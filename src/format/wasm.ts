import type { ByteSource } from "../bytesource.ts";
import { BitforbitError } from "../errors.ts";
import { DwarfReader } from "./dwarf-words.ts";
import { Words } from "./record.ts";

/**
 * Reads WebAssembly modules (WebAssembly Core Specification 2.0, section 5
 * "Binary Format"):
 *
 *     "\0asm" version(4)   sections: id(1) size(uleb) content
 *
 * A vector is a count and its elements; a custom section (id 0) begins with its
 * name. Functions are numbered through, those imported first.
 */
export interface WasmSection {
  id: number;
  /** Of a custom section its own name. */
  name: string;
  start: number;
  /** Behind the id, the size, and a custom section's name. */
  content: number;
  end: number;
}

export const SECTION_NAMES: Readonly<Record<number, string>> = {
  0: "custom",
  1: "type",
  2: "import",
  3: "function",
  4: "table",
  5: "memory",
  6: "global",
  7: "export",
  8: "start",
  9: "element",
  10: "code",
  11: "data",
  12: "data count",
  13: "tag",
};
const MAX_SECTIONS = 100_000;
const MAX_HELD = 512 << 20;
export const MAX_ITEMS = 5_000_000;

export interface Wasm {
  source: ByteSource;
  /** 1; a component has another layer in the upper half. */
  version: number;
  sections: WasmSection[];
}

export function readWasm(source: ByteSource): Wasm {
  const head = new Words(source.read(0, Math.min(8, source.size)), true, source.name);
  if (head.size < 8 || head.u32(0) !== 0x6d736100) {
    throw new BitforbitError("input", `${source.name}: WebAssembly, offset 0: no "\\0asm" and version`);
  }
  const wasm: Wasm = { source, version: head.u32(4), sections: [] };
  for (let at = 8; at < source.size;) {
    if (wasm.sections.length >= MAX_SECTIONS)
      throw new BitforbitError("limit", `${source.name}: over ${MAX_SECTIONS} sections`);
    const reader = readerAt(source, at, Math.min(source.size, at + 1024));
    const id = reader.u8();
    const size = reader.uleb();
    const body = at + reader.at;
    const end = body + size;
    if (end > source.size) {
      throw new BitforbitError(
        "input",
        `${source.name}: WebAssembly, offset ${at}: a section of ${size} bytes, but the module ends`,
      );
    }
    const section: WasmSection = { id, name: SECTION_NAMES[id] ?? `section ${id}`, start: at, content: body, end };
    if (id === 0) {
      const inner = readerAt(source, body, Math.min(end, body + 4096));
      section.name = nameIn(inner);
      section.content = body + inner.at;
    }
    wasm.sections.push(section);
    at = end;
  }
  return wasm;
}

/** Reads the bytes from `from` to `to`, places counted from `from`. */
export function readerAt(source: ByteSource, from: number, to: number): DwarfReader {
  if (to - from > MAX_HELD)
    throw new BitforbitError("limit", `${source.name}: a WebAssembly section of ${to - from} bytes`);
  return new DwarfReader(
    new Words(source.read(from, to - from).slice(), true, `${source.name}: WebAssembly, offset ${from}`),
    0,
  );
}

export function nameIn(reader: DwarfReader): string {
  const length = reader.uleb();
  const at = reader.step(length);
  return Buffer.from(reader.words.bytes.subarray(at, at + length)).toString("utf8");
}

/** A count that can be true: each element takes a byte at least. */
export function countIn(reader: DwarfReader): number {
  const count = reader.uleb();
  if (count > reader.end - reader.at || count > MAX_ITEMS) {
    throw new BitforbitError("input", `a WebAssembly vector of ${count} elements in ${reader.end - reader.at} bytes`);
  }
  return count;
}

const TYPES: Readonly<Record<number, string>> = {
  0x7f: "i32",
  0x7e: "i64",
  0x7d: "f32",
  0x7c: "f64",
  0x7b: "v128",
  0x70: "funcref",
  0x6f: "externref",
};

export function typeIn(reader: DwarfReader): string {
  const type = reader.u8();
  // A reference to a type of its own: (ref null? heap-type).
  if (type === 0x63 || type === 0x64) return `ref ${reader.sleb()}`;
  return TYPES[type] ?? `0x${type.toString(16)}`;
}

export function limitsIn(reader: DwarfReader): string {
  const flags = reader.u8();
  const least = reader.uleb();
  const most = (flags & 1) === 1 ? ` to ${reader.uleb()}` : "";
  return `${least}${most}${(flags & 2) !== 0 ? " shared" : ""}${(flags & 4) !== 0 ? " 64 bits" : ""}`;
}

export interface WasmImport {
  at: number;
  length: number;
  name: string;
  kind: number;
  shown: string;
}

export const KINDS: Readonly<Record<number, string>> = {
  0: "function",
  1: "table",
  2: "memory",
  3: "global",
  4: "tag",
};

export function importsOf(wasm: Wasm): WasmImport[] {
  const section = wasm.sections.find(({ id }) => id === 2);
  if (section === undefined) return [];
  const reader = readerAt(wasm.source, section.content, section.end);
  const found: WasmImport[] = [];
  for (let count = countIn(reader); count > 0; count--) {
    const at = reader.at;
    const name = `${nameIn(reader)}.${nameIn(reader)}`;
    const kind = reader.u8();
    const shown = kind === 0 ? `type ${reader.uleb()}` : kind === 2 ? limitsIn(reader) : otherImport(reader, kind);
    found.push({
      at: section.content + at,
      length: reader.at - at,
      name,
      kind,
      shown: `${KINDS[kind] ?? kind} ${shown}`,
    });
  }
  return found;
}

function otherImport(reader: DwarfReader, kind: number): string {
  if (kind === 1) return `${typeIn(reader)} ${limitsIn(reader)}`;
  if (kind === 3) return `${typeIn(reader)}${reader.u8() === 1 ? " mutable" : ""}`;
  return `${reader.u8()} type ${reader.uleb()}`;
}

export interface WasmExport {
  at: number;
  length: number;
  name: string;
  kind: number;
  index: number;
  indexAt: number;
}

export function exportsOf(wasm: Wasm): WasmExport[] {
  const section = wasm.sections.find(({ id }) => id === 7);
  if (section === undefined) return [];
  const reader = readerAt(wasm.source, section.content, section.end);
  const found: WasmExport[] = [];
  for (let count = countIn(reader); count > 0; count--) {
    const at = reader.at;
    const name = nameIn(reader);
    const kind = reader.u8();
    const indexAt = section.content + reader.at;
    const index = reader.uleb();
    found.push({ at: section.content + at, length: reader.at - at, name, kind, index, indexAt });
  }
  return found;
}

/** Names of functions by number: of the name section, of exports, of imports. */
export function functionNames(wasm: Wasm): Map<number, string> {
  const names = new Map<number, string>();
  let number = 0;
  for (const { kind, name } of importsOf(wasm)) if (kind === 0) names.set(number++, name);
  for (const { kind, index, name } of exportsOf(wasm)) if (kind === 0) names.set(index, name);
  for (const [index, name] of namesIn(wasm, 1)) names.set(index, name);
  return names;
}

export const importedFunctions = (wasm: Wasm): number => importsOf(wasm).filter(({ kind }) => kind === 0).length;

/** One subsection of the custom section "name" (Appendix, "Name Section"): 1 functions, 7 globals, 9 data. */
export function namesIn(wasm: Wasm, subsection: number): Map<number, string> {
  const names = new Map<number, string>();
  const section = wasm.sections.find(({ id, name }) => id === 0 && name === "name");
  if (section === undefined) return names;
  const reader = readerAt(wasm.source, section.content, section.end);
  while (reader.at < reader.end) {
    const id = reader.u8();
    const size = reader.uleb();
    const end = reader.at + size;
    if (id === subsection) {
      const inner = new DwarfReader(reader.words, reader.at, end);
      for (let count = countIn(inner); count > 0; count--) names.set(inner.uleb(), nameIn(inner));
    }
    reader.step(size);
  }
  return names;
}
