import type { ByteSource } from "../bytesource.ts";
import { compressionOf } from "../format/archive.ts";
import {
  looksLikeDisk,
  looksLikeExt4,
  looksLikeFat,
  looksLikeImageTar,
  looksLikeIso,
  looksLikeSquashfs,
  looksLikeTables,
  looksLikeTails,
} from "../format/image-magic.ts";
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
  // Code and data of runtimes.
  // Documents, pictures, keys.
  // Models and arrays.
  // Structured text.
];
