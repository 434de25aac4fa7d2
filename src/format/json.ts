import type { ByteSource } from "../bytesource.ts";
import { showable } from "../bytes.ts";
import { encodedJson } from "./json-strings.ts";
import {
  ARRAY,
  blankEnd,
  bomLength,
  indexJson,
  type JsonIndex,
  type JsonMember,
  membersOf,
  OBJECT,
  latin1,
  type Span,
  textOf,
  unescaped,
} from "./json-index.ts";
import { blankPart, followingBlanks, type JsonLayout, layoutOf, leadingBlank } from "./json-layout.ts";
import { derived, field, group, type Part } from "./part.ts";
import { mappingsPart, sourceNames } from "./source-map.ts";

/**
 * Cuts JSON (RFC 8259), lines of JSON, and source maps (ECMA-426):
 *
 *     whitespace                    where the layout does not make one expect it: padding, otherwise derived
 *     group "dependencies"          a member
 *       field name                  `"dependencies"`
 *       derived punctuation         the colon, with whitespace around it
 *       field value, or content, or `{`, whitespace, groups of members, `}`
 *     derived punctuation           the comma
 *
 * Elements of arrays are called by what names them in their array ("name",
 * "id", "path", …), scalars by themselves, all others by their place. Long
 * strings are contents, and so is JSON in base64 (DSSE, JWT).
 */
export function jsonParts(source: ByteSource, name: string): Iterable<Part> {
  return documentParts(indexJson(source, name));
}

/** Strings longer than this are looked into. */
const LONG = 200;
const SHOWN = 300;
/** Members that may name an element, the better first. */
const NAMING =
  "bom-ref SPDXID id purl ref key name path url uri href file filename fileName relativePath location digest sha256 resolved package title slug code label version".split(
    " ",
  );
const MAX_NAME = 300;

/** What all parts of a document are made with. */
interface Document {
  index: JsonIndex;
  layout: JsonLayout;
}

function* documentParts(index: JsonIndex): Generator<Part> {
  const { bytes, roots } = index;
  const document = { index, layout: layoutOf(index) };
  const bom = bomLength(bytes);
  if (bom > 0) yield field("byte order mark", 0, bom, () => "UTF-8");
  let at = bom;
  const [only] = roots;
  if (roots.length === 1 && only !== undefined) {
    yield blankPart(bytes, at, only.start, undefined);
    yield* valueParts(document, only, 0, isSourceMap(index, only) ? "source map" : "value", undefined);
    at = only.end;
  } else {
    const names = elementNames(index, () => roots, true);
    for (const [place, root] of roots.entries()) {
      yield blankPart(bytes, at, root.start, place === 0 ? undefined : "\n");
      const { start, end } = root;
      const line = group(names(root, place), start, end - start, () =>
        valueParts(document, root, 0, "value", undefined),
      );
      yield { ...line, show: () => shown(bytes, root) };
      at = end;
    }
  }
  yield blankPart(bytes, at, bytes.length, undefined);
}

/** `key` is what a field of the value is called; `called` the member's name, if it is one. */
function* valueParts(
  document: Document,
  value: Span,
  depth: number,
  key: string,
  called: string | undefined,
): Generator<Part> {
  const { index } = document;
  const first = index.bytes[value.start];
  if (first === OBJECT || first === ARRAY) {
    const inside = key === "source map" ? sourceMapMembers(index, value) : undefined;
    yield* memberParts(document, value, depth, inside);
  } else yield scalarPart(index, value, key, called);
}

function scalarPart(index: JsonIndex, value: Span, key: string, called: string | undefined): Part {
  const { bytes } = index;
  const { start, end } = value;
  if (bytes[start] !== 0x22) return field(key, start, end - start, () => shown(bytes, value));
  const encoded = encodedJson(bytes, value);
  if (encoded !== undefined) return encoded;
  if (end - start <= LONG) return field(key, start, end - start, () => shown(bytes, value));
  const content = textContent(index, value);
  return called === undefined ? content : { ...content, name: called };
}

/** What a string stands for, as a text of its own. */
function textContent(index: JsonIndex, { start, end }: Span): Part {
  return {
    key: "",
    kind: "content",
    offset: start,
    length: end - start,
    decode: {
      name: "unescape",
      run: (sink) => {
        sink(unescaped(index.bytes, start + 1, end - 1));
        return Promise.resolve();
      },
    },
  };
}

function shown(bytes: Uint8Array, { start, end }: Span): string {
  const text = showable(bytes.subarray(start, Math.min(end, start + SHOWN)));
  return end - start > SHOWN ? `${text}…` : text;
}

type Special = (member: JsonMember, key: string) => Part | undefined;

/** An object or an array with its brackets. `special` may cut a member's value in another way. */
function* memberParts(document: Document, { start, end }: Span, depth: number, special?: Special): Generator<Part> {
  const { index, layout } = document;
  const { bytes } = index;
  const nameOf = bytes[start] === ARRAY ? elementNames(index, () => elements(index, start), false) : undefined;
  const leading = latin1(bytes, start + 1, Math.min(blankEnd(bytes, start + 1), start + 1024));
  const expected = followingBlanks(leading, layout, depth);
  yield derived("bracket", start, 1);
  let at = start + 1;
  let place = 0;
  // What parts two members goes by the first of them, so that it comes, goes and moves with it.
  let after = "whitespace";
  for (const member of membersOf(index, start)) {
    const { name, value } = member;
    const from = name?.start ?? value.start;
    yield blankPart(bytes, at, from, place === 0 ? leadingBlank(layout, depth) : expected.comma, after);
    const key = name === undefined ? (nameOf?.(value, place) ?? "") : textOf(bytes, name).slice(0, MAX_NAME);
    const usual = { depth, colon: depth === 0 && place === 0 ? undefined : layout.colon };
    place++;
    const cut = (): Iterable<Part> => insideMember(document, member, usual, key, special?.(member, key));
    yield { ...group(key, from, value.end - from, cut), show: () => shown(bytes, { start: from, end: value.end }) };
    at = value.end;
    if (member.comma === undefined) continue;
    if (member.comma > at) yield blankPart(bytes, at, member.comma, undefined);
    yield derived(`comma after ${key}`, member.comma, 1);
    after = `whitespace after ${key}`;
    at = member.comma + 1;
  }
  yield blankPart(bytes, at, end - 1, place === 0 ? "" : expected.close);
  yield derived("end bracket", end - 1, 1);
}

function* insideMember(
  document: Document,
  { name, colon, value }: JsonMember,
  usual: { depth: number; colon: string | undefined },
  key: string,
  special: Part | undefined,
): Generator<Part> {
  const { bytes } = document.index;
  if (name !== undefined) {
    yield field("name", name.start, name.end - name.start, () => shown(bytes, name));
    if (colon > name.end) yield blankPart(bytes, name.end, colon, undefined);
    yield derived("punctuation", colon, 1);
    yield blankPart(bytes, colon + 1, value.start, usual.colon);
  }
  if (special !== undefined) yield special;
  else yield* valueParts(document, value, usual.depth + 1, "value", name === undefined ? undefined : key);
}

function* elements(index: JsonIndex, start: number): Generator<Span> {
  for (const member of membersOf(index, start)) yield member.value;
}

type Naming = (value: Span, place: number) => string;

/** How the elements of an array are called: decided by all of them, so that both sides decide alike. */
function elementNames(index: JsonIndex, all: () => Iterable<Span>, lines: boolean): Naming {
  const { bytes } = index;
  const candidates = new Map<string, Set<string>>();
  let count = 0;
  for (const value of all()) {
    if (bytes[value.start] !== OBJECT) continue;
    count++;
    for (const member of membersOf(index, value.start)) {
      const key = namingKey(bytes, member);
      if (key === undefined) continue;
      const seen = candidates.get(key) ?? new Set();
      seen.add(textOf(bytes, member.value));
      candidates.set(key, seen);
    }
  }
  // A name that nearly every element has for itself.
  const chosen = NAMING.find((key) => (candidates.get(key)?.size ?? 0) * 10 >= count * 9 && count > 0);
  return (value, place) => {
    const numbered = lines ? `line ${place + 1}` : `[${place}]`;
    const first = bytes[value.start];
    if (first === ARRAY) return numbered;
    if (first !== OBJECT) return textOf(bytes, value).slice(0, MAX_NAME);
    if (chosen === undefined) return numbered;
    for (const member of membersOf(index, value.start)) {
      if (namingKey(bytes, member) === chosen) return textOf(bytes, member.value);
    }
    return numbered;
  };
}

function namingKey(bytes: Uint8Array, { name, value }: JsonMember): string | undefined {
  const first = bytes[value.start];
  if (name === undefined || name.end - name.start > 20 || first === OBJECT || first === ARRAY) return undefined;
  if (value.end - value.start > MAX_NAME) return undefined;
  const key = textOf(bytes, name);
  return NAMING.includes(key) ? key : undefined;
}

function isSourceMap(index: JsonIndex, root: Span): boolean {
  if (index.bytes[root.start] !== OBJECT) return false;
  const found = new Set<string>();
  for (const { name, value } of membersOf(index, root.start)) {
    if (name === undefined || name.end - name.start > 20) continue;
    const key = textOf(index.bytes, name);
    if (key !== "version" || textOf(index.bytes, value) === "3") found.add(key);
  }
  return found.has("version") && found.has("sources") && found.has("mappings");
}

/** A source map's members: the contents of its sources go by the sources' names, its mappings by where they lead. */
function sourceMapMembers(index: JsonIndex, root: Span): Special {
  const named = new Map<string, Span>();
  for (const { name, value } of membersOf(index, root.start)) {
    if (name !== undefined && name.end - name.start < 20) named.set(textOf(index.bytes, name), value);
  }
  const list = (key: string): string[] => {
    const value = named.get(key);
    if (value === undefined || index.bytes[value.start] !== ARRAY) return [];
    return [...elements(index, value.start)].map((span) => textOf(index.bytes, span).slice(0, MAX_NAME));
  };
  const sources = sourceNames(list("sources"));
  return ({ value }, key) => {
    const first = index.bytes[value.start];
    const length = value.end - value.start;
    if (key === "mappings" && first === 0x22) {
      const text = index.bytes.subarray(value.start + 1, value.end - 1);
      return mappingsPart(text, value.start, sources, list("names"));
    }
    if (key === "sourcesContent" && first === ARRAY) {
      return group("", value.start, length, () => sourceContentParts(index, value, sources));
    }
    return undefined;
  };
}

function* sourceContentParts(index: JsonIndex, list: Span, sources: readonly string[]): Generator<Part> {
  yield derived("punctuation", list.start, 1);
  let at = list.start + 1;
  let place = 0;
  for (const { value } of membersOf(index, list.start)) {
    yield derived("punctuation", at, value.start - at);
    const key = sources[place] ?? `[${place}]`;
    place++;
    if (index.bytes[value.start] === 0x22) yield { ...textContent(index, value), key, name: key };
    else yield field(key, value.start, value.end - value.start, () => shown(index.bytes, value));
    at = value.end;
  }
  yield derived("punctuation", at, list.end - at);
}
