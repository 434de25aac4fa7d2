import type { ByteSource } from "../bytesource.ts";
import { BitforbitError } from "../errors.ts";

/**
 * Reads numbers and bytes of a source one after another within a range, each
 * checked against the range's end before it is read. Throws `input` naming the
 * file, the format and the offset.
 */
export class Cursor {
  readonly source: ByteSource;
  /** What the file is called, and of which format: "lib/A.class: Java class". */
  readonly what: string;
  readonly end: number;
  readonly little: boolean;
  at: number;

  constructor(source: ByteSource, what: string, at = 0, end: number = source.size, little = false) {
    this.source = source;
    this.what = what;
    this.at = at;
    this.end = end;
    this.little = little;
    if (at > end || end > source.size) this.fail(`a piece that ends at ${end}, beyond the end at ${source.size}`);
  }

  get left(): number {
    return this.end - this.at;
  }

  /** Goes on `length` bytes; gives where they begin. */
  skip(length: number): number {
    if (!(length >= 0 && length <= this.end - this.at)) {
      this.fail(`${length} bytes wanted, but only ${this.end - this.at} are left`);
    }
    this.at += length;
    return this.at - length;
  }

  /** The next `length` bytes; callers bound it where it comes from the file and may be large. */
  bytes(length: number): Uint8Array {
    return this.source.read(this.skip(length), length);
  }

  view(length: number): DataView {
    const bytes = this.bytes(length);
    return new DataView(bytes.buffer, bytes.byteOffset, length);
  }

  u8(): number {
    return this.bytes(1)[0] ?? 0;
  }

  i8(): number {
    return (this.u8() << 24) >> 24;
  }

  u16(): number {
    return this.view(2).getUint16(0, this.little);
  }

  i16(): number {
    return this.view(2).getInt16(0, this.little);
  }

  u32(): number {
    return this.view(4).getUint32(0, this.little);
  }

  i32(): number {
    return this.view(4).getInt32(0, this.little);
  }

  u64(): bigint {
    return this.view(8).getBigUint64(0, this.little);
  }

  i64(): bigint {
    return this.view(8).getBigInt64(0, this.little);
  }

  /** A 64-bit length or offset; what no file can have is refused. */
  size64(): number {
    const value = this.u64();
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) {
      this.at -= 8;
      this.fail(`a size of ${value}`);
    }
    return Number(value);
  }

  fail(found: string, at: number = this.at): never {
    throw new BitforbitError("input", `${this.what}, offset ${at}: ${found}`);
  }
}
