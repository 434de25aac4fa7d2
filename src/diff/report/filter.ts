/** Which leaves are shown. What is hidden is always counted. */
import type { ReportDocument } from "./document.ts";

export class Filter {
  /** Kinds that are hidden. */
  readonly hidden: Set<number> = new Set();
  /** The leaves that are shown, in order. */
  shown: Int32Array = new Int32Array(0);
  readonly #report: ReportDocument;

  constructor(report: ReportDocument) {
    this.#report = report;
    this.apply();
  }

  apply(): void {
    const { kind } = this.#report;
    const shown = new Int32Array(kind.length);
    let count = 0;
    for (let leaf = 0; leaf < kind.length; leaf++) if (!this.hidden.has(kind[leaf] ?? 0)) shown[count++] = leaf;
    this.shown = shown.slice(0, count);
  }

  /** The place among those shown of a leaf, or of the next one that is shown. */
  rank(leaf: number): number {
    let [low, high] = [0, this.shown.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.shown[middle] ?? 0) < leaf) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** How many are shown from one leaf to another. */
  count(from: number, to: number): number {
    return this.rank(to) - this.rank(from);
  }
}
