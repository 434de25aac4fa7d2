import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
import { BitforbitError, systemCode } from "./errors.ts";

/**
 * Bytes that can be read anywhere, held in memory or in a file, so that an
 * archive of 10 GB need not sit in memory. Reads are synchronous: parsers make
 * a great many small ones, and a `pread` from the page cache takes a microsecond.
 */
export interface ByteSource {
  /** What to call it in messages. */
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  /**
   * Exactly `length` bytes at `offset`. The answer may share memory with the
   * source or with `scratch`; nobody writes into it. Throws `input` when the
   * range reaches beyond the end.
   */
  read(offset: number, length: number, scratch?: Uint8Array): Uint8Array;
}

/** A source that holds a file open until `close`. */
export interface OpenSource extends ByteSource {
  /** Throws `input` when the file was written to since it was opened: what was read of it then proves nothing. */
  assertUnchanged(): void;
  close(): void;
}

/** Small reads are served from windows of this many bytes, and of as many more as a small read may take. */
const WINDOW = 64 << 10;
const SMALL = 4 << 10;
/** So many are kept, 6 MiB: a format may read here and there in turn, as a program's debug information is. */
const WINDOWS = 96;

export function memorySource(content: Uint8Array, name = "bytes"): ByteSource {
  // Never a Buffer, whose `slice` would not copy.
  const bytes = new Uint8Array(content.buffer, content.byteOffset, content.byteLength);
  return {
    name,
    size: bytes.length,
    read(offset, length) {
      checkRange(name, bytes.length, offset, length);
      return bytes.subarray(offset, offset + length);
    },
  };
}

/** `length` bytes of `source` from `offset` on, as a source of their own. Throws `input` when they are not there. */
export function partOf(source: ByteSource, offset: number, length: number, name: string = source.name): ByteSource {
  checkRange(source.name, source.size, offset, length);
  return {
    name,
    size: length,
    read(at, count, scratch) {
      checkRange(name, length, at, count);
      return source.read(offset + at, count, scratch);
    },
  };
}

/**
 * Opens a regular file. Never waits for a FIFO's other end. Throws `input` for
 * what is not there, is no regular file, or may not be read.
 */
export function openSource(path: string | Buffer, name: string = path.toString()): OpenSource {
  const descriptor = openRegular(path, name);
  const opened = fstatSync(descriptor, { bigint: true });
  const size = Number(opened.size);
  // By their place; in the order in which they were last asked for.
  const windows = new Map<number, Uint8Array>();
  let [lastAt, last] = [-1, new Uint8Array(0)];
  const windowAt = (at: number): Uint8Array<ArrayBuffer> => {
    // A fresh window each time: callers keep views of the old ones.
    const known = windows.get(at) as Uint8Array<ArrayBuffer> | undefined;
    const start = at * WINDOW;
    const window = known ?? fill(descriptor, new Uint8Array(Math.min(WINDOW + SMALL, size - start)), start, name);
    windows.delete(at);
    windows.set(at, window);
    for (const oldest of windows.keys()) {
      if (windows.size <= WINDOWS) break;
      windows.delete(oldest);
    }
    [lastAt, last] = [at, window];
    return window;
  };
  return {
    name,
    size,
    read(offset, length, scratch) {
      checkRange(name, size, offset, length);
      if (length > SMALL || length > size) {
        const target = scratch !== undefined && scratch.length >= length ? scratch : new Uint8Array(length);
        return fill(descriptor, target.subarray(0, length), offset, name);
      }
      const at = Math.min(Math.floor(offset / WINDOW), Math.max(0, Math.ceil(size / WINDOW) - 1));
      const window = at === lastAt ? last : windowAt(at);
      return window.subarray(offset - at * WINDOW, offset - at * WINDOW + length);
    },
    assertUnchanged() {
      const now = fstatSync(descriptor, { bigint: true });
      if (now.size === opened.size && now.mtimeNs === opened.mtimeNs) return;
      throw new BitforbitError("input", `${name}: changed while it was read`, {
        hint: "let nothing write to it, then run again",
      });
    },
    close: () => closeSync(descriptor),
  };
}

function openRegular(path: string | Buffer, name: string): number {
  let descriptor: number;
  try {
    descriptor = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    const code = systemCode(error);
    const why =
      code === "ENOENT" ? "there is no such file" : code === "EACCES" ? "permission denied" : (code ?? "cannot open");
    throw new BitforbitError("input", `${name}: ${why}`, { cause: error });
  }
  if (!fstatSync(descriptor).isFile()) {
    closeSync(descriptor);
    throw new BitforbitError("input", `${name}: not a regular file`);
  }
  return descriptor;
}

function fill(descriptor: number, target: Uint8Array, offset: number, name: string): Uint8Array<ArrayBuffer> {
  let filled = 0;
  while (filled < target.length) {
    const count = readSync(descriptor, target, filled, target.length - filled, offset + filled);
    if (count === 0) {
      throw new BitforbitError("input", `${name}: became shorter while it was read`, {
        hint: "let nothing write to it, then run again",
      });
    }
    filled += count;
  }
  return target as Uint8Array<ArrayBuffer>;
}

function checkRange(name: string, size: number, offset: number, length: number): void {
  if (offset >= 0 && length >= 0 && offset + length <= size) return;
  throw new BitforbitError("input", `${name}: ${length} bytes wanted at offset ${offset}, but it ends at ${size}`);
}

const COMPARED = 1 << 20;
// Comparing is synchronous from start to end, so that one pair of buffers serves everybody.
const scratchA = new Uint8Array(COMPARED);
const scratchB = new Uint8Array(COMPARED);

/** Offset of the first byte in which two sources differ; undefined when they are equal to the last byte. */
export function firstDifference(a: ByteSource, b: ByteSource): number | undefined {
  const shared = Math.min(a.size, b.size);
  for (let offset = 0; offset < shared; offset += COMPARED) {
    const length = Math.min(COMPARED, shared - offset);
    const left = a.read(offset, length, scratchA);
    const right = b.read(offset, length, scratchB);
    if (Buffer.compare(left, right) !== 0) return offset + commonPrefix(left, right);
  }
  return a.size === b.size ? undefined : shared;
}

/** How many bytes at the end of both are the same, among the last `most`. */
export function commonSuffix(a: ByteSource, b: ByteSource, most: number): number {
  let found = 0;
  while (found < most) {
    const length = Math.min(COMPARED, most - found);
    const left = a.read(a.size - found - length, length, scratchA);
    const right = b.read(b.size - found - length, length, scratchB);
    if (Buffer.compare(left, right) === 0) {
      found += length;
      continue;
    }
    let at = length;
    while (at > 0 && left[at - 1] === right[at - 1]) at--;
    return found + length - at;
  }
  return found;
}

/** How many leading bytes are the same. */
export function commonPrefix(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length);
  let at = 0;
  while (at + 4096 <= length && Buffer.compare(a.subarray(at, at + 4096), b.subarray(at, at + 4096)) === 0) at += 4096;
  while (at < length && a[at] === b[at]) at++;
  return at;
}

export function equalSources(a: ByteSource, b: ByteSource): boolean {
  return a.size === b.size && firstDifference(a, b) === undefined;
}
