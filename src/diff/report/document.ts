/** What a report holds: a head, columns of numbers for every leaf, and the leaves in compressed chunks that are read when they are met. */
import { document } from "./browser.ts";
import type { LeafData } from "./leaf-rows.ts";

/** The head of a report: everything that is needed before anything is drawn. */
export interface ReportHead {
  version: string;
  a: { name: string; size?: number; sha256?: string };
  b: { name: string; size?: number; sha256?: string };
  verdict: string;
  leaves: number;
  files: number;
  bytesA: number;
  bytesB: number;
  /** Kinds by number: name, rank (0 is content), count of leaves. */
  kinds: { name: string; rank: number; count: number }[];
  /** The first leaf of each chunk. */
  chunks: number[];
  findings: { text: string; count: number; leaf: number }[];
  moreFindings: number;
  excluded: { rule: string; reason?: string; leaves: number; bytes: number }[];
  incomplete: { path: string[]; why: string }[];
  /** In a sentence. */
  certificate?: string;
  /** What `check` adds: why it differs. */
  check?: CheckHead;
}

/** A verdict on a project, cause by cause. */
export interface CheckHead {
  project: string;
  verdict: string;
  tone: "good" | "warn" | "bad";
  /** Words under the verdict: the source, what was covered. */
  about: string[];
  causes: CheckCause[];
  /** Consequences of nothing that is listed. */
  loose: number;
  failures: { world: string; reason: string; log: string }[];
  /** Aspects in which worlds can differ, a value for each world. */
  worlds: { names: string[]; rows: { what: string; values: string[] }[] };
  notCovered: { what: string; remedy: string; causes: string[] }[];
  /** What is left open, and what always is. */
  sayings: string[];
}

export interface CheckPlace {
  path: string[];
  offset?: number;
  /** Number of the leaf. */
  leaf?: number;
}

export interface CheckCause {
  name: string;
  confidence: string;
  /** Why it is that sure. */
  sure: string;
  places: (CheckPlace & { a: string; b: string })[];
  morePlaces: number;
  commands: {
    typed: string;
    directory: string;
    file: string;
    parents: string[];
    script?: { path: string; line: number; text: string };
  }[];
  remedies: string[];
  tried: string[];
  consequences: CheckPlace[];
  moreConsequences: number;
}

/** The places that differ: a tree in the order in which one walks it, by columns. */
export interface NodeColumns {
  /** The part of the path that this place adds. */
  label: string[];
  parent: number[];
  /** 1 where the place is inside of what is above it (an archive, a decoded content), 0 where that is a folder. */
  inside: number[];
  format: string[];
  note: string[];
  /** Its leaves and all beneath: from, to. */
  start: number[];
  end: number[];
}

/** Chunks kept decoded. */
const KEPT = 48;

export class ReportDocument {
  readonly head: ReportHead;
  readonly nodes: NodeColumns;
  /** By leaf: its node, its kind, its rows as far as one can tell beforehand. */
  readonly node: Uint32Array;
  readonly kind: Uint16Array;
  readonly rows: Uint16Array;
  readonly #chunks = new Map<number, LeafData[]>();
  readonly #loading = new Map<number, Promise<LeafData[]>>();

  private constructor(head: ReportHead, nodes: NodeColumns, columns: ArrayBuffer) {
    this.head = head;
    this.nodes = nodes;
    const count = head.leaves;
    this.node = new Uint32Array(columns, 0, count);
    this.kind = new Uint16Array(columns, 4 * count, count);
    this.rows = new Uint16Array(columns, 6 * count, count);
  }

  static async open(): Promise<ReportDocument> {
    const head = JSON.parse(blockText("head")) as ReportHead;
    const nodes = JSON.parse(new TextDecoder().decode(await inflated("nodes"))) as NodeColumns;
    return new ReportDocument(head, nodes, await inflated("columns"));
  }

  /** The chunk that a leaf is in. */
  chunkOf(leaf: number): number {
    const { chunks } = this.head;
    let [low, high] = [0, chunks.length - 1];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((chunks[middle] ?? 0) <= leaf) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  /** A leaf whose chunk is there. */
  leaf(leaf: number): LeafData | undefined {
    const chunk = this.chunkOf(leaf);
    const found = this.#chunks.get(chunk);
    if (found === undefined) return undefined;
    // What was used last is dropped last.
    this.#chunks.delete(chunk);
    this.#chunks.set(chunk, found);
    return found[leaf - (this.head.chunks[chunk] ?? 0)];
  }

  /** Reads a chunk and keeps it for a while. */
  async load(chunk: number): Promise<LeafData[]> {
    const kept = this.#chunks.get(chunk) ?? this.#loading.get(chunk);
    if (kept !== undefined) return await kept;
    const loading = this.text(chunk).then((text) => JSON.parse(text) as LeafData[]);
    this.#loading.set(chunk, loading);
    const leaves = await loading;
    this.#loading.delete(chunk);
    this.#chunks.set(chunk, leaves);
    for (const old of this.#chunks.keys()) {
      if (this.#chunks.size <= KEPT) break;
      this.#chunks.delete(old);
    }
    return leaves;
  }

  /** A chunk's JSON text. */
  async text(chunk: number): Promise<string> {
    return new TextDecoder().decode(await inflated(`c${chunk}`));
  }

  /** The path of a node: its places from the outermost, itself last. */
  way(node: number): number[] {
    const way: number[] = [];
    for (let at = node; at > 0; at = this.nodes.parent[at] ?? 0) way.push(at);
    return way.reverse();
  }
}

const blockText = (id: string): string => document.getElementById(id)?.textContent ?? "";

async function inflated(id: string): Promise<ArrayBuffer> {
  const binary = atob(blockText(id));
  const bytes = new Uint8Array(binary.length);
  for (let at = 0; at < binary.length; at++) bytes[at] = binary.charCodeAt(at);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return await new Response(stream).arrayBuffer();
}
