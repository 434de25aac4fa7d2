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
  looksLikeRpm,
  looksLikeWheelRecord,
} from "../../format/archive-magic.ts";
import { looksLikeImageTar } from "../../format/image-magic.ts";
import { compressionOf, looksLikeZip } from "../../format/magic.ts";
import { looksLikeTar } from "../../format/tar-header.ts";
import type { FormatEntry } from "./entry.ts";

/** Packages and archives. (gzip: compressed.ts) */
export const ARCHIVES: readonly FormatEntry[] = [
  {
    name: "zip",
    looksLike: (start) => looksLikeZip(start),
    load: async () => (await import("../../format/zip-parts.ts")).zipParts,
  },
  {
    name: "xz",
    looksLike: (start) => compressionOf(start) === "xz",
    load: async () => (await import("../../format/compressed-parts.ts")).xzParts,
    wraps: true,
  },
  {
    name: "zstd",
    looksLike: (start) => compressionOf(start) === "zstd",
    load: async () => (await import("../../format/compressed-parts.ts")).zstdParts,
    wraps: true,
  },
  {
    name: "container image",
    looksLike: looksLikeImageTar,
    load: async () => (await import("../../format/image-tar.ts")).imageTarParts,
    guess: true,
  },
  {
    name: "tar",
    looksLike: (start) => looksLikeTar(start),
    load: async () => (await import("../../format/tar-parts.ts")).tarParts,
  },
  {
    name: "bzip2",
    looksLike: looksLikeBzip2,
    load: async () => (await import("../../format/bzip2.ts")).bzip2Parts,
    wraps: true,
  },
  {
    name: "lz4",
    looksLike: looksLikeLz4,
    load: async () => (await import("../../format/lz4.ts")).lz4Parts,
    wraps: true,
  },
  {
    name: "lzip",
    looksLike: looksLikeLzip,
    load: async () => (await import("../../format/lzma.ts")).lzipParts,
    wraps: true,
  },
  {
    name: "lzma",
    looksLike: looksLikeLzma,
    load: async () => (await import("../../format/lzma.ts")).lzmaParts,
    wraps: true,
    guess: true,
  },
  {
    name: "compress",
    looksLike: looksLikeCompress,
    load: async () => (await import("../../format/compress-z.ts")).compressParts,
    wraps: true,
  },
  {
    name: "brotli",
    looksLike: (_, name) => name.endsWith(".br"),
    load: async () => (await import("../../format/brotli.ts")).brotliParts,
    wraps: true,
    guess: true,
  },
  { name: "cpio", looksLike: looksLikeCpio, load: async () => (await import("../../format/cpio.ts")).cpioParts },
  { name: "rpm", looksLike: looksLikeRpm, load: async () => (await import("../../format/rpm.ts")).rpmParts },
  {
    name: "Debian package",
    looksLike: looksLikeDebianPackage,
    load: async () => (await import("../../format/ar-parts.ts")).arParts,
  },
  {
    name: "Debian control data",
    looksLike: looksLikeDeb822,
    load: async () => (await import("../../format/deb822-parts.ts")).deb822Parts,
    guess: true,
  },
  {
    name: "list of checksums",
    looksLike: looksLikeChecksumList,
    load: async () => (await import("../../format/checksum-list.ts")).checksumListParts,
    guess: true,
  },
  {
    name: "wheel RECORD",
    looksLike: looksLikeWheelRecord,
    load: async () => (await import("../../format/checksum-list.ts")).wheelRecordParts,
    guess: true,
  },
  {
    name: "jar manifest",
    looksLike: looksLikeJarManifest,
    load: async () => (await import("../../format/jar-manifest.ts")).jarManifestParts,
    guess: true,
  },
  {
    name: "Android binary XML",
    looksLike: looksLikeAndroidXml,
    load: async () => (await import("../../format/android-xml.ts")).androidXmlParts,
  },
  {
    name: "Android resources",
    looksLike: looksLikeAndroidResources,
    load: async () => (await import("../../format/android-resources.ts")).androidResourceParts,
  },
];
