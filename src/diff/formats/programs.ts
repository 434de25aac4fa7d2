import { looksLikeMo } from "../../format/archive-magic.ts";
import { beginsInHex } from "../../format/magic.ts";
import {
  looksLikeAr,
  looksLikeElf,
  looksLikeGcov,
  looksLikeMachO,
  looksLikePe,
  looksLikeUniversal,
} from "../../format/program-magic.ts";
import {
  looksLikeClass,
  looksLikeDex,
  looksLikePickle,
  looksLikePyc,
  looksLikeSqlite,
} from "../../format/runtime-magic.ts";
import type { FormatEntry } from "./entry.ts";

/** Programs and libraries, code and data of runtimes. */
export const PROGRAMS: readonly FormatEntry[] = [
  // Programs and libraries.
  {
    name: "ELF",
    looksLike: looksLikeElf,
    load: async () => (await import("../../format/elf-parts.ts")).elfParts,
  },
  {
    name: "PE",
    looksLike: looksLikePe,
    load: async () => (await import("../../format/pe-parts.ts")).peParts,
  },
  {
    name: "Mach-O",
    looksLike: looksLikeMachO,
    load: async () => (await import("../../format/macho-parts.ts")).machParts,
  },
  {
    name: "universal Mach-O",
    looksLike: looksLikeUniversal,
    load: async () => (await import("../../format/macho-parts.ts")).universalParts,
  },
  {
    name: "Rust metadata",
    looksLike: beginsInHex("72757374000000"),
    load: async () => (await import("../../format/rust-metadata.ts")).rustMetadataParts,
  },
  {
    name: "WebAssembly",
    looksLike: beginsInHex("0061736d"),
    load: async () => (await import("../../format/wasm-parts.ts")).wasmParts,
  },
  {
    name: "debug strings",
    looksLike: (_, name) => /^\.debug_(?:line_)?str$/.test(name),
    load: async () => (await import("../../format/debug-parts.ts")).debugStringParts,
  },
  {
    name: "debug line table",
    looksLike: (_, name) => name === ".debug_line",
    load: async () => (await import("../../format/debug-parts.ts")).debugLineParts,
  },
  {
    name: "ar archive",
    looksLike: looksLikeAr,
    load: async () => (await import("../../format/ar-parts.ts")).arParts,
  },

  // Code and data of runtimes.
  {
    name: "Java class",
    looksLike: looksLikeClass,
    load: async () => (await import("../../format/class-file.ts")).classParts,
  },
  {
    name: "DEX",
    looksLike: looksLikeDex,
    load: async () => (await import("../../format/dex.ts")).dexParts,
  },
  {
    name: "optimised DEX",
    looksLike: beginsInHex("6465790a"),
    load: async () => (await import("../../format/android-runtime.ts")).odexParts,
  },
  {
    name: "vdex",
    looksLike: beginsInHex("76646578"),
    load: async () => (await import("../../format/android-runtime.ts")).vdexParts,
  },
  {
    name: "oat",
    looksLike: beginsInHex("6f61740a"),
    load: async () => (await import("../../format/android-runtime.ts")).oatParts,
  },
  {
    name: "compiled Python",
    looksLike: looksLikePyc,
    load: async () => (await import("../../format/pyc.ts")).pycParts,
  },
  {
    name: "coverage of GCC",
    looksLike: looksLikeGcov,
    load: async () => (await import("../../format/gcov.ts")).gcovParts,
  },
  {
    name: "pickle",
    looksLike: looksLikePickle,
    load: async () => (await import("../../format/pickle.ts")).pickleParts,
  },
  {
    name: "SQLite",
    looksLike: looksLikeSqlite,
    load: async () => (await import("../../format/sqlite.ts")).sqliteParts,
  },
  {
    name: "gettext catalogue",
    looksLike: looksLikeMo,
    load: async () => (await import("../../format/gettext-mo.ts")).moParts,
  },
];
