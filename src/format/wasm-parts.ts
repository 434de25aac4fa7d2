import type { ByteSource } from "../bytesource.ts";
import { BitforbitError } from "../errors.ts";
import { debugStringRoles, type DebugSections, dwarfInfoParts } from "./dwarf-info.ts";
import { dwarfLineParts } from "./dwarf-line.ts";
import { DwarfReader } from "./dwarf-words.ts";
import { derived, field, group, type Part } from "./part.ts";
import { mixedParts, stringParts } from "./string-parts.ts";
import { bodyText, type Names } from "./wasm-code.ts";
import {
  countIn,
  exportsOf,
  functionNames,
  importedFunctions,
  importsOf,
  KINDS,
  limitsIn,
  namesIn,
  nameIn,
  readerAt,
  readWasm,
  typeIn,
  type Wasm,
  type WasmSection,
} from "./wasm.ts";

/** The cut of a WebAssembly module: sections, and in them types, imports, exports, functions by name, data, custom sections. */
export function* wasmParts(source: ByteSource): Generator<Part> {
  const wasm = readWasm(source);
  yield field("magic", 0, 4);
  yield field("version", 4, 4, () => String(wasm.version));
  for (const section of wasm.sections) {
    const { id, name, start, end } = section;
    const key = id === 0 ? `custom ${name}` : `section ${name}`;
    yield group(key, start, end - start, () => sectionParts(wasm, section));
  }
}

function* sectionParts(wasm: Wasm, section: WasmSection): Generator<Part> {
  const { start, content, end, id } = section;
  const nameSize = id === 0 ? Math.min(content - start - 1, nameBytes(wasm.source, section)) : 0;
  yield field("id", start, 1);
  yield derived("size", start + 1, content - start - 1 - nameSize);
  if (nameSize > 0) yield field("name", content - nameSize, nameSize, () => section.name);
  // A component's sections have other meanings.
  if (wasm.version !== 1 && id !== 0)
    return yield { key: "content", kind: "bytes", offset: content, length: end - content };
  yield* contentParts(wasm, section);
}

function nameBytes(source: ByteSource, { start, content }: WasmSection): number {
  const reader = readerAt(source, start, content);
  reader.u8();
  reader.uleb();
  return content - start - reader.at;
}

function contentParts(wasm: Wasm, section: WasmSection): Iterable<Part> {
  // Of each kind there may be one, which is what numbers and names refer to.
  const again = section.id !== 0 && wasm.sections.find(({ id }) => id === section.id) !== section;
  if (again) return [{ key: "content", kind: "bytes", offset: section.content, length: section.end - section.content }];
  switch (section.id) {
    case 0:
      return customParts(wasm, section);
    case 1:
      return typeParts(wasm, section);
    case 2:
      return importParts(wasm, section);
    case 5:
      return vectorOf(wasm, section, (reader) => ({ key: "memory", shown: limitsIn(reader) }));
    case 7:
      return exportParts(wasm, section);
    case 6:
      return globalParts(wasm, section);
    case 10:
      return codeParts(wasm, section);
    case 11:
      return dataParts(wasm, section);
    case 3:
    case 8:
    case 12:
      return [derived("numbers", section.content, section.end - section.content)];
    default:
      return [{ key: "content", kind: "bytes", offset: section.content, length: section.end - section.content }];
  }
}

/** The count, then one field an element. */
function* vectorOf(
  wasm: Wasm,
  section: WasmSection,
  read: (reader: DwarfReader, index: number) => { key: string; shown: string },
): Generator<Part> {
  const { content } = section;
  const reader = readerAt(wasm.source, content, section.end);
  const count = countIn(reader);
  yield derived("count", content, reader.at);
  for (let index = 0; index < count; index++) {
    const at = reader.at;
    const { key, shown } = read(reader, index);
    yield field(key, content + at, reader.at - at, () => shown);
  }
}

function typeParts(wasm: Wasm, section: WasmSection): Iterable<Part> {
  return vectorOf(wasm, section, (reader) => {
    const form = reader.u8();
    if (form !== 0x60)
      throw new BitforbitError("input", `a WebAssembly type of the form 0x${form.toString(16)}, expected 0x60`);
    const list = (): string => Array.from({ length: countIn(reader) }, () => typeIn(reader)).join(" ");
    const shown = `(${list()}) → (${list()})`;
    return { key: `type ${shown}`, shown };
  });
}

function* importParts(wasm: Wasm, { content }: WasmSection): Generator<Part> {
  const found = importsOf(wasm);
  const first = found[0];
  if (first !== undefined) yield derived("count", content, first.at - content);
  for (const { at, length, name, shown } of found) yield field(`import ${name}`, at, length, () => shown);
}

function* exportParts(wasm: Wasm, { content }: WasmSection): Generator<Part> {
  const found = exportsOf(wasm);
  const first = found[0];
  if (first !== undefined) yield derived("count", content, first.at - content);
  for (const { at, length, name, kind, indexAt } of found) {
    yield group(`export ${name}`, at, length, () => [
      field("name and kind", at, indexAt - at, () => `${name}: ${KINDS[kind] ?? kind}`),
      derived("index", indexAt, at + length - indexAt),
    ]);
  }
}

function globalParts(wasm: Wasm, section: WasmSection): Iterable<Part> {
  const names = namesIn(wasm, 7);
  const first = importsOf(wasm).filter(({ kind }) => kind === 3).length;
  return vectorOf(wasm, section, (reader, index) => {
    const type = `${typeIn(reader)}${reader.u8() === 1 ? " mutable" : ""}`;
    const from = reader.at;
    const end = expressionEnd(reader);
    const inner = new DwarfReader(reader.words, from, end - 1);
    const value = lineOf(inner);
    const name = names.get(first + index);
    return { key: name === undefined ? "global" : `global ${name}`, shown: `${type} = ${value}` };
  });
}

const NO_NAMES: Names = { function: (index) => `function ${index}`, global: (index) => `global ${index}` };

/** A constant expression as text; a body without locals. */
function lineOf(reader: DwarfReader): string {
  const { bytes } = reader.words;
  const copy = new Uint8Array(1 + reader.end - reader.at);
  copy.set(bytes.subarray(reader.at, reader.end), 1);
  return bodyText(readerOf(copy), NO_NAMES).replaceAll("\n", " ");
}

function readerOf(bytes: Uint8Array): DwarfReader {
  const source: ByteSource = {
    name: "expression",
    size: bytes.length,
    read: (offset, length) => bytes.subarray(offset, offset + length),
  };
  return readerAt(source, 0, bytes.length);
}

/** Where a constant expression ends, its `end` included. */
function expressionEnd(reader: DwarfReader): number {
  for (;;) {
    const opcode = reader.u8();
    if (opcode === 0x0b) return reader.at;
    if (opcode === 0x41 || opcode === 0x42) reader.sleb();
    else if (opcode === 0x43) reader.step(4);
    else if (opcode === 0x44) reader.step(8);
    else if (opcode === 0x23 || opcode === 0xd2) reader.uleb();
    else if (opcode === 0xd0) typeIn(reader);
    else if (opcode === 0xfd) {
      if (reader.uleb() === 12) reader.step(16);
    } else if (opcode < 0x6a || opcode > 0x7e) {
      throw new BitforbitError("input", `0x${opcode.toString(16)} in a WebAssembly constant expression`);
    }
  }
}

function* codeParts(wasm: Wasm, section: WasmSection): Generator<Part> {
  const { content, end } = section;
  const reader = readerAt(wasm.source, content, end);
  const functions = functionNames(wasm);
  const globals = namesIn(wasm, 7);
  const names: Names = {
    function: (index) => functions.get(index) ?? `function ${index}`,
    global: (index) => globals.get(index) ?? `global ${index}`,
  };
  const first = importedFunctions(wasm);
  const count = countIn(reader);
  yield derived("count", content, reader.at);
  for (let index = 0; index < count; index++) {
    const at = reader.at;
    const size = reader.uleb();
    const body = reader.step(size);
    const name = functions.get(first + index);
    const key = name === undefined ? "function" : `function ${name}`;
    yield derived(`size of ${name ?? "function"}`, content + at, body - at);
    const show = (): string => bodyText(new DwarfReader(reader.words, body, body + size), names);
    yield { key, kind: "bytes", offset: content + body, length: size, show: () => orNothing(show) };
  }
}

/** An instruction of a later proposal: the bytes say what there is to say. */
function orNothing(show: () => string): string {
  try {
    return show();
  } catch (error) {
    if (error instanceof BitforbitError) return "";
    throw error;
  }
}

function* dataParts(wasm: Wasm, section: WasmSection): Generator<Part> {
  const { content, end } = section;
  const reader = readerAt(wasm.source, content, end);
  const names = namesIn(wasm, 9);
  const count = countIn(reader);
  yield derived("count", content, reader.at);
  for (let index = 0; index < count; index++) {
    const at = reader.at;
    const mode = reader.uleb();
    if (mode === 2) reader.uleb();
    if (mode !== 1) expressionEnd(reader);
    const size = reader.uleb();
    const bytes = reader.step(size);
    const name = names.get(index);
    const key = name === undefined ? "data" : `data ${name}`;
    yield derived(`place of ${key}`, content + at, bytes - at);
    yield group(key, content + bytes, size, () => mixedParts(wasm.source, content + bytes, size));
  }
}

function customParts(wasm: Wasm, section: WasmSection): Iterable<Part> {
  const { source } = wasm;
  const { content, end, name } = section;
  const length = end - content;
  const sections = debugSections(wasm);
  switch (name) {
    case "name":
      return nameParts(wasm, section);
    case "producers":
      return producerParts(wasm, section);
    case "sourceMappingURL":
    case "external_debug_info":
      return [field(name, content, length, () => nameIn(readerAt(source, content, end)))];
    case ".debug_str":
    case ".debug_line_str":
      return stringParts(source, content, length, debugStringRoles(sections, name));
    case ".debug_info":
      return dwarfInfoParts(sections, content, length);
    case ".debug_line":
      return dwarfLineParts(source, content, length, true, () => undefined);
    default:
      if (/^(?:\.debug_|reloc\.|linking$)/.test(name)) return [derived(name, content, length)];
      return length === 0 ? [] : [{ key: "content", kind: "content", offset: content, length, name }];
  }
}

function debugSections(wasm: Wasm): DebugSections {
  return {
    source: wasm.source,
    little: true,
    section(wanted) {
      const found = wasm.sections.find(({ id, name }) => id === 0 && name === wanted);
      return found === undefined ? undefined : { offset: found.content, length: found.end - found.content };
    },
  };
}

const SUBSECTIONS: Readonly<Record<number, string>> = {
  0: "module",
  1: "functions",
  2: "locals",
  3: "labels",
  4: "types",
  5: "tables",
  6: "memories",
  7: "globals",
  8: "elements",
  9: "data",
};

function* nameParts(wasm: Wasm, { content, end }: WasmSection): Generator<Part> {
  const reader = readerAt(wasm.source, content, end);
  while (reader.at < reader.end) {
    const at = reader.at;
    const id = reader.u8();
    const size = reader.uleb();
    const from = reader.step(size);
    const key = `${SUBSECTIONS[id] ?? `subsection ${id}`} names`;
    yield derived(`size of ${key}`, content + at, from - at);
    if (id === 2 || id === 3) yield derived(key, content + from, size);
    else
      yield group(key, content + from, size, () =>
        nameMap(new DwarfReader(reader.words, from, from + size), content, id),
      );
  }
}

function* nameMap(reader: DwarfReader, content: number, id: number): Generator<Part> {
  const from = reader.at;
  if (id === 0) {
    const name = nameIn(reader);
    return yield field("module", content + from, reader.at - from, () => name);
  }
  const count = countIn(reader);
  yield derived("count", content + from, reader.at - from);
  for (let left = count; left > 0; left--) {
    const at = reader.at;
    reader.uleb();
    const nameAt = reader.at;
    const name = nameIn(reader);
    yield derived("index", content + at, nameAt - at);
    yield field(name, content + nameAt, reader.at - nameAt, () => name);
  }
}

/** "language", "processed-by", "sdk", each with names and versions (tool conventions, "Producers Section"). */
function* producerParts(wasm: Wasm, { content, end }: WasmSection): Generator<Part> {
  const reader = readerAt(wasm.source, content, end);
  const fields = countIn(reader);
  yield derived("count", content, reader.at);
  for (let left = fields; left > 0; left--) {
    const at = reader.at;
    const what = nameIn(reader);
    const values = countIn(reader);
    yield derived(`${what} count`, content + at, reader.at - at);
    for (let value = values; value > 0; value--) {
      const place = reader.at;
      const [name, version] = [nameIn(reader), nameIn(reader)];
      yield field(`${what} ${name}`, content + place, reader.at - place, () => version);
    }
  }
}
