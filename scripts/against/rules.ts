/**
 * What diffoscope prints that is no difference of its own, by the program that
 * it ran. Each rule takes out of a line what only says where something lies or
 * how the program counts; what then is the same on both sides is no difference
 * but the trace of another one, which stands in its own place.
 */
import type { Told } from "./peer.ts";

export interface Rule {
  /** Of which programs; "" stands for the bytes or lines of the content itself. */
  by: RegExp;
  why: string;
  /** Whole lines that are left out. */
  without?: readonly RegExp[];
  /** What is replaced by "#" in every line. */
  blank?: RegExp;
}

export const RULES: readonly Rule[] = [
  {
    by: /^objdump/,
    why: "marks of the assembler's notation, and the nearest symbol before an address that is none of its own",
    blank: /[%$*]|<[^>]*\+0x[0-9a-f]+>/g,
  },
  {
    by: /^objdump/,
    why: "the same instruction has another name in the other notation (ours is Intel's)",
    blank: /\b(?:test[bwlq]|mov[sz][bwl][wlq]|xchg|data16|nop[wl]?|cs)\b/g,
  },
  {
    by: /^(?:readelf|objdump|nm|llvm-|otool|objcopy|strip)/,
    why: "addresses, offsets, sizes and indexes, which move with what stands before them",
    blank: /\b(?:0x)?[0-9a-f]{2,16}\b|(?<![\w.])\d+(?![\w.])|\+0x[0-9a-f]+/gi,
  },
  {
    by: /^readelf.*--debug-dump=(?:abbrev|rawline|ranges|Ranges|loc|aranges|frames)/,
    why: "how the compiler wrote debug information down; what it says stands under --debug-dump=info and decodedline",
    without: [/^/],
  },
  {
    by: /^readelf.*--debug-dump=info/,
    why: "names of attributes and forms around a value, and where the debugger finds arguments",
    blank: /\bDW_[A-Z]+_\w*|\((?:strp|line_strp|exprloc|string|addr|flag_present|sec_offset)\)|byte block/g,
    without: [/DW_AT_(?:GNU_)?(?:call_|location|entry_pc|ranges)|DW_TAG_(?:GNU_)?call_site/],
  },
  {
    by: /^$/,
    why: "checksums of a wheel's RECORD, which follow from its files",
    blank: /sha256=[\w-]{43},\d*/g,
  },
  {
    by: /^javap/,
    why: "indexes of the constant pool, offsets of instructions, lines that all moved alike (told once a method), the file's checksum",
    blank: /#\d+|^\s*\d+:|^\s*line \d+:|\b\d+$/g,
    without: [/^\s*(?:Classfile|Last modified|SHA-256 checksum|MD5 checksum|Compiled from)/],
  },
  {
    by: /^procyon/,
    why: "a decompiler's guess at the source: its keywords, packages and names of locals; ours tells the bytecode and what it names",
    blank: /\b(?:import|return|else|break|if|for|while|this|new|int|case|try|catch|throw)\b|\b\w+\.(?=\w)|[!]/g,
  },
  {
    by: /^zipinfo -v/,
    why: "the words before a value",
    blank: /^\s*[^:]+:\s+|\(UT extra field modtime\)|\b(?:local|UTC)$|\bnone(?= \(stored)/g,
  },
  {
    by: /^zip/,
    why: "offsets, sizes and checksums of members and of the directory, counts of entries",
    without: [
      /offset of local header|Zip archive file size|Zip file size|end-cent-dir|central directory|Central directory entry/,
      /is \d+ \([0-9A-F]+h\)|^\s*\([0-9A-F]+h\) bytes|compressed size|32-bit CRC|length of (?:extra|filename)/,
      /files?, \d+ bytes|bytes? compressed/,
    ],
  },
  {
    by: /^zip/,
    why: "what it says of every member, in words of its own",
    without: [
      /A subfield with ID|The (?:local|central-directory) extra field|There is no file comment|^\s*---|security status/,
      /MS-DOS file attributes|disk number|apparent file type|minimum (?:file|software)|extended local header/,
      /length of file comment|compression sub-type/,
    ],
  },
  {
    by: /^zipinfo \{\}/,
    why: "its own letters for system, method and a time that is none",
    blank: /\b(?:fat|unx|ntf)\b|\b(?:def[NXFS]|stor)\b|80-000-00 00:00|-rw----|\bb[-lxX]/g,
  },
  {
    by: /^isoinfo/,
    why: "blocks in which files lie, which move with what stands before them",
    blank: /\[\s*\d+ \d+\]|^Volume size is: \d+/g,
  },
  {
    by: /^header$/,
    why: "an rpm's header once more in base 16, of which every tag stands decoded beside it; sizes and digests",
    without: [
      /^\s*(?:HEADERIMMUTABLE: )?[0-9a-f]{28,}$/,
      /^(?:SIG(?:SIZE|MD5)|SHA\d+HEADER|(?:LONG)?(?:ARCHIVE)?SIZE|PAYLOADDIGEST\w*):|^ *- [0-9a-f]{64}$/,
    ],
  },
  {
    by: /^fdtdump/,
    why: "sizes and offsets of the blob's pieces",
    without: [/^\/\/ (?:totalsize|off_|size_)/],
  },
  {
    by: /^encoding/,
    why: "file(1)'s guess, which follows from the text",
    without: [/^/],
  },
  {
    by: /^unsquashfs/,
    why: "names that this machine has for numbers of owners",
    blank: /\broot\/root\b/g,
  },
  {
    by: /^zipnote/,
    why: "the words before a value",
    blank: /^(?:Filename|Comment): */g,
  },
  {
    by: /^stat/,
    why: "the mode twice, blocks of the file system",
    blank: /\b0[0-7]{3}\/|Blocks: \d+|Links: \d+/g,
    without: [/^\s*(?:Access|Change|Birth): \d{4}-|^\s*Device: /],
  },
  {
    by: /^msgunfmt/,
    why: "quotes and escapes around text",
    blank: /\\n|^msg(?:id|str)/g,
  },
  {
    by: /^filetype/,
    why: "file(1)'s own words for a format: that what is there differs is all that it tells",
    without: [/^/],
  },
  {
    by: /^unsquashfs/,
    why: "sizes of the whole and of directories, which follow from what is in them",
    blank: /^Filesystem size .*|(?<=^d\S*\s+\S+\s+)\d+/g,
  },
  {
    by: /^(?:xxd|hexdump)|^$/,
    why: "lines of a hex dump: every differing byte lies in a leaf, which --prove shows",
    without: [/^[0-9a-f]{8}: (?:[0-9a-f]{2,4} ?)+/],
  },
  {
    by: /--hex-dump/,
    why: "a hex dump: see above",
    without: [/^/],
  },
  {
    by: /^ttx/,
    why: "checksums that follow from the other differences",
    without: [/checkSumAdjustment/],
  },
  {
    by: /^Python bytecode/,
    why: "a time once more in base 16, and the size of the source",
    blank: /\b0x[0-9a-f]+|^files sz: \d+/g,
  },
  {
    by: /^sqlite3/,
    why: "the words of the statement around the values",
    blank: /^INSERT INTO|^CREATE (?:TABLE|INDEX)|\bVALUES\b/g,
  },
];

/** The same changes without what the rules take out. */
export function withoutArtefacts({ by, changes }: Told): Told["changes"] {
  const rules = RULES.filter((rule) => rule.by.test(by));
  const kept = (line: string): boolean => !rules.some(({ without = [] }) => without.some((word) => word.test(line)));
  const normal = (line: string): string =>
    rules
      .reduce((text, { blank }) => (blank === undefined ? text : text.replace(blank, " # ")), line)
      .replace(/\s+/g, " ")
      .trim();
  const all = (side: "gone" | "came"): Set<string> =>
    new Set(changes.flatMap((change) => change[side].filter(kept).map(normal)));
  const [gone, came] = [all("gone"), all("came")];
  // the same line on both sides of the whole listing has only moved
  const left = (lines: string[], others: Set<string>): string[] =>
    lines
      .filter(kept)
      .map(normal)
      .filter((line) => /[^#\s]/.test(line) && !others.has(line));
  return changes
    .map((change) => ({ gone: left(change.gone, came), came: left(change.came, gone) }))
    .filter((change) => change.gone.length + change.came.length > 0);
}
