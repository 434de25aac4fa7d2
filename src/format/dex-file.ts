import { BitforbitError } from "../errors.ts";
import { modifiedUtf8 } from "./class-pool.ts";

/** Parts of keys and lines; hostile names are cut. */
const MAX_NAME = 600;
const MAX_PARAMETERS = 255;
const MAX_CACHED = 400_000;
/** For each byte of a file, how often it may be read. */
const READS = 64;
/** In the place of an index: there is none. */
export const NO_INDEX = 0xffff_ffff;

export interface Table {
  /** How many rows. */
  count: number;
  /** From the beginning of the file. */
  offset: number;
}

/** The tables of a header, by name, and where in the header their counts stand; bytes of a row. */
const TABLES = {
  strings: [56, 4],
  types: [64, 4],
  prototypes: [72, 12],
  fields: [80, 8],
  methods: [88, 8],
  classes: [96, 32],
} as const;

export const CALL_SITES = 0x0007;
export const METHOD_HANDLES = 0x0008;

/** Reads one number after another, each checked against the end of the file. */
export class DexReader {
  readonly #dex: DexBytes;
  at: number;

  constructor(dex: DexBytes, at: number) {
    this.#dex = dex;
    this.at = at;
  }

  /** Goes on `length` bytes; gives where they begin. */
  skip(length: number): number {
    this.#dex.check(this.at, length);
    this.#dex.spend(1);
    this.at += length;
    return this.at - length;
  }

  u8(): number {
    return this.#dex.bytes[this.skip(1)] ?? 0;
  }

  u16(): number {
    return this.#dex.view.getUint16(this.skip(2), true);
  }

  u32(): number {
    return this.#dex.view.getUint32(this.skip(4), true);
  }

  /** LEB128, unsigned, of at most 32 bits. */
  uleb(): number {
    const at = this.at;
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.u8();
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value % 2 ** 32;
    }
    return this.#dex.fail(at, "a number of more than five bytes");
  }

  /** One less than what is written: -1 for none. */
  uleb1(): number {
    return this.uleb() - 1;
  }

  sleb(): number {
    const at = this.at;
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.u8();
      value |= shift < 32 ? (byte & 0x7f) << shift : 0;
      if (byte >= 0x80) continue;
      const filled = shift + 7;
      return (byte & 0x40) !== 0 && filled < 32 ? value | (-1 << filled) : value;
    }
    return this.#dex.fail(at, "a number of more than five bytes");
  }
}

/** The bytes of a file that holds one or, from version 041 on, several DEX files. */
export class DexBytes {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly what: string;
  #left: number;

  constructor(bytes: Uint8Array, what: string) {
    this.bytes = bytes;
    this.#left = bytes.length * READS + (1 << 20);
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.what = what;
  }

  /** What reads the same bytes again and again, as hostile offsets make one do, comes to an end. */
  spend(reads: number): void {
    this.#left -= reads;
    if (this.#left < 0) throw new BitforbitError("limit", `${this.what}: pieces that lie over one another`);
  }

  fail(at: number, found: string): never {
    throw new BitforbitError("input", `${this.what}, offset ${at}: ${found}`);
  }

  check(at: number, length: number): void {
    if (at >= 0 && length >= 0 && at + length <= this.bytes.length) return;
    this.fail(at, `${length} bytes wanted, but the file ends at ${this.bytes.length}`);
  }

  u16(at: number): number {
    this.check(at, 2);
    return this.view.getUint16(at, true);
  }

  u32(at: number): number {
    this.check(at, 4);
    return this.view.getUint32(at, true);
  }
}

/** Tables of one DEX file, whose rows name one another by number; here each is told by what it leads to. */
export class Dex {
  readonly file: DexBytes;
  /** Where its header stands. */
  readonly at: number;
  readonly tables: Readonly<Record<keyof typeof TABLES, Table>>;
  /** What the map says: kind of section to where it is and how many items it has. */
  readonly sections: ReadonlyMap<number, Table>;
  readonly mapAt: number;
  readonly #known = new Map<string, string>();

  constructor(file: DexBytes, at: number) {
    this.file = file;
    this.at = at;
    const table = (name: keyof typeof TABLES): Table => {
      const [place, row] = TABLES[name];
      const [count, offset] = [file.u32(at + place), file.u32(at + place + 4)];
      if (count * row + offset > file.bytes.length) file.fail(at + place, `${count} ${name} at ${offset}`);
      return { count, offset };
    };
    this.tables = {
      strings: table("strings"),
      types: table("types"),
      prototypes: table("prototypes"),
      fields: table("fields"),
      methods: table("methods"),
      classes: table("classes"),
    };
    this.mapAt = file.u32(at + 52);
    this.sections = mapOf(file, this.mapAt);
  }

  string(index: number): string {
    const { count, offset } = this.tables.strings;
    if (index >= count) return index === NO_INDEX ? "none" : `<no string ${index}>`;
    return this.cached("s", index, () => this.stringAt(this.file.u32(offset + index * 4)).text);
  }

  /** Text of a string's data, and where it ends. */
  stringAt(at: number): { text: string; end: number } {
    const reader = new DexReader(this.file, at);
    reader.uleb();
    const end = this.file.bytes.indexOf(0, reader.at);
    if (end < 0) this.file.fail(at, "a string without an end");
    return { text: modifiedUtf8(this.file.bytes.subarray(reader.at, end)), end: end + 1 };
  }

  name(index: number): string {
    const text = this.string(index);
    return text.length > MAX_NAME ? `${text.slice(0, MAX_NAME)}…` : text;
  }

  /** A descriptor: "Ljava/lang/String;". */
  type(index: number): string {
    const { count, offset } = this.tables.types;
    if (index >= count) return index === NO_INDEX ? "none" : `<no type ${index}>`;
    return this.name(this.file.u32(offset + index * 4));
  }

  /** "(ILjava/lang/String;)V". */
  prototype(index: number): string {
    const { count, offset } = this.tables.prototypes;
    if (index >= count) return `<no prototype ${index}>`;
    return this.cached("p", index, () => {
      const at = offset + index * 12;
      return `(${this.typeList(this.file.u32(at + 8)).join("")})${this.type(this.file.u32(at + 4))}`;
    });
  }

  /** Descriptors of a list of types; none at offset 0. */
  typeList(at: number): string[] {
    if (at === 0) return [];
    const names: string[] = [];
    const count = this.file.u32(at);
    let length = 0;
    for (let index = 0; index < count; index++) {
      const name = this.type(this.file.u16(at + 4 + index * 2));
      length += name.length;
      if (length > MAX_NAME || index >= MAX_PARAMETERS) return [...names, "…"];
      names.push(name);
    }
    return names;
  }

  /** "La/B;->count:I". */
  field(index: number): string {
    const { count, offset } = this.tables.fields;
    return index >= count
      ? `<no field ${index}>`
      : this.cached("f", index, () => `${this.type(this.file.u16(offset + index * 8))}->${this.fieldName(index)}`);
  }

  /** "count:I". */
  fieldName(index: number): string {
    const { count, offset } = this.tables.fields;
    if (index >= count) return `<no field ${index}>`;
    const at = offset + index * 8;
    return `${this.name(this.file.u32(at + 4))}:${this.type(this.file.u16(at + 2))}`;
  }

  /** "La/B;->run(I)V". */
  method(index: number): string {
    const { count, offset } = this.tables.methods;
    return index >= count
      ? `<no method ${index}>`
      : this.cached("m", index, () => `${this.type(this.file.u16(offset + index * 8))}->${this.methodName(index)}`);
  }

  /** "run(I)V". */
  methodName(index: number): string {
    const { count, offset } = this.tables.methods;
    if (index >= count) return `<no method ${index}>`;
    const at = offset + index * 8;
    return `${this.name(this.file.u32(at + 4))}${this.prototype(this.file.u16(at + 2))}`;
  }

  methodHandle(index: number): string {
    const table = this.sections.get(METHOD_HANDLES);
    if (table === undefined || index >= table.count) return `<no method handle ${index}>`;
    const at = table.offset + index * 8;
    const kind = this.file.u16(at);
    const target = this.file.u16(at + 4);
    return `${HANDLES[kind] ?? `kind ${kind}`} ${kind < 4 ? this.field(target) : this.method(target)}`;
  }

  /** Where a call site's values stand. */
  callSiteAt(index: number): number | undefined {
    const table = this.sections.get(CALL_SITES);
    return table === undefined || index >= table.count ? undefined : this.file.u32(table.offset + index * 4);
  }

  /** What is asked for again and again, under a letter and a number. */
  cached(kind: string, index: number, make: () => string): string {
    const key = `${kind}${index}`;
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const made = make();
    if (this.#known.size < MAX_CACHED && made.length < 4 * MAX_NAME) this.#known.set(key, made);
    return made;
  }
}

const HANDLES = [
  "static-put",
  "static-get",
  "instance-put",
  "instance-get",
  "invoke-static",
  "invoke-instance",
  "invoke-constructor",
  "invoke-direct",
  "invoke-interface",
];

/** There are twenty-two kinds of sections. */
const MAX_SECTIONS = 64;

function mapOf(file: DexBytes, at: number): Map<number, Table> {
  const sections = new Map<number, Table>();
  const count = file.u32(at);
  if (count > MAX_SECTIONS) file.fail(at, `a map of ${count} sections`);
  for (let index = 0; index < count; index++) {
    const row = at + 4 + index * 12;
    const [kind, items, offset] = [file.u16(row), file.u32(row + 4), file.u32(row + 8)];
    const size = kind === METHOD_HANDLES ? 8 : kind === CALL_SITES ? 4 : 1;
    if (items * size + offset > file.bytes.length) file.fail(row, `a section of ${items} items at ${offset}`);
    sections.set(kind, { count: items, offset });
  }
  return sections;
}
