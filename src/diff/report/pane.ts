/** The differences, one below the other: only what is in view is in the document, whatever their number. */
import { document, type PageElement } from "./browser.ts";
import type { ReportDocument } from "./document.ts";
import { element, shownCount, shownNumber, withAttributes } from "./elements.ts";
import type { Filter } from "./filter.ts";
import { Heights } from "./heights.ts";
import { type LeafData, type Measure, type Row, rowsOf } from "./leaf-rows.ts";
import { Scroller } from "./scroller.ts";
import { visible } from "./visible.ts";
import type { Piece } from "./words.ts";

// As the style sheet has them.
const ROW = 20;
const TITLE = 26;
const PLACE = 40;
const GAP = 12;
/** Drawn above and below what is in view. */
const MARGIN = 300;
/** Leaves whose rows are kept. */
const KEPT_ROWS = 500;

interface Drawn {
  article: PageElement;
  key: string;
}

export class Pane {
  current = 0;
  readonly scroller: Scroller;
  readonly #report: ReportDocument;
  readonly #filter: Filter;
  readonly #feed: PageElement;
  readonly #drawn = new Map<number, Drawn>();
  readonly #rows = new Map<number, Row[]>();
  readonly #folded = new Set<number>();
  readonly #moved: (node: number) => void;
  readonly #selected: (leaf: number) => void;
  /** Rows of each leaf that was laid out; -1 before. */
  #known: Int32Array;
  #heights: Heights = new Heights(new Int32Array(0));
  #measure: Measure = { columns: 80, perRow: 16 };
  #focusing = -1;
  #topNode = -1;

  constructor(
    report: ReportDocument,
    filter: Filter,
    feed: PageElement,
    told: { moved(node: number): void; selected(leaf: number): void },
  ) {
    this.#report = report;
    this.#filter = filter;
    this.#feed = feed;
    this.#moved = told.moved;
    this.#selected = told.selected;
    this.#known = new Int32Array(report.head.leaves).fill(-1);
    this.scroller = new Scroller(feed, element("div", "layer"), () => this.#draw());
  }

  /** Lays everything out anew: for another width, or another choice of leaves. What stood at the top stays there. */
  layOut(measure?: Measure): void {
    const rank = this.#heights.length === 0 ? 0 : this.#heights.find(this.scroller.top);
    const anchor = this.#lastShown[rank] ?? 0;
    const within = this.scroller.top - this.#heights.start(rank);
    if (
      measure !== undefined &&
      (measure.columns !== this.#measure.columns || measure.perRow !== this.#measure.perRow)
    ) {
      this.#measure = measure;
      this.#known.fill(-1);
      this.#rows.clear();
    }
    const { shown } = this.#filter;
    const heights = new Int32Array(shown.length);
    for (let at = 0; at < shown.length; at++) heights[at] = this.#heightOf(shown[at] ?? 0, at);
    this.#heights = new Heights(heights);
    this.#lastShown = shown;
    this.#clear();
    this.scroller.top = this.#heights.start(this.#filter.rank(anchor)) + Math.max(0, within);
    this.scroller.total = this.#heights.total;
  }

  #lastShown: Int32Array = new Int32Array(0);

  #clear(): void {
    for (const { article } of this.#drawn.values()) article.remove();
    this.#drawn.clear();
  }

  #heightOf(leaf: number, rank: number): number {
    const known = this.#known[leaf] ?? -1;
    const rows = this.#folded.has(leaf) ? 0 : known >= 0 ? known : (this.#report.rows[leaf] ?? 0);
    return (this.#begins(leaf, rank) ? PLACE : 0) + TITLE + rows * ROW + GAP;
  }

  /** Whether a leaf is the first that is shown of its place. */
  #begins(leaf: number, rank: number): boolean {
    return rank === 0 || this.#report.node[this.#filter.shown[rank - 1] ?? 0] !== this.#report.node[leaf];
  }

  #rowsOf(leaf: number, data: LeafData): Row[] {
    const kept = this.#rows.get(leaf);
    if (kept !== undefined) return kept;
    const rows = rowsOf(data, this.#kindName(leaf), this.#measure);
    this.#rows.set(leaf, rows);
    this.#known[leaf] = rows.length;
    for (const old of this.#rows.keys()) {
      if (this.#rows.size <= KEPT_ROWS) break;
      this.#rows.delete(old);
    }
    return rows;
  }

  #kindName(leaf: number): string {
    return this.#report.head.kinds[this.#report.kind[leaf] ?? 0]?.name ?? "";
  }

  #draw(): void {
    const { scroller } = this;
    const { shown } = this.#filter;
    const wanted = new Set<number>();
    let changed = 0;
    if (shown.length > 0) {
      let rank = this.#heights.find(Math.max(0, scroller.top - MARGIN));
      for (
        let start = this.#heights.start(rank);
        rank < shown.length && start < scroller.top + scroller.view + MARGIN;
        rank++
      ) {
        const leaf = shown[rank] ?? 0;
        const data = this.#report.leaf(leaf);
        if (data === undefined) void this.#report.load(this.#report.chunkOf(leaf)).then(() => scroller.redraw());
        else this.#rowsOf(leaf, data);
        const change = this.#heights.set(rank, this.#heightOf(leaf, rank));
        // What was above the view grows upwards.
        if (change !== 0 && start < scroller.top && this.current !== leaf) scroller.top += change;
        changed += Math.abs(change);
        this.#place(leaf, rank, start, data);
        wanted.add(leaf);
        start += this.#heights.height(rank);
      }
    }
    for (const [leaf, { article }] of this.#drawn) {
      if (wanted.has(leaf)) continue;
      if (article.contains(documentFocus())) this.#feed.focus({ preventScroll: true });
      article.remove();
      this.#drawn.delete(leaf);
    }
    if (changed !== 0) scroller.total = this.#heights.total;
    this.#tellTop();
  }

  /** The place that one reads: that of the current leaf while it is in view, else that of the first leaf in view. */
  #tellTop(): void {
    const { shown } = this.#filter;
    const { top, view } = this.scroller;
    const rank = this.#filter.rank(this.current);
    const start = this.#heights.start(rank);
    const inView = shown[rank] === this.current && start + this.#heights.height(rank) > top && start < top + view;
    const read = inView ? this.current : shown[this.#heights.find(top + TITLE)];
    const node = read === undefined ? -1 : (this.#report.node[read] ?? -1);
    if (node === this.#topNode) return;
    this.#topNode = node;
    this.#moved(node);
  }

  /** Draws a leaf where it belongs, again only where it changed. */
  #place(leaf: number, rank: number, start: number, data: LeafData | undefined): void {
    const rows = data === undefined || this.#folded.has(leaf) ? [] : (this.#rows.get(leaf) ?? []);
    const begins = this.#begins(leaf, rank);
    const before = (begins ? PLACE : 0) + TITLE;
    const { top, view } = this.scroller;
    // Long ones are drawn by pieces of twenty rows.
    const from = Math.max(0, Math.floor((top - MARGIN - start - before) / ROW / 20) * 20);
    const to = Math.min(rows.length, Math.ceil((top + view + MARGIN - start - before) / ROW / 20) * 20);
    const key = [
      begins,
      data === undefined,
      from,
      to,
      rows.length,
      rank,
      this.#folded.has(leaf),
      shownTotal(this.#filter),
    ].join(" ");
    let drawn = this.#drawn.get(leaf);
    if (drawn === undefined || drawn.key !== key) {
      const article = drawn?.article ?? this.#newArticle(leaf);
      const body = element("div", "rows", ...rows.slice(from, to).map(rowElement));
      body.style.paddingTop = `${from * ROW}px`;
      article.replaceChildren(...(begins ? [this.#placeElement(leaf)] : []), this.#titleElement(leaf, data), body);
      withAttributes(article, { "aria-posinset": rank + 1, "aria-setsize": shownTotal(this.#filter) });
      if (drawn === undefined) this.scroller.layer.append(article);
      drawn = { article, key };
      this.#drawn.set(leaf, drawn);
    }
    drawn.article.style.transform = `translateY(${Math.round(start - this.scroller.top)}px)`;
    const current = leaf === this.current ? "true" : "false";
    if (drawn.article.dataset["current"] !== current) drawn.article.dataset["current"] = current;
    if (this.#focusing === leaf && data !== undefined) {
      this.#focusing = -1;
      drawn.article.focus({ preventScroll: true });
    }
  }

  #newArticle(leaf: number): PageElement {
    const rank = this.#report.head.kinds[this.#report.kind[leaf] ?? 0]?.rank ?? 0;
    const article = withAttributes(element("article", `leaf rank${rank}`), {
      tabindex: -1,
      "aria-label": `${this.#kindName(leaf).replace(/^field:/, "")} in ${this.pathText(this.#report.node[leaf] ?? 0)}`,
    });
    article.addEventListener("click", () => this.select(leaf, { scroll: false, focus: false }));
    return article;
  }

  pathText(node: number): string {
    const { nodes } = this.#report;
    const text = this.#report
      .way(node)
      .map((at, index) => (index === 0 ? "" : nodes.inside[at] === 1 ? " › " : "/") + visible(nodes.label[at] ?? ""));
    return text.join("") || "the inputs themselves";
  }

  #placeElement(leaf: number): PageElement {
    const node = this.#report.node[leaf] ?? 0;
    const { nodes } = this.#report;
    const format = visible(nodes.format[node] ?? "");
    const name = element("h2", "place", element("span", "path", this.pathText(node)));
    name.title = this.pathText(node);
    if (format !== "") name.append(element("span", "format", format));
    if ((nodes.note[node] ?? "") !== "") name.append(element("span", "note", visible(nodes.note[node] ?? "")));
    return name;
  }

  #titleElement(leaf: number, data: LeafData | undefined): PageElement {
    const kind = this.#kindName(leaf).replace(/^field:/, "");
    const link = withAttributes(element("a", "link", `#${leaf + 1}`), {
      href: `#d${leaf + 1}`,
      "aria-label": `link to difference ${leaf + 1}`,
      tabindex: -1,
    });
    const folded = this.#folded.has(leaf)
      ? element("span", "quiet", "folded")
      : element("span", "quiet", data === undefined ? "…" : placeWords(data));
    return element("div", "title", element("span", "kind", visible(TITLES[kind] ?? kind)), folded, link);
  }

  /** Makes a leaf the current one; brings it into view. */
  select(leaf: number, options: { scroll?: boolean; focus?: boolean } = {}): void {
    const rank = Math.min(this.#filter.rank(leaf), this.#filter.shown.length - 1);
    const found = this.#filter.shown[rank];
    if (found === undefined) return;
    this.current = found;
    if (options.focus !== false) this.#focusing = found;
    if (options.scroll !== false) {
      const start = this.#heights.start(rank);
      const { top, view } = this.scroller;
      if (start < top || start + Math.min(this.#heights.height(rank), view / 2) > top + view)
        this.scroller.to(start - Math.floor(view / 5));
    }
    this.scroller.redraw();
    this.#selected(found);
  }

  /** The next or the last difference. */
  step(by: number): void {
    const { shown } = this.#filter;
    const rank = this.#filter.rank(this.current);
    const exact = shown[rank] === this.current;
    const next = Math.max(0, Math.min(shown.length - 1, exact ? rank + by : by > 0 ? rank : rank - 1));
    this.select(shown[next] ?? 0);
  }

  /** The first difference of the next or the last place. */
  stepPlace(by: number): void {
    const { shown } = this.#filter;
    const placeAt = (rank: number): number => this.#report.node[shown[rank] ?? 0] ?? 0;
    let rank = Math.min(this.#filter.rank(this.current), shown.length - 1);
    const begin = (at: number): number => {
      let first = at;
      while (first > 0 && placeAt(first - 1) === placeAt(at)) first--;
      return first;
    };
    if (by > 0) {
      const here = placeAt(rank);
      while (rank < shown.length - 1 && placeAt(rank) === here) rank++;
    } else {
      const first = begin(rank);
      rank = first < rank ? first : begin(Math.max(0, first - 1));
    }
    this.select(shown[rank] ?? 0);
  }

  /** Folds the current leaf, or unfolds it. */
  fold(): void {
    if (!this.#folded.delete(this.current)) this.#folded.add(this.current);
    this.scroller.redraw();
    this.#focusing = this.current;
  }

  /** Everything for paper, as far as it is there. */
  printed(most: number): PageElement[] {
    const pages: PageElement[] = [];
    for (const [rank, leaf] of this.#filter.shown.entries()) {
      const data = this.#report.leaf(leaf);
      if (rank >= most || data === undefined) {
        pages.push(element("p", "", `${shownCount(this.#filter.shown.length - rank, "more difference")} not printed`));
        break;
      }
      const rows = rowsOf(data, this.#kindName(leaf), { columns: 56, perRow: 8 }).map(rowElement);
      pages.push(
        element(
          "section",
          "leaf",
          ...(this.#begins(leaf, rank) ? [this.#placeElement(leaf)] : []),
          this.#titleElement(leaf, data),
          ...rows,
        ),
      );
    }
    return pages;
  }
}

const documentFocus = (): PageElement | null => document.activeElement;

const shownTotal = (filter: Filter): number => filter.shown.length;

const TITLES: Readonly<Record<string, string>> = { "only-a": "only in A", "only-b": "only in B", type: "kind" };

function placeWords({ r = [], m = 0 }: LeafData): string {
  const [atA, lengthA, atB, lengthB] = r;
  if (atA === undefined || lengthA === undefined || atB === undefined || lengthB === undefined) return "";
  const more = r.length / 4 - 1 + m;
  const length =
    lengthA === lengthB ? shownCount(lengthA, "byte") : `${shownNumber(lengthA)} → ${shownCount(lengthB, "byte")}`;
  return `at ${atA === atB ? shownOffset(atA) : `${shownOffset(atA)} → ${shownOffset(atB)}`}, ${length}${more > 0 ? ` and ${shownCount(more, "more range")}` : ""}`;
}

/** A row of a difference: A on the left, B on the right. */
export function rowElement(row: Row): PageElement {
  if (row.type === "words") return element("div", "row words", row.text);
  if (row.type === "hex") return element("div", "row", hexCell(row, "a"), hexCell(row, "b"));
  const side = (pieces: Piece[] | undefined, name: "a" | "b"): PageElement => {
    const cell = element(
      "div",
      `cell ${name}${pieces === undefined ? " none" : row.changed ? " changed" : row.quiet === true ? " quiet" : ""}`,
    );
    if (pieces !== undefined && row.changed) cell.append(element("span", "sr", name === "a" ? "A: " : "B: "));
    const whole = pieces?.every((piece) => piece.marked) === true;
    for (const { text, marked } of pieces ?? []) cell.append(marked && !whole ? element("mark", "", text) : text);
    return cell;
  };
  return element("div", "row", side(row.a, "a"), side(row.b, "b"));
}

function hexCell({ hex, perRow }: Extract<Row, { type: "hex" }>, side: "a" | "b"): PageElement {
  const bytes = hex[side];
  const some = bytes.some((byte) => byte >= 0);
  const cell = element("div", `cell hex ${side}${some ? (hex.marked.includes(true) ? " changed" : "") : " none"}`);
  if (!some) return cell;
  const offset = side === "a" ? hex.atA : hex.atB;
  cell.append(element("span", "offset", offset.toString(16).padStart(8, "0")), "  ");
  const differs = (at: number): boolean => hex.marked[at] === true && (bytes[at] ?? -1) >= 0;
  for (let at = 0; at < perRow; at++) {
    const text = hexByte(bytes[at] ?? -1);
    cell.append(differs(at) ? element("mark", "", text) : text, at === perRow / 2 - 1 ? "  " : " ");
  }
  cell.append(" ");
  for (let at = 0; at < perRow; at++) {
    const byte = bytes[at] ?? -1;
    const text = byte < 0 ? " " : byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : "·";
    cell.append(differs(at) ? element("mark", "", text) : text);
  }
  return cell;
}

const hexByte = (byte: number): string => (byte < 0 ? "  " : byte.toString(16).padStart(2, "0"));

const shownOffset = (offset: number): string => (offset < 10 ? String(offset) : `${offset} (0x${offset.toString(16)})`);
