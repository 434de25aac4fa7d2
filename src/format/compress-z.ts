import type { ByteSource } from "../bytesource.ts";
import { BitforbitError } from "../errors.ts";
import { compressedPart } from "./compressed-part.ts";
import { INFLATION_LIMITS, InflationGuard, type InflationLimits, type Sink } from "./inflation.ts";
import { field, type Part } from "./part.ts";

/**
 * `.Z` of compress(1): LZW.
 *
 *     1f 9d flags(1: longest code in bits, 80: code 256 empties the table)
 *     codes, lowest bit first, of 9 bits and more
 *
 * Codes go out in groups of eight: when they become longer or the table is
 * emptied, what is left of a group is skipped.
 */
const WINDOW = 64 << 10;
const OUTPUT = 64 << 10;

/** Decompresses into `sink`; returns the size. Throws `input`, `limit`. */
export async function uncompress(
  source: ByteSource,
  sink: Sink,
  limits: InflationLimits = INFLATION_LIMITS,
): Promise<number> {
  const guard = new InflationGuard(source.name, source.size, limits);
  const { longest, clears } = header(source);
  const parents = new Uint16Array(1 << longest);
  const bytes = new Uint8Array(1 << longest);
  for (let byte = 0; byte < 256; byte++) bytes[byte] = byte;
  const out = new Output((chunk) => {
    guard.add(chunk.length);
    sink(chunk);
  });
  const first = clears ? 257 : 256;
  const codes = new Codes(source);
  const word = new Uint8Array((1 << longest) + 1);
  let free = first;
  let before = -1;
  let start = 0;
  for (let code = codes.next(); code >= 0; code = codes.next()) {
    if (clears && code === 256) {
      codes.resize(9);
      free = first;
      before = -1;
      continue;
    }
    if (before < 0 ? code > 255 : code > free) throw bad(source, codes.offset, `code ${code}, where ${free} are known`);
    let at = word.length;
    let step = code;
    if (code === free && before >= 0) {
      word[--at] = start;
      step = before;
    }
    for (; step >= 256; step = parents[step] ?? 0) word[--at] = bytes[step] ?? 0;
    word[--at] = start = step;
    out.put(word.subarray(at));
    if (before >= 0 && free < 1 << longest) {
      parents[free] = before;
      bytes[free++] = start;
    }
    before = code;
    if (free >= 1 << codes.bits && codes.bits < longest) codes.resize(codes.bits + 1);
  }
  out.flush();
  return guard.bytes;
}

/** The header's flags, and the content. Throws `input`. */
export function compressParts(source: ByteSource): Part[] {
  const { longest, clears } = header(source);
  return [
    field("magic", 0, 2),
    field("flags", 2, 1, () => `codes of at most ${longest} bits${clears ? ", table may be emptied" : ""}`),
    compressedPart(source.name, 3, source.size, {
      name: "uncompress",
      run: (sink, limits) => uncompress(source, sink, limits),
    }),
  ];
}

function header(source: ByteSource): { longest: number; clears: boolean } {
  if (source.size < 3) throw bad(source, 0, "cut off in the header");
  const [first, second, flags = 0] = source.read(0, 3);
  const longest = flags & 31;
  if (first !== 0x1f || second !== 0x9d) throw bad(source, 0, "no compress header");
  // With 9, the program itself has made files that it could not read.
  if (longest < 10 || longest > 16) throw bad(source, 2, `codes of ${longest} bits, 10 to 16 expected`);
  return { longest, clears: (flags & 0x80) !== 0 };
}

class Codes {
  readonly #source: ByteSource;
  #window: Uint8Array = new Uint8Array(0);
  #windowAt = 0;
  #bitAt = 24;
  /** Where the present group of eight began. */
  #groupAt = 24;
  bits = 9;

  constructor(source: ByteSource) {
    this.#source = source;
  }

  get offset(): number {
    return this.#bitAt >> 3;
  }

  /** Less than zero at the end. */
  next(): number {
    if (this.#bitAt + this.bits > this.#source.size * 8) return -1;
    const at = Math.floor(this.#bitAt / 8);
    const word = this.#byte(at) | (this.#byte(at + 1) << 8) | (this.#byte(at + 2) << 16);
    const code = (word >> (this.#bitAt % 8)) & ((1 << this.bits) - 1);
    this.#bitAt += this.bits;
    return code;
  }

  resize(bits: number): void {
    const group = this.bits * 8;
    this.#bitAt = this.#groupAt + Math.ceil((this.#bitAt - this.#groupAt) / group) * group;
    this.#groupAt = this.#bitAt;
    this.bits = bits;
  }

  #byte(at: number): number {
    if (at >= this.#windowAt + this.#window.length || at < this.#windowAt) {
      if (at >= this.#source.size) return 0;
      this.#window = this.#source.read(at, Math.min(WINDOW, this.#source.size - at));
      this.#windowAt = at;
    }
    return this.#window[at - this.#windowAt] ?? 0;
  }
}

class Output {
  readonly #sink: Sink;
  #chunk = new Uint8Array(OUTPUT);
  #filled = 0;

  constructor(sink: Sink) {
    this.#sink = sink;
  }

  put(bytes: Uint8Array): void {
    // A word is at most as long as the table is large: 64 KiB.
    if (this.#filled + bytes.length > OUTPUT) this.flush();
    if (bytes.length > OUTPUT) return this.#sink(bytes.slice());
    this.#chunk.set(bytes, this.#filled);
    this.#filled += bytes.length;
  }

  flush(): void {
    if (this.#filled > 0) this.#sink(this.#chunk.subarray(0, this.#filled));
    this.#chunk = new Uint8Array(OUTPUT);
    this.#filled = 0;
  }
}

function bad(source: ByteSource, offset: number, what: string): BitforbitError {
  return new BitforbitError("input", `${source.name}: compress, offset ${offset}: ${what}`);
}
