import type { ByteSource } from "../bytesource.ts";
import { BitforbitError } from "../errors.ts";
import type { Part } from "./part.ts";

/** A record of fixed layout, as header files give it: cells one after another, each an unsigned number unless it says otherwise. */
export interface Cell {
  key: string;
  /** Bytes; a number is read for 1, 2, 4 and 8. */
  size: number;
  kind?: "field" | "derived" | "padding";
  show?: (value: bigint) => string;
}

const SCALARS: ReadonlySet<number> = new Set([1, 2, 4, 8]);

/** Parts of the record at `offset`. What reaches beyond `end` is left out. */
export function* recordParts(
  source: ByteSource,
  offset: number,
  little: boolean,
  cells: readonly Cell[],
  end: number = source.size,
): Generator<Part> {
  let at = offset;
  for (const { key, size, kind, show } of cells) {
    if (at + size > end) return;
    const place = at;
    const shown = (): string => {
      const bytes = source.read(place, size);
      if (!SCALARS.has(size)) return hexOf(bytes);
      const value = unsigned(bytes, little);
      return show === undefined ? String(value) : show(value);
    };
    const part: Part = { key, kind: kind ?? "field", offset: at, length: size };
    if (part.kind === "field") part.show = shown;
    yield part;
    at += size;
  }
}

function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

function unsigned(bytes: Uint8Array, little: boolean): bigint {
  let value = 0n;
  for (let at = 0; at < bytes.length; at++) {
    value = (value << 8n) | BigInt(bytes[little ? bytes.length - 1 - at : at] ?? 0);
  }
  return value;
}

export const asHex = (value: bigint): string => `0x${value.toString(16)}`;

/** Shows a number by its name where it has one. */
export function named(names: Readonly<Record<number, string>>): (value: bigint) => string {
  return (value) => names[Number(value)] ?? asHex(value);
}

/** Shows a set of bits by their names; what has none stays a number. */
export function flagged(names: Readonly<Record<number, string>>): (value: bigint) => string {
  return (value) => {
    const said: string[] = [];
    let rest = value;
    for (const [bit, name] of Object.entries(names)) {
      if ((rest & BigInt(bit)) === BigInt(bit) && BigInt(bit) !== 0n) {
        said.push(name);
        rest &= ~BigInt(bit);
      }
    }
    if (rest !== 0n || said.length === 0) said.push(asHex(rest));
    return said.join(" ");
  };
}

/** Reads numbers of one byte order out of a piece held in memory; what is not there throws `input`. */
export class Words {
  readonly bytes: Uint8Array;
  readonly little: boolean;
  readonly #view: DataView;
  readonly #buffer: Buffer;
  readonly #what: string;

  constructor(bytes: Uint8Array, little: boolean, what: string) {
    this.bytes = bytes;
    this.little = little;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#what = what;
  }

  get size(): number {
    return this.bytes.length;
  }

  need(at: number, length: number): void {
    if (at >= 0 && length >= 0 && at + length <= this.bytes.length) return;
    throw new BitforbitError(
      "input",
      `${this.#what}: ${length} bytes wanted at offset ${at}, but it ends at ${this.bytes.length}`,
    );
  }

  u8(at: number): number {
    this.need(at, 1);
    return this.#view.getUint8(at);
  }

  u16(at: number): number {
    this.need(at, 2);
    return this.#view.getUint16(at, this.little);
  }

  u32(at: number): number {
    this.need(at, 4);
    return this.#view.getUint32(at, this.little);
  }

  i32(at: number): number {
    this.need(at, 4);
    return this.#view.getInt32(at, this.little);
  }

  /** Exact up to 2^53; an offset or a size beyond it is beyond every file, too. */
  u64(at: number): number {
    this.need(at, 8);
    return this.u32(this.little ? at + 4 : at) * 2 ** 32 + this.u32(this.little ? at : at + 4);
  }

  big(at: number): bigint {
    this.need(at, 8);
    return this.#view.getBigUint64(at, this.little);
  }

  /** The text up to the next NUL, at most `most` bytes, as UTF-8 or Latin-1. */
  text(at: number, most = 4096): string {
    if (at < 0 || at >= this.bytes.length) return "";
    const { bytes } = this;
    const last = Math.min(bytes.length, at + most);
    let end = at;
    while (end < last && bytes[end] !== 0) end++;
    return this.#buffer.toString("utf8", at, end);
  }
}
