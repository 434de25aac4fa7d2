import { BitforbitError } from "../errors.ts";
import type { Part } from "../format/part.ts";
import type { Range } from "./difference.ts";

/** Bytes that no part claims are a part whose key begins so; keys of formats hardly do. */
const GAP = "\0gap after ";

export function isGap(part: Part): boolean {
  return part.key.startsWith(GAP);
}

/**
 * The parts of a range, one after another, with what no part claims as parts
 * of their own, so that they cover it without holes. Throws `input` for parts
 * that overlap or reach beyond, which a sound parser never gives.
 */
export class PartList {
  readonly #parts: Iterator<Part>;
  readonly #end: number;
  readonly #name: string;
  #at: number;
  #pending: Part | undefined;
  #last: Part | undefined;
  #done = false;

  constructor(parts: Iterable<Part>, range: Range, name: string) {
    this.#parts = parts[Symbol.iterator]();
    this.#at = range.offset;
    this.#end = range.offset + range.length;
    this.#name = name;
  }

  next(): Part | undefined {
    for (;;) {
      const part = this.#pending ?? this.#read();
      this.#pending = undefined;
      if (part === undefined) {
        return this.#at < this.#end ? this.#gap(this.#end) : undefined;
      }
      if (part.offset > this.#at) {
        this.#pending = part;
        return this.#gap(part.offset);
      }
      this.#at = part.offset + part.length;
      this.#last = part;
      // What is empty says nothing unless it is decoded from elsewhere.
      if (part.length > 0 || part.kind === "content") return part;
    }
  }

  #read(): Part | undefined {
    if (this.#done) return undefined;
    const { done, value } = this.#parts.next();
    if (done === true) {
      this.#done = true;
      return undefined;
    }
    const { key, offset, length } = value;
    if (!(offset >= this.#at && length >= 0 && offset + length <= this.#end)) {
      throw new BitforbitError(
        "input",
        `${this.#name}: ${key} is said to be at ${offset}, ${length} bytes, between ${this.#at} and ${this.#end}`,
      );
    }
    return value;
  }

  #gap(end: number): Part {
    const part: Part = {
      key: `${GAP}${this.#last?.key ?? ""}`,
      kind: "padding",
      offset: this.#at,
      length: end - this.#at,
    };
    this.#at = end;
    return part;
  }
}
