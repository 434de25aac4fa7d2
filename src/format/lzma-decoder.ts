import { setImmediate } from "node:timers/promises";
import type { ByteSource } from "../bytesource.ts";
import { BitforbitError } from "../errors.ts";
import type { Sink } from "./inflation.ts";
import { type Adaptive, adaptive, RangeDecoder } from "./lzma-range.ts";

/**
 * LZMA (LZMA Specification, of the LZMA SDK): literals, and copies of what
 * came before, in adaptive bits. `properties` is the byte (pb * 5 + lp) * 9 + lc:
 * how many bits of the place (pb, lp) and of the byte before (lc) the bits adapt to.
 */
export interface LzmaStream {
  offset: number;
  properties: number;
  dictionarySize: number;
  /** Bytes of the content; undefined when a marker ends it. */
  size: number | undefined;
}

const MAX_DICTIONARY = 256 << 20;
/** Bytes decoded at a time. */
const STEP = 1 << 20;
const MARKER = 0xffff_ffff;

/** Decodes into `sink`; returns where the stream ends. Throws `input`, `limit`. */
export async function unlzmaStream(source: ByteSource, stream: LzmaStream, sink: Sink): Promise<number> {
  const decoder = new LzmaDecoder(source, stream, sink);
  while (!decoder.step()) await setImmediate();
  return decoder.end();
}

interface Lengths {
  choice: Adaptive;
  low: Adaptive;
  middle: Adaptive;
  high: Adaptive;
}

const newLengths = (): Lengths => ({
  choice: adaptive(2),
  low: adaptive(16 << 3),
  middle: adaptive(16 << 3),
  high: adaptive(256),
});

class LzmaDecoder {
  readonly #range: RangeDecoder;
  readonly #sink: Sink;
  readonly #size: number | undefined;
  /** The last bytes, going around; `#flushed` to `#at` are not handed out yet. */
  readonly #space: Uint8Array;
  #at = 0;
  #flushed = 0;
  #written = 0;
  readonly #lc: number;
  readonly #literalMask: number;
  readonly #placeMask: number;
  /** What kind the last symbols were of: below 7 the last was a literal. */
  #state = 0;
  #reps: [number, number, number, number] = [0, 0, 0, 0];
  readonly #literals: Adaptive;
  readonly #isMatch = adaptive(12 << 4);
  readonly #isRep = adaptive(12);
  readonly #isRep0 = adaptive(12);
  readonly #isRep1 = adaptive(12);
  readonly #isRep2 = adaptive(12);
  readonly #isLong = adaptive(12 << 4);
  readonly #slots = adaptive(4 << 6);
  readonly #special = adaptive(128);
  readonly #align = adaptive(16);
  readonly #lengths = newLengths();
  readonly #repLengths = newLengths();

  constructor(source: ByteSource, stream: LzmaStream, sink: Sink) {
    this.#range = new RangeDecoder(source, stream.offset);
    if (stream.properties >= 225) throw this.#range.bad(`properties ${stream.properties}, at most 224 expected`);
    this.#sink = sink;
    this.#size = stream.size;
    this.#lc = stream.properties % 9;
    const lp = Math.floor(stream.properties / 9) % 5;
    this.#literalMask = (1 << lp) - 1;
    this.#placeMask = (1 << Math.floor(stream.properties / 45)) - 1;
    this.#literals = adaptive(0x300 << (this.#lc + lp));
    // Copies reach no further back than the content is long.
    const dictionary = Math.max(4096, Math.min(stream.dictionarySize, stream.size ?? Infinity));
    if (dictionary > MAX_DICTIONARY) {
      throw new BitforbitError("limit", `${source.name}: an LZMA dictionary of ${dictionary} bytes`);
    }
    this.#space = new Uint8Array(dictionary);
  }

  /** Goes on for about a megabyte; true at the end. */
  step(): boolean {
    const until = this.#written + STEP;
    let done = false;
    while (!done && this.#written < until) {
      if (this.#size !== undefined && this.#written >= this.#size) done = true;
      else {
        const place = this.#written & this.#placeMask;
        if (this.#range.bit(this.#isMatch, (this.#state << 4) + place) === 0) this.#literal();
        else done = this.#copy(place);
      }
    }
    this.#flush();
    return done;
  }

  /** Where the stream ends. */
  end(): number {
    return this.#range.offset;
  }

  #literal(): void {
    const range = this.#range;
    const before = this.#written === 0 ? 0 : this.#back(0);
    const base = 0x300 * (((this.#written & this.#literalMask) << this.#lc) + (before >> (8 - this.#lc)));
    let symbol = 1;
    if (this.#state >= 7) {
      let matched = this.#back(this.#reps[0]);
      while (symbol < 0x100) {
        const expected = (matched >> 7) & 1;
        matched <<= 1;
        const bit = range.bit(this.#literals, base + ((1 + expected) << 8) + symbol);
        symbol = (symbol << 1) | bit;
        if (bit !== expected) break;
      }
    }
    while (symbol < 0x100) symbol = (symbol << 1) | range.bit(this.#literals, base + symbol);
    this.#put(symbol & 0xff);
    this.#state = this.#state < 4 ? 0 : this.#state < 10 ? this.#state - 3 : this.#state - 6;
  }

  /** A copy; true for the marker that ends the stream. */
  #copy(place: number): boolean {
    const range = this.#range;
    const state = this.#state;
    if (range.bit(this.#isRep, state) === 0) {
      const length = this.#length(this.#lengths, place);
      this.#reps = [this.#distance(length), this.#reps[0], this.#reps[1], this.#reps[2]];
      this.#state = state < 7 ? 7 : 10;
      if (this.#reps[0] !== MARKER) this.#repeat(length + 2);
      else if (this.#size !== undefined && this.#written < this.#size) throw range.bad("an end before the stated size");
      else return true;
      return false;
    }
    if (this.#written === 0) throw range.bad("a copy before there is anything");
    if (range.bit(this.#isRep0, state) === 0) {
      if (range.bit(this.#isLong, (state << 4) + place) === 0) {
        this.#state = state < 7 ? 9 : 11;
        this.#repeat(1);
        return false;
      }
    } else this.#reps = this.#earlier();
    this.#state = state < 7 ? 8 : 11;
    this.#repeat(this.#length(this.#repLengths, place) + 2);
    return false;
  }

  /** The last four distances, the one that is taken again moved to the front. */
  #earlier(): [number, number, number, number] {
    const [first, second, third, fourth] = this.#reps;
    if (this.#range.bit(this.#isRep1, this.#state) === 0) return [second, first, third, fourth];
    if (this.#range.bit(this.#isRep2, this.#state) === 0) return [third, first, second, fourth];
    return [fourth, first, second, third];
  }

  /** Less 2. */
  #length(lengths: Lengths, place: number): number {
    const range = this.#range;
    if (range.bit(lengths.choice, 0) === 0) return range.tree(lengths.low, place << 3, 3);
    if (range.bit(lengths.choice, 1) === 0) return 8 + range.tree(lengths.middle, place << 3, 3);
    return 16 + range.tree(lengths.high, 0, 8);
  }

  /** Less 1. */
  #distance(length: number): number {
    const range = this.#range;
    const slot = range.tree(this.#slots, Math.min(length, 3) << 6, 6);
    if (slot < 4) return slot;
    const bits = (slot >> 1) - 1;
    const start = ((2 | (slot & 1)) << bits) >>> 0;
    if (slot < 14) return start + range.reverseTree(this.#special, start - slot, bits);
    return start + range.direct(bits - 4) * 16 + range.reverseTree(this.#align, 0, 4);
  }

  #repeat(length: number): void {
    const distance = this.#reps[0];
    if (distance >= this.#written || distance >= this.#space.length) {
      throw this.#range.bad(`a copy from ${distance + 1} bytes back, where ${this.#written} are`);
    }
    const left = this.#size === undefined ? length : Math.min(length, this.#size - this.#written);
    for (let i = 0; i < left; i++) this.#put(this.#back(distance));
    if (left < length) throw this.#range.bad("more content than is stated");
  }

  #back(distance: number): number {
    const at = this.#at - distance - 1;
    return this.#space[at < 0 ? at + this.#space.length : at] ?? 0;
  }

  #put(byte: number): void {
    this.#space[this.#at++] = byte;
    this.#written++;
    if (this.#at < this.#space.length) return;
    this.#flush();
    this.#at = 0;
    this.#flushed = 0;
  }

  #flush(): void {
    if (this.#at > this.#flushed) this.#sink(this.#space.slice(this.#flushed, this.#at));
    this.#flushed = this.#at;
  }
}
