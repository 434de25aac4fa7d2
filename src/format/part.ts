import type { ByteSource } from "../bytesource.ts";
import type { InflationLimits, Sink } from "./inflation.ts";

/**
 * How a format tells `diff` what its bytes are: it cuts a source into parts,
 * one after another, each with a name by which it is found on the other side.
 * What no part claims is raw bytes to the comparer, never lost; so a format
 * may name as much or as little as it understands.
 *
 * - `field`: a value, shown by `show`: mtime, mode, a name, a string, a symbol's value.
 * - `derived`: it only follows from other bytes: a checksum, a size, an offset, a count, an index.
 * - `padding`: what fills up; differs only if something was left uninitialised.
 * - `bytes`: bytes without further structure, compared as they are (code, tables, samples).
 * - `content`: a piece that stands on its own and may be of any format; `diff`
 *   looks into it. With `decode` it is stored in another form (compressed,
 *   encrypted with a known key, scattered), and what `decode` gives is looked into.
 * - `stored`: more of the stored form of a `content` with the same key: the
 *   second and later pieces of what its `decode` reads.
 * - `group`: made of `parts`, which are asked for only where the two sides differ.
 */
export type PartKind = "field" | "derived" | "padding" | "bytes" | "content" | "stored" | "group";

export interface Part {
  /**
   * Its name within its parent, the same on both sides where it is the same
   * thing: "mtime", "section .text", a member's path, a JSON key. The nth of a
   * name is paired with the other side's nth. For a group or a content it is a
   * step of the path shown; empty: no step. Untrusted text as it is.
   */
  key: string;
  kind: PartKind;
  /** Of what is shown as a field: its name, where several parts tell the same thing together; otherwise the key. */
  label?: string;
  /** In bytes from the beginning of the source that was handed in; parts follow each other and never overlap. */
  offset: number;
  length: number;
  /** The value for people, at most some hundred characters; called only where the two sides differ. */
  show?: () => string;
  /**
   * Of a group: a finer cut of just these bytes, offsets counted as this
   * part's. May throw as the parser does. Where cutting takes long it may begin
   * with the part that holds the byte at `from`: what stands before is the same
   * on both sides.
   */
  parts?: (from?: number) => Iterable<Part>;
  /** Of a group: what a field of that label says here, asked for where the field's bytes stand on the other side only. */
  says?: (label: string) => string | undefined;
  /** Of a content: its plain bytes, and what that way of storing is called ("gunzip", "inflate", "sparse"). */
  decode?: { name: string; run: (sink: Sink, limits: InflationLimits) => Promise<unknown> };
  /** Of a content that is decoded: where both sides' are the same, the bytes that say so only follow from other differences. */
  follows?: true;
  /** Of a content: its file name, where the format knows one; helps to tell formats that have no magic number. */
  name?: string;
  /** Where the two sides differ in this part: what is worth saying of the two together ("largest difference 1e-7"). */
  compare?: (other: Part, a: ByteSource, b: ByteSource) => string | undefined;
  /** A key or a password: that it differs is told, its bytes never are. */
  secret?: true;
  /** Said with the difference, whatever it is. */
  note?: string;
}

/** A format's way to cut a source into parts. Pure. Throws `input` with the offset for what is not of the format, `limit` beyond bounds. */
export type Parse = (source: ByteSource, name: string) => Iterable<Part> | Promise<Iterable<Part>>;

/** A part of kind `field`. */
export function field(key: string, offset: number, length: number, show?: () => string): Part {
  return { key, kind: "field", offset, length, ...(show === undefined ? {} : { show }) };
}

/** A part of kind `derived`. */
export function derived(key: string, offset: number, length: number): Part {
  return { key, kind: "derived", offset, length };
}

/** A part of kind `group`. */
export function group(key: string, offset: number, length: number, parts: (from?: number) => Iterable<Part>): Part {
  return { key, kind: "group", offset, length, parts };
}
