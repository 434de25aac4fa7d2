import { hex } from "../bytes.ts";
import type { ByteSource } from "../bytesource.ts";
import { BitforbitError } from "../errors.ts";
import { DwarfReader } from "./dwarf-words.ts";
import { derived, field, group, type Part } from "./part.ts";
import { Words } from "./record.ts";

/**
 * Line tables, .debug_line (DWARF 2 to 5, section 6.2): for each unit a header,
 * its directories and files, and a program whose rows say which line an address
 * comes from:
 *
 *     length version [v5: address-size segment-size] header-length quantum [v4: operations] is-stmt
 *     line-base line-range opcode-base lengths…  directories  files  program
 */
const MAX_UNITS = 1_000_000;
const MAX_ENTRIES = 200_000;
const MAX_ROWS = 20_000;

/** The text of a string that stands in another section. */
export type TextOf = (form: "strp" | "line_strp", at: number) => string | undefined;

interface Entry {
  key: string;
  at: number;
  length: number;
  value: string;
  /** Only an offset of the string, which stands elsewhere. */
  elsewhere: boolean;
}

interface LineUnit {
  start: number;
  end: number;
  /** Of an offset: 4, or 8 in the 64-bit format. */
  word: number;
  version: number;
  lineBase: number;
  lineRange: number;
  opcodeBase: number;
  quantum: number;
  lengths: number[];
  addressSize: number;
  parametersAt: number;
  tablesAt: number;
  programAt: number;
  directories: string[];
  files: string[];
  entries: Entry[];
}

export function* dwarfLineParts(
  source: ByteSource,
  offset: number,
  length: number,
  little: boolean,
  textOf: TextOf,
): Generator<Part> {
  let at = offset;
  for (let count = 0; at + 12 <= offset + length; count++) {
    if (count > MAX_UNITS) throw new BitforbitError("limit", `${source.name}: over ${MAX_UNITS} line tables`);
    const head = new Words(source.read(at, 12), little, source.name);
    const wide = head.u32(0) === 0xffff_ffff;
    const size = wide ? 12 + head.u64(4) : 4 + head.u32(0);
    if (size < 16 || at + size > offset + length) return;
    const words = new Words(source.read(at, size).slice(), little, `${source.name}: line table at offset ${at}`);
    const place = at;
    const unit = unitOf(words, wide ? 8 : 4, textOf);
    const name = unit.files[unit.version >= 5 ? 0 : 1] ?? "";
    yield group(`line table of ${name}`, place, size, () => unitParts(words, unit, place));
    at += size;
  }
}

function unitOf(words: Words, word: number, textOf: TextOf): LineUnit {
  const reader = new DwarfReader(words, word === 8 ? 12 : 4);
  const version = reader.u16();
  if (version < 2 || version > 5)
    throw new BitforbitError("input", `a line table of DWARF ${version}, expected 2 to 5`);
  const addressSize = version >= 5 ? reader.u8() : 8;
  if (version >= 5) reader.u8();
  const headerLength = reader.sized(word);
  const parametersAt = reader.at;
  const programAt = parametersAt + headerLength;
  const quantum = reader.u8();
  if (version >= 4) reader.u8();
  reader.u8();
  const lineBase = (reader.u8() << 24) >> 24;
  const lineRange = reader.u8();
  const opcodeBase = reader.u8();
  const lengths = Array.from({ length: Math.max(0, opcodeBase - 1) }, () => reader.u8());
  const unit: LineUnit = {
    start: 0,
    end: words.size,
    word,
    version,
    lineBase,
    lineRange,
    opcodeBase,
    quantum,
    lengths,
    addressSize,
    parametersAt,
    tablesAt: reader.at,
    programAt,
    directories: [],
    files: [],
    entries: [],
  };
  words.need(reader.at, programAt - reader.at);
  const tables = new DwarfReader(words, reader.at, programAt);
  if (version >= 5) {
    readTable(unit, tables, "directory", textOf);
    readTable(unit, tables, "file", textOf);
  } else readOldTables(unit, tables);
  return unit;
}

function entry(unit: LineUnit, reader: DwarfReader, key: string, at: number, value: string, elsewhere = false): void {
  if (unit.entries.length >= MAX_ENTRIES)
    throw new BitforbitError("limit", `a line table of over ${MAX_ENTRIES} files`);
  unit.entries.push({ key, at, length: reader.at - at, value, elsewhere });
}

function readOldTables(unit: LineUnit, reader: DwarfReader): void {
  unit.directories.push("");
  for (;;) {
    const at = reader.at;
    const text = reader.text();
    if (text === "") break;
    unit.directories.push(text);
    entry(unit, reader, `directory ${text}`, at, text);
  }
  unit.files.push("");
  for (;;) {
    const at = reader.at;
    const name = reader.text();
    if (name === "") break;
    const directory = reader.uleb();
    const mtime = reader.uleb();
    const size = reader.uleb();
    const path = joined(unit.directories[directory] ?? "", name);
    unit.files.push(name);
    const stamp = mtime === 0 && size === 0 ? "" : `, mtime ${mtime}, ${size} bytes`;
    entry(unit, reader, `file ${name}`, at, `${path}${stamp}`);
  }
}

const joined = (directory: string, name: string): string => (directory === "" ? name : `${directory}/${name}`);

/** DWARF 5's tables describe themselves: of which pieces (DW_LNCT) in which forms an entry is made. */
function readTable(unit: LineUnit, reader: DwarfReader, what: "directory" | "file", textOf: TextOf): void {
  const formats = Array.from({ length: reader.u8() }, () => [reader.uleb(), reader.uleb()] as const);
  const count = reader.uleb();
  if (formats.length === 0 && count > 0)
    throw new BitforbitError("input", "a line table's entries are made of nothing");
  if (count > MAX_ENTRIES) throw new BitforbitError("limit", `a line table of ${count} entries, over ${MAX_ENTRIES}`);
  for (let index = 0; index < count; index++) {
    let name = "";
    let directory: number | undefined;
    const at = reader.at;
    const md5: { at: number; text: string }[] = [];
    let elsewhere = false;
    for (const [content, form] of formats) {
      const before = reader.at;
      const read = readForm(unit, reader, form, textOf);
      if (content === 1) {
        name = String(read.value);
        elsewhere = read.elsewhere;
      } else if (content === 2) directory = Number(read.value);
      else if (content === 5) md5.push({ at: before, text: String(read.value) });
    }
    if (what === "directory") unit.directories.push(name);
    else unit.files.push(name);
    const path = what === "file" ? joined(unit.directories[directory ?? 0] ?? "", name) : name;
    const stamp = md5.map(({ text }) => `, md5 ${text}`).join("");
    entry(unit, reader, `${what} ${name}`, at, `${path}${stamp}`, elsewhere && md5.length === 0);
  }
}

interface FormValue {
  value: string | number;
  elsewhere: boolean;
}

const plain = (value: string | number): FormValue => ({ value, elsewhere: false });

function readForm(unit: LineUnit, reader: DwarfReader, form: number, textOf: TextOf): FormValue {
  switch (form) {
    case 0x08:
      return plain(reader.text());
    case 0x0e:
    case 0x1f: {
      const at = reader.sized(unit.word);
      return { value: textOf(form === 0x0e ? "strp" : "line_strp", at) ?? "", elsewhere: true };
    }
    case 0x0b:
      return plain(reader.u8());
    case 0x05:
      return plain(reader.u16());
    case 0x06:
      return plain(reader.u32());
    case 0x07:
      return plain(reader.sized(8));
    case 0x0f:
      return plain(reader.uleb());
    case 0x1e: {
      const at = reader.step(16);
      return plain(hex(reader.words.bytes.subarray(at, at + 16)));
    }
    case 0x09: {
      const length = reader.uleb();
      reader.step(length);
      return plain("");
    }
    default:
      throw new BitforbitError("input", `a line table's entry of the form 0x${form.toString(16)}`);
  }
}

function* unitParts(words: Words, unit: LineUnit, start: number): Generator<Part> {
  const lengthSize = unit.word === 8 ? 12 : 4;
  yield derived("length", start, lengthSize);
  yield field("version", start + lengthSize, 2, () => String(unit.version));
  yield derived("header length", start + unit.parametersAt - unit.word, unit.word);
  yield field("parameters", start + unit.parametersAt, unit.tablesAt - unit.parametersAt, () =>
    hex(words.bytes.subarray(unit.parametersAt, unit.tablesAt)),
  );
  let end = unit.tablesAt;
  for (const { key, at, length, value, elsewhere } of unit.entries) {
    if (at > end) yield derived("table's form", start + end, at - end);
    end = at + length;
    yield elsewhere ? derived(key, start + at, length) : field(key, start + at, length, () => value);
  }
  if (unit.programAt > end) yield derived("table's form", start + end, unit.programAt - end);
  yield* programParts(words, unit, start);
}

interface Row {
  file: number;
  line: number;
  advance: number;
}

interface Stretch {
  at: number;
  end: number;
  /** Sets an address, which only follows from where the code lies. */
  isAddress: boolean;
  rows: Row[];
}

/** The program, cut where it sets an address; each stretch shows its rows. */
function* programParts(words: Words, unit: LineUnit, start: number): Generator<Part> {
  for (const { at, end, isAddress, rows } of stretchesOf(words, unit)) {
    if (isAddress) {
      yield derived("address", start + at, end - at);
      continue;
    }
    if (rows.length === 0) {
      yield { key: "set-up", kind: "bytes", offset: start + at, length: end - at };
      continue;
    }
    const file = unit.files[rows[0]?.file ?? 1] ?? "";
    const show = (): string => rows.map((row) => rowText(unit, row)).join("\n");
    yield { key: `lines of ${file}`, kind: "bytes", offset: start + at, length: end - at, show };
  }
}

const rowText = (unit: LineUnit, { file, line, advance }: Row): string =>
  `${unit.files[file] ?? `file ${file}`}:${line}  ${advance === 0 ? "same address" : `${advance} bytes on`}`;

function* stretchesOf(words: Words, unit: LineUnit): Generator<Stretch> {
  const reader = new DwarfReader(words, unit.programAt, unit.end);
  const state = { file: 1, line: 1, advance: 0 };
  let stretch: Stretch = { at: reader.at, end: reader.at, isAddress: false, rows: [] };
  while (reader.at < unit.end) {
    const at = reader.at;
    const opcode = reader.u8();
    if (opcode === 0) {
      const length = reader.uleb();
      const kind = length > 0 ? (words.bytes[reader.at] ?? 0) : 0;
      reader.step(length);
      if (kind === 2) {
        if (at > stretch.at) yield { ...stretch, end: at };
        yield { at, end: reader.at, isAddress: true, rows: [] };
        stretch = { at: reader.at, end: reader.at, isAddress: false, rows: [] };
      } else if (kind === 1) {
        yield { ...stretch, end: reader.at };
        Object.assign(state, { file: 1, line: 1, advance: 0 });
        stretch = { at: reader.at, end: reader.at, isAddress: false, rows: [] };
      }
    } else if (step(unit, reader, opcode, state)) {
      if (stretch.rows.length < MAX_ROWS) stretch.rows.push({ ...state });
      state.advance = 0;
    }
  }
  if (unit.end > stretch.at) yield { ...stretch, end: unit.end };
}

/** One opcode's effect (section 6.2.5); true when it makes a row. */
function step(unit: LineUnit, reader: DwarfReader, opcode: number, state: Row): boolean {
  if (opcode >= unit.opcodeBase) {
    const adjusted = opcode - unit.opcodeBase;
    const range = Math.max(1, unit.lineRange);
    state.advance += Math.floor(adjusted / range) * unit.quantum;
    state.line += unit.lineBase + (adjusted % range);
    return true;
  }
  switch (opcode) {
    case 1:
      return true;
    case 2:
      state.advance += reader.uleb() * unit.quantum;
      return false;
    case 3:
      state.line += reader.sleb();
      return false;
    case 4:
      state.file = reader.uleb();
      return false;
    case 8:
      state.advance += Math.floor((255 - unit.opcodeBase) / Math.max(1, unit.lineRange)) * unit.quantum;
      return false;
    case 9:
      state.advance += reader.u16();
      return false;
    default:
      for (let count = unit.lengths[opcode - 1] ?? 0; count > 0; count--) reader.uleb();
      return false;
  }
}
