import type { ByteSource } from "../bytesource.ts";
import { compressionOf } from "../format/archive.ts";
import type { Parse } from "../format/part.ts";
import { xzParts, zstdParts } from "../format/compressed-parts.ts";
import { looksLikeTar } from "../format/tar.ts";
import { looksLikeZip } from "../format/zip.ts";

/** A format that `diff` looks into: told by its first bytes, its parser loaded only when it is met. */
export interface FormatEntry {
  /** What it is called on screen and in documents: "ELF", "Java class". */
  name: string;
  /**
   * A quick look at the first 4 KiB (fewer in a smaller file). `name` is the
   * file's name, or that of the member, for what has no magic number: the
   * parser then throws when the content is something else, and it is compared
   * as text or bytes.
   */
  looksLike(start: Uint8Array, name: string, source: ByteSource): boolean;
  load(): Promise<Parse>;
  /** It holds one content, compressed: two such formats can be compared by what they hold. */
  wraps?: true;
  /** Much else looks so too: that a content is something else is not worth a word. */
  guess?: true;
}

const latin1 = (start: Uint8Array, length: number): string => String.fromCharCode(...start.subarray(0, length));

/** An image by its two signatures, an object by its machine, its place of symbols, and having no optional header. */
function looksLikePe(start: Uint8Array, size: number): boolean {
  const words = new DataView(start.buffer, start.byteOffset, start.byteLength);
  if (start.length < 64) return false;
  const peAt = words.getUint32(60, true);
  if (words.getUint16(0) === 0x4d5a)
    return peAt + 4 > start.length ? peAt < size : words.getUint32(peAt) === 0x50450000;
  const machine = [0x8664, 0x14c, 0xaa64, 0x1c4].includes(words.getUint16(0, true));
  const [sections, symbolsAt] = [words.getUint16(2, true), words.getUint32(8, true)];
  return (
    machine && sections > 0 && words.getUint16(16, true) === 0 && symbolsAt >= 20 + sections * 40 && symbolsAt < size
  );
}

/** In the order in which they are tried: the more specific before the more general. */
export const FORMATS: readonly FormatEntry[] = [
  // Packages and archives. (gzip: compressed.ts)
  {
    name: "zip",
    looksLike: (start) => looksLikeZip(start),
    load: async () => (await import("../format/zip-parts.ts")).zipParts,
  },
  {
    name: "xz",
    looksLike: (start) => compressionOf(start) === "xz",
    load: () => Promise.resolve(xzParts),
    wraps: true,
  },
  {
    name: "zstd",
    looksLike: (start) => compressionOf(start) === "zstd",
    load: () => Promise.resolve(zstdParts),
    wraps: true,
  },
  {
    name: "tar",
    looksLike: (start) => looksLikeTar(start),
    load: async () => (await import("../format/tar-parts.ts")).tarParts,
  },
  // File systems and images.
  // Programs and libraries.
  {
    name: "ELF",
    looksLike: (start) => latin1(start, 4) === "\x7fELF",
    load: async () => (await import("../format/elf-parts.ts")).elfParts,
  },
  {
    name: "PE",
    looksLike: (start, _, source) => looksLikePe(start, source.size),
    load: async () => (await import("../format/pe-parts.ts")).peParts,
  },
  {
    name: "Mach-O",
    looksLike: (start) => /^(?:\xfe\xed\xfa[\xce\xcf]|[\xce\xcf]\xfa\xed\xfe)/.test(latin1(start, 4)),
    load: async () => (await import("../format/macho-parts.ts")).machParts,
  },
  {
    // A Java class begins so, too: its version stands where the few slices are counted.
    name: "universal Mach-O",
    looksLike: (start) => /^\xca\xfe\xba[\xbe\xbf]\0\0\0[\x01-\x28]/.test(latin1(start, 8)),
    load: async () => (await import("../format/macho-parts.ts")).universalParts,
  },
  {
    name: "Rust metadata",
    looksLike: (start) => latin1(start, 7) === "rust\0\0\0",
    load: async () => (await import("../format/rust-metadata.ts")).rustMetadataParts,
  },
  {
    name: "WebAssembly",
    looksLike: (start) => latin1(start, 4) === "\0asm",
    load: async () => (await import("../format/wasm-parts.ts")).wasmParts,
  },
  {
    name: "debug strings",
    looksLike: (_, name) => /^\.debug_(?:line_)?str$/.test(name),
    load: async () => (await import("../format/debug-parts.ts")).debugStringParts,
  },
  {
    name: "debug line table",
    looksLike: (_, name) => name === ".debug_line",
    load: async () => (await import("../format/debug-parts.ts")).debugLineParts,
  },
  {
    name: "ar archive",
    looksLike: (start) => /^!<(?:arch|thin)>\n/.test(latin1(start, 8)),
    load: async () => (await import("../format/ar-parts.ts")).arParts,
  },
  // Code and data of runtimes.
  // Documents, pictures, keys.
  // Models and arrays.
  // Structured text.
];
