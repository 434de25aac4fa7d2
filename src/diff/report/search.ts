/** Looks for a text in the places, kinds and values of all leaves that are shown; chunks are read one after the other. */
import type { ReportDocument } from "./document.ts";
import type { Filter } from "./filter.ts";
import type { LeafData } from "./leaf-rows.ts";

/** Hits that are kept; more are counted. */
const MAX_HITS = 100_000;

export class Search {
  /** Leaves that hold it, in order. */
  hits: number[] = [];
  done = true;
  readonly #report: ReportDocument;
  readonly #filter: Filter;
  readonly #told: () => void;
  #run = 0;

  constructor(report: ReportDocument, filter: Filter, told: () => void) {
    this.#report = report;
    this.#filter = filter;
    this.#told = told;
  }

  /** Begins anew; an empty text ends it. */
  async start(text: string): Promise<void> {
    const run = ++this.#run;
    this.hits = [];
    this.done = text === "";
    this.#told();
    if (text === "") return;
    const wanted = text.toLowerCase();
    const places = this.#places(wanted);
    const kinds = this.#report.head.kinds.map(({ name }) => name.toLowerCase().includes(wanted));
    // As the text stands in JSON.
    const quoted = JSON.stringify(wanted).slice(1, -1);
    const { chunks, leaves } = this.#report.head;
    for (let chunk = 0; chunk < chunks.length; chunk++) {
      const first = chunks[chunk] ?? 0;
      const json = await this.#report.text(chunk);
      if (run !== this.#run) return;
      const data = json.toLowerCase().includes(quoted) ? (JSON.parse(json) as LeafData[]) : [];
      for (let leaf = first; leaf < (chunks[chunk + 1] ?? leaves) && this.hits.length < MAX_HITS; leaf++) {
        if (this.#filter.hidden.has(this.#report.kind[leaf] ?? 0)) continue;
        if (
          places[this.#report.node[leaf] ?? 0] === 1 ||
          kinds[this.#report.kind[leaf] ?? 0] === true ||
          holds(data[leaf - first], wanted)
        )
          this.hits.push(leaf);
      }
      if (chunk % 16 === 0) this.#told();
    }
    this.done = true;
    this.#told();
  }

  /** Places whose own path, as it is shown, holds the text. */
  #places(wanted: string): Uint8Array {
    const { label, parent, inside } = this.#report.nodes;
    const found = new Uint8Array(label.length);
    for (let node = 1; node < label.length; node++) {
      const above = parent[node] ?? 0;
      if (found[above] === 1) found[node] = 1;
      else {
        let path = "";
        // No further up than the text could reach.
        for (
          let at = node;
          at > 0 && path.length <= wanted.length + (label[node] ?? "").length + 3;
          at = parent[at] ?? 0
        ) {
          path = `${(parent[at] ?? 0) === 0 ? "" : inside[at] === 1 ? " › " : "/"}${label[at] ?? ""}${path}`;
        }
        if (path.toLowerCase().includes(wanted)) found[node] = 1;
      }
    }
    return found;
  }

  /** The next hit after a leaf, or the last one before it; around the end. */
  next(leaf: number, by: 1 | -1): number | undefined {
    const { hits } = this;
    if (by > 0) return hits.find((hit) => hit > leaf) ?? hits[0];
    return hits.findLast((hit) => hit < leaf) ?? hits.at(-1);
  }
}

function holds(data: LeafData | undefined, wanted: string): boolean {
  return (
    data !== undefined && [data.a, data.b, data.n, data.v].some((text) => text?.toLowerCase().includes(wanted) === true)
  );
}
