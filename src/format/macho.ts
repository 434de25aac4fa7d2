import type { ByteSource } from "../bytesource.ts";
import { BitforbitError } from "../errors.ts";
import { Words } from "./record.ts";

/**
 * Reads Mach-O (Apple, mach-o/loader.h and mach-o/nlist.h), 32 and 64 bits in
 * both byte orders:
 *
 *     magic(4) cpu(4) subtype(4) file type(4) commands(4) their size(4) flags(4) [64 bits: reserved(4)]
 *     commands: what(4) size(4) …   contents of segments, tables of the last one
 */
export interface MachCommand {
  what: number;
  at: number;
  size: number;
}

export interface MachSection {
  /** "__TEXT,__text" */
  name: string;
  address: number;
  size: number;
  offset: number;
  flags: number;
  /** Of stubs: the first of their indirect symbols, and the size of each stub. */
  reserved1: number;
  reserved2: number;
  relocationsAt: number;
  relocations: number;
}

export interface MachO {
  source: ByteSource;
  words: Words;
  wide: boolean;
  little: boolean;
  cpu: number;
  headerSize: number;
  commandsSize: number;
  commands: MachCommand[];
  sections: MachSection[];
  /** Address of the segment that begins with the header. */
  base: number;
}

export const CPUS: Readonly<Record<number, string>> = {
  7: "i386",
  12: "arm",
  18: "ppc",
  0x1000007: "x86_64",
  0x100000c: "arm64",
  0x1000012: "ppc64",
  0x200000c: "arm64_32",
};
const MAX_COMMANDS = 100_000;
const MAX_COMMAND_BYTES = 64 << 20;

function bad(source: ByteSource, offset: number, what: string): BitforbitError {
  return new BitforbitError("input", `${source.name}: Mach-O, offset ${offset}: ${what}`);
}

export function readMachO(source: ByteSource): MachO {
  const magic = new Words(source.read(0, Math.min(32, source.size)), false, source.name);
  const order = magic.size >= 28 ? magic.u32(0) : 0;
  const little = order === 0xcefaedfe || order === 0xcffaedfe;
  if (!little && order !== 0xfeedface && order !== 0xfeedfacf) throw bad(source, 0, "no Mach-O header");
  const wide = order === 0xcffaedfe || order === 0xfeedfacf;
  const headerSize = wide ? 32 : 28;
  const head = new Words(magic.bytes, little, source.name);
  const [count, commandsSize] = [head.u32(16), head.u32(20)];
  if (count > MAX_COMMANDS || commandsSize > MAX_COMMAND_BYTES || headerSize + commandsSize > source.size) {
    throw bad(source, 16, `${count} commands in ${commandsSize} bytes, but the file ends at ${source.size}`);
  }
  const words = new Words(source.read(0, headerSize + commandsSize).slice(), little, `${source.name}: Mach-O commands`);
  const mach: MachO = {
    source,
    words,
    wide,
    little,
    cpu: words.u32(4),
    headerSize,
    commandsSize,
    commands: [],
    sections: [],
    base: 0,
  };
  let at = headerSize;
  for (let index = 0; index < count; index++) {
    const size = words.u32(at + 4);
    if (size < 8 || at + size > words.size) throw bad(source, at, `a command of ${size} bytes`);
    mach.commands.push({ what: words.u32(at), at, size });
    if (words.u32(at) === 1 || words.u32(at) === 0x19) readSegment(mach, at, size);
    at += size;
  }
  return mach;
}

function readSegment(mach: MachO, at: number, size: number): void {
  const { words } = mach;
  const wide = words.u32(at) === 0x19;
  const number = (place: number): number => (wide ? words.u64(place) : words.u32(place));
  const [header, entry] = wide ? [72, 80] : [56, 68];
  words.need(at, Math.min(header, size));
  if (size < header) throw bad(mach.source, at, `a segment command of ${size} bytes`);
  if (words.text(at + 8, 16) === "__TEXT") mach.base = number(at + 24);
  const count = words.u32(at + (wide ? 64 : 48));
  if (header + count * entry > size) throw bad(mach.source, at, `${count} sections in a command of ${size} bytes`);
  for (let index = 0; index < count; index++) {
    const from = at + header + index * entry;
    const rest = from + (wide ? 48 : 40);
    mach.sections.push({
      name: `${words.text(from + 16, 16)},${words.text(from, 16)}`,
      address: number(from + 32),
      size: number(from + (wide ? 40 : 36)),
      offset: words.u32(rest),
      relocationsAt: words.u32(rest + 8),
      relocations: words.u32(rest + 12),
      flags: words.u32(rest + 16),
      reserved1: words.u32(rest + 20),
      reserved2: words.u32(rest + 24),
    });
  }
}

/** Bytes of a section in the file; zero-filled ones have none. */
export function storedSize(mach: MachO, { offset, size, flags }: MachSection): number {
  const kind = flags & 0xff;
  return kind === 1 || kind === 12 || kind === 18 || offset === 0 || offset + size > mach.source.size ? 0 : size;
}

export interface SymbolTable {
  at: number;
  count: number;
  stringsAt: number;
  stringsSize: number;
}

export function symbolTable(mach: MachO): SymbolTable | undefined {
  const command = mach.commands.find(({ what, size }) => what === 2 && size >= 24);
  if (command === undefined) return undefined;
  const number = (index: number): number => mach.words.u32(command.at + 8 + index * 4);
  const table = { at: number(0), count: number(1), stringsAt: number(2), stringsSize: number(3) };
  const { size } = mach.source;
  const fits = table.at + table.count * symbolSize(mach) <= size && table.stringsAt + table.stringsSize <= size;
  return fits ? table : undefined;
}

export const symbolSize = (mach: MachO): number => (mach.wide ? 16 : 12);

export interface MachSymbol {
  offset: number;
  name: number;
  type: number;
  section: number;
  value: number;
}

const WINDOW = 16 << 10;

/** `nlist`: name(4) type(1) section(1) description(2) value(4 or 8). */
export function* machSymbols(mach: MachO, table: SymbolTable): Generator<MachSymbol> {
  const size = symbolSize(mach);
  for (let from = 0; from < table.count; from += WINDOW) {
    const count = Math.min(WINDOW, table.count - from);
    const start = table.at + from * size;
    const words = new Words(mach.source.read(start, count * size).slice(), mach.little, mach.source.name);
    for (let at = 0; at < count * size; at += size) {
      const value = mach.wide ? words.u64(at + 8) : words.u32(at + 8);
      yield { offset: start + at, name: words.u32(at), type: words.u8(at + 4), section: words.u8(at + 5), value };
    }
  }
}

export type NameAt = (offset: number) => string;

/** Names from the string table, which is read when first asked for. */
export function symbolNames(mach: MachO): NameAt {
  let words: Words | undefined;
  const table = symbolTable(mach);
  return (offset) => {
    if (table === undefined || table.stringsSize > 256 << 20) return "";
    words ??= new Words(mach.source.read(table.stringsAt, table.stringsSize), mach.little, mach.source.name);
    return words.text(offset);
  };
}
