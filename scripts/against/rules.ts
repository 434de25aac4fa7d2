/**
 * What diffoscope prints that is no difference of its own, by the program that
 * it ran. Each rule takes out of a line what only says where something lies or
 * how the program counts; what then is the same on both sides is no difference
 * but the trace of another one, which stands in its own place.
 */
import type { Told } from "./peer.ts";

interface Rule {
  /** Of which programs. */
  by: RegExp;
  why: string;
  /** Leaves out whole lines. */
  without?: RegExp;
  /** Replaced by "#" in every line. */
  blank?: RegExp;
}

const HEX = /\b(?:0x)?[0-9a-f]{2,16}\b/gi;

export const RULES: readonly Rule[] = [
  {
    by: /^(?:readelf|objdump|nm|llvm-|otool|objcopy|strip)/,
    why: "addresses, offsets, sizes and indexes, which move with what stands before them",
    blank: HEX,
  },
  {
    by: /^(?:readelf|objdump|nm)/,
    why: "sizes and indexes in base 10, and distances from a symbol",
    blank: /(?<![\w.])\d+(?![\w.])|\+0x[0-9a-f]+/g,
  },
  {
    by: /^javap/,
    why: "indexes of the constant pool, offsets of instructions, and the checksum of the file",
    blank: /#\d+|^\s*\d+:|\b\d+$/g,
    without: /^\s*(?:Classfile|Last modified|SHA-256 checksum|MD5 checksum|Compiled from)/,
  },
  {
    by: /^(?:zipinfo|zipdetails|zipnote)/,
    why: "offsets, sizes and checksums of members and of the directory; entries are numbered",
    without:
      /offset of local header|Zip archive file size|end-cent-dir|central directory|is \d+ \([0-9A-F]+h\)|compressed size|32-bit CRC|^\s*\([0-9A-F]+h\) bytes|files?, \d+ bytes|bytes? compressed|Zip file size|length of (?:extra|filename)/i,
  },
  {
    by: /^(?:xxd|hexdump)|^$/,
    why: "lines of a hex dump: where bytes stand, sixteen to a line",
    without: /^[0-9a-f]{8}: (?:[0-9a-f]{2,4} ?)+/,
  },
];

/** The same changes without what the rules take out. */
export function withoutArtefacts({ by, changes }: Told): Told["changes"] {
  const rules = RULES.filter((rule) => rule.by.test(by));
  const kept = (line: string): boolean => !rules.some(({ without }) => without?.test(line) === true);
  const normal = (line: string): string =>
    rules
      .reduce((text, { blank }) => (blank === undefined ? text : text.replace(blank, "#")), line)
      .replace(/\s+/g, " ")
      .trim();
  const [gone, came] = [new Map<string, number>(), new Map<string, number>()];
  const side = (lines: string[], counts: Map<string, number>): void => {
    for (const line of lines.filter(kept)) counts.set(normal(line), (counts.get(normal(line)) ?? 0) + 1);
  };
  for (const change of changes) {
    side(change.gone, gone);
    side(change.came, came);
  }
  // the same line on both sides of the whole listing has only moved
  const left = (lines: string[], others: Map<string, number>): string[] =>
    lines
      .filter(kept)
      .map(normal)
      .filter((line) => line !== "" && !others.has(line));
  return changes
    .map((change) => ({ gone: left(change.gone, came), came: left(change.came, gone) }))
    .filter((change) => change.gone.length + change.came.length > 0);
}
