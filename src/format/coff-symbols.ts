import type { ByteSource } from "../bytesource.ts";
import { derived, field, group, type Part } from "./part.ts";
import { coffString, CODE, type Pe, type PeSection, stringTable, SYMBOL } from "./pe.ts";
import { asHex, named, recordParts, Words } from "./record.ts";
import { stringParts } from "./string-parts.ts";
import { type Place, PlaceList, SymbolMap } from "./symbol-map.ts";

/**
 * COFF's symbols (PE Format, "COFF Symbol Table"), each followed by as many
 * auxiliary records of the same size as it says:
 *
 *     name(8, or 0(4) and an offset in the string table) value(4) section(2) type(2) class(1) auxiliaries(1)
 */
const WINDOW = 8192;

export interface CoffSymbol {
  index: number;
  offset: number;
  /** Name bytes as two numbers: a first of 0 says that the second is an offset. */
  inline: string | undefined;
  nameOffset: number;
  value: number;
  /** Counted from 1; 0: undefined, 65535: absolute, 65534: debug data. */
  section: number;
  type: number;
  storage: number;
  auxiliaries: number;
}

export function* coffSymbols(pe: Pe): Generator<CoffSymbol> {
  let words: Words | undefined;
  let from = 0;
  for (let index = 0; index < pe.symbols;) {
    if (words === undefined || index >= from + WINDOW) {
      from = index;
      const count = Math.min(WINDOW, pe.symbols - from);
      words = new Words(pe.source.read(pe.symbolsAt + from * SYMBOL, count * SYMBOL).slice(), true, pe.source.name);
    }
    const at = (index - from) * SYMBOL;
    const elsewhere = words.u32(at) === 0;
    const auxiliaries = Math.min(words.u8(at + 17), pe.symbols - index - 1);
    yield {
      index,
      offset: pe.symbolsAt + index * SYMBOL,
      inline: elsewhere ? undefined : words.text(at, 8),
      nameOffset: words.u32(at + 4),
      value: words.u32(at + 8),
      section: words.u16(at + 12),
      type: words.u16(at + 14),
      storage: words.u8(at + 16),
      auxiliaries,
    };
    index += 1 + auxiliaries;
  }
}

const nameOf = (pe: Pe, symbol: CoffSymbol): string => symbol.inline ?? coffString(pe, symbol.nameOffset);

/** Places of everything that has a name; `more`: found by other tables. */
export function coffMap(pe: Pe, more: readonly { place: Place; name: string }[]): SymbolMap {
  const list = new PlaceList();
  const texts: string[] = [];
  const add = (place: Place, name: string): void => {
    if (list.add(place, texts.length)) texts.push(name);
  };
  for (const symbol of coffSymbols(pe)) {
    const section = pe.sections[symbol.section - 1];
    if (section === undefined || ![2, 3, 105].includes(symbol.storage)) continue;
    const isFunction = symbol.type >> 4 === 2;
    const name = nameOf(pe, symbol);
    // A section's own symbol has the section's name.
    if (
      name === section.name ||
      name.startsWith(".") ||
      (symbol.storage === 3 && symbol.auxiliaries > 0 && !isFunction)
    )
      continue;
    const code = (section.flags & CODE) !== 0;
    // The linker's own marks stand where something else begins.
    const mark = /^_+[a-zA-Z]+_(?:start|end|START|END|LIST)_*$/.test(name);
    const rank = mark ? 5 : (isFunction ? 0 : 2) + (symbol.storage === 2 ? 0 : 1);
    add(
      {
        address: section.address + symbol.value,
        size: 0,
        rank,
        code,
      },
      name,
    );
  }
  for (const { place, name } of more) add(place, name);
  return new SymbolMap(list, (reference) => texts[reference] ?? "");
}

const CLASSES = named({
  2: "EXTERNAL",
  3: "STATIC",
  6: "LABEL",
  101: "FUNCTION",
  103: "FILE",
  104: "SECTION",
  105: "WEAK_EXTERNAL",
});

export function* coffSymbolParts(pe: Pe): Generator<Part> {
  for (const symbol of coffSymbols(pe)) {
    const { offset, auxiliaries } = symbol;
    const length = SYMBOL * (1 + auxiliaries);
    yield group(`symbol ${nameOf(pe, symbol)}`, offset, length, () => oneSymbol(pe.source, symbol));
  }
}

function* oneSymbol(source: ByteSource, symbol: CoffSymbol): Generator<Part> {
  const { offset, section, storage, auxiliaries } = symbol;
  // A file's value is the number of the next file's symbol.
  const fixed = (section === 0 || section >= 0xfffe) && storage !== 103;
  yield symbol.inline === undefined
    ? derived("name offset", offset, 8)
    : field("name", offset, 8, () => symbol.inline ?? "");
  yield* recordParts(source, offset + 8, true, [
    { key: "value", size: 4, kind: fixed ? "field" : "derived", show: asHex },
    { key: "section", size: 2, kind: fixed ? "field" : "derived" },
    { key: "type", size: 2, show: (value) => (value >> 4n === 2n ? "function" : asHex(value)) },
    { key: "class", size: 1, show: CLASSES },
    { key: "auxiliaries", size: 1, kind: "derived" },
  ]);
  if (auxiliaries === 0) return;
  const at = offset + SYMBOL;
  const length = auxiliaries * SYMBOL;
  if (storage !== 103) return yield derived("auxiliary", at, length);
  const name = (): string =>
    Buffer.from(source.read(at, Math.min(length, 1024)))
      .toString("latin1")
      .replace(/\0+$/, "");
  yield field("file", at, length, name);
}

export function* coffStringParts(pe: Pe): Generator<Part> {
  const table = stringTable(pe);
  if (table === undefined) return;
  yield derived("length", table.offset, 4);
  yield* stringParts(pe.source, table.offset + 4, table.length - 4);
}

const RELOCATION = 10;
const TYPES: Readonly<Record<number, string>> = {
  0: "ABSOLUTE",
  1: "ADDR64",
  2: "ADDR32",
  3: "ADDR32NB",
  4: "REL32",
  5: "REL32_1",
  6: "REL32_2",
  7: "REL32_3",
  8: "REL32_4",
  9: "REL32_5",
  10: "SECTION",
  11: "SECREL",
};

export interface CoffRelocation {
  at: number;
  address: number;
  symbol: number;
  type: number;
}

export function coffRelocations(pe: Pe, section: PeSection): CoffRelocation[] {
  const { relocationsAt, relocations } = section;
  const length = relocations * RELOCATION;
  if (pe.image || relocations === 0 || relocationsAt + length > pe.source.size) return [];
  const words = new Words(pe.source.read(relocationsAt, length), true, pe.source.name);
  return Array.from({ length: relocations }, (_, index) => ({
    at: relocationsAt + index * RELOCATION,
    address: words.u32(index * RELOCATION),
    symbol: words.u32(index * RELOCATION + 4),
    type: words.u16(index * RELOCATION + 8),
  }));
}

/** The name of a symbol by its place in the table, where auxiliary records count. */
export function coffSymbolName(pe: Pe, index: number): string {
  if (index >= pe.symbols) return "";
  const words = new Words(pe.source.read(pe.symbolsAt + index * SYMBOL, SYMBOL), true, pe.source.name);
  return words.u32(0) === 0 ? coffString(pe, words.u32(4)) : words.text(0, 8);
}

export function* coffRelocationParts(pe: Pe, section: PeSection): Generator<Part> {
  const types = pe.machine === 0x8664 ? TYPES : {};
  for (const { at, symbol, type } of coffRelocations(pe, section)) {
    yield group(`${types[type] ?? `type ${type}`} ${coffSymbolName(pe, symbol)}`, at, RELOCATION, () => [
      derived("address", at, 4),
      derived("symbol", at + 4, 4),
      derived("type", at + 8, 2),
    ]);
  }
}
