import type { ByteSource } from "../bytesource.ts";
import { AndroidBytes, type Chunk, headerParts, type StringPool, valueText } from "./android-chunks.ts";
import { derived, field, group, type Part } from "./part.ts";

/**
 * Android's binary XML: AndroidManifest.xml and what is under res/. A chunk of
 * type 3 that holds a pool of strings, the resource ids of attributes' names,
 * and a chunk for each begin and end of a namespace or an element:
 *
 *     line(4) comment(4), then of an element that begins: namespace(4) name(4) where attributes begin(2)
 *     size of each(2) how many(2) id, class, style(2 each), attributes: namespace(4) name(4) text(4) value(8)
 *
 * Strings are told by their number in the pool, which follows from the pool.
 */
const POOL = 0x0001;
const RESOURCE_IDS = 0x0180;
const NAMESPACE_BEGINS = 0x0100;
const NAMESPACE_ENDS = 0x0101;
const BEGINS = 0x0102;
const ENDS = 0x0103;
const TEXT = 0x0104;
const MAX_DEPTH = 200;
const NONE = 0xffff_ffff;

interface Node {
  chunk: Chunk;
  children: Node[];
  end: Chunk | undefined;
}

interface Document {
  bytes: AndroidBytes;
  pool: StringPool;
}

/** Pool, ids, and the elements within each other. Throws `input`. */
export function androidXmlParts(source: ByteSource): Part[] {
  const bytes = new AndroidBytes(source);
  const whole = bytes.chunk(0, source.size);
  if (whole.type !== 3) throw bytes.bad(0, `chunk ${whole.type}, where binary XML (3) is expected`);
  const chunks = [...bytes.chunks(whole.headerSize, whole.size)];
  const [first] = chunks;
  if (first === undefined) throw bytes.bad(8, "no chunks");
  const document = { bytes, pool: bytes.pool(first) };
  const parts = headerParts(0);
  const root: Node = { chunk: whole, children: [], end: undefined };
  const open = [root];
  for (const chunk of chunks.slice(1)) {
    const node: Node = { chunk, children: [], end: undefined };
    const top = open.at(-1) ?? root;
    if (chunk.type === ENDS && open.length > 1) {
      top.end = chunk;
      open.pop();
      continue;
    }
    top.children.push(node);
    if (chunk.type === BEGINS) open.push(node);
    if (open.length > MAX_DEPTH) throw bytes.bad(chunk.offset, `elements more than ${MAX_DEPTH} deep`);
  }
  parts.push(bytes.poolPart("strings", document.pool), ...root.children.map((node) => nodePart(document, node)));
  return parts;
}

function nodePart(document: Document, node: Node): Part {
  const { bytes, pool } = document;
  const { chunk } = node;
  const { offset, size, headerSize } = chunk;
  if (chunk.type === RESOURCE_IDS) {
    return group("resource ids", offset, size, function* () {
      yield* headerParts(offset);
      for (let at = offset + headerSize, nth = 0; at + 4 <= offset + size; at += 4, nth++) {
        const id = bytes.uint32(at);
        yield field(bytes.string(pool, nth) ?? "id", at, 4, () => `0x${id.toString(16).padStart(8, "0")}`);
      }
    });
  }
  if (chunk.type === BEGINS) return elementPart(document, node);
  const known = [NAMESPACE_BEGINS, NAMESPACE_ENDS, ENDS, TEXT, POOL].includes(chunk.type);
  if (!known || size < headerSize + 4 || headerSize < 16) {
    return { key: `chunk 0x${chunk.type.toString(16)}`, kind: "bytes", offset, length: size };
  }
  const what = chunk.type === TEXT ? "text" : chunk.type === ENDS ? "end" : "namespace";
  const nth =
    chunk.type === TEXT || chunk.type === ENDS ? bytes.uint32(offset + headerSize) : bytes.uint32(offset + size - 4);
  const key = `${what} ${bytes.string(pool, nth) ?? ""}`.slice(0, 200);
  return group(key, offset, size, () => [...lineParts(document, chunk), derived("strings", offset + 16, size - 16)]);
}

function lineParts({ bytes, pool }: Document, { offset }: Chunk): Part[] {
  const comment = bytes.uint32(offset + 12);
  return [
    ...headerParts(offset),
    field("line", offset + 8, 4, () => String(bytes.uint32(offset + 8))),
    comment === NONE
      ? derived("comment", offset + 12, 4)
      : field("comment", offset + 12, 4, () => bytes.string(pool, comment)?.slice(0, 400) ?? ""),
  ];
}

interface Attribute {
  offset: number;
  name: string;
  type: number;
  text: string;
}

function elementPart(document: Document, { chunk, children, end }: Node): Part {
  const { bytes, pool } = document;
  const { offset, size, headerSize } = chunk;
  const ext = offset + headerSize;
  if (headerSize < 16 || size < headerSize + 20) throw bytes.bad(offset, `an element of ${size} bytes`);
  const name = bytes.string(pool, bytes.uint32(ext + 4)) ?? "element";
  const from = ext + bytes.uint16(ext + 8);
  const width = bytes.uint16(ext + 10);
  const count = bytes.uint16(ext + 12);
  if (count > 0 && (width < 20 || from < ext + 20 || from + count * width > offset + size)) {
    throw bytes.bad(ext + 8, `${count} attributes of ${width} bytes in an element of ${size}`);
  }
  const attributes = Array.from({ length: count }, (_, nth) => attributeAt(document, from + nth * width));
  // What Android calls it: its name or id tells it from others of its kind.
  const named = attributes.find((one) => one.name === "name") ?? attributes.find((one) => one.name === "id");
  const key = named === undefined ? name : `${name} ${named.text}`.slice(0, 200);
  const last = end ?? children.reduce((found, node) => lastChunk(node, found), chunk);
  const show = (): string =>
    attributes
      .map((one) => `${one.name}=${JSON.stringify(one.text)}`)
      .join(" ")
      .slice(0, 400);
  const inside = function* (): Generator<Part> {
    yield* lineParts(document, chunk);
    yield derived("name", ext, 8);
    yield derived("attributes", ext + 8, 12);
    for (const attribute of attributes) yield attributePart(attribute);
    for (const child of children) yield nodePart(document, child);
    if (end !== undefined) yield group("end", end.offset, end.size, () => endParts(document, end));
  };
  return { ...group(key, offset, last.offset + last.size - offset, inside), show };
}

function endParts(document: Document, end: Chunk): Part[] {
  if (end.size < 20) return [];
  return [...lineParts(document, end), derived("name", end.offset + 16, end.size - 16)];
}

/** The last chunk of an element that does not end. */
function lastChunk(node: Node, found: Chunk): Chunk {
  const last = node.end ?? node.children.reduce((one, child) => lastChunk(child, one), node.chunk);
  return last.offset > found.offset ? last : found;
}

function attributeAt({ bytes, pool }: Document, offset: number): Attribute {
  const name = bytes.string(pool, bytes.uint32(offset + 4)) ?? "attribute";
  const raw = bytes.uint32(offset + 8);
  const type = bytes.uint8(offset + 15);
  const data = bytes.uint32(offset + 16);
  const value = valueText(type, data, (nth) => bytes.string(pool, nth));
  const text = raw === NONE ? value : (bytes.string(pool, raw) ?? value);
  return { offset, name, type, text };
}

/**
 * A string belongs to the key: with another pool its number is another, which
 * says nothing, while another string is another attribute.
 */
function attributePart({ offset, name, type, text }: Attribute): Part {
  const isString = type === 3;
  const key = isString ? `${name}=${JSON.stringify(text.slice(0, 200))}` : name;
  const inside = (): Part[] => [
    derived("strings", offset, 12),
    field("value type", offset + 12, 4, () => `0x${type.toString(16)}`),
    isString ? derived("value", offset + 16, 4) : field("value", offset + 16, 4, () => text.slice(0, 400)),
  ];
  return { ...group(key, offset, 20, inside), show: () => text.slice(0, 400) };
}
