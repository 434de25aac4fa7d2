import type { ByteSource } from "../bytesource.ts";
import { showable } from "../bytes.ts";
import { encodedJson } from "./json-strings.ts";
import {
  ARRAY,
  bomLength,
  indexJson,
  type JsonIndex,
  type JsonMember,
  membersOf,
  OBJECT,
  type Span,
  textOf,
  unescaped,
} from "./json-index.ts";
import { derived, field, group, type Part } from "./part.ts";
import { mappingParts, sourceNames } from "./source-map.ts";

/**
 * Cuts JSON (RFC 8259), lines of JSON, and source maps (ECMA-426):
 *
 *     group "dependencies"          a member: from after the comma before it to after its own
 *       padding whitespace          before the name, before the colon, before and after the value
 *       field name                  `"dependencies"`
 *       field value, or content, or `{`, groups of members, `}`
 *       derived punctuation         the colon, brackets, and the comma: there when another member follows
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

function* documentParts(index: JsonIndex): Generator<Part> {
  const { bytes, roots } = index;
  const bom = bomLength(bytes);
  if (bom > 0) yield field("byte order mark", 0, bom, () => "UTF-8");
  let at = bom;
  const [only] = roots;
  if (roots.length === 1 && only !== undefined) {
    yield whitespace(at, only.start);
    yield* valueParts(index, only, isSourceMap(index, only) ? "source map" : "value", undefined);
    at = only.end;
  } else {
    const names = elementNames(index, () => roots, true);
    for (const [place, root] of roots.entries()) {
      const from = at;
      yield group(names(root, place), at, root.end - at, () => lineParts(index, from, root));
      at = root.end;
    }
  }
  yield whitespace(at, bytes.length);
}

function* lineParts(index: JsonIndex, from: number, root: Span): Generator<Part> {
  yield whitespace(from, root.start);
  yield* valueParts(index, root, "value", undefined);
}

function whitespace(from: number, to: number): Part {
  return { key: "whitespace", kind: "padding", offset: from, length: to - from };
}

/** `key` is what a field of the value is called; `called` the member's name, if it is one. */
function* valueParts(index: JsonIndex, value: Span, key: string, called: string | undefined): Generator<Part> {
  const { bytes } = index;
  const first = bytes[value.start];
  if (first === OBJECT || first === ARRAY) {
    yield derived("punctuation", value.start, 1);
    const at = yield* key === "source map" ? sourceMapParts(index, value) : memberParts(index, value.start);
    yield whitespace(at, value.end - 1);
    yield derived("punctuation", value.end - 1, 1);
    return;
  }
  yield scalarPart(index, value, key, called);
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

/** Gives where the last member ends. */
function* memberParts(
  index: JsonIndex,
  start: number,
  inside: (member: JsonMember, key: string) => Part | undefined = () => undefined,
): Generator<Part, number> {
  const nameOf = index.bytes[start] === ARRAY ? elementNames(index, () => elements(index, start), false) : undefined;
  let at = start + 1;
  let place = 0;
  for (const member of membersOf(index, start)) {
    const { name, from, to } = member;
    const key =
      name === undefined ? (nameOf?.(member.value, place) ?? "") : textOf(index.bytes, name).slice(0, MAX_NAME);
    place++;
    yield group(key, from, to - from, () => insideMember(index, member, key, inside(member, key)));
    at = to;
  }
  return at;
}

function* insideMember(index: JsonIndex, member: JsonMember, key: string, special: Part | undefined): Generator<Part> {
  const { from, name, colon, value, comma } = member;
  yield whitespace(from, name?.start ?? value.start);
  if (name !== undefined) {
    yield field("name", name.start, name.end - name.start, () => shown(index.bytes, name));
    yield whitespace(name.end, colon);
    yield derived("punctuation", colon, 1);
    yield whitespace(colon + 1, value.start);
  }
  if (special !== undefined) yield special;
  else yield* valueParts(index, value, "value", name === undefined ? undefined : key);
  if (comma === undefined) return;
  yield whitespace(value.end, comma);
  yield derived("punctuation", comma, 1);
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
function* sourceMapParts(index: JsonIndex, root: Span): Generator<Part, number> {
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
  return yield* memberParts(index, root.start, ({ value }, key) => {
    const first = index.bytes[value.start];
    const length = value.end - value.start;
    if (key === "mappings" && first === 0x22) {
      return group("", value.start, length, () => mappingParts(index.bytes, value, sources, list("names")));
    }
    if (key === "sourcesContent" && first === ARRAY) {
      return group("", value.start, length, () => sourceContentParts(index, value, sources));
    }
    return undefined;
  });
}

function* sourceContentParts(index: JsonIndex, list: Span, sources: readonly string[]): Generator<Part> {
  yield derived("punctuation", list.start, 1);
  let at = list.start + 1;
  let place = 0;
  for (const member of membersOf(index, list.start)) {
    const { from, to, value } = member;
    const key = sources[place] ?? `[${place}]`;
    place++;
    const content = (): Part | undefined =>
      index.bytes[value.start] === 0x22 ? { ...textContent(index, value), name: key } : undefined;
    yield group(key, from, to - from, () => insideMember(index, member, key, content()));
    at = to;
  }
  yield whitespace(at, list.end - 1);
  yield derived("punctuation", list.end - 1, 1);
}
