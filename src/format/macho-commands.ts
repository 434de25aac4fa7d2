import { hex } from "../bytes.ts";
import type { MachCommand, MachO } from "./macho.ts";
import { derived, field, group, type Part } from "./part.ts";
import { asHex, type Cell, flagged, named, recordParts } from "./record.ts";

/** Load commands by their names, each field as mach-o/loader.h gives it. */
const NAMES: Readonly<Record<number, string>> = {
  0x1: "LC_SEGMENT",
  0x2: "LC_SYMTAB",
  0x4: "LC_THREAD",
  0x5: "LC_UNIXTHREAD",
  0xb: "LC_DYSYMTAB",
  0xc: "LC_LOAD_DYLIB",
  0xd: "LC_ID_DYLIB",
  0xe: "LC_LOAD_DYLINKER",
  0xf: "LC_ID_DYLINKER",
  0x12: "LC_SUB_FRAMEWORK",
  0x19: "LC_SEGMENT_64",
  0x1b: "LC_UUID",
  0x1d: "LC_CODE_SIGNATURE",
  0x1e: "LC_SEGMENT_SPLIT_INFO",
  0x22: "LC_DYLD_INFO",
  0x24: "LC_VERSION_MIN_MACOSX",
  0x25: "LC_VERSION_MIN_IPHONEOS",
  0x26: "LC_FUNCTION_STARTS",
  0x29: "LC_DATA_IN_CODE",
  0x2a: "LC_SOURCE_VERSION",
  0x2b: "LC_DYLIB_CODE_SIGN_DRS",
  0x2c: "LC_ENCRYPTION_INFO_64",
  0x2d: "LC_LINKER_OPTION",
  0x2e: "LC_LINKER_OPTIMIZATION_HINT",
  0x32: "LC_BUILD_VERSION",
  0x80000018: "LC_LOAD_WEAK_DYLIB",
  0x8000001c: "LC_RPATH",
  0x8000001f: "LC_REEXPORT_DYLIB",
  0x80000022: "LC_DYLD_INFO_ONLY",
  0x80000028: "LC_MAIN",
  0x80000033: "LC_DYLD_EXPORTS_TRIE",
  0x80000034: "LC_DYLD_CHAINED_FIXUPS",
};
const PLATFORMS = named({
  1: "macOS",
  2: "iOS",
  3: "tvOS",
  4: "watchOS",
  6: "Mac Catalyst",
  7: "iOS simulator",
  11: "visionOS",
});
const TOOLS: Readonly<Record<number, string>> = { 1: "clang", 2: "swift", 3: "ld", 4: "lld" };
const PROTECTION = flagged({ 1: "read", 2: "write", 4: "execute" });

/** 16 bits and twice 8: 11.3.1 */
const version = (value: bigint): string => `${value >> 16n}.${(value >> 8n) & 0xffn}.${value & 0xffn}`;

const commandName = (what: number): string => NAMES[what] ?? `command 0x${what.toString(16)}`;

export function* commandParts(mach: MachO): Generator<Part> {
  for (const command of mach.commands) {
    const { what, at, size } = command;
    const key = isDylib(what) ? `${commandName(what)} ${textOf(mach, command)}` : commandName(what);
    const segment = what === 1 || what === 0x19 ? ` ${mach.words.text(at + 8, 16)}` : "";
    yield group(`${key}${segment}`, at, size, () => oneCommand(mach, command));
  }
}

const isDylib = (what: number): boolean => [0xc, 0xd, 0x80000018, 0x8000001f].includes(what);

/** The text behind a command's fixed fields, whose place stands first. */
function textOf(mach: MachO, { at, size }: MachCommand): string {
  const place = size >= 12 ? mach.words.u32(at + 8) : size;
  return place < size ? mach.words.text(at + place, size - place) : "";
}

function* oneCommand(mach: MachO, command: MachCommand): Generator<Part> {
  const { what, at, size } = command;
  const { source, words, little } = mach;
  const end = at + size;
  yield field("command", at, 4, () => commandName(what));
  yield derived("size", at + 4, 4);
  const record = (cells: readonly Cell[]): Iterable<Part> => recordParts(source, at + 8, little, cells, end);
  if (what === 0x1b && size >= 24) {
    const part = field("UUID", at + 8, 16, () => hex(words.bytes.subarray(at + 8, at + 24)));
    part.note = "usually a hash of what was linked, so that any other difference changes it";
    yield part;
  } else if (what === 1 || what === 0x19) yield* segmentParts(mach, command);
  else if (isDylib(what)) {
    yield* record([
      { key: "name offset", size: 4, kind: "derived" },
      { key: "mtime", size: 4 },
      { key: "version", size: 4, show: version },
      { key: "compatible version", size: 4, show: version },
    ]);
    if (size > 24) yield field("name", at + 24, size - 24, () => textOf(mach, command));
  } else if (what === 0x8000001c || what === 0xe || what === 0xf) {
    if (size > 12) yield field("path", at + 12, size - 12, () => textOf(mach, command));
  } else if (what === 0x32) yield* buildVersion(mach, command);
  else if (what === 0x24 || what === 0x25) {
    yield* record([
      { key: "least system", size: 4, show: version },
      { key: "SDK", size: 4, show: version },
    ]);
  } else if (what === 0x2a) yield* record([{ key: "source version", size: 8, show: sourceVersion }]);
  // What is left tells where tables and code lie.
  else if (size > 8) yield derived("places", at + 8, size - 8);
}

/** 24 bits and four times 10. */
function sourceVersion(value: bigint): string {
  return [40n, 30n, 20n, 10n, 0n].map((shift) => (value >> shift) & (shift === 40n ? 0xffffffn : 0x3ffn)).join(".");
}

function* buildVersion({ source, words, little }: MachO, { at, size }: MachCommand): Generator<Part> {
  const cells: Cell[] = [
    { key: "platform", size: 4, show: PLATFORMS },
    { key: "least system", size: 4, show: version },
    { key: "SDK", size: 4, show: version },
    { key: "tools", size: 4, kind: "derived" },
  ];
  yield* recordParts(source, at + 8, little, cells, at + size);
  for (let tool = at + 24; tool + 8 <= at + size; tool += 8) {
    const name = TOOLS[words.u32(tool)] ?? `tool ${words.u32(tool)}`;
    yield field(`built by ${name}`, tool, 8, () => version(BigInt(words.u32(tool + 4))));
  }
}

function* segmentParts({ source, words, little }: MachO, { what, at, size }: MachCommand): Generator<Part> {
  const word = what === 0x19 ? 8 : 4;
  const cells: Cell[] = [
    { key: "places", size: 4 * word, kind: "derived" },
    { key: "most protection", size: 4, show: PROTECTION },
    { key: "protection", size: 4, show: PROTECTION },
    { key: "sections", size: 4, kind: "derived" },
    { key: "flags", size: 4, show: asHex },
  ];
  yield field("name", at + 8, 16, () => words.text(at + 8, 16));
  yield* recordParts(source, at + 24, little, cells, at + size);
  const [first, entry] = word === 8 ? [72, 80] : [56, 68];
  for (let section = at + first; section + entry <= at + size; section += entry) {
    yield group(`section ${words.text(section, 16)}`, section, entry, () => [
      field("name", section, 16, () => words.text(section, 16)),
      field("segment", section + 16, 16, () => words.text(section + 16, 16)),
      derived("places", section + 32, 2 * word + 4),
      field("alignment", section + 36 + 2 * word, 4, () => `2^${words.u32(section + 36 + 2 * word)}`),
      derived("relocations", section + 40 + 2 * word, 8),
      field("flags", section + 48 + 2 * word, 4, () => asHex(BigInt(words.u32(section + 48 + 2 * word)))),
      derived("reserved", section + 52 + 2 * word, entry - 52 - 2 * word),
    ]);
  }
}
