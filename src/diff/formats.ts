import type { ByteSource } from "../bytesource.ts";
import {
  looksLikeAndroidResources,
  looksLikeAndroidXml,
  looksLikeBzip2,
  looksLikeChecksumList,
  looksLikeCompress,
  looksLikeCpio,
  looksLikeDeb822,
  looksLikeDebianPackage,
  looksLikeJarManifest,
  looksLikeLz4,
  looksLikeLzip,
  looksLikeLzma,
  looksLikeMo,
  looksLikePo,
  looksLikeRpm,
  looksLikeWheelRecord,
} from "../format/archive-magic.ts";
import { compressionOf, looksLikeZip } from "../format/magic.ts";
import {
  looksLikeDisk,
  looksLikeExt4,
  looksLikeFat,
  looksLikeIso,
  looksLikeSquashfs,
  looksLikeTables,
  looksLikeTails,
} from "../format/image-magic.ts";
import type { Parse } from "../format/part.ts";
import { looksLikeClass, looksLikePyc } from "../format/runtime-magic.ts";
import { xzParts, zstdParts } from "../format/compressed-parts.ts";
import { looksLikeTar } from "../format/tar.ts";

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
    load: async () => (await import("../format/compressed-parts.ts")).xzParts,
    wraps: true,
  },
  {
    name: "zstd",
    looksLike: (start) => compressionOf(start) === "zstd",
    load: async () => (await import("../format/compressed-parts.ts")).zstdParts,
    wraps: true,
  },
  {
    name: "tar",
    looksLike: (start) => looksLikeTar(start),
    load: async () => (await import("../format/tar-parts.ts")).tarParts,
  },
  {
    name: "bzip2",
    looksLike: looksLikeBzip2,
    load: async () => (await import("../format/bzip2.ts")).bzip2Parts,
    wraps: true,
  },
  { name: "lz4", looksLike: looksLikeLz4, load: async () => (await import("../format/lz4.ts")).lz4Parts, wraps: true },
  {
    name: "lzip",
    looksLike: looksLikeLzip,
    load: async () => (await import("../format/lzma.ts")).lzipParts,
    wraps: true,
  },
  {
    name: "lzma",
    looksLike: looksLikeLzma,
    load: async () => (await import("../format/lzma.ts")).lzmaParts,
    wraps: true,
    guess: true,
  },
  {
    name: "compress",
    looksLike: looksLikeCompress,
    load: async () => (await import("../format/compress-z.ts")).compressParts,
    wraps: true,
  },
  {
    name: "brotli",
    looksLike: (_, name) => name.endsWith(".br"),
    load: async () => (await import("../format/brotli.ts")).brotliParts,
    wraps: true,
    guess: true,
  },
  { name: "cpio", looksLike: looksLikeCpio, load: async () => (await import("../format/cpio.ts")).cpioParts },
  { name: "rpm", looksLike: looksLikeRpm, load: async () => (await import("../format/rpm.ts")).rpmParts },
  {
    name: "Debian package",
    looksLike: looksLikeDebianPackage,
    load: async () => (await import("../format/ar-parts.ts")).arParts,
  },
  {
    name: "Debian control data",
    looksLike: looksLikeDeb822,
    load: async () => (await import("../format/deb822-parts.ts")).deb822Parts,
    guess: true,
  },
  {
    name: "list of checksums",
    looksLike: looksLikeChecksumList,
    load: async () => (await import("../format/checksum-list.ts")).checksumListParts,
    guess: true,
  },
  {
    name: "wheel RECORD",
    looksLike: looksLikeWheelRecord,
    load: async () => (await import("../format/checksum-list.ts")).wheelRecordParts,
    guess: true,
  },
  {
    name: "jar manifest",
    looksLike: looksLikeJarManifest,
    load: async () => (await import("../format/jar-manifest.ts")).jarManifestParts,
    guess: true,
  },
  {
    name: "Android binary XML",
    looksLike: looksLikeAndroidXml,
    load: async () => (await import("../format/android-xml.ts")).androidXmlParts,
  },
  {
    name: "Android resources",
    looksLike: looksLikeAndroidResources,
    load: async () => (await import("../format/android-resources.ts")).androidResourceParts,
  },
  // File systems and images.
  {
    name: "squashfs",
    looksLike: looksLikeSquashfs,
    load: async () => (await import("../format/squashfs.ts")).squashfsParts,
  },
  {
    name: "squashfs metadata",
    looksLike: looksLikeTables,
    load: async () => (await import("../format/squashfs-metadata.ts")).squashfsMetadataParts,
  },
  {
    name: "squashfs fragments",
    looksLike: looksLikeTails,
    load: async () => (await import("../format/squashfs-tails.ts")).squashfsTailParts,
  },
  {
    name: "ext4",
    looksLike: looksLikeExt4,
    load: async () => (await import("../format/ext4.ts")).ext4Parts,
  },
  {
    name: "ISO 9660",
    looksLike: looksLikeIso,
    load: async () => (await import("../format/iso9660.ts")).iso9660Parts,
  },
  {
    name: "FAT",
    looksLike: looksLikeFat,
    load: async () => (await import("../format/fat.ts")).fatParts,
  },
  {
    name: "disk image",
    looksLike: looksLikeDisk,
    load: async () => (await import("../format/partition-table.ts")).diskParts,
  },
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
  {
    name: "gettext catalogue",
    looksLike: looksLikeMo,
    load: async () => (await import("../format/gettext-mo.ts")).moParts,
    name: "Java class",
    looksLike: looksLikeClass,
    load: async () => (await import("../format/class-file.ts")).classParts,
  },
  {
    name: "compiled Python",
    looksLike: looksLikePyc,
    load: async () => (await import("../format/pyc.ts")).pycParts,
  },
  // Documents, pictures, keys.
  // Models and arrays.
  // Structured text.
  {
    name: "PO",
    looksLike: looksLikePo,
    load: async () => (await import("../format/gettext-po.ts")).poParts,
    guess: true,
  },
  {
    name: "Java properties",
    looksLike: (_, name) => name.endsWith(".properties"),
    load: async () => (await import("../format/java-properties.ts")).propertiesParts,
    guess: true,
  },
];
