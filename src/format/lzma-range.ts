import type { ByteSource } from "../bytesource.ts";
import { BitforbitError } from "../errors.ts";

/** A probability in 2048 parts that a bit is 0; learns from each bit. */
export type Adaptive = Uint16Array;

const INPUT = 64 << 10;

export function adaptive(count: number): Adaptive {
  return new Uint16Array(count).fill(1024);
}

/** LZMA's range decoder: bits out of a source, each by its probability. Throws `input` at the end. */
export class RangeDecoder {
  readonly source: ByteSource;
  #input: Uint8Array = new Uint8Array(0);
  #inputAt: number;
  #at = 0;
  #range = 0xffff_ffff;
  #code = 0;

  constructor(source: ByteSource, offset: number) {
    this.source = source;
    this.#inputAt = offset;
    if (this.#byte() !== 0) throw this.bad("a stream that does not begin with zero");
    for (let i = 0; i < 4; i++) this.#code = ((this.#code << 8) | this.#byte()) >>> 0;
  }

  /** Of the next byte to be read. */
  get offset(): number {
    return this.#inputAt + this.#at;
  }

  bit(probabilities: Adaptive, index: number): number {
    const probability = probabilities[index] ?? 0;
    const bound = (this.#range >>> 11) * probability;
    let bit = 0;
    if (this.#code < bound) {
      this.#range = bound;
      probabilities[index] = probability + ((2048 - probability) >> 5);
    } else {
      this.#range -= bound;
      this.#code -= bound;
      probabilities[index] = probability - (probability >> 5);
      bit = 1;
    }
    this.normalise();
    return bit;
  }

  /** `count` bits, the highest first; their probabilities form a tree from `base` on. */
  tree(probabilities: Adaptive, base: number, count: number): number {
    let symbol = 1;
    for (let i = 0; i < count; i++) symbol = (symbol << 1) | this.bit(probabilities, base + symbol);
    return symbol - (1 << count);
  }

  /** The same, the lowest first. */
  reverseTree(probabilities: Adaptive, base: number, count: number): number {
    let symbol = 1;
    let value = 0;
    for (let i = 0; i < count; i++) {
      const bit = this.bit(probabilities, base + symbol);
      symbol = (symbol << 1) | bit;
      value |= bit << i;
    }
    return value;
  }

  /** `count` bits (at most 26) that are as likely 0 as 1. */
  direct(count: number): number {
    let value = 0;
    for (let i = 0; i < count; i++) {
      this.#range >>>= 1;
      const bit = this.#code >= this.#range ? 1 : 0;
      if (bit === 1) this.#code -= this.#range;
      value = (value << 1) | bit;
      this.normalise();
    }
    return value;
  }

  normalise(): void {
    if (this.#range >= 0x100_0000) return;
    this.#range = (this.#range << 8) >>> 0;
    this.#code = ((this.#code << 8) | this.#byte()) >>> 0;
  }

  bad(what: string): BitforbitError {
    return new BitforbitError("input", `${this.source.name}: LZMA, offset ${this.offset}: ${what}`);
  }

  #byte(): number {
    if (this.#at >= this.#input.length) {
      this.#inputAt += this.#input.length;
      this.#at = 0;
      const length = Math.min(INPUT, this.source.size - this.#inputAt);
      if (length <= 0) {
        this.#input = new Uint8Array(0);
        throw this.bad("cut off");
      }
      this.#input = this.source.read(this.#inputAt, length);
    }
    return this.#input[this.#at++] ?? 0;
  }
}
