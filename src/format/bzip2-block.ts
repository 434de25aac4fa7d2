import { BitforbitError } from "../errors.ts";
import type { MsbBits } from "./msb-bits.ts";

/**
 * One block of bzip2, behind its CRC:
 *
 *     randomised(1 bit) origin(24)
 *     which bytes occur: 16 bits for ranges of 16, then 16 bits for each range that has any
 *     tables(3) selectors(15), each selector in unary, moved to front
 *     each table: first length(5), then for each symbol: 1 0 longer, 1 1 shorter, 0 that is it
 *     symbols: runs of the front byte in bijective base 2, positions moved to front, end
 *
 * What the symbols give is the last column of the sorted rotations; walking
 * from `origin` gives the bytes, in which a fifth after four equal ones counts
 * how many more there are.
 */
const GROUP = 50;
const MAX_LENGTH = 20;
const QUICK = 10;
const OUTPUT = 256 << 10;

/** What decoding needs, made once: below 5 MB. */
export interface BlockSpace {
  column: Uint32Array;
  tables: HuffmanTable[];
}

interface HuffmanTable {
  /** Of the next QUICK bits: symbol * 32 + length, or 0 where the code is longer. */
  quick: Uint16Array;
  /** Of each length: the largest code, and what to take from a code for its place in `symbols`. */
  limit: Int32Array;
  base: Int32Array;
  symbols: Uint16Array;
  lengths: Uint8Array;
}

export function newBlockSpace(): BlockSpace {
  return { column: new Uint32Array(900_000), tables: Array.from({ length: 6 }, newTable) };
}

function newTable(): HuffmanTable {
  return {
    quick: new Uint16Array(1 << QUICK),
    limit: new Int32Array(MAX_LENGTH + 2),
    base: new Int32Array(MAX_LENGTH + 2),
    symbols: new Uint16Array(258),
    lengths: new Uint8Array(258),
  };
}

/** Decodes the block that `bits` stands at. Throws `input`. */
export function bzip2Block(
  bits: MsbBits,
  blockSize: number,
  space: BlockSpace,
  sink: (chunk: Uint8Array) => void,
): void {
  const randomised = bits.take(1) === 1;
  const origin = bits.take(24);
  const bytes = bytesThatOccur(bits);
  const count = bits.take(3);
  if (count < 2 || count > 6) throw bad(bits, `${count} Huffman tables`);
  const selectors = readSelectors(bits, count);
  for (let table = 0; table < count; table++) readTable(bits, bytes.length + 2, space.tables[table] ?? newTable());
  const length = readColumn(bits, { bytes, selectors, blockSize }, space);
  if (origin >= length) throw bad(bits, `origin ${origin} of ${length}`);
  if (randomised) throw bad(bits, "a randomised block, which only bzip2 0.9 made");
  walk(space.column, length, origin, sink);
}

function bytesThatOccur(bits: MsbBits): Uint8Array {
  const ranges = bits.take(16);
  const found: number[] = [];
  for (let range = 0; range < 16; range++) {
    if ((ranges & (0x8000 >> range)) === 0) continue;
    const within = bits.take(16);
    for (let at = 0; at < 16; at++) if ((within & (0x8000 >> at)) !== 0) found.push(range * 16 + at);
  }
  if (found.length === 0) throw bad(bits, "no byte occurs");
  return Uint8Array.from(found);
}

function readSelectors(bits: MsbBits, tables: number): Uint8Array {
  const count = bits.take(15);
  if (count === 0) throw bad(bits, "no selectors");
  const order = [0, 1, 2, 3, 4, 5];
  const selectors = new Uint8Array(count);
  for (let at = 0; at < count; at++) {
    let place = 0;
    while (bits.take(1) === 1) if (++place >= tables) throw bad(bits, `a selector beyond ${tables} tables`);
    const [table] = order.splice(place, 1);
    order.unshift(table ?? 0);
    selectors[at] = table ?? 0;
  }
  return selectors;
}

function readTable(bits: MsbBits, alphabet: number, table: HuffmanTable): void {
  const { lengths } = table;
  let length = bits.take(5);
  for (let symbol = 0; symbol < alphabet; symbol++) {
    for (;;) {
      if (length < 1 || length > MAX_LENGTH) throw bad(bits, `a code of ${length} bits`);
      if (bits.take(1) === 0) break;
      length += bits.take(1) === 0 ? 1 : -1;
    }
    lengths[symbol] = length;
  }
  fillTable(table, alphabet);
}

/** Canonical codes: in the order of lengths, then of symbols. */
function fillTable(table: HuffmanTable, alphabet: number): void {
  const { quick, limit, base, symbols, lengths } = table;
  quick.fill(0);
  let code = 0;
  let place = 0;
  for (let length = 1; length <= MAX_LENGTH; length++) {
    base[length] = code - place;
    for (let symbol = 0; symbol < alphabet; symbol++) {
      if (lengths[symbol] !== length) continue;
      if (length <= QUICK) {
        const from = code << (QUICK - length);
        // Too many short codes overflow the table: what lies beyond is out of reach.
        quick.fill(symbol * 32 + length, from, from + (1 << (QUICK - length)));
      }
      symbols[place++] = symbol;
      code++;
    }
    limit[length] = code - 1;
    code *= 2;
  }
}

function nextSymbol(bits: MsbBits, table: HuffmanTable): number {
  const found = table.quick[bits.peek(QUICK)] ?? 0;
  if (found !== 0) {
    bits.skip(found & 31);
    return found >> 5;
  }
  for (let length = QUICK + 1; length <= MAX_LENGTH; length++) {
    const code = bits.peek(length);
    if (code > (table.limit[length] ?? -1)) continue;
    bits.skip(length);
    return table.symbols[code - (table.base[length] ?? 0)] ?? 0;
  }
  throw bad(bits, "bits that are no code");
}

/** Fills `column` with the last column in the low bytes; returns its length. */
function readColumn(
  bits: MsbBits,
  block: { bytes: Uint8Array; selectors: Uint8Array; blockSize: number },
  space: BlockSpace,
): number {
  const { column } = space;
  const front = Uint8Array.from(block.bytes);
  const end = front.length + 1;
  let length = 0;
  let run = 0;
  let weight = 1;
  for (const selector of block.selectors) {
    const table = space.tables[selector];
    if (table === undefined) break;
    for (let left = GROUP; left > 0; left--) {
      const symbol = nextSymbol(bits, table);
      if (symbol <= 1) {
        run += weight << symbol;
        weight *= 2;
        if (run > block.blockSize) throw bad(bits, "a run longer than the block");
        continue;
      }
      if (run > 0) {
        if (length + run > block.blockSize) throw bad(bits, `a block of over ${block.blockSize} bytes`);
        column.fill(front[0] ?? 0, length, length + run);
        length += run;
        run = 0;
        weight = 1;
      }
      if (symbol === end) return length;
      if (length >= block.blockSize) throw bad(bits, `a block of over ${block.blockSize} bytes`);
      const place = symbol - 1;
      const byte = front[place] ?? 0;
      if (place < 16) for (let at = place; at > 0; at--) front[at] = front[at - 1] ?? 0;
      else front.copyWithin(1, 0, place);
      front[0] = byte;
      column[length++] = byte;
    }
  }
  throw bad(bits, "a block without an end");
}

/** Undoes the transform and the runs of four. */
function walk(column: Uint32Array, length: number, origin: number, sink: (chunk: Uint8Array) => void): void {
  const starts = new Uint32Array(257);
  for (let at = 0; at < length; at++) {
    const next = ((column[at] ?? 0) & 0xff) + 1;
    starts[next] = (starts[next] ?? 0) + 1;
  }
  for (let byte = 1; byte < 257; byte++) starts[byte] = (starts[byte] ?? 0) + (starts[byte - 1] ?? 0);
  for (let at = 0; at < length; at++) {
    const byte = (column[at] ?? 0) & 0xff;
    const place = starts[byte] ?? 0;
    starts[byte] = place + 1;
    column[place] = (column[place] ?? 0) | (at << 8);
  }
  let out = new Uint8Array(OUTPUT);
  let filled = 0;
  let same = 0;
  let before = -1;
  let entry = column[(column[origin] ?? 0) >>> 8] ?? 0;
  // The entry that `origin` points to is the first; each points to the next.
  for (let left = length; left > 0; left--) {
    const byte = entry & 0xff;
    entry = column[entry >>> 8] ?? 0;
    const repeats = same === 4 ? byte : 1;
    if (filled + repeats > OUTPUT) {
      sink(out.subarray(0, filled));
      out = new Uint8Array(OUTPUT);
      filled = 0;
    }
    if (same === 4) {
      out.fill(before, filled, filled + byte);
      filled += byte;
      same = 0;
      before = -1;
      continue;
    }
    same = byte === before ? same + 1 : 1;
    before = byte;
    out[filled++] = byte;
  }
  if (filled > 0) sink(out.subarray(0, filled));
}

const CRC = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 24;
  for (let bit = 0; bit < 8; bit++) crc = crc < 0 ? (crc << 1) ^ 0x04c1_1db7 : crc << 1;
  return crc >>> 0;
});

/** CRC-32 with the highest bit first, as no library has it; begins with and is taken from all ones. */
export function blockCrc(crc: number, chunk: Uint8Array): number {
  let value = crc;
  for (const byte of chunk) value = (value << 8) ^ (CRC[(value >>> 24) ^ byte] ?? 0);
  return value;
}

function bad(bits: MsbBits, what: string): BitforbitError {
  return new BitforbitError("input", `bzip2, offset ${bits.byteOffset}: ${what}`);
}
