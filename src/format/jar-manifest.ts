import { showable } from "../bytes.ts";
import type { ByteSource } from "../bytesource.ts";
import { BitforbitError } from "../errors.ts";
import { lineSpans } from "./line-spans.ts";
import { derived, field, group, type Part } from "./part.ts";

/**
 * A jar's META-INF/MANIFEST.MF and its signature files (JAR File
 * Specification, "JAR Manifest"): sections between blank lines, each but the
 * first beginning with `Name:`; lines of at most 72 bytes, which go on in lines
 * that begin with one blank. OSGi's headers are lists of clauses.
 */
const MAX_SECTION = 8 << 20;
const SHOWN = 400;
const DIGEST = /-Digest(?:-Manifest(?:-Main-Attributes)?)?$/;
const CLAUSES =
  /^(?:(?:Import|Export|Private|DynamicImport|Ignore)-Package|(?:Provide|Require)-Capability|Require-Bundle|Class-Path|Include-Resource|Bundle-ClassPath|Service-Component)$/;

/** Where the characters of a value that goes over several lines stand. */
interface Header {
  name: string;
  offset: number;
  end: number;
  /** Latin-1: a character is a byte. */
  value: string;
  /** In the order of the value: from which character on, and where that stands in the file. */
  lines: { from: number; offset: number }[];
}

/** Sections by their names, headers by theirs; digests are derived. Throws `input` for what is no header. */
export function* jarManifestParts(source: ByteSource): Generator<Part> {
  let headers: Header[] = [];
  let blankAt: number | undefined;
  let end = 0;
  for (const line of lineSpans(source)) {
    const { offset, length, bytes } = line;
    end = offset + length;
    const text = Buffer.from(bytes).toString("latin1");
    if (text === "") {
      blankAt ??= offset;
      continue;
    }
    if (blankAt !== undefined) {
      if (headers.length > 0) yield sectionPart(headers, blankAt);
      headers = [];
      yield field("blank lines", blankAt, offset - blankAt, () => "");
      blankAt = undefined;
    }
    const last = headers.at(-1);
    if (text.startsWith(" ") && last !== undefined) {
      last.lines.push({ from: last.value.length, offset: offset + 1 });
      last.value += text.slice(1);
      last.end = end;
    } else headers.push(headerOf(source, text, offset, end));
    if (end - (headers[0]?.offset ?? 0) > MAX_SECTION) {
      throw new BitforbitError("limit", `${source.name}: a section of over ${MAX_SECTION} bytes`);
    }
  }
  if (headers.length > 0) yield sectionPart(headers, blankAt ?? end);
  if (blankAt !== undefined) yield field("blank lines", blankAt, end - blankAt, () => "");
}

function headerOf(source: ByteSource, text: string, offset: number, end: number): Header {
  const match = /^([A-Za-z0-9][\w-]*): ?/.exec(text);
  if (match === null) {
    const found = JSON.stringify(text.slice(0, 60));
    throw new BitforbitError(
      "input",
      `${source.name}: manifest, offset ${offset}: ${found}, where a header is expected`,
    );
  }
  const from = match[0].length;
  return { name: match[1] ?? "", offset, end, value: text.slice(from), lines: [{ from: 0, offset: offset + from }] };
}

function sectionPart(headers: readonly Header[], end: number): Part {
  const [first] = headers;
  const offset = first?.offset ?? end;
  const key = first?.name === "Name" ? utf8(first.value) : "";
  return group(key, offset, end - offset, () => headers.map(headerPart));
}

function headerPart(header: Header): Part {
  const { name, offset, end, value } = header;
  if (DIGEST.test(name)) return derived(name, offset, end - offset);
  const show = (): string => utf8(value.slice(0, SHOWN));
  if (!CLAUSES.test(name) || !value.includes(",")) return field(name, offset, end - offset, show);
  return { ...group(name, offset, end - offset, () => clauseParts(header)), show };
}

/** Each clause by its path; quotes may hold commas. */
function* clauseParts({ value, lines, offset, end, name }: Header): Generator<Part> {
  yield field("header", offset, (lines[0]?.offset ?? offset) - offset, () => name);
  let line = 0;
  const place = (at: number): number => {
    while ((lines[line + 1]?.from ?? Infinity) <= at) line++;
    const { from = 0, offset: start = offset } = lines[line] ?? {};
    return start + at - from;
  };
  let at = place(0);
  for (const match of value.matchAll(/(?:[^",]|"[^"]*"?)+/g)) {
    const from = place(match.index);
    // The comma, and a line's end with the blank behind it.
    if (from > at) yield derived("between", at, from - at);
    const stop = match.index + match[0].length;
    at = place(stop - 1) + 1;
    yield field(utf8(match[0].split(";", 1)[0] ?? "") || "(empty)", from, at - from, () =>
      utf8(match[0].slice(0, SHOWN)),
    );
  }
  if (end > at) yield derived("between", at, end - at);
}

function utf8(latin1: string): string {
  return showable(Buffer.from(latin1, "latin1"));
}
