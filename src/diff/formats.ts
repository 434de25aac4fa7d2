import { hex } from "../bytes.ts";
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
  looksLikeCramfs,
  looksLikeDeviceTree,
  looksLikeDisk,
  looksLikeErofs,
  looksLikeExt4,
  looksLikeFat,
  looksLikeImageTar,
  looksLikeIso,
  looksLikeQcow2,
  looksLikeRomfs,
  looksLikeSquashfs,
  looksLikeTables,
  looksLikeTails,
  looksLikeUimage,
} from "../format/image-magic.ts";
import type { Parse } from "../format/part.ts";
import {
  looksLikeClass,
  looksLikeDex,
  looksLikeGguf,
  looksLikeNpy,
  looksLikeOnnx,
  looksLikePickle,
  looksLikePyc,
  looksLikeSafetensors,
  looksLikeSqlite,
} from "../format/runtime-magic.ts";
import { looksLikeTar } from "../format/tar.ts";
import { looksLikeHtml, looksLikeJson, looksLikeXml } from "../format/text-kinds.ts";
import { wideEncoding } from "../format/wide-text.ts";

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
    name: "container image",
    looksLike: looksLikeImageTar,
    load: async () => (await import("../format/image-tar.ts")).imageTarParts,
    guess: true,
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
    name: "erofs",
    looksLike: looksLikeErofs,
    load: async () => (await import("../format/erofs.ts")).erofsParts,
  },
  {
    name: "cramfs",
    looksLike: looksLikeCramfs,
    load: async () => (await import("../format/cramfs.ts")).cramfsParts,
  },
  {
    name: "romfs",
    looksLike: looksLikeRomfs,
    load: async () => (await import("../format/romfs.ts")).romfsParts,
  },
  {
    name: "qcow2",
    looksLike: looksLikeQcow2,
    load: async () => (await import("../format/qcow2.ts")).qcow2Parts,
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

  {
    name: "device tree",
    looksLike: looksLikeDeviceTree,
    load: async () => (await import("../format/device-tree.ts")).deviceTreeParts,
  },
  {
    name: "U-Boot image",
    looksLike: looksLikeUimage,
    load: async () => (await import("../format/uimage.ts")).uimageParts,
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
  {
    name: "Java class",
    looksLike: looksLikeClass,
    load: async () => (await import("../format/class-file.ts")).classParts,
  },
  {
    name: "DEX",
    looksLike: looksLikeDex,
    load: async () => (await import("../format/dex.ts")).dexParts,
  },
  {
    name: "optimised DEX",
    looksLike: begins("6465790a"),
    load: async () => (await import("../format/android-runtime.ts")).odexParts,
  },
  {
    name: "vdex",
    looksLike: begins("76646578"),
    load: async () => (await import("../format/android-runtime.ts")).vdexParts,
  },
  {
    name: "oat",
    looksLike: begins("6f61740a"),
    load: async () => (await import("../format/android-runtime.ts")).oatParts,
  },
  {
    name: "compiled Python",
    looksLike: looksLikePyc,
    load: async () => (await import("../format/pyc.ts")).pycParts,
  },
  {
    name: "coverage of GCC",
    looksLike: (start) => /^(?:gcno|gcda|oncg|adcg)/.test(latin1(start, 4)),
    load: async () => (await import("../format/gcov.ts")).gcovParts,
  },
  { name: "pickle", looksLike: looksLikePickle, load: async () => (await import("../format/pickle.ts")).pickleParts },
  {
    name: "SQLite",
    looksLike: looksLikeSqlite,
    load: async () => (await import("../format/sqlite.ts")).sqliteParts,
  },
  {
    name: "gettext catalogue",
    looksLike: looksLikeMo,
    load: async () => (await import("../format/gettext-mo.ts")).moParts,
  },

  // Documents, pictures, keys.
  { name: "PDF", looksLike: begins("255044462d"), load: async () => (await import("../format/pdf.ts")).pdfParts },
  {
    name: "PDF objects",
    looksLike: (_, name) => name.endsWith(".pdf-objects"),
    load: async () => (await import("../format/pdf.ts")).pdfObjectStreamParts,
  },
  { name: "PNG", looksLike: begins("89504e470d0a1a0a"), load: async () => (await import("../format/png.ts")).pngParts },
  { name: "JPEG", looksLike: begins("ffd8ff"), load: async () => (await import("../format/jpeg.ts")).jpegParts },
  { name: "GIF", looksLike: begins("474946383"), load: async () => (await import("../format/gif.ts")).gifParts },
  {
    name: "WebP",
    looksLike: (start) => /^52494646.{8}57454250/.test(hex(start.subarray(0, 12))),
    load: async () => (await import("../format/riff.ts")).riffParts,
  },
  { name: "RIFF", looksLike: begins("52494646"), load: async () => (await import("../format/riff.ts")).riffParts },
  {
    name: "TIFF",
    looksLike: (start) => /^(49492a00|4d4d002a)/.test(hex(start.subarray(0, 4))),
    load: async () => (await import("../format/tiff.ts")).tiffParts,
  },
  {
    name: "icon",
    // Planes of 0 or 1 in the first entry, and its reserved byte: four bytes of magic are too few.
    looksLike: (start) => /^00000[12]00..00.{6}00..00/.test(hex(start.subarray(0, 12))),
    load: async () => (await import("../format/bitmap.ts")).icoParts,
  },
  {
    name: "BMP",
    looksLike: (start) => /^424d.{8}00000000.{4}0000[2-7].000000/.test(hex(start.subarray(0, 18))),
    load: async () => (await import("../format/bitmap.ts")).bmpParts,
  },
  {
    name: "font",
    looksLike: (start) => /^(?:00010000|4f54544f|74727565|74746366)00/.test(hex(start.subarray(0, 5))),
    load: async () => (await import("../format/sfnt.ts")).sfntParts,
  },
  {
    name: "WOFF",
    looksLike: (start) => /^774f4(?:646|632)/.test(hex(start.subarray(0, 4))),
    load: async () => (await import("../format/woff.ts")).woffParts,
  },
  {
    name: "PEM",
    looksLike: (start) => Buffer.from(start).includes("-----BEGIN "),
    load: async () => (await import("../format/pem.ts")).pemParts,
    guess: true,
  },
  {
    name: "OpenPGP",
    // A key, a signature or a signed message as they begin; or told by its name.
    looksLike: (start, name) =>
      /^(?:9[4589]..04|99.{4}04|c[56]..04|8[89]..04|89.{4}04|900d03|c40d03|a30[0-3])/.test(hex(start.subarray(0, 6))) ||
      /\.(?:pgp|gpg|sig)$/i.test(name),
    load: async () => (await import("../format/pgp.ts")).pgpParts,
    guess: true,
  },
  { name: "DER", looksLike: looksLikeDer, load: async () => (await import("../format/der-parts.ts")).derParts },

  // Models and arrays.
  {
    name: "NumPy",
    looksLike: looksLikeNpy,
    load: async () => (await import("../format/npy.ts")).npyParts,
  },
  { name: "GGUF", looksLike: looksLikeGguf, load: async () => (await import("../format/gguf.ts")).ggufParts },
  {
    name: "safetensors",
    looksLike: looksLikeSafetensors,
    load: async () => (await import("../format/safetensors.ts")).safetensorsParts,
  },
  { name: "ONNX", looksLike: looksLikeOnnx, load: async () => (await import("../format/onnx.ts")).onnxParts },
  // Structured text.
  {
    name: "wide text",
    looksLike: (start, _, source) => wideEncoding(start, source.size) !== undefined,
    load: async () => (await import("../format/wide-text.ts")).wideTextParts,
    guess: true,
  },
  {
    name: "code",
    looksLike: (_, name) => /\.(?:[cm]?js|css)$/i.test(name),
    load: async () => (await import("../format/code-lines.ts")).codeParts,
    guess: true,
  },
  {
    name: "HTML",
    looksLike: looksLikeHtml,
    load: async () => (await import("../format/markup.ts")).htmlParts,
    guess: true,
  },
  {
    name: "XML",
    looksLike: looksLikeXml,
    load: async () => (await import("../format/markup.ts")).xmlParts,
    guess: true,
  },
  { name: "JSON", looksLike: looksLikeJson, load: async () => (await import("../format/json.ts")).jsonParts },
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

/** A test of the first bytes, told in hexadecimal. */
function begins(magic: string): FormatEntry["looksLike"] {
  return (start) => hex(start.subarray(0, (magic.length + 1) >> 1)).startsWith(magic);
}

/** A SEQUENCE that is as long as the file: two or more bytes of length, or a short one. */
function looksLikeDer(start: Uint8Array, _: string, source: ByteSource): boolean {
  const [tag, first = 0, high = 0, low = 0] = start;
  if (tag !== 0x30) return false;
  if (first === 0x82) return source.size === high * 256 + low + 4;
  return first === 0x81 ? source.size === high + 3 : first === 0x83 || source.size === first + 2;
}
