import { showable, utf8 } from "../bytes.ts";
import type { ByteSource } from "../bytesource.ts";
import { looksLikeTails } from "./image-magic.ts";
import { derived, type Part } from "./part.ts";
import { badSquashfs } from "./squashfs-tables.ts";

/**
 * The fragment blocks of a squashfs image as `squashfs.ts` hands them on when
 * they are decompressed, and their cut: small files, and ends of larger ones, by
 * path, one behind the other. erofs' packed inode is handed on so, too.
 *
 *     "squashfs tails\0\0"  header length  count  (offset  length  whole  name length  name)…  blocks…
 *
 * Numbers have 32 bits, little endian, apart from offsets, which are doubles
 * and count from the end of the header.
 */
const MAGIC = "squashfs tails\0\0";
const ENTRY = 20;

export interface Tail {
  path: string;
  /** In all plain fragment blocks, one after another. */
  offset: number;
  length: number;
  /** It is the whole file; otherwise the file's last bytes. */
  whole: boolean;
}

/** What comes before the blocks, which follow in order. */
export function tailsHeader(tails: readonly Tail[]): Uint8Array {
  const names = tails.map((tail) => utf8(tail.path));
  const length = names.reduce((sum, name) => sum + ENTRY + name.length, 24);
  const bytes = new Uint8Array(length);
  const view = new DataView(bytes.buffer);
  bytes.set(utf8(MAGIC));
  view.setUint32(16, length, true);
  view.setUint32(20, tails.length, true);
  let at = 24;
  tails.forEach((tail, index) => {
    const name = names[index] ?? new Uint8Array(0);
    view.setFloat64(at, tail.offset, true);
    view.setUint32(at + 8, tail.length, true);
    view.setUint32(at + 12, tail.whole ? 1 : 0, true);
    view.setUint32(at + 16, name.length, true);
    bytes.set(name, at + ENTRY);
    at += ENTRY + name.length;
  });
  return bytes;
}

/** The cut of what `tailsHeader` and the blocks give. Throws `input`. */
export function* squashfsTailParts(source: ByteSource, title: string): Generator<Part> {
  const head = source.read(0, Math.min(24, source.size));
  if (head.length < 24 || !looksLikeTails(head)) throw badSquashfs(title, 0, "no fragments");
  const headerLength = viewOf(head).getUint32(16, true);
  const count = viewOf(head).getUint32(20, true);
  if (headerLength > source.size || 24 + count * ENTRY > headerLength)
    throw badSquashfs(title, 16, `${count} fragments`);
  yield derived("where files stand in fragments", 0, headerLength);
  const header = source.read(0, headerLength).slice();
  const view = viewOf(header);
  let end = headerLength;
  let at = 24;
  for (let index = 0; index < count; index++) {
    if (at + ENTRY > headerLength) throw badSquashfs(title, at, "cut off in the list of fragments");
    const offset = headerLength + view.getFloat64(at, true);
    const length = view.getUint32(at + 8, true);
    const nameEnd = at + ENTRY + view.getUint32(at + 16, true);
    if (nameEnd > headerLength) throw badSquashfs(title, at, "cut off in the list of fragments");
    const path = showable(header.subarray(at + ENTRY, nameEnd));
    const whole = view.getUint32(at + 12, true) === 1;
    at = nameEnd;
    // Tails may be shared, and then belong to the first; a hostile list may say anything.
    if (!Number.isSafeInteger(offset) || offset < end || offset + length > source.size) continue;
    end = offset + length;
    const name = path.slice(path.lastIndexOf("/") + 1);
    if (whole) yield { key: path, kind: "content", offset, length, name, show: () => `file, ${length} bytes` };
    // The rest of the file may be the same on both sides: nothing else would tell that its end is not.
    else yield { key: `end of ${path}`, kind: "content", offset, length, show: () => `end of a file, ${length} bytes` };
  }
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
