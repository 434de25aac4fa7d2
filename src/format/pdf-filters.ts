import { BitforbitError } from "../errors.ts";
import { inflated } from "./inflated-content.ts";

/**
 * Undoing the filters of PDF streams (ISO 32000-2, section 7.4), as far as they
 * are no pictures: FlateDecode and LZWDecode with predictors, ASCII85Decode,
 * ASCIIHexDecode, RunLengthDecode. Each gives at most `most` bytes and throws
 * `limit` beyond; what is broken off gives what there is.
 */
export interface PdfFilter {
  name: string;
  predictor: number;
  colors: number;
  bits: number;
  columns: number;
  earlyChange: number;
}

type Decoder = (data: Uint8Array, most: number, filter: PdfFilter) => Uint8Array;

const DECODERS: ReadonlyMap<string, Decoder> = new Map<string, Decoder>([
  ["FlateDecode", (data, most, filter) => predicted(inflated(data, most, "FlateDecode"), filter)],
  ["LZWDecode", (data, most, filter) => predicted(lzw(data, most, filter.earlyChange), filter)],
  ["ASCII85Decode", (data, most) => ascii85(data, most)],
  ["ASCIIHexDecode", (data) => asciiHex(data)],
  ["RunLengthDecode", (data, most) => runLength(data, most)],
]);
const SHORT: Readonly<Record<string, string>> = {
  Fl: "FlateDecode",
  LZW: "LZWDecode",
  A85: "ASCII85Decode",
  AHx: "ASCIIHexDecode",
  RL: "RunLengthDecode",
};

/** How many of the filters, from the first on, can be undone. */
export function knownFilters(filters: readonly PdfFilter[]): number {
  const unknown = filters.findIndex(({ name }) => !DECODERS.has(SHORT[name] ?? name));
  return unknown < 0 ? filters.length : unknown;
}

export function unfiltered(data: Uint8Array, filters: readonly PdfFilter[], most: number): Uint8Array {
  let bytes = data;
  for (const filter of filters) bytes = DECODERS.get(SHORT[filter.name] ?? filter.name)?.(bytes, most, filter) ?? bytes;
  return bytes;
}

class Output {
  #bytes = new Uint8Array(4096);
  #length = 0;
  readonly #most: number;

  constructor(most: number) {
    this.#most = most;
  }

  push(piece: Uint8Array): void {
    const length = this.#length + piece.length;
    if (length > this.#most) throw new BitforbitError("limit", `a PDF stream of more than ${this.#most} bytes`);
    if (length > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(length, this.#bytes.length * 2));
      larger.set(this.#bytes.subarray(0, this.#length));
      this.#bytes = larger;
    }
    this.#bytes.set(piece, this.#length);
    this.#length = length;
  }

  done(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }
}

/** Predictors of section 7.4.4.4: 2 as in TIFF, from 10 on as in PNG. */
function predicted(data: Uint8Array, { predictor, colors, bits, columns }: PdfFilter): Uint8Array {
  if (predictor < 2) return data;
  const step = Math.max(1, Math.ceil((colors * bits) / 8));
  const line = Math.ceil((colors * bits * columns) / 8);
  if (line < 1 || line > 1 << 24) return data;
  if (predictor === 2) return bits === 8 ? differences(data, step, line) : data;
  const out = new Uint8Array(Math.ceil(data.length / (line + 1)) * line);
  let length = 0;
  for (let from = 0; from < data.length; from += line + 1) {
    const filter = data[from] ?? 0;
    const count = Math.min(line, data.length - from - 1);
    for (let index = 0; index < count; index++) {
      const at = length + index;
      const left = index >= step ? (out[at - step] ?? 0) : 0;
      const up = at >= line ? (out[at - line] ?? 0) : 0;
      const corner = index >= step && at >= line ? (out[at - line - step] ?? 0) : 0;
      out[at] = (data[from + 1 + index] ?? 0) + guess(filter, left, up, corner);
    }
    length += count;
  }
  return out.subarray(0, length);
}

function guess(filter: number, left: number, up: number, corner: number): number {
  if (filter === 1) return left;
  if (filter === 2) return up;
  if (filter === 3) return (left + up) >> 1;
  return filter === 4 ? paeth(left, up, corner) : 0;
}

/** The neighbour that is nearest to left + up - corner (PNG, section 9.4). */
export function paeth(left: number, up: number, corner: number): number {
  const byLeft = Math.abs(up - corner);
  const byUp = Math.abs(left - corner);
  const byCorner = Math.abs(left + up - 2 * corner);
  if (byLeft <= byUp && byLeft <= byCorner) return left;
  return byUp <= byCorner ? up : corner;
}

function differences(data: Uint8Array, step: number, line: number): Uint8Array {
  const out = data.slice();
  for (let at = 0; at < out.length; at++) if (at % line >= step) out[at] = (out[at] ?? 0) + (out[at - step] ?? 0);
  return out;
}

function lzw(data: Uint8Array, most: number, earlyChange: number): Uint8Array {
  const out = new Output(most);
  const single = Array.from({ length: 256 }, (_, byte) => Uint8Array.of(byte));
  let table: Uint8Array[] = [];
  let before: Uint8Array | undefined;
  let width = 9;
  for (let bit = 0; bit + width <= data.length * 8;) {
    const code = bitsAt(data, bit, width);
    bit += width;
    if (code === 257) break;
    if (code === 256) {
      table = [];
      before = undefined;
      width = 9;
      continue;
    }
    const known = code < 256 ? single[code] : table[code - 258];
    const entry = known ?? (before === undefined ? undefined : joined(before, before[0] ?? 0));
    if (entry === undefined || (known === undefined && code !== table.length + 258)) break;
    out.push(entry);
    if (before !== undefined && table.length < 4096 - 258) table.push(joined(before, entry[0] ?? 0));
    before = entry;
    const size = table.length + 258 + earlyChange;
    width = size >= 2048 ? 12 : size >= 1024 ? 11 : size >= 512 ? 10 : 9;
  }
  return out.done();
}

function joined(bytes: Uint8Array, last: number): Uint8Array {
  const longer = new Uint8Array(bytes.length + 1);
  longer.set(bytes);
  longer[bytes.length] = last;
  return longer;
}

function bitsAt(data: Uint8Array, bit: number, width: number): number {
  const at = bit >> 3;
  const word = ((data[at] ?? 0) << 16) | ((data[at + 1] ?? 0) << 8) | (data[at + 2] ?? 0);
  return (word >> (24 - (bit & 7) - width)) & ((1 << width) - 1);
}

function ascii85(data: Uint8Array, most: number): Uint8Array {
  const out = new Output(most);
  let group: number[] = [];
  const flush = (): void => {
    if (group.length < 2) return;
    const length = group.length - 1;
    while (group.length < 5) group.push(84);
    const value = group.reduce((sum, digit) => sum * 85 + digit, 0) % 2 ** 32;
    out.push(Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value).subarray(0, length));
    group = [];
  };
  for (const byte of data) {
    if (byte === 0x7e) break;
    if (byte === 0x7a && group.length === 0) out.push(new Uint8Array(4));
    else if (byte >= 0x21 && byte <= 0x75) group.push(byte - 0x21);
    if (group.length === 5) flush();
  }
  flush();
  return out.done();
}

function asciiHex(data: Uint8Array): Uint8Array {
  const text = Buffer.from(data).toString("latin1");
  const end = text.indexOf(">");
  const digits = (end < 0 ? text : text.slice(0, end)).replace(/[^\da-fA-F]/g, "");
  return new Uint8Array(Buffer.from(digits.length % 2 === 0 ? digits : `${digits}0`, "hex"));
}

function runLength(data: Uint8Array, most: number): Uint8Array {
  const out = new Output(most);
  for (let at = 0; at < data.length;) {
    const length = data[at] ?? 128;
    if (length === 128) break;
    if (length < 128) out.push(data.subarray(at + 1, at + 2 + length));
    else out.push(new Uint8Array(257 - length).fill(data[at + 1] ?? 0));
    at += length < 128 ? length + 2 : 2;
  }
  return out.done();
}
