import { showable } from "../bytes.ts";
import type { ByteSource } from "../bytesource.ts";
import { BitforbitError } from "../errors.ts";
import { looksLikeRomfs } from "./image-magic.ts";
import { placed } from "./image-record.ts";
import { derived, field, group, type Part } from "./part.ts";
import { Words } from "./record.ts";

/**
 * Cuts a romfs image (Linux, Documentation/filesystems/romfs.rst); all numbers are big endian:
 *
 *     "-rom1fs-" size(4) checksum(4) volume name, up to a multiple of 16
 *     next and type(4) first entry, target or device(4) size(4) checksum(4) name, up to a multiple of 16, data
 *
 * Of the first number the last four bits are the type and whether the file may
 * be executed. There are no times, owners or modes.
 */
const MAX_NODES = 1_000_000;
const MAX_NAME = 4096;
const MAX_PATH = 16 << 10;
const HARD_LINK = 0;
const FOLDER = 1;
const FILE = 2;
const LINK = 3;
const KINDS: readonly string[] = [
  "hard-link",
  "folder",
  "file",
  "link",
  "block-device",
  "character-device",
  "socket",
  "FIFO",
];

interface Node {
  path: string;
  at: number;
  type: number;
  executable: boolean;
  special: number;
  size: number;
  /** Where the name ends, with what fills it up. */
  dataAt: number;
}

/** Throws `input` for what is not romfs. */
export function romfsParts(source: ByteSource, name: string): Iterable<Part> {
  const head = source.read(0, Math.min(source.size, 16)).slice();
  if (head.length < 16 || !looksLikeRomfs(head)) {
    throw new BitforbitError("input", `${name}: romfs, offset 0: no magic number -rom1fs-`);
  }
  const { text, end } = nameAt(source, 16);
  const superblock = group("superblock", 0, end, () => [
    derived("magic", 0, 8),
    derived("size", 8, 4),
    derived("checksum", 12, 4),
    field("volume name", 16, end - 16, () => text),
  ]);
  const nodes = walk(source, name, end);
  const paths = new Map(nodes.map(({ at, path }) => [at, path]));
  const parts: Part[] = [superblock];
  for (const node of nodes) for (const part of partsOf(source, node, paths)) parts.push(part);
  return placed(parts, source.size);
}

function nameAt(source: ByteSource, at: number): { text: string; end: number } {
  const bytes = source.read(at, Math.min(MAX_NAME, source.size - at));
  const zero = bytes.indexOf(0);
  const length = zero < 0 ? bytes.length : zero;
  return {
    text: showable(bytes.subarray(0, length)),
    end: Math.min(source.size, at + Math.ceil((length + 1) / 16) * 16),
  };
}

function walk(source: ByteSource, name: string, root: number): Node[] {
  const found: Node[] = [];
  const seen = new Set<number>();
  const folders = [{ first: root, above: "" }];
  for (const { first, above } of folders) {
    for (let at = first; at !== 0 && at + 16 <= source.size && !seen.has(at);) {
      seen.add(at);
      const words = new Words(source.read(at, 16), false, name);
      const [next, special, size] = [words.u32(0), words.u32(4), words.u32(8)];
      const { text, end } = nameAt(source, at + 16);
      const node = { path: above + text, at, type: next & 7, executable: (next & 8) !== 0, special, size, dataAt: end };
      found.push(node);
      if (found.length > MAX_NODES) throw new BitforbitError("limit", `${name}: romfs: over ${MAX_NODES} files`);
      const inner = `${node.path}/`;
      if (node.type === FOLDER && text !== "." && inner.length < MAX_PATH)
        folders.push({ first: special, above: inner });
      at = next - (next & 15);
    }
  }
  return found;
}

function* partsOf(source: ByteSource, node: Node, paths: ReadonlyMap<number, string>): Generator<Part> {
  const { path, at, type, size, dataAt } = node;
  const kind = `${node.executable ? "executable-" : ""}${KINDS[type] ?? ""}`;
  const link = type === LINK && size > 0 && dataAt + size <= source.size;
  const end = link ? dataAt + size : dataAt;
  yield {
    ...group(`inode ${path}`, at, end - at, function* () {
      // Inodes are alike whatever they belong to: an empty content keeps them from being taken for renamed ones.
      yield { key: "", kind: "content", offset: at, length: 0 };
      yield derived("next", at, 3);
      // Half of the byte belongs to the place of the next: the value is the key, so that only another value says something.
      yield { ...group(`type=${kind}`, at + 3, 1, () => [derived("next", at + 3, 1)]), show: () => "type" };
      yield* specialParts(node, paths);
      yield derived("size", at + 8, 4);
      yield derived("checksum", at + 12, 4);
      yield derived("name", at + 16, dataAt - at - 16);
      if (link) yield field("link", dataAt, size, () => showable(source.read(dataAt, Math.min(size, 500)).slice()));
    }),
    show: () => `${kind}, ${size} bytes`,
  };
  if (type !== FILE || size === 0) return;
  const name = path.slice(path.lastIndexOf("/") + 1);
  yield { key: path, kind: "content", offset: dataAt, length: size, name, show: () => `file, ${size} bytes` };
}

function* specialParts({ type, at, special }: Node, paths: ReadonlyMap<number, string>): Generator<Part> {
  const offset = at + 4;
  if (type === HARD_LINK) {
    const target = `to=${(paths.get(special) ?? "nothing").replaceAll(" ", "\\040")}`;
    yield { ...group(target, offset, 4, () => [derived("target", offset, 4)]), show: () => "hard link" };
  } else if (type === 4 || type === 5) yield field("device", offset, 4, () => `${special >>> 16}:${special & 0xffff}`);
  else yield derived("first entry", offset, 4);
}
