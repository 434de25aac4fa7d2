/** The places that differ, as a tree beside the differences: folded and counted, only what is in view in the document. */
import type { PageElement, PageEvent } from "./browser.ts";
import type { ReportDocument } from "./document.ts";
import { element, shownNumber, withAttributes } from "./elements.ts";
import type { Filter } from "./filter.ts";
import { Scroller } from "./scroller.ts";
import { visible } from "./visible.ts";

// As the style sheet has it.
const ITEM = 24;
/** Places that are open at first, as far as so many rows. */
const OPEN_ROWS = 200;

interface Item {
  node: number;
  /** Of a chain of places with nothing beside them the last: its label holds all. */
  label: string;
  level: number;
  place: number;
  siblings: number;
  parents: boolean;
}

export class Tree {
  readonly #report: ReportDocument;
  readonly #filter: Filter;
  readonly #box: PageElement;
  readonly #scroller: Scroller;
  readonly #chosen: (leaf: number) => void;
  readonly #below: number[][];
  readonly #open = new Set<number>();
  #items: Item[] = [];
  #active = 0;

  constructor(report: ReportDocument, filter: Filter, box: PageElement, chosen: (leaf: number) => void) {
    this.#report = report;
    this.#filter = filter;
    this.#box = box;
    this.#chosen = chosen;
    this.#below = Array.from({ length: report.nodes.label.length }, () => []);
    report.nodes.parent.forEach((parent, node) => this.#below[parent]?.push(node));
    this.#scroller = new Scroller(box, element("div", "layer"), () => this.#draw());
    box.addEventListener("keydown", (event) => this.#key(event));
    this.#openFirst();
    this.list();
  }

  #openFirst(): void {
    let rows = 0;
    let level = [0];
    while (level.length > 0) {
      const next = level.flatMap((node) => this.#below[node] ?? []);
      if (rows + next.length > OPEN_ROWS && rows > 0) return;
      for (const node of level) this.#open.add(node);
      rows += next.length;
      level = next;
    }
  }

  /** Lists what is open anew. */
  list(): void {
    const items: Item[] = [];
    const { nodes } = this.#report;
    const visit = (node: number, level: number, place: number, siblings: number): void => {
      let [last, label] = [node, visible(nodes.label[node] ?? "")];
      for (
        let below = this.#shownBelow(last);
        below.length === 1 && !this.#hasOwn(last, below[0] ?? 0);
        below = this.#shownBelow(last)
      ) {
        last = below[0] ?? 0;
        label += (nodes.inside[last] === 1 ? " › " : "/") + visible(nodes.label[last] ?? "");
      }
      const children = this.#shownBelow(last);
      items.push({ node: last, label, level, place, siblings, parents: children.length > 0 });
      if (this.#open.has(last)) children.forEach((child, at) => visit(child, level + 1, at + 1, children.length));
    };
    const roots = this.#shownBelow(0);
    roots.forEach((node, at) => visit(node, 1, at + 1, roots.length));
    if (this.#filter.count(nodes.start[0] ?? 0, nodes.end[0] ?? 0) > 0 && this.#report.node.includes(0)) {
      items.unshift({ node: 0, label: "the inputs themselves", level: 1, place: 1, siblings: 1, parents: false });
    }
    this.#items = items;
    this.#active = Math.min(this.#active, Math.max(0, items.length - 1));
    this.#scroller.total = items.length * ITEM;
  }

  #shownBelow(node: number): number[] {
    return (this.#below[node] ?? []).filter((child) => this.#count(child) > 0);
  }

  #count(node: number): number {
    return this.#filter.count(this.#report.nodes.start[node] ?? 0, this.#report.nodes.end[node] ?? 0);
  }

  /** Whether a place has differences of its own besides those of its only child. */
  #hasOwn(node: number, child: number): boolean {
    return this.#count(node) !== this.#count(child);
  }

  #draw(): void {
    const { top, view, layer } = this.#scroller;
    const from = Math.max(0, Math.floor(top / ITEM) - 4);
    const rows = this.#items
      .slice(from, Math.ceil((top + view) / ITEM) + 4)
      .map((item, at) => this.#itemElement(item, from + at));
    rows.forEach((row, at) => (row.style.transform = `translateY(${Math.round((from + at) * ITEM - top)}px)`));
    layer.replaceChildren(...rows);
    withAttributes(this.#box, { "aria-activedescendant": `n${this.#items[this.#active]?.node ?? 0}` });
  }

  #itemElement(item: Item, at: number): PageElement {
    const open = this.#open.has(item.node);
    const twist = element("span", "twist", item.parents ? (open ? "▾" : "▸") : "");
    const row = withAttributes(
      element(
        "div",
        "item",
        twist,
        element("span", "label", item.label),
        element("span", "count", shownNumber(this.#count(item.node))),
      ),
      {
        role: "treeitem",
        id: `n${item.node}`,
        "aria-level": item.level,
        "aria-posinset": item.place,
        "aria-setsize": item.siblings,
        "aria-selected": at === this.#active,
      },
    );
    if (item.parents) withAttributes(row, { "aria-expanded": open });
    row.title = item.label;
    row.style.paddingLeft = `${(Math.min(item.level, 24) - 1) * 14 + 4}px`;
    row.addEventListener("click", (event) => {
      if (event.target?.closest(".twist") !== null) this.#toggle(at);
      else this.#choose(at);
    });
    return row;
  }

  #toggle(at: number): void {
    const item = this.#items[at];
    if (item === undefined || !item.parents) return;
    if (!this.#open.delete(item.node)) this.#open.add(item.node);
    this.#active = at;
    this.list();
  }

  #choose(at: number): void {
    const item = this.#items[at];
    if (item === undefined) return;
    this.#active = at;
    this.#reveal();
    this.#chosen(this.#report.nodes.start[item.node] ?? 0);
  }

  #reveal(): void {
    const top = this.#active * ITEM;
    if (top < this.#scroller.top || top + ITEM > this.#scroller.top + this.#scroller.view)
      this.#scroller.to(top - this.#scroller.view / 2);
    else this.#scroller.redraw();
  }

  /** Marks the place of what is in view, or the innermost open one around it. */
  follow(node: number): void {
    const way = new Set(this.#report.way(node));
    let found = -1;
    for (const [at, item] of this.#items.entries()) if (way.has(item.node) || item.node === node) found = at;
    if (found < 0 || found === this.#active) return;
    this.#active = found;
    this.#reveal();
  }

  #key(event: PageEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const item = this.#items[this.#active];
    const open = item !== undefined && this.#open.has(item.node);
    const moves: Readonly<Record<string, () => void>> = {
      ArrowDown: () => this.#choose(Math.min(this.#active + 1, this.#items.length - 1)),
      ArrowUp: () => this.#choose(Math.max(this.#active - 1, 0)),
      Home: () => this.#choose(0),
      End: () => this.#choose(this.#items.length - 1),
      ArrowRight: () =>
        open ? this.#choose(Math.min(this.#active + 1, this.#items.length - 1)) : this.#toggle(this.#active),
      ArrowLeft: () => (open ? this.#toggle(this.#active) : this.#choose(this.#parentOf(this.#active))),
      Enter: () => this.#toggle(this.#active),
      " ": () => this.#toggle(this.#active),
    };
    const move = moves[event.key];
    if (move === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    move();
  }

  #parentOf(at: number): number {
    const level = this.#items[at]?.level ?? 1;
    for (let above = at - 1; above >= 0; above--) if ((this.#items[above]?.level ?? 1) < level) return above;
    return at;
  }
}
