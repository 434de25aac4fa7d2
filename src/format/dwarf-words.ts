import { Words } from "./record.ts";

/** Reads DWARF's numbers of variable length (DWARF 5, section 7.6) one after another. */
export class DwarfReader {
  readonly words: Words;
  at: number;
  readonly end: number;

  constructor(words: Words, at: number, end: number = words.size) {
    this.words = words;
    this.at = at;
    this.end = Math.min(end, words.size);
  }

  u8(): number {
    return this.words.u8(this.step(1));
  }

  u16(): number {
    return this.words.u16(this.step(2));
  }

  u32(): number {
    return this.words.u32(this.step(4));
  }

  /** An offset or an address of `size` bytes. */
  sized(size: number): number {
    if (size === 8) return this.words.u64(this.step(8));
    if (size === 4) return this.u32();
    if (size === 2) return this.u16();
    if (size === 1) return this.u8();
    this.step(size);
    return 0;
  }

  /** LEB128; beyond 2^53 only its length counts. */
  uleb(): number {
    let value = 0;
    let scale = 1;
    for (;;) {
      const byte = this.u8();
      value += (byte & 0x7f) * scale;
      if ((byte & 0x80) === 0) return value;
      scale *= 128;
    }
  }

  sleb(): number {
    let value = 0;
    let scale = 1;
    for (;;) {
      const byte = this.u8();
      value += (byte & 0x7f) * scale;
      scale *= 128;
      if ((byte & 0x80) === 0) return (byte & 0x40) !== 0 ? value - scale : value;
    }
  }

  text(): string {
    const slice = this.words.bytes.subarray(this.at, this.end);
    const length = slice.indexOf(0);
    this.step(length < 0 ? slice.length + 1 : length + 1);
    return Buffer.from(slice.subarray(0, length)).toString("utf8");
  }

  /** Moves on, and gives where it stood; throws `input` beyond the end. */
  step(count: number): number {
    const from = this.at;
    this.words.need(from, count);
    if (from + count > this.end) this.words.need(this.words.size, count + 1);
    this.at = from + count;
    return from;
  }
}
