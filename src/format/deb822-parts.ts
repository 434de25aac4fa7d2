import { showable } from "../bytes.ts";
import type { ByteSource } from "../bytesource.ts";
import { BitforbitError } from "../errors.ts";
import { lineSpans } from "./line-spans.ts";
import { derived, field, group, type Part } from "./part.ts";

/**
 * The cut of Debian's control data (deb822(5)): control, .dsc, .changes,
 * .buildinfo, Packages, Sources, Release, InRelease. Stanzas stand between
 * blank lines and are known by their Package; fields by their names, whose
 * values go on in lines that begin with a blank. Around it there may be an
 * OpenPGP armour (RFC 9580, section 7).
 */
const ARMOUR = "-----BEGIN PGP SIGNED MESSAGE-----";
const SIGNATURE = "-----BEGIN PGP SIGNATURE-----";
const MAX_STANZA = 16 << 20;
const SHOWN = 400;

/** Lists of files: digest and size first, the name last. They follow from the files. */
const CHECKSUMS = /^(?:files|checksums-.*|md5sum|sha1|sha256|sha512|size)$/i;
/** Lists of packages, with commas between. */
const RELATIONS =
  /^(?:pre-depends|depends|recommends|suggests|enhances|breaks|conflicts|provides|replaces|build-.*|built-using|static-built-using|installed-build-depends|binary|uploaders|package-list)$/i;

interface Stanza {
  key: string | undefined;
  offset: number;
  end: number;
  /** Where the blank lines behind it end; less than `end` where there are none. */
  blanksEnd: number;
}

/** Stanzas, and the armour's parts. Throws `input` for lines that are neither fields nor go on with one, `limit`. */
export function* deb822Parts(source: ByteSource): Generator<Part> {
  let stanza: Stanza | undefined;
  let armoured = false;
  for (const line of lineSpans(source)) {
    const text = showable(line.bytes);
    const { offset } = line;
    const end = offset + line.length;
    const blank = text.trim() === "";
    if (offset === 0 && text === ARMOUR) armoured = true;
    else if (armoured) {
      if (!blank) continue;
      armoured = false;
      yield field("armour", 0, end, () => showable(source.read(0, Math.min(end, SHOWN))));
    } else if (text === SIGNATURE) {
      if (stanza !== undefined) yield stanzaPart(source, stanza);
      const length = source.size - offset;
      return yield { key: "signature", kind: "content", offset, length, name: "signature.asc" };
    } else if (blank && stanza === undefined) yield field("blank lines", offset, line.length, () => "1");
    else if (blank && stanza !== undefined) stanza.blanksEnd = end;
    else {
      if (stanza !== undefined && stanza.blanksEnd > stanza.end) {
        yield stanzaPart(source, stanza);
        stanza = undefined;
      }
      stanza = withLine(source, stanza, text, offset, end);
    }
  }
  if (armoured) throw bad(source, source.size, "an armour that does not end");
  if (stanza !== undefined) yield stanzaPart(source, stanza);
}

const FIELD = /^([!-,.-9;-~][!-9;-~]*):[ \t]*(.*)$/;

function withLine(source: ByteSource, known: Stanza | undefined, text: string, offset: number, end: number): Stanza {
  const stanza = known ?? { key: undefined, offset, end, blanksEnd: 0 };
  stanza.end = end;
  if (end - stanza.offset > MAX_STANZA) throw new BitforbitError("limit", `${source.name}: a stanza of over 16 MiB`);
  if (text.startsWith("#")) return stanza;
  if (/^[ \t]/.test(text)) {
    if (known === undefined) throw bad(source, offset, "a line that goes on without a field");
    return stanza;
  }
  const match = FIELD.exec(text);
  if (match === null) throw bad(source, offset, `${JSON.stringify(text.slice(0, 60))}, where a field is expected`);
  const [, name = "", value = ""] = match;
  if (/^package$/i.test(name)) stanza.key = value.trim();
  else if (/^source$/i.test(name)) stanza.key ??= `source ${value.trim()}`;
  return stanza;
}

function stanzaPart(source: ByteSource, { key, offset, end, blanksEnd }: Stanza): Part {
  const blanks = Math.max(0, blanksEnd - end);
  return group(key ?? "", offset, end - offset + blanks, function* () {
    yield* fieldParts(source, offset, end);
    if (blanks > 0) yield field("blank lines", end, blanks, () => String(blanks));
  });
}

interface Folded {
  name: string;
  offset: number;
  /** Where the value begins in the first line, and that line's end without what ends it. */
  valueOffset: number;
  first: string;
  firstEnd: number;
  more: { offset: number; length: number; text: string }[];
  end: number;
}

function* fieldParts(source: ByteSource, from: number, end: number): Generator<Part> {
  let folded: Folded | undefined;
  for (const line of lineSpans(source, from, end)) {
    const text = showable(line.bytes);
    const { offset, length } = line;
    if (/^[ \t]/.test(text) && folded !== undefined) {
      folded.more.push({ offset, length, text: text.trim() });
      folded.end = offset + length;
      continue;
    }
    if (folded !== undefined) yield fieldPart(source, folded);
    folded = undefined;
    if (text.startsWith("#")) yield field("comment", offset, length, () => text.slice(1).trim());
    else {
      const [, name = "", value = ""] = FIELD.exec(text) ?? [];
      const firstEnd = offset + line.bytes.length;
      const valueOffset = offset + line.bytes.indexOf(0x3a) + 1;
      folded = { name, offset, valueOffset, first: value.trim(), firstEnd, more: [], end: offset + length };
    }
  }
  if (folded !== undefined) yield fieldPart(source, folded);
}

function fieldPart(source: ByteSource, folded: Folded): Part {
  const { name, offset, more, end, first } = folded;
  if (CHECKSUMS.test(name)) {
    if (more.length === 0) return derived(name, offset, end - offset);
    return group(name, offset, end - offset, () => checksumParts(folded));
  }
  const text = [first, ...more.map((line) => line.text)].filter((line) => line !== "").join(" ");
  if (RELATIONS.test(name) && text.includes(",")) {
    return {
      ...group(name, offset, end - offset, () => relationParts(source, folded)),
      show: () => text.slice(0, SHOWN),
    };
  }
  if (more.length === 0) return field(name, offset, end - offset, () => first.slice(0, SHOWN));
  return { key: name, kind: "content", offset, length: end - offset, show: () => text.slice(0, SHOWN) };
}

function* checksumParts({ name, offset, more }: Folded): Generator<Part> {
  const [first] = more;
  if (first !== undefined) yield field("field name", offset, first.offset - offset, () => name);
  for (const { offset: at, length, text } of more) yield derived(text.split(/\s+/).at(-1) || "(empty)", at, length);
}

/** Each package by its name; commas and line ends between follow from how many there are. */
function* relationParts(source: ByteSource, folded: Folded): Generator<Part> {
  const { offset, valueOffset, end, name } = folded;
  yield field("field name", offset, valueOffset - offset, () => name);
  const value = Buffer.from(source.read(valueOffset, end - valueOffset));
  // Latin-1, so that characters count as bytes do.
  for (const match of value.toString("latin1").matchAll(/[^\s,](?:[^,]*[^\s,])?|[\s,]+/g)) {
    const at = valueOffset + match.index;
    const { length } = match[0];
    if (/^[\s,]/.test(match[0])) yield derived("between", at, length);
    else {
      const text = showable(source.read(at, length)).replaceAll(/\s+/g, " ");
      yield field(/^[^\s(<[|]+/.exec(text)?.[0] ?? "(empty)", at, length, () => text);
    }
  }
}

function bad(source: ByteSource, offset: number, what: string): BitforbitError {
  return new BitforbitError("input", `${source.name}: control data, offset ${offset}: ${what}`);
}
