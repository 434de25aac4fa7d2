import { showable } from "../bytes.ts";
import { derived, field, type Part } from "./part.ts";

/**
 * Directories of ext4 (Linux, Documentation/filesystems/ext4/directory.rst): in
 * each block a list of entries: inode(4) length(2) name length(1) type(1) name.
 * What a length leaves behind the name is slack, where removed entries still
 * stand; an index by hash hides there, too.
 */
export interface Entry {
  inode: number;
  at: number;
  length: number;
  nameLength: number;
  name: string;
}

/** The entries of one block, or of what stands inline; stops where the list is broken. */
export function* entriesOf(block: Uint8Array, from = 0): Generator<Entry> {
  const view = new DataView(block.buffer, block.byteOffset, block.byteLength);
  for (let at = from; at + 8 <= block.length;) {
    const stated = view.getUint16(at + 4, true);
    // In blocks of 64 KiB a length that fills them does not fit.
    const length = stated === 0xffff || stated === 0 ? block.length - at : stated;
    const nameLength = view.getUint8(at + 6);
    if (length < 8 || at + length > block.length || 8 + nameLength > length) return;
    const name = showable(block.subarray(at + 8, at + 8 + nameLength));
    yield { inode: view.getUint32(at, true), at, length, nameLength, name };
    at += length;
  }
}

/**
 * Parts of a block of the folder at `path`; `offset`: where the block stands;
 * `pathOf`: under which path an inode's own part is found.
 */
export function* directoryParts(
  block: Uint8Array,
  offset: number,
  folder: { path: string; indexed: boolean },
  pathOf: (inode: number) => string | undefined,
  from = 0,
): Generator<Part> {
  const above = folder.path === "/" ? "" : `${folder.path}/`;
  for (const entry of entriesOf(block, from)) {
    const at = offset + entry.at;
    const named = 8 + entry.nameLength;
    if (entry.inode === 0) {
      // A checksum, a node of the index, or a removed entry.
      yield derived(entry.length === 12 ? "checksum" : "index or nothing", at, entry.length);
      continue;
    }
    const path = pathOf(entry.inode);
    const self = entry.name === "." || entry.name === "..";
    if (self || path === above + entry.name) yield derived(entry.name, at, named);
    else {
      const shown = path === undefined ? `inode ${entry.inode}` : `hard link to ${path}`;
      yield derived(`inode of ${entry.name}`, at, 8);
      yield field(entry.name, at + 8, entry.nameLength, () => `${entry.name}, ${shown}`);
    }
    if (entry.length <= named) continue;
    if (entry.name === ".." && folder.indexed) yield derived("index", at + named, entry.length - named);
    else {
      const slack = { kind: "padding", label: "slack", offset: at + named, length: entry.length - named } as const;
      yield {
        ...slack,
        key: `slack of ${entry.name}`,
        note: "the rest of a directory entry, with entries that were removed",
      };
    }
  }
}
