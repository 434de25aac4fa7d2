/**
 * A sorted index of a log, without input or output: what its entries are about,
 * a line each, in byte order, and a Merkle tree (RFC 6962, section 2.1) over
 * the lines. It follows from the entries alone, so that whoever reads the log
 * has the same root. A range of lines with its neighbours proves that a search
 * found all there is: lines that stand side by side have nothing between them.
 *
 *     kind[1] ‖ SHA-256[32] ‖ index of the entry, big-endian[8]
 */
import { fromBase64, fromHex, utf8 } from "../bytes.ts";
import { sha256 } from "../digest.ts";
import { BitforbitError } from "../errors.ts";
import { readEntry } from "./entry.ts";
import { HASH_BYTES, emptyRoot, leafHash, nodeHash, rangeRoot, sameRoot, splitPoint } from "./tile.ts";

const PREFIX_BYTES: number = 1 + HASH_BYTES;
export const LINE_BYTES: number = PREFIX_BYTES + 8;
/** Lines of one index: about eight million entries, 700 MB. */
const MAX_LINES = 1 << 24;
/** Nodes above so many levels are kept; those below follow from a few lines. */
const KEPT_LEVEL = 5;

/** What can be searched for: digest `sha256:…` of what was signed, base64 key id, name in a certificate. */
export type SearchKind = "digest" | "key" | "name";

const KINDS: Readonly<Record<SearchKind, number>> = { digest: 1, key: 2, name: 3 };

export interface Query {
  kind: SearchKind;
  value: string;
}

/** What a query's lines begin with. Throws `input` for what is no digest or key id. */
export function prefixOf({ kind, value }: Query): Uint8Array {
  const prefix = new Uint8Array(PREFIX_BYTES);
  prefix[0] = KINDS[kind];
  prefix.set(hashOf(kind, value), 1);
  return prefix;
}

function hashOf(kind: SearchKind, value: string): Uint8Array {
  if (kind === "name") return sha256(utf8(value));
  const fits = kind === "digest" ? /^sha256:[0-9a-f]{64}$/.test(value) : /^[A-Za-z0-9+/]{43}=$/.test(value);
  if (!fits) throw new BitforbitError("input", `not a ${kind}: ${JSON.stringify(value.slice(0, 100))}`);
  return kind === "digest" ? fromHex(value.slice("sha256:".length)) : fromBase64(value);
}

export interface Span {
  /** Position of the first line that is shown, and one behind the last. */
  from: number;
  to: number;
  /** What the query found: entries of the log, in order. */
  found: number[];
  /** The lines beside them, where there are any. */
  before?: Uint8Array;
  after?: Uint8Array;
  /** Roots of what lies left and right of the lines, from left to right. */
  hashes: Uint8Array[];
}

/** Takes entries in order; `sorted` makes the index of them. */
export class SearchIndexBuilder {
  size = 0;
  unreadable = 0;
  #lines = new Uint8Array(1024 * LINE_BYTES);
  #count = 0;

  add(leaf: Uint8Array): void {
    const entry = readEntry(leaf);
    if (entry === undefined) this.unreadable++;
    else {
      this.#line({ kind: "digest", value: entry.digest });
      this.#line({ kind: "key", value: entry.keyId });
      for (const value of new Set(entry.names)) this.#line({ kind: "name", value });
    }
    this.size++;
  }

  sorted(): SearchIndex {
    return new SearchIndex(sortLines(this.#lines.subarray(0, this.#count * LINE_BYTES)), this.size, this.unreadable);
  }

  #line(query: Query): void {
    if (this.#count === MAX_LINES) {
      throw new BitforbitError("limit", `the log is too large to be searched here: over ${MAX_LINES} lines`);
    }
    const at = this.#count * LINE_BYTES;
    if (at === this.#lines.length) {
      const larger = new Uint8Array(2 * at);
      larger.set(this.#lines);
      this.#lines = larger;
    }
    this.#lines.set(lineOf(prefixOf(query), this.size), at);
    this.#count++;
  }
}

export class SearchIndex {
  /** Entries of the log that it is of, and how many of them are about nothing that it knows. */
  readonly size: number;
  readonly unreadable: number;
  readonly count: number;
  readonly root: Uint8Array;
  readonly #lines: Uint8Array;
  /** Nodes of level `KEPT_LEVEL` and above, a row a level. */
  readonly #nodes: Uint8Array[][] = [];

  constructor(lines: Uint8Array, size: number, unreadable: number) {
    this.#lines = lines;
    this.size = size;
    this.unreadable = unreadable;
    this.count = lines.length / LINE_BYTES;
    let row: Uint8Array[] = [];
    for (let at = 0; (at + 1) << KEPT_LEVEL <= this.count; at++) row.push(this.#low(KEPT_LEVEL, at));
    while (row.length > 0) {
      this.#nodes.push(row);
      const above: Uint8Array[] = [];
      for (let at = 0; at + 1 < row.length; at += 2) {
        above.push(nodeHash(row[at] ?? new Uint8Array(), row[at + 1] ?? new Uint8Array()));
      }
      row = above;
    }
    this.root = this.count === 0 ? emptyRoot() : this.#range(0, this.count);
  }

  /** All that there is for a query, with the lines beside it. */
  span(query: Query): Span {
    const prefix = prefixOf(query);
    const first = this.#firstFrom(prefix, 0);
    const end = this.#firstFrom(prefix, 1);
    const found: number[] = [];
    for (let at = first; at < end; at++) found.push(entryOf(this.#line(at)));
    const from = Math.max(0, first - 1);
    const to = Math.min(this.count, end + 1);
    const hashes: Uint8Array[] = [];
    outside(0, this.count, from, to, (low, high) => hashes.push(this.#range(low, high)));
    return {
      from,
      to,
      found,
      ...(first > 0 ? { before: this.#line(first - 1) } : {}),
      ...(end < this.count ? { after: this.#line(end) } : {}),
      hashes,
    };
  }

  #line(at: number): Uint8Array {
    return this.#lines.subarray(at * LINE_BYTES, (at + 1) * LINE_BYTES);
  }

  /** The first line whose beginning is not before `prefix`; with `after` 1, the first that is behind it. */
  #firstFrom(prefix: Uint8Array, after: 0 | 1): number {
    let low = 0;
    let high = this.count;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (order(this.#line(middle), prefix) < after) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #range(from: number, to: number): Uint8Array {
    return rangeRoot(from, to, (level, at) =>
      level < KEPT_LEVEL ? this.#low(level, at) : (this.#nodes[level - KEPT_LEVEL]?.[at] ?? new Uint8Array()),
    );
  }

  #low(level: number, at: number): Uint8Array {
    if (level === 0) return leafHash(this.#line(at));
    return nodeHash(this.#low(level - 1, 2 * at), this.#low(level - 1, 2 * at + 1));
  }
}

/**
 * Whether `span` is all that the index with `root` and `count` lines has for
 * `query`. An attacker writes the span; root and count are of a signed note.
 */
export function spanIsComplete(query: Query, span: Span, count: number, root: Uint8Array): boolean {
  const { from, to, found, before, after, hashes } = span;
  const prefix = prefixOf(query);
  const lines = found.map((index) => lineOf(prefix, index));
  if (before !== undefined) lines.unshift(before);
  if (after !== undefined) lines.push(after);
  if (lines.some((line) => line.length !== LINE_BYTES) || hashes.some((hash) => hash.length !== HASH_BYTES))
    return false;
  if (lines.some((line, at) => at > 0 && Buffer.compare(lines[at - 1] ?? line, line) >= 0)) return false;
  if (![from, to].every((at) => Number.isSafeInteger(at) && at >= 0) || to > count || to - from !== lines.length)
    return false;
  if (count === 0) return sameRoot(emptyRoot(), root) && hashes.length === 0;
  // Nothing is left out: what stands beside is before and behind all that would fit, or there is nothing beside.
  if (before === undefined ? from !== 0 : order(before, prefix) >= 0) return false;
  if (after === undefined ? to !== count : order(after, prefix) <= 0) return false;
  let used = 0;
  const computed = rootWith(0, count, from, to, {
    line: (at) => leafHash(lines[at - from] ?? new Uint8Array()),
    hash: () => hashes[used++],
  });
  return computed !== undefined && used === hashes.length && sameRoot(computed, root);
}

/** Root of the lines [low, high), of which [from, to) are at hand, the rest as hashes; undefined when one is missing. */
function rootWith(
  low: number,
  high: number,
  from: number,
  to: number,
  given: { line: (at: number) => Uint8Array; hash: () => Uint8Array | undefined },
): Uint8Array | undefined {
  if (high <= from || low >= to) return given.hash();
  if (high - low === 1) return given.line(low);
  const middle = low + splitPoint(high - low);
  const left = rootWith(low, middle, from, to, given);
  const right = rootWith(middle, high, from, to, given);
  return left === undefined || right === undefined ? undefined : nodeHash(left, right);
}

/** The subtrees of [low, high) that lie wholly outside of [from, to), from left to right. */
function outside(low: number, high: number, from: number, to: number, take: (low: number, high: number) => void): void {
  if (low === high || (low >= from && high <= to)) return;
  if (high <= from || low >= to) return take(low, high);
  const middle = low + splitPoint(high - low);
  outside(low, middle, from, to, take);
  outside(middle, high, from, to, take);
}

/** Of what a line begins with and a query's prefix. */
function order(line: Uint8Array, prefix: Uint8Array): number {
  return Buffer.compare(line.subarray(0, PREFIX_BYTES), prefix);
}

function lineOf(prefix: Uint8Array, index: number): Uint8Array {
  const line = new Uint8Array(LINE_BYTES);
  line.set(prefix);
  new DataView(line.buffer).setBigUint64(PREFIX_BYTES, BigInt(index));
  return line;
}

function entryOf(line: Uint8Array): number {
  return Number(new DataView(line.buffer, line.byteOffset, LINE_BYTES).getBigUint64(PREFIX_BYTES));
}

/** The lines in byte order. By their first bytes as a number where those differ, which is nearly always. */
function sortLines(lines: Uint8Array): Uint8Array {
  const view = new DataView(lines.buffer, lines.byteOffset, lines.length);
  const count = lines.length / LINE_BYTES;
  const heads = Float64Array.from(
    { length: count },
    (_, at) => view.getUint32(at * LINE_BYTES) * 2 ** 16 + view.getUint16(at * LINE_BYTES + 4),
  );
  const order = Uint32Array.from({ length: count }, (_, at) => at);
  const bytes = Buffer.from(lines.buffer, lines.byteOffset, lines.length);
  order.sort((a, b) => {
    const apart = (heads[a] ?? 0) - (heads[b] ?? 0);
    if (apart !== 0) return apart;
    const [one, two] = [a * LINE_BYTES, b * LINE_BYTES];
    return bytes.compare(bytes, two, two + LINE_BYTES, one, one + LINE_BYTES);
  });
  const sorted = new Uint8Array(lines.length);
  for (const [to, from] of order.entries()) {
    sorted.set(lines.subarray(from * LINE_BYTES, (from + 1) * LINE_BYTES), to * LINE_BYTES);
  }
  return sorted;
}
