import type { ByteSource } from "../bytesource.ts";
import { BitforbitError } from "../errors.ts";

const WINDOW = 64 << 10;
const NOTHING = new Uint8Array(0);

/** Reads a source bit by bit, the highest of each byte first. Throws `input` at the end. */
export class MsbBits {
  readonly #source: ByteSource;
  readonly #format: string;
  #window: Uint8Array = NOTHING;
  /** Where the window begins, and the next byte in it. */
  #windowAt: number;
  #at = 0;
  /** The lowest `#held` bits are read but not taken. */
  #bits = 0;
  #held = 0;
  /** Bits handed out behind the end of the source; `take` refuses them. */
  #beyond = 0;

  constructor(source: ByteSource, format: string, offset = 0) {
    this.#source = source;
    this.#format = format;
    this.#windowAt = offset;
  }

  /** Of the byte that holds the next bit. */
  get byteOffset(): number {
    return this.#windowAt + this.#at - (this.#held >> 3);
  }

  /** The next `count` bits (at most 24) without taking them; zeros stand behind the end. */
  peek(count: number): number {
    while (this.#held < count) {
      if (this.#at >= this.#window.length) this.#refill();
      this.#bits = ((this.#bits << 8) | (this.#window[this.#at++] ?? 0)) >>> 0;
      this.#held += 8;
    }
    return (this.#bits >>> (this.#held - count)) & ((1 << count) - 1);
  }

  /** Takes `count` bits that were peeked at. */
  skip(count: number): void {
    this.#held -= count;
    if (this.#held < this.#beyond) {
      throw new BitforbitError("input", `${this.#source.name}: ${this.#format}, offset ${this.#source.size}: cut off`);
    }
  }

  take(count: number): number {
    const value = this.peek(count);
    this.skip(count);
    return value;
  }

  /** Goes on at the next whole byte. */
  align(): void {
    this.skip(this.#held & 7);
  }

  #refill(): void {
    this.#windowAt += this.#window.length;
    this.#at = 0;
    const length = Math.min(WINDOW, this.#source.size - this.#windowAt);
    if (length > 0) {
      this.#window = this.#source.read(this.#windowAt, length);
      return;
    }
    // One byte of zeros at a time, so that offsets go on counting.
    this.#window = new Uint8Array(1);
    this.#beyond += 8;
  }
}
