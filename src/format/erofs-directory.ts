import { showable } from "../bytes.ts";
import { derived, field, type Part } from "./part.ts";

/**
 * A block of an erofs directory (Linux, fs/erofs/erofs_fs.h):
 *
 *     (inode(8)  where the name begins(2)  type(1)  reserved(1))…  names…
 *
 * Entries are in the order of their names' bytes; the first name's place tells how many there are.
 */
const ENTRY = 12;

export interface Entry {
  inode: number;
  name: string;
  at: number;
  length: number;
}

/** The entries of one block; stops where one is broken. */
export function* entriesOf(block: Uint8Array): Generator<Entry> {
  if (block.length < ENTRY) return;
  const view = new DataView(block.buffer, block.byteOffset, block.byteLength);
  const names = view.getUint16(8, true);
  for (let entry = 0; entry + ENTRY <= Math.min(names, block.length); entry += ENTRY) {
    const at = view.getUint16(entry + 8, true);
    const last = entry + 2 * ENTRY > Math.min(names, block.length);
    let end = last ? block.indexOf(0, at) : view.getUint16(entry + ENTRY + 8, true);
    if (last && end < 0) end = block.length;
    if (at < names || end <= at || end > block.length) return;
    const inode = view.getUint32(entry, true) + view.getUint32(entry + 4, true) * 2 ** 32;
    yield { inode, name: showable(block.subarray(at, end)), at, length: end - at };
  }
}

/** Parts of a block, which stands at `offset`, of the folder at `path`; `pathOf`: where an inode's own part is found. */
export function* directoryParts(
  block: Uint8Array,
  offset: number,
  path: string,
  pathOf: (inode: number) => string | undefined,
): Generator<Part> {
  const above = path === "/" ? "" : `${path}/`;
  const entries = [...entriesOf(block)];
  const first = entries[0];
  if (first === undefined) return;
  yield derived("inodes and types", offset, first.at);
  for (const { inode, name, at, length } of entries) {
    const target = pathOf(inode);
    const self = name === "." || name === "..";
    if (self || target === above + name) yield derived(name, offset + at, length);
    else {
      const shown = target === undefined ? "an inode that is not there" : `hard link to ${target}`;
      yield field(name, offset + at, length, () => `${name}, ${shown}`);
    }
  }
}
