import type { ByteSource } from "../bytesource.ts";
import { BitforbitError } from "../errors.ts";
import { codeParts, type CodeView, TEXT_BUDGET } from "./code.ts";
import { type Architecture, disassembler } from "./disassembly.ts";
import { DwarfReader } from "./dwarf-words.ts";
import { debugStringRoles, type DebugSections, dwarfInfoParts } from "./dwarf-info.ts";
import { dwarfLineParts } from "./dwarf-line.ts";
import { goFunctions } from "./go-functions.ts";
import { goBuildInfoParts, goTableParts } from "./go-parts.ts";
import { commandParts } from "./macho-commands.ts";
import { signatureParts } from "./macho-signature.ts";
import {
  CPUS,
  type MachO,
  type MachSection,
  machSymbols,
  type NameAt,
  readMachO,
  storedSize,
  symbolNames,
  symbolSize,
  type SymbolTable,
  symbolTable,
} from "./macho.ts";
import { objectParts } from "./object-parts.ts";
import { derived, field, group, type Part } from "./part.ts";
import { asHex, named, recordParts, Words } from "./record.ts";
import { stringAt, stringParts } from "./string-parts.ts";
import { ANONYMOUS, PlaceList, SymbolMap } from "./symbol-map.ts";

/** The cut of Mach-O files: header, load commands, sections, symbols, signature; and of universal files into their slices. */
const ARCHITECTURES: Readonly<Record<number, Architecture>> = { 7: "x86", 0x1000007: "x86-64", 0x100000c: "arm64" };

export async function machParts(source: ByteSource): Promise<Part[]> {
  const mach = readMachO(source);
  const architecture = ARCHITECTURES[mach.cpu];
  const disassemble = architecture === undefined ? undefined : await disassembler(architecture);
  const nameAt = symbolNames(mach);
  let map: SymbolMap | undefined;
  const view: CodeView = {
    get map() {
      return (map ??= mapOf(mach, nameAt));
    },
    architecture,
    disassemble,
    budget: { bytes: TEXT_BUDGET },
    describe: (address) => describe(mach, address),
  };
  const parts = [headerPart(mach)];
  parts.push(group("load commands", mach.headerSize, mach.commandsSize, () => commandParts(mach)));
  for (const section of mach.sections) {
    const size = storedSize(mach, section);
    if (size > 0)
      parts.push(group(`section ${section.name}`, section.offset, size, () => sectionParts(mach, section, view)));
    if (section.relocations > 0)
      parts.push(derived(`relocations of ${section.name}`, section.relocationsAt, section.relocations * 8));
  }
  parts.push(...tableParts(mach, nameAt));
  return inOrder(parts, source.size);
}

function inOrder(parts: readonly Part[], size: number): Part[] {
  let end = 0;
  const sorted = parts.toSorted((one, two) => one.offset - two.offset || one.length - two.length);
  return sorted.filter((part) => {
    if (part.offset < end || part.offset + part.length > size) return false;
    end = part.offset + part.length;
    return true;
  });
}

function headerPart(mach: MachO): Part {
  return group("header", 0, mach.headerSize, () =>
    recordParts(
      mach.source,
      0,
      mach.little,
      [
        { key: "magic", size: 4, show: asHex },
        { key: "CPU", size: 4, show: named(CPUS) },
        { key: "CPU subtype", size: 4, show: asHex },
        {
          key: "file type",
          size: 4,
          show: named({
            1: "object",
            2: "executable",
            6: "library",
            8: "bundle",
            10: "debug symbols",
            11: "kernel extension",
          }),
        },
        { key: "commands", size: 4, kind: "derived" },
        { key: "size of commands", size: 4, kind: "derived" },
        { key: "flags", size: 4, show: asHex },
        { key: "reserved", size: 4 },
      ],
      mach.headerSize,
    ),
  );
}

function mapOf(mach: MachO, nameAt: NameAt): SymbolMap {
  const list = new PlaceList();
  const texts: string[] = [];
  const table = symbolTable(mach);
  for (const symbol of table === undefined ? [] : machSymbols(mach, table)) {
    const section = mach.sections[symbol.section - 1];
    // Debugging entries, and what is not in a section.
    if ((symbol.type & 0xe0) !== 0 || (symbol.type & 0x0e) !== 0x0e || section === undefined) continue;
    const rank = (symbol.type & 1) === 1 ? 1 : 2;
    list.add({ address: symbol.value, size: 0, rank, code: isCode(section) }, symbol.name);
  }
  const add = (address: number, size: number, rank: number, name: string): void => {
    if (list.add({ address, size, rank, code: true }, -1 - texts.length)) texts.push(name);
  };
  if (table !== undefined)
    for (const { address, size, name } of stubs(mach, table, nameAt)) add(address, size, 4, name);
  // Before the symbols, which a stripped program lacks: so both sides have the same names.
  const go = mach.sections.find(({ name }) => name.endsWith(",__gopclntab"));
  const text = mach.sections.find(({ name }) => name === "__TEXT,__text");
  if (go !== undefined && storedSize(mach, go) > 0) {
    for (const one of goFunctions(mach.source, go.offset, go.size, text?.address ?? 0))
      add(one.address, one.size, 0, one.name);
  }
  for (const address of functionStarts(mach)) list.add({ address, size: 0, rank: ANONYMOUS, code: true }, 0);
  return new SymbolMap(list, (reference) => (reference < 0 ? (texts[-1 - reference] ?? "") : nameAt(reference)));
}

const isCode = ({ flags }: MachSection): boolean => flags >>> 31 === 1 || (flags & 0x400) !== 0;

/** Stubs have no symbols of their own: the table of indirect symbols says what each calls. */
function* stubs(
  mach: MachO,
  table: SymbolTable,
  nameAt: NameAt,
): Generator<{ address: number; size: number; name: string }> {
  const command = mach.commands.find(({ what, size }) => what === 0xb && size >= 80);
  if (command === undefined) return;
  const [at, count] = [mach.words.u32(command.at + 56), mach.words.u32(command.at + 60)];
  if (at + count * 4 > mach.source.size || count > 1 << 22) return;
  const indirect = new Words(mach.source.read(at, count * 4).slice(), mach.little, mach.source.name);
  for (const { flags, size, address, reserved1, reserved2 } of mach.sections) {
    if ((flags & 0xff) !== 8 || reserved2 === 0) continue;
    for (let index = 0; (index + 1) * reserved2 <= size && reserved1 + index < count; index++) {
      const symbol = indirect.u32((reserved1 + index) * 4);
      if (symbol >= table.count) continue;
      const words = new Words(mach.source.read(table.at + symbol * symbolSize(mach), 4), mach.little, mach.source.name);
      yield { address: address + index * reserved2, size: reserved2, name: `${nameAt(words.u32(0))} stub` };
    }
  }
}

interface Linked {
  offset: number;
  size: number;
}

/** The table in the last segment that a command points to by a place and a size. */
function linked(mach: MachO, what: number, pair = 0): Linked | undefined {
  const command = mach.commands.find((one) => one.what === what && one.size >= 16 + pair * 8);
  if (command === undefined) return undefined;
  const [offset, size] = [mach.words.u32(command.at + 8 + pair * 8), mach.words.u32(command.at + 12 + pair * 8)];
  return size === 0 || offset + size > mach.source.size ? undefined : { offset, size };
}

/** Distances from one function to the next, as ULEB128. */
function* functionStarts(mach: MachO): Generator<number> {
  const found = linked(mach, 0x26);
  if (found === undefined) return;
  const words = new Words(mach.source.read(found.offset, found.size).slice(), mach.little, mach.source.name);
  const reader = new DwarfReader(words, 0);
  let address = mach.base;
  while (reader.at < reader.end) {
    const distance = reader.uleb();
    if (distance === 0) return;
    address += distance;
    yield address;
  }
}

function describe(mach: MachO, address: number): string | undefined {
  const section = mach.sections.find((one) => address >= one.address && address < one.address + one.size);
  if (section === undefined) return undefined;
  const size = isCode(section) ? 0 : storedSize(mach, section);
  const text =
    size === 0 ? undefined : stringAt(mach.source, section.offset + address - section.address, section.offset + size);
  return text ?? section.name;
}

function sectionParts(mach: MachO, section: MachSection, view: CodeView): Iterable<Part> {
  const { source, little } = mach;
  const { offset, address, flags } = section;
  const length = storedSize(mach, section);
  const name = section.name.slice(section.name.indexOf(",") + 1);
  const debug = debugSections(mach);
  switch (name) {
    case "__debug_info":
      return dwarfInfoParts(debug, offset, length);
    case "__debug_line":
      return dwarfLineParts(source, offset, length, little, () => undefined);
    case "__debug_str":
    case "__debug_line_str":
      return stringParts(source, offset, length, debugStringRoles(debug, name.replace("__", ".")));
    case "__go_buildinfo":
      return goBuildInfoParts(source, offset, length);
    case "__gopclntab":
      return goTableParts(source, offset, length);
    case "__unwind_info":
    case "__eh_frame":
    case "__compact_unwind":
    case "__got":
    case "__la_symbol_ptr":
      return [derived(name, offset, length)];
    default:
  }
  if (name.startsWith("__debug_")) return [derived(name, offset, length)];
  if (isCode(section)) return codeParts(source, offset, length, address, view);
  if ((flags & 0xff) === 2) return stringParts(source, offset, length);
  return objectParts(source, offset, length, address, view.map, { toNext: true });
}

function debugSections(mach: MachO): DebugSections {
  return {
    source: mach.source,
    little: mach.little,
    section(wanted) {
      const found = mach.sections.find(({ name }) => name.endsWith(`,${wanted.replace(".", "__").slice(0, 16)}`));
      return found === undefined ? undefined : { offset: found.offset, length: storedSize(mach, found) };
    },
  };
}

/** Tables of the last segment: symbols, their strings, what the loader fills in, the signature. */
function tableParts(mach: MachO, nameAt: NameAt): Part[] {
  const parts: Part[] = [];
  const table = symbolTable(mach);
  if (table !== undefined && table.count > 0) {
    const length = table.count * symbolSize(mach);
    parts.push(group("symbols", table.at, length, () => symbolParts(mach, table, nameAt)));
    const { stringsAt, stringsSize } = table;
    parts.push(group("strings", stringsAt, stringsSize, () => stringParts(mach.source, stringsAt, stringsSize)));
  }
  const signature = linked(mach, 0x1d);
  if (signature !== undefined) {
    parts.push(
      group("code signature", signature.offset, signature.size, () =>
        signatureParts(mach.source, signature.offset, signature.size),
      ),
    );
  }
  const names = ["rebasing", "binding", "weak binding", "lazy binding", "exports"];
  const tables: [string, Linked | undefined][] = [
    ...[0x22, 0x80000022].flatMap((what) =>
      names.map((name, index): [string, Linked | undefined] => [name, linked(mach, what, index)]),
    ),
    ["function starts", linked(mach, 0x26)],
    ["data in code", linked(mach, 0x29)],
    ["optimization hints", linked(mach, 0x2e)],
    ["split information", linked(mach, 0x1e)],
    ["exports", linked(mach, 0x80000033)],
    ["fixups", linked(mach, 0x80000034)],
  ];
  for (const [name, found] of tables) if (found !== undefined) parts.push(derived(name, found.offset, found.size));
  return parts;
}

function* symbolParts(mach: MachO, table: SymbolTable, nameAt: NameAt): Generator<Part> {
  const size = symbolSize(mach);
  for (const { offset, name, type } of machSymbols(mach, table)) {
    // Of debugging entries some have a time (N_OSO), or a number, for a value.
    const isTime = type === 0x66;
    const defined = (type & 0x0e) === 0x0e || type >= 0x20;
    yield group(`symbol ${nameAt(name)}`, offset, size, () =>
      recordParts(mach.source, offset, mach.little, [
        { key: "name offset", size: 4, kind: "derived" },
        { key: "type", size: 1, show: asHex },
        { key: "section", size: 1, kind: "derived" },
        { key: "description", size: 2, show: asHex },
        { key: isTime ? "mtime" : "value", size: mach.wide ? 8 : 4, kind: isTime || !defined ? "field" : "derived" },
      ]),
    );
  }
}

const MAX_SLICES = 64;

/** Universal files: cafebabe count(4), then of each slice cpu(4) subtype(4) place(4) size(4) alignment(4), big-endian. */
export function* universalParts(source: ByteSource): Generator<Part> {
  const head = new Words(source.read(0, Math.min(8, source.size)), false, source.name);
  const wide = head.size === 8 && head.u32(0) === 0xcafebabf;
  const count = head.size === 8 ? head.u32(4) : 0;
  const entry = wide ? 32 : 20;
  if (count === 0 || count > MAX_SLICES || 8 + count * entry > source.size) {
    throw new BitforbitError("input", `${source.name}: Mach-O, offset 4: ${count} slices`);
  }
  const words = new Words(source.read(0, 8 + count * entry).slice(), false, source.name);
  yield field("magic", 0, 4);
  yield derived("slices", 4, 4);
  const slices: Part[] = [];
  for (let at = 8; at < words.size; at += entry) {
    const place = at;
    const cpu = CPUS[words.u32(at)] ?? `cpu ${words.u32(at)}`;
    yield group(`slice ${cpu}`, at, entry, () => [
      field("CPU", place, 4, () => cpu),
      field("CPU subtype", place + 4, 4),
      derived("place", place + 8, entry - 8),
    ]);
    const [offset, length] = wide ? [words.u64(at + 8), words.u64(at + 16)] : [words.u32(at + 8), words.u32(at + 12)];
    slices.push({ key: cpu, kind: "content", offset, length });
  }
  yield* inOrder(slices, source.size).filter(({ offset }) => offset >= words.size);
}
