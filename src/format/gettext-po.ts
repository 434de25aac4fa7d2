import { showable } from "../bytes.ts";
import type { ByteSource } from "../bytesource.ts";
import { BitforbitError } from "../errors.ts";
import { lineSpans } from "./line-spans.ts";
import { field, group, type Part } from "./part.ts";

/**
 * gettext's catalogues as people edit them (GNU gettext manual, "The Format of
 * PO Files"): entries between blank lines, of comments, an msgctxt, an msgid
 * and its translations, each a keyword and strings that go on in further lines.
 * An entry is known by its context and msgid; that of "" is the header.
 */
const MAX_ENTRY_LINES = 100_000;
const SHOWN = 400;
const KEYWORD = /^(?:#~ )?(msgctxt|msgid_plural|msgid|msgstr(?:\[\d+\])?)[ \t]*(?=")/;
const STRING = /^(?:#~ )?[ \t]*"/;
const COMMENTS: readonly (readonly [start: string, name: string])[] = [
  ["#:", "references"],
  ["#,", "flags"],
  ["#.", "extracted comment"],
  ["#|", "previous"],
  ["#~", "obsolete"],
  ["#", "comment"],
];

interface Line {
  offset: number;
  length: number;
  text: string;
}

/** A keyword with its strings, or comments of one kind. */
interface Piece {
  name: string;
  lines: Line[];
}

/** Entries by context and msgid. Throws `input` for a line that belongs to no entry, `limit`. */
export function* poParts(source: ByteSource): Generator<Part> {
  let pieces: Piece[] = [];
  let count = 0;
  for (const { offset, length, bytes } of lineSpans(source)) {
    const line = { offset, length, text: showable(bytes) };
    if (++count > MAX_ENTRY_LINES && pieces.length > 0) {
      throw new BitforbitError("limit", `${source.name}: an entry of over ${MAX_ENTRY_LINES} lines`);
    }
    const blank = line.text.trim() === "";
    const keyword = KEYWORD.exec(line.text)?.[1];
    const last = pieces.at(-1);
    const name = keyword ?? (STRING.test(line.text) ? last?.name : commentName(line.text));
    const translated = last?.name.startsWith("msgstr") === true;
    const begins = translated && !blank && name !== last.name && !name?.startsWith("msgstr");
    if (last !== undefined && (begins || (blank && translated))) {
      yield entryPart(pieces);
      pieces = [];
      count = 0;
    }
    if (blank) {
      yield* loose(pieces);
      pieces = [];
      yield field("blank line", offset, length, () => "empty");
    } else if (name === undefined) {
      throw new BitforbitError(
        "input",
        `${source.name}: PO, offset ${offset}: ${JSON.stringify(line.text.slice(0, 60))}`,
      );
    } else addLine(pieces, name, line, keyword !== undefined);
  }
  if (pieces.some((piece) => piece.name === "msgid")) yield entryPart(pieces);
  else yield* loose(pieces);
}

function commentName(text: string): string | undefined {
  return COMMENTS.find(([start]) => text.startsWith(start))?.[1];
}

function addLine(pieces: Piece[], name: string, line: Line, starts: boolean): void {
  const last = pieces.at(-1);
  if (last === undefined || last.name !== name || starts) pieces.push({ name, lines: [line] });
  else last.lines.push(line);
}

/** Comments that belong to no entry. */
function* loose(pieces: readonly Piece[]): Generator<Part> {
  for (const piece of pieces) yield pieceField(piece);
}

function entryPart(pieces: readonly Piece[]): Part {
  const value = (name: string): string | undefined => {
    const piece = pieces.find((one) => one.name === name);
    return piece === undefined ? undefined : valueOf(piece);
  };
  const context = value("msgctxt");
  const msgid = value("msgid") ?? "";
  const header = msgid === "" && context === undefined;
  const key = header ? "header" : `${context === undefined ? "" : `${context} | `}${msgid}`.slice(0, 200);
  const [first] = pieces;
  const last = pieces.at(-1)?.lines.at(-1);
  const offset = first?.lines[0]?.offset ?? 0;
  const end = last === undefined ? offset : last.offset + last.length;
  return {
    ...group(key, offset, end - offset, function* () {
      for (const piece of pieces) {
        if (header && piece.name === "msgstr") yield* headerFields(piece);
        else yield pieceField(piece);
      }
    }),
    show: () => (value("msgstr") ?? "").slice(0, SHOWN),
  };
}

function pieceField({ name, lines }: Piece): Part {
  const [first] = lines;
  const last = lines.at(-1);
  const offset = first?.offset ?? 0;
  const end = last === undefined ? offset : last.offset + last.length;
  return field(name, offset, end - offset, () => valueOf({ name, lines }).slice(0, SHOWN));
}

function valueOf({ name, lines }: Piece): string {
  if (!name.startsWith("msg")) return lines.map(({ text }) => text.replace(/^#[:,.|~]? ?/, "")).join("\n");
  return lines.map(({ text }) => unquoted(text)).join("");
}

const ESCAPES: Readonly<Record<string, string>> = { n: "\n", t: "\t", r: "\r" };

function unquoted(line: string): string {
  const text = line.replace(/^[^"]*"/, "").replace(/"\s*$/, "");
  return text.replaceAll(/\\(.)/g, (_, character: string) => ESCAPES[character] ?? character);
}

/** The header's fields stand one on a line. */
function* headerFields({ lines }: Piece): Generator<Part> {
  for (const { offset, length, text } of lines) {
    const [, name = "", value = ""] = /^([^:\s]+): *([^]*?)\n?$/.exec(unquoted(text)) ?? ["", "msgstr", ""];
    yield field(name, offset, length, () => value.slice(0, SHOWN));
  }
}
