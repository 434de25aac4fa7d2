/**
 * What a difference comes to: leaves that tell the same are one finding, and
 * findings stand in the order in which a reader wants them: content, order,
 * metadata, what the compressor or the padding did, and what only follows.
 */
import { type Difference, type Leaf, leavesOf } from "./difference.ts";

/** The name of a leaf's kind, in summaries, filters and `--exclude-kind`: "text", "field:mtime", "derived". */
export function kindOf(leaf: Leaf): string {
  if (leaf.what !== "field") return leaf.what;
  const field = leaf.field ?? "";
  return field === "derived" || field === "padding" || field === "compressed" ? field : `field:${field}`;
}

/** Whether a note says that something was not compared, or not looked into. */
export function isNotCompared(note: string | undefined): boolean {
  return note !== undefined && /\bnot (?:looked into|compared|read)\b/.test(note);
}

/** What matters more comes first. */
export const RANKS = ["content", "order", "metadata", "storage", "derived"] as const;
export type Rank = (typeof RANKS)[number];

const METADATA =
  /(?:^|[ ._-])(?:[mac]?time|date|timestamp|mode|permissions|[ug]id|[ug]name|owner|user|group|dev(?:major|minor|ice)?|inode|nlink|links|flags|version made by|made by|host|os|level|xattrs?|acl|attributes|comment|format|notation|xfl)$/i;

/** How much a leaf of this kind matters. */
export function rankOf(leaf: Leaf): Rank {
  if (leaf.what === "order") return "order";
  if (leaf.what !== "field" || leaf.listing === true) return "content";
  const field = leaf.field ?? "";
  if (field === "derived") return "derived";
  if (field === "padding" || field === "compressed") return "storage";
  return METADATA.test(field) ? "metadata" : "content";
}

/** One thing that differs, in one place or in many. */
export interface Finding {
  rank: Rank;
  kind: string;
  /** The first of the leaves that tell it. */
  leaf: Leaf;
  /** Leaves. */
  count: number;
  /** Where, as far as one wants to read it. */
  paths: string[][];
  bytesA: number;
  bytesB: number;
  /** Values differ from place to place: the kind is all that they share. */
  mixed: boolean;
}

/** Places that a finding names. */
const MAX_PATHS = 8;
/** Findings of one kind of metadata in one file before they become one. */
const MAX_SAME = 5;
/** Findings told apart; what comes then is counted to what is alike in kind. */
const MAX_FINDINGS = 20_000;

/** Bytes of a leaf on either side. */
export function leafBytes(leaf: Leaf): { a: number; b: number } {
  let [a, b] = [0, 0];
  for (const range of leaf.ranges) {
    a += range.a.length;
    b += range.b.length;
  }
  return { a, b };
}

/** All findings, those that matter most first, otherwise in the order of the inputs. */
export function findingsOf(difference: Difference): Finding[] {
  const found = new Map<string, Finding>();
  for (const leaf of leavesOf(difference)) {
    const key = sameness(leaf);
    const finding = found.get(key) ?? found.get(`${found.size < MAX_FINDINGS ? "" : kindOf(leaf)}\0mixed`);
    if (finding === undefined) {
      const overfull = found.size >= MAX_FINDINGS;
      found.set(overfull ? `${kindOf(leaf)}\0mixed` : key, { ...findingOf(leaf), mixed: overfull });
    } else add(finding, findingOf(leaf));
  }
  const byRank = RANKS.map((rank) => [...found.values()].filter((finding) => finding.rank === rank));
  return byRank.flatMap((findings, at) =>
    RANKS[at] === "content" || RANKS[at] === "order" ? findings : merged(findings),
  );
}

/** Leaves alike in this are told as one. */
function sameness(leaf: Leaf): string {
  if (kindOf(leaf) === "derived") return `derived\0${leaf.path[0]}`;
  const place = leaf.a === undefined && leaf.b === undefined ? leaf.path.join("\0") : "";
  return [kindOf(leaf), leaf.a, leaf.b, place, leaf.bytesA?.length, leaf.bytesB?.length, ...pieceKey(leaf)].join("\0");
}

/** Values are cut, and of bytes there may be none: then the bytes tell whether two leaves are the same. */
function pieceKey(leaf: Leaf): string[] {
  if (leaf.what === "field" || leaf.bytesA === undefined || leaf.bytesB === undefined)
    return [leaf.path.join("\0")].slice(leaf.what === "field" ? 1 : 0);
  return [leaf.bytesA, leaf.bytesB].map((bytes) => Buffer.from(bytes.subarray(0, 4096)).toString("latin1"));
}

function findingOf(leaf: Leaf): Finding {
  const { a, b } = leafBytes(leaf);
  return {
    rank: rankOf(leaf),
    kind: kindOf(leaf),
    leaf,
    count: 1,
    paths: [leaf.path],
    bytesA: a,
    bytesB: b,
    mixed: false,
  };
}

function add(finding: Finding, other: Finding): void {
  finding.count += other.count;
  finding.bytesA += other.bytesA;
  finding.bytesB += other.bytesB;
  for (const path of other.paths) if (finding.paths.length < MAX_PATHS) finding.paths.push(path);
}

/** Of a kind that comes in many shapes within one file, the most frequent stay; the others become one. */
function merged(findings: readonly Finding[]): Finding[] {
  const groups = new Map<string, Finding[]>();
  for (const finding of findings) {
    const key = `${finding.kind}\0${finding.leaf.path[0]}`;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [finding]);
    else group.push(finding);
  }
  return [...groups.values()].flatMap((group) => {
    if (group.length <= MAX_SAME) return group;
    const sorted = [...group].sort((a, b) => b.count - a.count);
    const kept = sorted.slice(0, MAX_SAME - 1);
    const [first, ...others] = sorted.slice(MAX_SAME - 1);
    if (first === undefined) return kept;
    const rest = { ...first, paths: [...first.paths], mixed: true };
    for (const other of others) add(rest, other);
    return [...kept, rest];
  });
}

/** Files that differ and what differs in them, the most important first. */
export interface FileSummary {
  name: string;
  kinds: Map<string, { count: number; rank: Rank }>;
  bytesA: number;
  bytesB: number;
  rank: Rank;
}

export function filesOf(difference: Difference): FileSummary[] {
  const files = new Map<string, FileSummary>();
  for (const leaf of leavesOf(difference)) {
    const name = leaf.path[0] ?? ".";
    const rank = rankOf(leaf);
    const { a, b } = leafBytes(leaf);
    const file = files.get(name) ?? { name, kinds: new Map(), bytesA: 0, bytesB: 0, rank };
    files.set(name, file);
    const kind = kindOf(leaf);
    const counted = file.kinds.get(kind) ?? { count: 0, rank };
    counted.count++;
    file.kinds.set(kind, counted);
    file.bytesA += a;
    file.bytesB += b;
    if (RANKS.indexOf(rank) < RANKS.indexOf(file.rank)) file.rank = rank;
  }
  return [...files.values()].sort((a, b) => RANKS.indexOf(a.rank) - RANKS.indexOf(b.rank));
}

const NAMES: Readonly<Record<string, readonly [one: string, many: string]>> = {
  bytes: ["run of bytes", "runs of bytes"],
  text: ["text change", "text changes"],
  "only-a": ["thing only in A", "things only in A"],
  "only-b": ["thing only in B", "things only in B"],
  order: ["other order", "other orders"],
  type: ["other kind of thing", "other kinds of things"],
  derived: ["consequence", "consequences"],
  padding: ["padding", "paddings"],
  compressed: ["other compression", "other compressions"],
};

/** "2 text changes", "mtime in 12 places". */
export function kindWords(kind: string, count: number): string {
  const name = NAMES[kind];
  if (name !== undefined) return `${grouped(count)} ${name[count === 1 ? 0 : 1]}`;
  const field = kind.replace(/^field:/, "");
  return count === 1 ? field : `${field} in ${grouped(count)} places`;
}

/** `1,234,567`. */
export function grouped(count: number): string {
  return String(count).replace(/\B(?=(?:\d{3})+$)/g, ",");
}

export function counted(count: number, one: string, many: string = `${one}s`): string {
  return `${grouped(count)} ${count === 1 ? one : many}`;
}
