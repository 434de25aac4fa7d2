import { BitforbitError } from "../errors.ts";

/**
 * One LZO1X block, as described in the Linux kernel's Documentation/staging/lzo.rst
 * (bitstream version 0). An instruction copies from before, then 0 to 3
 * literals follow, whose count is in its two lowest bits; `state` is that
 * count, or 4 after a long run of literals, and decides what small
 * instructions mean.
 */
export function lzoBlock(input: Uint8Array, most: number, name: string): Uint8Array {
  const reader = new LzoReader(input, most, name);
  let state = 0;
  const first = input[0] ?? 0;
  if (first > 17) {
    reader.at = 1;
    const literals = first - 17;
    reader.literals(literals);
    state = literals < 4 ? literals : 4;
  }
  for (;;) {
    const instruction = reader.byte();
    if (instruction < 16) {
      if (state === 0) {
        reader.literals(3 + (instruction === 0 ? 15 + reader.more() : instruction));
        state = 4;
        continue;
      }
      const near = (instruction >> 2) + (reader.byte() << 2);
      if (state === 4) reader.copy(near + 2049, 3);
      else reader.copy(near + 1, 2);
      state = instruction & 3;
    } else if (instruction < 32) {
      const length = 2 + ((instruction & 7) === 0 ? 7 + reader.more() : instruction & 7);
      const rest = reader.word();
      const distance = 16384 + ((instruction & 8) << 11) + (rest >> 2);
      if (distance === 16384) return reader.finished();
      reader.copy(distance, length);
      state = rest & 3;
    } else if (instruction < 64) {
      const length = 2 + ((instruction & 31) === 0 ? 31 + reader.more() : instruction & 31);
      const rest = reader.word();
      reader.copy((rest >> 2) + 1, length);
      state = rest & 3;
    } else {
      const length = instruction < 128 ? 3 + ((instruction >> 5) & 1) : 5 + ((instruction >> 5) & 3);
      reader.copy((reader.byte() << 3) + ((instruction >> 2) & 7) + 1, length);
      state = instruction & 3;
    }
    reader.literals(state);
  }
}

class LzoReader {
  readonly #input: Uint8Array;
  readonly #output: Uint8Array;
  readonly #name: string;
  #out = 0;
  at = 0;

  constructor(input: Uint8Array, most: number, name: string) {
    this.#input = input;
    this.#output = new Uint8Array(most);
    this.#name = name;
  }

  #bad(what: string): BitforbitError {
    return new BitforbitError("input", `${this.#name}: LZO block, offset ${this.at} of ${this.#input.length}: ${what}`);
  }

  byte(): number {
    const byte = this.#input[this.at];
    if (byte === undefined) throw this.#bad("cut off");
    this.at++;
    return byte;
  }

  word(): number {
    const low = this.byte();
    return low | (this.byte() << 8);
  }

  /** The rest of a length: 255 for each zero, and the byte that ends them. */
  more(): number {
    let length = 0;
    for (;;) {
      const byte = this.byte();
      if (byte !== 0) return length + byte;
      length += 255;
    }
  }

  literals(count: number): void {
    if (this.at + count > this.#input.length) throw this.#bad(`${count} literals wanted, cut off`);
    this.#room(count);
    this.#output.set(this.#input.subarray(this.at, this.at + count), this.#out);
    this.at += count;
    this.#out += count;
  }

  copy(distance: number, length: number): void {
    if (distance > this.#out) throw this.#bad(`a distance of ${distance} at ${this.#out}`);
    this.#room(length);
    repeat(this.#output, this.#out, distance, length);
    this.#out += length;
  }

  #room(count: number): void {
    if (this.#out + count > this.#output.length) throw this.#bad(`more than ${this.#output.length} bytes come out`);
  }

  finished(): Uint8Array {
    return this.#output.subarray(0, this.#out);
  }
}

/** Copies `length` bytes from `distance` before `at`; what is copied may itself just have been written. */
function repeat(output: Uint8Array, at: number, distance: number, length: number): void {
  if (distance >= length) {
    output.copyWithin(at, at - distance, at - distance + length);
    return;
  }
  for (let index = at; index < at + length; index++) output[index] = output[index - distance] ?? 0;
}
