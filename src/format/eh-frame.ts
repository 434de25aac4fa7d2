import { BitforbitError } from "../errors.ts";
import { derived, group, type Part } from "./part.ts";
import { Words } from "./record.ts";

/**
 * Unwind tables, .eh_frame (Linux Standard Base, "Exception Frames"; DWARF 5,
 * section 6.4), whose entries tell where each function begins and how long it
 * is, in stripped programs also:
 *
 *     CIE: length(4) 0(4) version augmentation NUL code-align data-align return-register [size data] instructions
 *     FDE: length(4) distance back to its CIE(4) begin size [size data] instructions
 *
 * `begin` and `size` are encoded as the CIE's augmentation `R` says.
 */
export interface Frame {
  offset: number;
  /** Of the whole entry, its length word included. */
  length: number;
  kind: "CIE" | "FDE" | "end";
  /** Of an FDE: the function's place. */
  begin: number;
  size: number;
  /** Where, within the entry, what only follows from addresses ends. */
  fixed: number;
}

const MAX_FRAMES = 4_000_000;
const DW_EH_PE_PCREL = 0x10;

/** Entries of the section in `words`, which is loaded at `address`; `wide`: pointers of 8 bytes. Stops at what is none. */
export function* framesOf(words: Words, address: number, wide: boolean): Generator<Frame> {
  const encodings = new Map<number, number>();
  let at = 0;
  for (let count = 0; at + 4 <= words.size; count++) {
    if (count > MAX_FRAMES) throw new BitforbitError("limit", `more than ${MAX_FRAMES} frames in .eh_frame`);
    const length = words.u32(at);
    if (length === 0) {
      yield { offset: at, length: 4, kind: "end", begin: 0, size: 0, fixed: 4 };
      at += 4;
      continue;
    }
    // 64-bit lengths are allowed, and written by nobody.
    if (length < 4 || length >= 0xffff_fff0 || at + 4 + length > words.size) return;
    const back = words.u32(at + 4);
    if (back === 0) {
      encodings.set(at, pointerEncoding(words, at + 8, at + 4 + length));
      yield { offset: at, length: 4 + length, kind: "CIE", begin: 0, size: 0, fixed: 8 };
    } else {
      const encoding = encodings.get(at + 4 - back) ?? 0x1b;
      const bytes = pointerBytes(encoding, wide);
      if (8 + 2 * bytes > 4 + length) return;
      const raw = pointer(words, at + 8, encoding, bytes);
      const begin = (encoding & 0x70) === DW_EH_PE_PCREL ? address + at + 8 + raw : raw;
      const size = pointer(words, at + 8 + bytes, encoding & 7, bytes);
      yield { offset: at, length: 4 + length, kind: "FDE", begin, size, fixed: 8 + 2 * bytes };
    }
    at += 4 + length;
  }
}

/** The encoding that the augmentation `R` gives, or absolute pointers. */
function pointerEncoding(words: Words, from: number, end: number): number {
  const augmentation = words.text(from + 1, 16);
  if (!augmentation.startsWith("z")) return 0;
  let at = from + 1 + augmentation.length + 1;
  const skip = (): void => {
    while (at < end && (words.u8(at++) & 0x80) !== 0);
  };
  skip();
  skip();
  if (words.u8(from) === 1) at++;
  else skip();
  skip();
  for (const letter of augmentation.slice(1)) {
    if (at >= end) return 0;
    if (letter === "R") return words.u8(at);
    if (letter === "L") at++;
    else if (letter === "P") at += 1 + pointerBytes(words.u8(at), true);
  }
  return 0;
}

function pointerBytes(encoding: number, wide: boolean): number {
  const form = encoding & 7;
  return form === 2 ? 2 : form === 3 ? 4 : form === 4 ? 8 : wide ? 8 : 4;
}

function pointer(words: Words, at: number, encoding: number, bytes: number): number {
  if (bytes === 2) return words.u16(at);
  if (bytes === 4) return (encoding & 8) !== 0 ? words.i32(at) : words.u32(at);
  return Number((encoding & 8) !== 0 ? BigInt.asIntN(64, words.big(at)) : words.big(at));
}

/** One group an entry, an FDE by the name of its function. */
export function* frameParts(
  words: Words,
  offset: number,
  address: number,
  wide: boolean,
  nameAt: (address: number) => string | undefined,
): Generator<Part> {
  for (const frame of framesOf(words, address, wide)) {
    const at = offset + frame.offset;
    if (frame.kind === "end") {
      yield derived("end", at, 4);
      continue;
    }
    const name = frame.kind === "FDE" ? nameAt(frame.begin) : undefined;
    const key = name === undefined ? frame.kind : `${frame.kind} ${name}`;
    yield group(key, at, frame.length, () => [
      derived("place", at, frame.fixed),
      { key: "unwinding", kind: "bytes", offset: at + frame.fixed, length: frame.length - frame.fixed },
    ]);
  }
}
