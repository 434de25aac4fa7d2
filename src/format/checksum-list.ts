import { showable } from "../bytes.ts";
import type { ByteSource } from "../bytesource.ts";
import { BitforbitError } from "../errors.ts";
import { type LineSpan, lineSpans } from "./line-spans.ts";
import { derived, field, group, type Part } from "./part.ts";

/**
 * Lists of files with their checksums, one file a line, in the forms of
 * sha256sum(1) and its like, of BSD's, and of a wheel's RECORD (the binary
 * distribution format, "The .dist-info directory"):
 *
 *     0123abcd…  path          0123abcd… *path          SHA256 (path) = 0123abcd…
 *     path,sha256=base64url,size
 *
 * The digests follow from the files, so they are derived.
 */
const SUM = /^(\\?[0-9a-fA-F]{32,128}) [ *](.+)$/;
const TAGGED = /^([A-Z0-9-]+ \()(.*)(\) = )([0-9a-fA-F]{32,128})$/;

interface Listed {
  path: string;
  /** Pieces of the line in order, without gaps; what is neither name nor derived belongs to none. */
  pieces: { what: "path" | "digest" | "size"; from: number; to: number }[];
}

/** A `SHA256SUMS`, `md5sums` and the like. Throws `input` for a line of another form. */
export function* checksumListParts(source: ByteSource): Generator<Part> {
  for (const line of lineSpans(source)) {
    const text = latin1(line);
    if (/^\s*(?:[#;].*)?$/.test(text)) {
      yield field("comment", line.offset, line.length, () => text);
      continue;
    }
    const listed = summed(text) ?? tagged(text);
    if (listed === undefined) throw bad(source, line, text);
    yield linePart(line, listed);
  }
}

function summed(text: string): Listed | undefined {
  const match = SUM.exec(text);
  if (match === null) return undefined;
  const to = (match[1] ?? "").length;
  const pieces: Listed["pieces"] = [
    { what: "digest", from: 0, to },
    { what: "path", from: to + 2, to: text.length },
  ];
  return { path: match[2] ?? "", pieces };
}

function tagged(text: string): Listed | undefined {
  const match = TAGGED.exec(text);
  if (match === null) return undefined;
  const [, open = "", path = "", close = ""] = match;
  const pieces: Listed["pieces"] = [
    { what: "path", from: open.length, to: open.length + path.length },
    { what: "digest", from: open.length + path.length + close.length, to: text.length },
  ];
  return { path, pieces };
}

const RECORD = /^("(?:[^"]|"")*"|[^,"]*),([A-Za-z0-9_]+=[^,]*|),([0-9]*)$/;

/** A wheel's `RECORD`. Throws `input` for a line of another form. */
export function* wheelRecordParts(source: ByteSource): Generator<Part> {
  for (const line of lineSpans(source)) {
    const text = latin1(line);
    const match = RECORD.exec(text);
    if (match === null) throw bad(source, line, text);
    const [, path = "", digest = ""] = match;
    const pieces: Listed["pieces"] = [
      { what: "path", from: 0, to: path.length },
      { what: "digest", from: path.length + 1, to: path.length + 1 + digest.length },
      { what: "size", from: path.length + digest.length + 2, to: text.length },
    ];
    const name = path.startsWith('"') ? path.slice(1, -1).replaceAll('""', '"') : path;
    yield linePart(line, { path: name, pieces });
  }
}

function linePart(line: LineSpan, { path, pieces }: Listed): Part {
  const key = showable(Buffer.from(path, "latin1"));
  const text = latin1(line);
  const parts = (): Part[] =>
    pieces
      .filter(({ from, to }) => to > from)
      .map(({ what, from, to }) =>
        what === "path"
          ? field(what, line.offset + from, to - from, () => key)
          : derived(what, line.offset + from, to - from),
      );
  return { ...group(key, line.offset, line.length, parts), show: () => text.slice(0, 400) };
}

/** Characters that count as the bytes do. */
function latin1({ bytes }: LineSpan): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1");
}

function bad(source: ByteSource, line: LineSpan, text: string): BitforbitError {
  const found = JSON.stringify(text.slice(0, 60));
  return new BitforbitError("input", `${source.name}: list of checksums, offset ${line.offset}: ${found} is no entry`);
}
