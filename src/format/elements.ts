import type { ByteSource } from "../bytesource.ts";
import type { Part } from "./part.ts";

/**
 * Numbers of an array or a tensor: how many differ, by how much, and where.
 * Both sides are read piece by piece; equal pieces cost a comparison of bytes.
 */
export interface Elements {
  /** "float32"; what is not in the table is compared by blocks of `size` bytes. */
  type: string;
  size: number;
  shape: readonly number[];
  /** The first index goes fastest. */
  fortran?: boolean;
  /** Least significant byte first; so it is unless told otherwise. */
  big?: boolean;
}

type Reader = (view: DataView, at: number, little: boolean) => number;

const READERS: Readonly<Record<string, Reader>> = {
  int8: (view, at) => view.getInt8(at),
  uint8: (view, at) => view.getUint8(at),
  bool: (view, at) => view.getUint8(at),
  int16: (view, at, little) => view.getInt16(at, little),
  uint16: (view, at, little) => view.getUint16(at, little),
  int32: (view, at, little) => view.getInt32(at, little),
  uint32: (view, at, little) => view.getUint32(at, little),
  int64: (view, at, little) => Number(view.getBigInt64(at, little)),
  uint64: (view, at, little) => Number(view.getBigUint64(at, little)),
  float16: (view, at, little) => half(view.getUint16(at, little)),
  bfloat16: (view, at, little) => brain(view.getUint16(at, little)),
  float32: (view, at, little) => view.getFloat32(at, little),
  float64: (view, at, little) => view.getFloat64(at, little),
};

/** IEEE 754 binary16. */
function half(bits: number): number {
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  const sign = (bits & 0x8000) === 0 ? 1 : -1;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : Number.NaN;
  return sign * (exponent === 0 ? fraction * 2 ** -24 : (1024 + fraction) * 2 ** (exponent - 25));
}

const word = new DataView(new ArrayBuffer(4));

/** The upper half of a binary32. */
function brain(bits: number): number {
  word.setUint32(0, (bits << 16) >>> 0);
  return word.getFloat32(0);
}

/** What each part holds, so that one side can ask of the other. */
const known = new WeakMap<Part, Elements>();

/** Bytes that are numbers; where they differ, it is said by how much. */
export function elementsPart(key: string, offset: number, length: number, elements: Elements): Part {
  const part: Part = {
    key,
    kind: "bytes",
    offset,
    length,
    compare: (other, a, b) => {
      const others = known.get(other);
      if (others === undefined) return undefined;
      const [left, right] = [shapeName(elements), shapeName(others)];
      if (left !== right || length !== other.length) return left === right ? undefined : `${left} against ${right}`;
      return compared(elements, length, { source: a, at: offset }, { source: b, at: other.offset });
    },
  };
  known.set(part, elements);
  return part;
}

export function shapeName({ type, shape, fortran, big }: Elements): string {
  return `${big === true ? "big-endian " : ""}${type} [${shape.join(", ")}]${fortran === true ? " in Fortran order" : ""}`;
}

interface Place {
  source: ByteSource;
  at: number;
}

interface Tally {
  count: number;
  largest: number;
  where: number;
  sum: number;
  /** Pairs that have a difference: neither of the two is infinite or no number. */
  finite: number;
  special: number;
}

const PIECE = 1 << 18;

function compared(elements: Elements, length: number, a: Place, b: Place): string {
  const { size } = elements;
  const read = READERS[elements.type];
  const piece = Math.max(1, Math.floor(PIECE / size)) * size;
  const tally: Tally = { count: 0, largest: -1, where: -1, sum: 0, finite: 0, special: 0 };
  for (let at = 0; at < length; at += piece) {
    const wanted = Math.min(piece, length - at);
    const [left, right] = [a.source.read(a.at + at, wanted), b.source.read(b.at + at, wanted)];
    if (Buffer.compare(left, right) !== 0) tallyPiece(elements, read, left, right, at / size, tally);
  }
  const total = Math.floor(length / size);
  if (read === undefined) return `${tally.count} of ${total} blocks of ${elements.type} differ (${size} bytes each)`;
  const said = [`${tally.count} of ${total} elements differ`];
  if (tally.finite > 0) {
    const place = indexOf(tally.where, elements);
    said.push(`largest difference ${short(tally.largest)} at [${place.join(", ")}]`);
    said.push(`mean difference ${short(tally.sum / tally.finite)}`);
  }
  if (tally.special > 0) said.push(`${tally.special} with NaN or infinity on one side`);
  return `${elements.type}: ${said.join(", ")}`;
}

function tallyPiece(
  { size, big }: Elements,
  read: Reader | undefined,
  left: Uint8Array,
  right: Uint8Array,
  first: number,
  tally: Tally,
): void {
  const [one, other] = [viewOf(left), viewOf(right)];
  for (let at = 0; at + size <= left.length; at += size) {
    let same = true;
    for (let byte = 0; same && byte < size; byte++) same = left[at + byte] === right[at + byte];
    if (same) continue;
    tally.count++;
    if (read === undefined) continue;
    const difference = Math.abs(read(one, at, big !== true) - read(other, at, big !== true));
    if (!Number.isFinite(difference)) {
      tally.special++;
      continue;
    }
    tally.finite++;
    tally.sum += difference;
    if (difference > tally.largest) {
      tally.largest = difference;
      tally.where = first + at / size;
    }
  }
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** The indexes of the nth element. */
function indexOf(place: number, { shape, fortran }: Elements): number[] {
  const sizes = fortran === true ? shape : shape.toReversed();
  const found: number[] = [];
  let rest = place;
  for (const size of sizes) {
    found.push(size > 0 ? rest % size : 0);
    rest = size > 0 ? Math.floor(rest / size) : 0;
  }
  return fortran === true ? found : found.toReversed();
}

function short(value: number): string {
  return Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(4)));
}
