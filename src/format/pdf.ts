import { showable } from "../bytes.ts";
import type { ByteSource } from "../bytesource.ts";
import { BitforbitError } from "../errors.ts";
import { latin1 } from "./json-index.ts";
import { derived, field, group, type Part } from "./part.ts";
import { knownFilters, type PdfFilter, unfiltered } from "./pdf-filters.ts";
import { entriesOf, entryText, isDictionary, objectEnd, skipWhite } from "./pdf-syntax.ts";

/**
 * PDF (ISO 32000-2, section 7.5): "%PDF-1.7", then objects, cross-reference
 * tables and trailers one after another, as often as the file was added to:
 *
 *     12 0 obj  << /Type /Page … >>  [stream … endstream]  endobj
 *     xref … trailer << … >> startxref 1234 %%EOF
 *
 * The file is read from its beginning, never by its tables, so that what they
 * leave out is seen as well. Objects go by their numbers and what they are,
 * entries of dictionaries by their names, streams are contents without their
 * filters. In an encrypted file they stay as they are.
 */
const MAX_BYTES = 256 << 20;
const MAX_OBJECTS = 2_000_000;
const MAX_REVISIONS = 10_000;
const MAX_STREAM = 512 << 20;
const SHOWN = 300;
const MAX_DEPTH = 16;
/** Where things stand and how long they are follows from them. */
const FOLLOWING = new Set(["Length", "Size", "Prev", "Index", "XRefStm", "First", "N", "W"]);

interface Pdf {
  bytes: Uint8Array;
  name: string;
  encrypted: boolean;
}

export function pdfParts(source: ByteSource, name: string): Iterable<Part> {
  if (source.size > MAX_BYTES) throw new BitforbitError("limit", `${name}: PDF of more than ${MAX_BYTES} bytes`);
  const bytes = source.read(0, source.size).slice();
  const start = latin1(bytes, 0, Math.min(1024, bytes.length)).indexOf("%PDF-");
  if (start < 0) throw new BitforbitError("input", `${name}: PDF, offset 0: no %PDF- in the first 1024 bytes`);
  const pdf = { bytes, name, encrypted: isEncrypted(bytes) };
  return topParts(pdf, start);
}

/** An Encrypt entry in a trailer or a stream of cross-references, which always stands near the end of a file or a revision. */
function isEncrypted(bytes: Uint8Array): boolean {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  for (const word of ["trailer", "/XRef"]) {
    let looks = 0;
    for (let at = buffer.indexOf(word); at >= 0 && looks < MAX_REVISIONS; at = buffer.indexOf(word, at + word.length)) {
      looks++;
      const near = latin1(bytes, Math.max(0, at - 1024), Math.min(bytes.length, at + 1024));
      if (/\/Encrypt[\s<]/.test(near)) return true;
    }
  }
  return false;
}

function* topParts(pdf: Pdf, start: number): Generator<Part> {
  const { bytes } = pdf;
  const header = lineEnd(bytes, start);
  if (start > 0) yield { key: "before the header", kind: "bytes", offset: 0, length: start };
  yield field("version", start, header - start, () => latin1(bytes, start, header).trim());
  let at = header;
  for (let count = 0; at < bytes.length; count++) {
    if (count > MAX_OBJECTS) throw new BitforbitError("limit", `${pdf.name}: more than ${MAX_OBJECTS} objects`);
    const next = skipWhite(bytes, at);
    const gap = gapPart(bytes, at, next);
    if (gap !== undefined) yield gap;
    if (next >= bytes.length) return;
    const part = objectPart(pdf, next) ?? tablePart(pdf, next) ?? strayPart(bytes, next);
    yield part;
    at = next + part.length;
  }
}

function gapPart(bytes: Uint8Array, from: number, to: number): Part | undefined {
  if (to === from) return undefined;
  const comment = bytes.subarray(from, to).includes(0x25);
  if (!comment) return { key: "white space", kind: "padding", offset: from, length: to - from };
  return field("comment", from, to - from, () => showable(bytes.subarray(from, Math.min(to, from + SHOWN))).trim());
}

/** What begins nothing known: up to the next line, and those after it that begin nothing either. */
function strayPart(bytes: Uint8Array, from: number): Part {
  let at = lineEnd(bytes, from);
  while (
    at < bytes.length &&
    !/^(?:\d+ \d+ obj|xref|trailer|startxref|%%EOF)/.test(latin1(bytes, at, Math.min(bytes.length, at + 32)))
  ) {
    at = lineEnd(bytes, at);
  }
  return { key: "between objects", kind: "bytes", offset: from, length: at - from };
}

function lineEnd(bytes: Uint8Array, from: number): number {
  for (let at = from; at < bytes.length; at++) {
    if (bytes[at] === 10) return at + 1;
    if (bytes[at] === 13) return bytes[at + 1] === 10 ? at + 2 : at + 1;
  }
  return bytes.length;
}

function objectPart(pdf: Pdf, at: number): Part | undefined {
  const { bytes } = pdf;
  const head = /^(\d{1,10})[\0\t\n\f\r ]+(\d{1,5})[\0\t\n\f\r ]+obj/.exec(
    latin1(bytes, at, Math.min(bytes.length, at + 40)),
  );
  if (head === null) return undefined;
  const value = skipWhite(bytes, at + head[0].length);
  const valueEnd = objectEnd(bytes, value);
  const stream = valueEnd < 0 ? undefined : streamAfter(bytes, value, valueEnd);
  const closing = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).indexOf(
    "endobj",
    stream?.end ?? Math.max(value, valueEnd),
  );
  const end = closing < 0 ? bytes.length : closing + 6;
  const key = `object ${Number(head[1])} ${Number(head[2])}${kindOf(bytes, value)}`;
  return group(key, at, end - at, () => insideObject(pdf, { at, value, valueEnd, stream, end }));
}

/** What an object is, as its dictionary says. */
function kindOf(bytes: Uint8Array, value: number): string {
  const type = entryText(bytes, value, "Type", 40) ?? entryText(bytes, value, "Subtype", 40);
  if (type?.startsWith("/") === true) return ` (${type.slice(1)})`;
  const about = entryText(bytes, value, "Producer") ?? entryText(bytes, value, "CreationDate");
  return about === undefined ? "" : " (Info)";
}

interface Stream {
  from: number;
  to: number;
  /** After "endstream". */
  end: number;
}

function streamAfter(bytes: Uint8Array, value: number, valueEnd: number): Stream | undefined {
  const word = skipWhite(bytes, valueEnd);
  if (latin1(bytes, word, Math.min(bytes.length, word + 6)) !== "stream") return undefined;
  let from = word + 6;
  if (bytes[from] === 13) from++;
  if (bytes[from] === 10) from++;
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const length = /^\d{1,10}$/.exec(entryText(bytes, value, "Length", 16) ?? "")?.[0];
  const stated = length === undefined ? undefined : from + Number(length);
  if (stated !== undefined && stated < bytes.length) {
    const after = skipWhite(bytes, stated);
    if (after - stated <= 2 && latin1(bytes, after, Math.min(bytes.length, after + 9)) === "endstream") {
      return { from, to: stated, end: after + 9 };
    }
  }
  const found = buffer.indexOf("endstream", from);
  if (found < 0) return { from, to: bytes.length, end: bytes.length };
  let to = found;
  if (to > from && bytes[to - 1] === 10) to--;
  if (to > from && bytes[to - 1] === 13) to--;
  return { from, to, end: found + 9 };
}

interface Placed {
  at: number;
  value: number;
  valueEnd: number;
  stream: Stream | undefined;
  end: number;
}

function* insideObject(pdf: Pdf, { at, value, valueEnd, stream, end }: Placed): Generator<Part> {
  yield derived("number", at, value - at);
  if (valueEnd < 0) {
    if (end > value) yield { key: "broken", kind: "bytes", offset: value, length: end - value };
    return;
  }
  yield* valueParts(pdf, value, valueEnd, 0);
  if (stream !== undefined) {
    yield derived("keyword", valueEnd, stream.from - valueEnd);
    yield streamPart(pdf, value, stream);
    if (end > stream.to) yield derived("keyword", stream.to, end - stream.to);
  } else if (end > valueEnd) yield derived("keyword", valueEnd, end - valueEnd);
}

function* valueParts(pdf: Pdf, value: number, end: number, depth: number): Generator<Part> {
  const { bytes } = pdf;
  if (!isDictionary(bytes, value) || depth > MAX_DEPTH) {
    yield { ...field("value", value, end - value, () => shownValue(bytes, value, end)) };
    return;
  }
  const entries = [...entriesOf(bytes, value)];
  const first = entries[0]?.from ?? end - 2;
  yield derived("bracket", value, first - value);
  let at = first;
  for (const entry of entries) {
    const { name, from, to } = entry;
    if (FOLLOWING.has(name)) yield derived(name, from, to - from);
    else if (isDictionary(bytes, entry.value)) {
      yield group(name, from, to - from, function* () {
        yield derived("name", from, entry.value - from);
        yield* valueParts(pdf, entry.value, entry.valueEnd, depth + 1);
        if (to > entry.valueEnd) yield derived("white space", entry.valueEnd, to - entry.valueEnd);
      });
    } else yield field(name, from, to - from, () => shownValue(bytes, entry.value, entry.valueEnd));
    at = to;
  }
  if (end > at) yield derived("end bracket", at, end - at);
}

/** Strings in UTF-16 are decoded, everything else is shown as it is written. */
function shownValue(bytes: Uint8Array, from: number, end: number): string {
  const to = Math.min(end, from + SHOWN);
  const text = latin1(bytes, from, to);
  if (text.startsWith("(\xfe\xff")) return `(${utf16(Buffer.from(text.slice(3, -1), "latin1"))})`;
  return showable(bytes.subarray(from, to));
}

/** Big-endian; escaped brackets are rare enough to be shown as they are. */
function utf16(bytes: Buffer): string {
  return bytes
    .subarray(0, bytes.length & ~1)
    .swap16()
    .toString("utf16le");
}

function streamPart(pdf: Pdf, dictionary: number, { from, to }: Stream): Part {
  const { bytes } = pdf;
  const offset = from;
  const length = to - from;
  const type = entryText(bytes, dictionary, "Type", 40);
  if (type === "/XRef") return derived("cross-references", offset, length);
  if (pdf.encrypted) return { key: "stream", kind: "bytes", offset, length, note: "encrypted: not looked into" };
  const all = filtersOf(bytes, dictionary);
  const filters = all.slice(0, knownFilters(all));
  const name = nameOf(bytes, dictionary, type, all[filters.length]?.name);
  const content: Part = { key: "stream", kind: "content", offset, length, ...(name === undefined ? {} : { name }) };
  if (filters.length === 0) return content;
  const run: NonNullable<Part["decode"]>["run"] = (sink, { maxBytes }) => {
    sink(unfiltered(bytes.subarray(from, to), filters, Math.min(maxBytes, MAX_STREAM)));
    return Promise.resolve();
  };
  return { ...content, decode: { name: filters.map((filter) => filter.name).join(", "), run } };
}

function nameOf(
  bytes: Uint8Array,
  dictionary: number,
  type: string | undefined,
  left: string | undefined,
): string | undefined {
  if (type === "/ObjStm") return "objects.pdf-objects";
  if (type === "/Metadata") return "metadata.xml";
  if (left === "DCTDecode") return "image.jpg";
  return entryText(bytes, dictionary, "Length1", 8) === undefined ? undefined : "font";
}

function filtersOf(bytes: Uint8Array, dictionary: number): PdfFilter[] {
  const filters = entryText(bytes, dictionary, "Filter") ?? entryText(bytes, dictionary, "F") ?? "";
  const parameters = entryText(bytes, dictionary, "DecodeParms") ?? entryText(bytes, dictionary, "DP") ?? "";
  const each = parameters.startsWith("[")
    ? parameters
        .slice(1)
        .split(/(?=<<|null)/)
        .filter((one) => one.trim() !== "")
    : [parameters];
  return [...filters.matchAll(/\/([A-Za-z0-9]+)/g)].slice(0, 8).map(([, name = ""], index) => {
    const number = (key: string, otherwise: number): number => {
      const found = new RegExp(`/${key}\\s+(\\d{1,9})`).exec(each[index] ?? "")?.[1];
      return found === undefined ? otherwise : Number(found);
    };
    return {
      name,
      predictor: number("Predictor", 1),
      colors: number("Colors", 1),
      bits: number("BitsPerComponent", 8),
      columns: number("Columns", 1),
      earlyChange: number("EarlyChange", 1),
    };
  });
}

function tablePart(pdf: Pdf, at: number): Part | undefined {
  const { bytes } = pdf;
  const word = /^(?:xref|trailer|startxref)/.exec(latin1(bytes, at, Math.min(bytes.length, at + 9)))?.[0];
  if (word === "trailer") {
    const value = skipWhite(bytes, at + 7);
    const end = objectEnd(bytes, value);
    if (end < 0 || !isDictionary(bytes, value)) return undefined;
    return group("trailer", at, end - at, function* () {
      yield derived("keyword", at, value - at);
      yield* valueParts(pdf, value, end, 0);
    });
  }
  if (word === undefined) return undefined;
  const next = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).indexOf(
    word === "xref" ? "trailer" : "%%EOF",
    at,
  );
  const end = next < 0 ? bytes.length : next + (word === "xref" ? 0 : 5);
  return derived(word, at, end - at);
}

/**
 * The content of an object stream (section 7.5.7): pairs of a number and an
 * offset, then the objects, which have no generation and no stream.
 */
export function* pdfObjectStreamParts(source: ByteSource, name: string): Generator<Part> {
  if (source.size > MAX_BYTES) throw new BitforbitError("limit", `${name}: objects of more than ${MAX_BYTES} bytes`);
  const bytes = source.read(0, source.size).slice();
  const pdf = { bytes, name, encrypted: false };
  const numbers: number[] = [];
  let at = skipWhite(bytes, 0);
  while ((bytes[at] ?? 0) >= 0x30 && (bytes[at] ?? 0) <= 0x39) {
    const digits = /^\d{1,10}/.exec(latin1(bytes, at, Math.min(bytes.length, at + 10)))?.[0] ?? "";
    numbers.push(Number(digits));
    at = skipWhite(bytes, at + digits.length);
    // An object may be a number itself: the offsets of the pairs say how many there are.
    if (numbers.length % 2 === 0 && numbers.length >= 4 && (numbers.at(-1) ?? 0) <= (numbers.at(-3) ?? 0)) break;
  }
  if (numbers.length < 2) throw new BitforbitError("input", `${name}: PDF objects, offset 0: no numbers`);
  yield derived("numbers and offsets", 0, at);
  const first = at;
  for (let index = 0; index + 1 < numbers.length; index += 2) {
    const from = first + (numbers[index + 1] ?? 0);
    const to = index + 3 < numbers.length ? first + (numbers[index + 3] ?? 0) : bytes.length;
    if (from < at || to <= from || to > bytes.length) continue;
    at = to;
    const end = objectEnd(bytes, from);
    const key = `object ${numbers[index]} 0${kindOf(bytes, from)}`;
    if (end < 0 || end > to) yield { key, kind: "bytes", offset: from, length: to - from };
    else yield group(key, from, to - from, () => valueParts(pdf, from, end, 0));
  }
}
