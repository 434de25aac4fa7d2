import { looksLikePo } from "../../format/archive-magic.ts";
import {
  looksLikeBmp,
  looksLikeDer,
  looksLikeFont,
  looksLikeIcon,
  looksLikePem,
  looksLikePgp,
  looksLikeTiff,
  looksLikeWebp,
  looksLikeWoff,
} from "../../format/document-magic.ts";
import { beginsInHex } from "../../format/magic.ts";
import { looksLikeGguf, looksLikeNpy, looksLikeOnnx, looksLikeSafetensors } from "../../format/runtime-magic.ts";
import { looksLikeHtml, looksLikeJson, looksLikeXml } from "../../format/text-kinds.ts";
import { looksLikeWideText } from "../../format/wide-encoding.ts";
import type { FormatEntry } from "./entry.ts";

/** Documents, pictures, keys, models, structured text. */
export const DOCUMENTS: readonly FormatEntry[] = [
  // Documents, pictures, keys.
  {
    name: "PDF",
    looksLike: beginsInHex("255044462d"),
    load: async () => (await import("../../format/pdf.ts")).pdfParts,
  },
  {
    name: "PDF objects",
    looksLike: (_, name) => name.endsWith(".pdf-objects"),
    load: async () => (await import("../../format/pdf.ts")).pdfObjectStreamParts,
  },
  {
    name: "PNG",
    looksLike: beginsInHex("89504e470d0a1a0a"),
    load: async () => (await import("../../format/png.ts")).pngParts,
  },
  {
    name: "JPEG",
    looksLike: beginsInHex("ffd8ff"),
    load: async () => (await import("../../format/jpeg.ts")).jpegParts,
  },
  {
    name: "GIF",
    looksLike: beginsInHex("474946383"),
    load: async () => (await import("../../format/gif.ts")).gifParts,
  },
  {
    name: "WebP",
    looksLike: looksLikeWebp,
    load: async () => (await import("../../format/riff.ts")).riffParts,
  },
  {
    name: "RIFF",
    looksLike: beginsInHex("52494646"),
    load: async () => (await import("../../format/riff.ts")).riffParts,
  },
  {
    name: "TIFF",
    looksLike: looksLikeTiff,
    load: async () => (await import("../../format/tiff.ts")).tiffParts,
  },
  {
    name: "icon",
    looksLike: looksLikeIcon,
    load: async () => (await import("../../format/bitmap.ts")).icoParts,
  },
  {
    name: "BMP",
    looksLike: looksLikeBmp,
    load: async () => (await import("../../format/bitmap.ts")).bmpParts,
  },
  {
    name: "font",
    looksLike: looksLikeFont,
    load: async () => (await import("../../format/sfnt.ts")).sfntParts,
  },
  {
    name: "WOFF",
    looksLike: looksLikeWoff,
    load: async () => (await import("../../format/woff.ts")).woffParts,
  },
  {
    name: "PEM",
    looksLike: looksLikePem,
    load: async () => (await import("../../format/pem.ts")).pemParts,
    guess: true,
  },
  {
    name: "OpenPGP",
    looksLike: looksLikePgp,
    load: async () => (await import("../../format/pgp.ts")).pgpParts,
    guess: true,
  },
  { name: "DER", looksLike: looksLikeDer, load: async () => (await import("../../format/der-parts.ts")).derParts },

  // Models and arrays.
  {
    name: "NumPy",
    looksLike: looksLikeNpy,
    load: async () => (await import("../../format/npy.ts")).npyParts,
  },
  { name: "GGUF", looksLike: looksLikeGguf, load: async () => (await import("../../format/gguf.ts")).ggufParts },
  {
    name: "safetensors",
    looksLike: looksLikeSafetensors,
    load: async () => (await import("../../format/safetensors.ts")).safetensorsParts,
  },
  { name: "ONNX", looksLike: looksLikeOnnx, load: async () => (await import("../../format/onnx.ts")).onnxParts },
  // Structured text.
  {
    name: "wide text",
    looksLike: looksLikeWideText,
    load: async () => (await import("../../format/wide-text.ts")).wideTextParts,
    guess: true,
  },
  {
    name: "code",
    looksLike: (_, name) => /\.(?:[cm]?js|css)$/i.test(name),
    load: async () => (await import("../../format/code-lines.ts")).codeParts,
    guess: true,
  },
  {
    name: "HTML",
    looksLike: looksLikeHtml,
    load: async () => (await import("../../format/markup.ts")).htmlParts,
    guess: true,
  },
  {
    name: "XML",
    looksLike: looksLikeXml,
    load: async () => (await import("../../format/markup.ts")).xmlParts,
    guess: true,
  },
  { name: "JSON", looksLike: looksLikeJson, load: async () => (await import("../../format/json.ts")).jsonParts },
  {
    name: "PO",
    looksLike: looksLikePo,
    load: async () => (await import("../../format/gettext-po.ts")).poParts,
    guess: true,
  },
  {
    name: "Java properties",
    looksLike: (_, name) => name.endsWith(".properties"),
    load: async () => (await import("../../format/java-properties.ts")).propertiesParts,
    guess: true,
  },
];
