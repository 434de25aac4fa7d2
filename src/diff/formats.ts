import { hex } from "../bytes.ts";
import type { ByteSource } from "../bytesource.ts";
import { compressionOf } from "../format/archive.ts";
import type { Parse } from "../format/part.ts";
import { looksLikeTar } from "../format/tar.ts";
import { looksLikeHtml, looksLikeJson, looksLikeXml } from "../format/text-kinds.ts";
import { wideEncoding } from "../format/wide-text.ts";
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
  /** Much else looks so too: that a content is something else is not worth a word. */
  guess?: true;
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
  },
  {
    name: "zstd",
    looksLike: (start) => compressionOf(start) === "zstd",
    load: async () => (await import("../format/compressed-parts.ts")).zstdParts,
  },
  {
    name: "tar",
    looksLike: (start) => looksLikeTar(start),
    load: async () => (await import("../format/tar-parts.ts")).tarParts,
  },
  // File systems and images.
  // Programs and libraries.
  // Code and data of runtimes.
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
  { name: "DER", looksLike: looksLikeDer, load: async () => (await import("../format/der-parts.ts")).derParts },
  // Models and arrays.
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
