import type { ByteSource } from "../bytesource.ts";
import { concat } from "../bytes.ts";
import { BitforbitError } from "../errors.ts";
import { inflated } from "./inflated-content.ts";
import { paeth } from "./pdf-filters.ts";
import type { Part } from "./part.ts";

/** How an image or a frame is laid out (PNG, section 11.2.1). */
export interface PngHeader {
  width: number;
  height: number;
  depth: number;
  colourType: number;
  interlaced: boolean;
}

/** The pieces of one zlib stream. */
export interface PngFrame {
  source: ByteSource;
  header: PngHeader;
  data: readonly { offset: number; length: number }[];
}

export const COLOUR_TYPES: Readonly<Record<number, { name: string; channels: number }>> = {
  0: { name: "grey", channels: 1 },
  2: { name: "RGB", channels: 3 },
  3: { name: "palette", channels: 1 },
  4: { name: "grey and alpha", channels: 2 },
  6: { name: "RGB and alpha", channels: 4 },
};

const MAX_PIXELS = 256 << 20;

/** Where each pass of Adam7 begins and how far its pixels are apart (PNG, section 8.2). */
const PASSES: readonly (readonly [number, number, number, number])[] = [
  [0, 0, 8, 8],
  [4, 0, 8, 8],
  [0, 4, 4, 8],
  [2, 0, 4, 4],
  [0, 2, 2, 4],
  [1, 0, 2, 2],
  [0, 1, 1, 2],
];

/** By what survives when a part is copied. */
const frames = new WeakMap<object, PngFrame>();
/** Deflate does not do better than this (RFC 1951: 258 bytes from two bits). */
const MAX_DEFLATE_RATIO = 1032;

/** The content of a frame, stored from its first piece on. */
export function framePart(frame: PngFrame, first: { offset: number; length: number }): Part {
  const decode: Part["decode"] = {
    name: "pixels",
    run: (sink) => {
      sink(pixelsOf(frame));
      return Promise.resolve();
    },
  };
  frames.set(decode, frame);
  const compare = ({ decode: stored }: Part): string | undefined => {
    const counterpart = stored === undefined ? undefined : frames.get(stored);
    return counterpart === undefined ? undefined : comparedFrames(frame, counterpart);
  };
  return { key: "", kind: "content", ...first, decode, compare };
}

/** Bytes of a pixel; samples of less than eight bits have a byte each. */
function pixelSize({ depth, colourType }: PngHeader): number {
  const channels = COLOUR_TYPES[colourType]?.channels ?? 1;
  return channels * (depth === 16 ? 2 : 1);
}

/**
 * The pixels row by row, filters undone (PNG, section 9) and passes put
 * together. A stream that breaks off leaves zeros. Throws `input`, `limit`.
 */
export function pixelsOf({ source, header, data }: PngFrame): Uint8Array {
  const { width, height, depth, colourType } = header;
  const type = COLOUR_TYPES[colourType];
  if (type === undefined || ![1, 2, 4, 8, 16].includes(depth)) {
    throw new BitforbitError("input", `${source.name}: PNG, offset 24: depth ${depth} of colour type ${colourType}`);
  }
  const size = pixelSize(header);
  if (width * height * size > MAX_PIXELS) {
    throw new BitforbitError("limit", `${source.name}: PNG of ${width} × ${height} pixels, over ${MAX_PIXELS} bytes`);
  }
  const bits = depth * type.channels;
  const passes = header.interlaced ? PASSES : ([[0, 0, 1, 1]] as const);
  const layout = passes.map(([x, y, dx, dy]) => {
    const columns = Math.ceil((width - x) / dx);
    const rows = columns <= 0 ? 0 : Math.max(0, Math.ceil((height - y) / dy));
    return { x, y, dx, dy, columns, rows, line: Math.ceil((columns * bits) / 8) };
  });
  const wanted = layout.reduce((sum, { rows, line }) => sum + rows * (line + 1), 0);
  // Some encoders write more than is wanted, which nobody reads.
  const stored = concat(data.map(({ offset, length }) => source.read(offset, length)));
  if (wanted > stored.length * MAX_DEFLATE_RATIO + 65536) {
    throw new BitforbitError("input", `${source.name}: PNG: ${stored.length} bytes for ${width} × ${height} pixels`);
  }
  const out = new Uint8Array(width * height * size);
  const raw = inflated(stored, wanted * 2 + 65536, source.name);
  let at = 0;
  for (const pass of layout) {
    const end = at + pass.rows * (pass.line + 1);
    unfilter(raw.subarray(at, end), pass.line, Math.max(1, bits >> 3), source.name);
    place(raw.subarray(at, end), pass, header, out);
    at = end;
  }
  return out;
}

/** Undoes the filters in place; each line begins with the number of its filter. */
function unfilter(raw: Uint8Array, line: number, step: number, name: string): void {
  for (let from = 0; from < raw.length; from += line + 1) {
    const filter = raw[from] ?? 0;
    const end = Math.min(raw.length, from + line + 1);
    if (filter > 4) throw new BitforbitError("input", `${name}: PNG: filter ${filter}, expected at most 4`);
    if (filter === 0) continue;
    for (let at = from + 1; at < end; at++) {
      const left = at - step > from ? (raw[at - step] ?? 0) : 0;
      const up = from > 0 ? (raw[at - line - 1] ?? 0) : 0;
      const corner = from > 0 && at - step > from ? (raw[at - line - 1 - step] ?? 0) : 0;
      const guess = filter === 1 ? left : filter === 2 ? up : filter === 3 ? (left + up) >> 1 : paeth(left, up, corner);
      raw[at] = ((raw[at] ?? 0) + guess) & 0xff;
    }
  }
}

interface Pass {
  x: number;
  y: number;
  dx: number;
  dy: number;
  columns: number;
  rows: number;
  line: number;
}

function place(raw: Uint8Array, pass: Pass, header: PngHeader, out: Uint8Array): void {
  const size = pixelSize(header);
  const { depth, width } = header;
  const mask = (1 << depth) - 1;
  for (let row = 0; row < pass.rows; row++) {
    const from = row * (pass.line + 1) + 1;
    const to = ((pass.y + row * pass.dy) * width + pass.x) * size;
    if (depth >= 8 && pass.dx === 1) {
      out.set(raw.subarray(from, from + width * size), to);
      continue;
    }
    for (let column = 0; column < pass.columns; column++) {
      const target = to + column * pass.dx * size;
      if (depth >= 8) out.set(raw.subarray(from + column * size, from + (column + 1) * size), target);
      else {
        const bit = column * depth;
        out[target] = ((raw[from + (bit >> 3)] ?? 0) >> (8 - depth - (bit & 7))) & mask;
      }
    }
  }
}

/** "12 of 4096 pixels differ, in the box 3,4–9,10, largest difference 17". */
function comparedFrames(a: PngFrame, b: PngFrame): string | undefined {
  const described = ({ header }: PngFrame): string =>
    `${header.width} × ${header.height}, ${COLOUR_TYPES[header.colourType]?.name ?? "unknown"} of ${header.depth} bits`;
  if (described(a) !== described(b)) return `${described(a)} against ${described(b)}`;
  const left = pixelsOf(a);
  const right = pixelsOf(b);
  const { width, height, depth } = a.header;
  return comparedPixels(left, right, { width, height, size: pixelSize(a.header), wide: depth === 16 });
}

/** Compares two images of the same size: `size` bytes a pixel, samples of one byte, or `wide` of two, big-endian. */
export function comparedPixels(
  left: Uint8Array,
  right: Uint8Array,
  layout: { width: number; height: number; size: number; wide?: boolean },
): string {
  const { width, height, size, wide = false } = layout;
  const box = { left: width, top: height, right: -1, bottom: -1 };
  let count = 0;
  let largest = 0;
  for (let y = 0; y < height; y++) {
    const row = y * width * size;
    if (Buffer.compare(left.subarray(row, row + width * size), right.subarray(row, row + width * size)) === 0) continue;
    for (let x = 0; x < width; x++) {
      const difference = pixelDifference(left, right, row + x * size, size, wide);
      if (difference === 0) continue;
      count++;
      largest = Math.max(largest, difference);
      box.left = Math.min(box.left, x);
      box.right = Math.max(box.right, x);
      box.top = Math.min(box.top, y);
      box.bottom = y;
    }
  }
  if (count === 0) return "all pixels are the same: only filters or compression differ";
  const where = `${box.left},${box.top}–${box.right},${box.bottom}`;
  return `${count} of ${width * height} pixels differ, in the box ${where}, largest difference ${largest}`;
}

function pixelDifference(left: Uint8Array, right: Uint8Array, at: number, size: number, wide: boolean): number {
  let largest = 0;
  const step = wide ? 2 : 1;
  for (let index = at; index < at + size; index += step) {
    const sample = (bytes: Uint8Array): number =>
      wide ? (bytes[index] ?? 0) * 256 + (bytes[index + 1] ?? 0) : (bytes[index] ?? 0);
    largest = Math.max(largest, Math.abs(sample(left) - sample(right)));
  }
  return largest;
}
