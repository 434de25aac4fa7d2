import type { ByteSource } from "../bytesource.ts";
import { BitforbitError } from "../errors.ts";
import { derived, field, group, type Part } from "./part.ts";

/**
 * What Android's binary resources are made of (ResourceTypes.h of the Android
 * Open Source Project), lowest byte first:
 *
 *     chunk: type(2) size of its header(2) size of all of it(4)
 *     pool (type 1): strings(4) styles(4) flags(4: 100 UTF-8) where they begin(4) styles begin(4), offsets(4 each), strings
 *     value: size(2) 0(1) type(1) data(4)
 */
export interface Chunk {
  type: number;
  offset: number;
  headerSize: number;
  size: number;
}

export interface StringPool {
  chunk: Chunk;
  count: number;
  styles: number;
  utf8: boolean;
  stringsAt: number;
  stylesAt: number;
}

const MAX_STRING = 4096;
const WINDOW = 64 << 10;
const MAX_WINDOWS = 128;

export class AndroidBytes {
  readonly source: ByteSource;
  /** Entries and the strings they tell of stand far apart, and are read in turns. */
  readonly #windows = new Map<number, Uint8Array>();

  constructor(source: ByteSource) {
    this.source = source;
  }

  uint8(offset: number): number {
    const window = this.#window(offset);
    const byte = window[offset % WINDOW];
    if (byte === undefined) throw this.bad(offset, "cut off");
    return byte;
  }

  uint16(offset: number): number {
    return this.uint8(offset) | (this.uint8(offset + 1) << 8);
  }

  uint32(offset: number): number {
    return this.uint16(offset) + this.uint16(offset + 2) * 65_536;
  }

  #window(offset: number): Uint8Array {
    const nth = Math.floor(offset / WINDOW);
    const known = this.#windows.get(nth);
    if (known !== undefined) return known;
    const at = nth * WINDOW;
    if (offset >= this.source.size) throw this.bad(offset, "cut off");
    // Copied: the source may read the next one into the same place.
    const window = Uint8Array.from(this.source.read(at, Math.min(WINDOW, this.source.size - at)));
    if (this.#windows.size >= MAX_WINDOWS) this.#windows.clear();
    this.#windows.set(nth, window);
    return window;
  }

  /** The chunk at `offset`, which has to end by `end`. Throws `input`. */
  chunk(offset: number, end: number): Chunk {
    if (offset + 8 > end) throw this.bad(offset, "cut off before a chunk");
    const chunk = {
      type: this.uint16(offset),
      offset,
      headerSize: this.uint16(offset + 2),
      size: this.uint32(offset + 4),
    };
    if (chunk.headerSize < 8 || chunk.size < chunk.headerSize || offset + chunk.size > end) {
      throw this.bad(
        offset,
        `a chunk of ${chunk.size} bytes with a header of ${chunk.headerSize}, ${end - offset} are left`,
      );
    }
    return chunk;
  }

  /** The chunks between. */
  *chunks(from: number, end: number): Generator<Chunk> {
    for (let at = from; at < end;) {
      const chunk = this.chunk(at, end);
      yield chunk;
      at += chunk.size;
    }
  }

  /** Throws `input` for a pool whose tables reach beyond it. */
  pool(chunk: Chunk): StringPool {
    const { offset, headerSize, size } = chunk;
    if (chunk.type !== 1 || headerSize < 28) throw this.bad(offset, `chunk ${chunk.type}, where strings are expected`);
    const [count, styles] = [this.uint32(offset + 8), this.uint32(offset + 12)];
    const tables = offset + headerSize + (count + styles) * 4;
    // Where there are none, their place is often stated as 0.
    const stringsAt = count === 0 ? tables : offset + this.uint32(offset + 20);
    const stylesAt = styles === 0 ? offset + size : offset + this.uint32(offset + 24);
    if (stringsAt < tables || stylesAt < stringsAt || stylesAt > offset + size) {
      throw this.bad(offset, `${count} strings and ${styles} styles in ${size} bytes`);
    }
    return { chunk, count, styles, utf8: (this.uint32(offset + 16) & 0x100) !== 0, stringsAt, stylesAt };
  }

  /** The string of that number, cut to some length; undefined where there is none. */
  string(pool: StringPool, nth: number): string | undefined {
    if (nth >= pool.count) return undefined;
    const span = this.stringSpan(pool, nth);
    if (span === undefined) return undefined;
    const length = Math.min(span.bytes, MAX_STRING);
    const [window, at] = [this.#window(span.textAt), span.textAt % WINDOW];
    const within =
      at + length <= window.length ? window.subarray(at, at + length) : this.source.read(span.textAt, length);
    return Buffer.from(within.buffer, within.byteOffset, length).toString(pool.utf8 ? "utf8" : "utf16le");
  }

  /** Where a string stands with its lengths and its end. */
  stringSpan(
    pool: StringPool,
    nth: number,
  ): { offset: number; textAt: number; bytes: number; end: number } | undefined {
    const offset = pool.stringsAt + this.uint32(pool.chunk.offset + pool.chunk.headerSize + nth * 4);
    if (offset + 4 > pool.stylesAt) return undefined;
    let at = offset;
    let bytes: number;
    if (pool.utf8) {
      at += this.uint8(at) >= 0x80 ? 2 : 1;
      const long = this.uint8(at) >= 0x80;
      bytes = long ? ((this.uint8(at) & 0x7f) << 8) | this.uint8(at + 1) : this.uint8(at);
      at += long ? 2 : 1;
    } else {
      const first = this.uint16(at);
      const long = first >= 0x8000;
      bytes = 2 * (long ? (first & 0x7fff) * 65_536 + this.uint16(at + 2) : first);
      at += long ? 4 : 2;
    }
    const end = at + bytes + (pool.utf8 ? 1 : 2);
    return end > pool.stylesAt ? undefined : { offset, textAt: at, bytes, end };
  }

  /** The pool as parts: each string by itself, what leads to it derived. */
  poolPart(key: string, pool: StringPool): Part {
    const { chunk, count, styles } = pool;
    return group(key, chunk.offset, chunk.size, () => this.poolParts(pool, chunk, count, styles));
  }

  *poolParts(pool: StringPool, { offset, headerSize, size }: Chunk, count: number, styles: number): Generator<Part> {
    yield* headerParts(offset);
    yield derived("counts", offset + 8, 8);
    yield field("flags", offset + 16, 4, () => `0x${this.uint32(offset + 16).toString(16)}`);
    yield derived("places", offset + 20, headerSize - 20);
    yield derived("offsets", offset + headerSize, (count + styles) * 4);
    const spans = [];
    for (let nth = 0; nth < count; nth++) {
      const span = this.stringSpan(pool, nth);
      if (span !== undefined) spans.push({ ...span, nth });
    }
    spans.sort((a, b) => a.offset - b.offset);
    let at = pool.stringsAt;
    for (const { nth, offset: from, end } of spans) {
      if (from < at) continue;
      const text = this.string(pool, nth) ?? "";
      yield field(text.slice(0, 200) || "(empty)", from, end - from, () => text.slice(0, 400));
      at = end;
    }
    if (pool.stylesAt > at) yield { key: "padding", kind: "padding", offset: at, length: pool.stylesAt - at };
    const left = offset + size - pool.stylesAt;
    if (left > 0) yield { key: "styles", kind: "bytes", offset: pool.stylesAt, length: left };
  }

  bad(offset: number, what: string): BitforbitError {
    return new BitforbitError("input", `${this.source.name}: Android resources, offset ${offset}: ${what}`);
  }
}

/** A chunk's type and sizes. */
export function headerParts(offset: number): Part[] {
  return [field("chunk type", offset, 2), derived("sizes", offset + 2, 6)];
}

const UNITS = ["px", "dp", "sp", "pt", "in", "mm"];
const FRACTIONS = ["%", "%p"];
const RADIX = [1, 2 ** 7, 2 ** 15, 2 ** 23];

/** A value as people write it in the sources; strings by themselves. */
export function valueText(type: number, data: number, string: (nth: number) => string | undefined): string {
  const number = `0x${data.toString(16).padStart(8, "0")}`;
  if (type === 0) return data === 1 ? "@empty" : "@null";
  if (type === 1 || type === 7) return `@${number}`;
  if (type === 2 || type === 8) return `?${number}`;
  if (type === 3) return string(data) ?? `string ${data}, which is not there`;
  if (type === 4) return String(new Float32Array(Uint32Array.of(data).buffer)[0]);
  if (type === 5 || type === 6) {
    const mantissa = (data | 0) >> 8;
    const value = mantissa / (RADIX[(data >> 4) & 3] ?? 1);
    const scaled = type === 6 ? value * 100 : value;
    return `${Number(scaled.toPrecision(7))}${(type === 5 ? UNITS : FRACTIONS)[data & 15] ?? "?"}`;
  }
  if (type === 0x12) return data === 0 ? "false" : "true";
  if (type >= 0x1c && type <= 0x1f) return `#${data.toString(16).padStart(8, "0")}`;
  return type === 0x10 ? String(data | 0) : number;
}
