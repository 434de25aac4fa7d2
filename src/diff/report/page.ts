/** The page: its parts put together, the keys, and what the address names. */
import {
  addEventListener,
  document,
  history,
  location,
  type PageElement,
  type PageEvent,
  ResizeObserver,
} from "./browser.ts";
import { Causes } from "./causes.ts";
import { ReportDocument } from "./document.ts";
import { button, element, shownCount, shownNumber, withAttributes } from "./elements.ts";
import { Filter } from "./filter.ts";
import { headerOf, Kinds } from "./header.ts";
import type { Measure } from "./leaf-rows.ts";
import { Pane } from "./pane.ts";
import { Search } from "./search.ts";
import { Tree } from "./tree.ts";
import { visible } from "./visible.ts";

const KEYS = [
  ["j ↓", "next difference"],
  ["k ↑", "previous difference"],
  ["n p", "next, previous file"],
  ["Enter", "fold or unfold"],
  ["/", "search; Enter and Shift+Enter go through the hits"],
  ["t", "to the tree, and back; arrows move in it"],
  ["g G", "first, last"],
  ["PgUp PgDn", "scroll"],
  ["Esc", "back to the differences"],
  ["c", "to the causes, and back to the differences"],
  ["?", "this list"],
] as const;

/** Leaves that are read beforehand, so that they can be printed, and printed at most. */
const MAX_PRINTED = 2000;

async function start(): Promise<void> {
  const report = await ReportDocument.open();
  const { head } = report;
  document.title = `${visible(head.a.name)} and ${visible(head.b.name)}: ${head.verdict}`;
  if (head.check !== undefined) document.title = `${visible(head.check.project)}: ${visible(head.check.verdict)}`;
  if (head.leaves === 0) {
    const words = head.verdict === "identical" ? "The two are identical." : `The two are ${head.verdict}.`;
    document.body.append(
      headerOf(head, () => undefined),
      head.check === undefined
        ? element("main", "nothing", element("p", "", words))
        : new Causes(report, head.check, () => undefined).element,
    );
    return;
  }
  new Page(report).begin();
}

class Page {
  readonly #report: ReportDocument;
  readonly #filter: Filter;
  readonly #pane: Pane;
  readonly #tree: Tree;
  readonly #search: Search;
  readonly #feed: PageElement = withAttributes(element("div", "feed"), {
    role: "feed",
    tabindex: 0,
    "aria-label": "Differences",
  });
  readonly #side: PageElement = withAttributes(element("div", "side"), {
    role: "tree",
    tabindex: 0,
    "aria-label": "Places that differ",
  });
  readonly #crumbs: PageElement = withAttributes(element("nav", "crumbs"), { "aria-label": "Place in view" });
  readonly #live: PageElement = withAttributes(element("p", "sr"), { "aria-live": "polite" });
  readonly #field: PageElement = withAttributes(element("input", "search"), {
    type: "search",
    name: "search",
    placeholder: "search  /",
    "aria-label": "Search",
    spellcheck: false,
  });
  readonly #hits: PageElement = withAttributes(element("span", "hits"), { role: "status" });
  readonly #help: PageElement;
  readonly #kindsBar: PageElement;
  readonly #probe: PageElement = withAttributes(element("span", "probe", "0".repeat(100)), { "aria-hidden": true });
  readonly #paper: PageElement = element("div", "paper");
  readonly #main: PageElement;
  readonly #causes: Causes | undefined;
  readonly #views: PageElement[] = [];

  constructor(report: ReportDocument) {
    this.#report = report;
    this.#filter = new Filter(report);
    const header = headerOf(report.head, (leaf) =>
      this.#causes === undefined ? this.#pane.select(leaf) : this.#toDifference(leaf),
    );
    const kinds = new Kinds(report, this.#filter, () => this.#filtered());
    this.#help = helpOf();
    this.#kindsBar = kinds.element;
    header.append(kinds.element, this.#help);
    this.#main = element("main", "", this.#side, element("div", "right", this.#crumbs, this.#feed));
    const { check } = report.head;
    this.#causes = check === undefined ? undefined : new Causes(report, check, (leaf) => this.#toDifference(leaf));
    const causes = this.#causes === undefined ? [] : [this.#causes.element];
    document.body.append(header, ...causes, this.#main, this.#live, this.#probe, this.#paper);
    this.#pane = new Pane(report, this.#filter, this.#feed, {
      moved: (node) => this.#moved(node),
      selected: (leaf) => this.#selected(leaf),
    });
    this.#tree = new Tree(report, this.#filter, this.#side, (leaf) => this.#pane.select(leaf, { focus: false }));
    this.#search = new Search(report, this.#filter, () => this.#searched());
    if (this.#causes !== undefined) {
      this.#views.push(
        button("tool view", "Causes", () => this.#view(true)),
        button("tool view", "Differences", () => this.#view(false)),
      );
    }
    document.getElementById("tools")?.append(
      ...this.#views,
      this.#hits,
      this.#field,
      button("tool", "?", () => this.#help.showModal()),
    );
  }

  begin(): void {
    new ResizeObserver(() => this.#resized()).observe(this.#feed);
    const causes = this.#causes;
    if (causes !== undefined) new ResizeObserver(() => this.#drawCauses(causes)).observe(causes.element);
    document.addEventListener("keydown", (event) => this.#key(event));
    addEventListener("hashchange", () => this.#toHash());
    this.#field.addEventListener("input", () => void this.#search.start(this.#field.value));
    this.#field.addEventListener("keydown", (event) => {
      if (event.key === "Enter") this.#toHit(event.shiftKey ? -1 : 1);
      else if (event.key === "Escape") this.#feed.focus();
    });
    this.#view(this.#causes !== undefined && !location.hash.startsWith("#d"));
    this.#resized();
    this.#toHash();
    this.#preparePaper();
  }

  /** Shows the causes, or the differences. */
  #view(causes: boolean): void {
    if (this.#causes === undefined) return;
    this.#causes.element.hidden = !causes;
    this.#main.hidden = causes;
    this.#kindsBar.hidden = causes;
    this.#views.forEach((one, at) => withAttributes(one, { "aria-pressed": (at === 0) === causes }));
  }

  #drawCauses(causes: Causes): void {
    if (!causes.element.hidden) void causes.draw(measured(this.#probe, causes.element.clientWidth - 64));
  }

  #toDifference(leaf: number): void {
    this.#view(false);
    this.#filter.hidden.clear();
    this.#filter.apply();
    this.#resized();
    this.#pane.select(leaf);
  }

  #resized(): void {
    this.#pane.layOut(measured(this.#probe, this.#feed.clientWidth - 44));
    this.#tree.list();
  }

  #filtered(): void {
    this.#pane.layOut();
    this.#tree.list();
    if (this.#field.value !== "") void this.#search.start(this.#field.value);
  }

  /** The whole path of what is in view, each step a link to its first difference. */
  #moved(node: number): void {
    const { nodes } = this.#report;
    const steps = this.#report.way(node).flatMap((at, index) => {
      const step = button("crumb", visible(nodes.label[at] ?? ""), () => this.#pane.select(nodes.start[at] ?? 0));
      return index === 0 ? [step] : [element("span", "quiet", nodes.inside[at] === 1 ? "›" : "/"), step];
    });
    this.#crumbs.replaceChildren(...steps);
    if (!this.#side.contains(document.activeElement)) this.#tree.follow(node);
  }

  #selected(leaf: number): void {
    try {
      history.replaceState(null, "", `#d${leaf + 1}`);
    } catch {
      // Some browsers refuse for files; the page works without.
    }
    const place = this.#pane.pathText(this.#report.node[leaf] ?? 0);
    const kind = this.#report.head.kinds[this.#report.kind[leaf] ?? 0]?.name.replace(/^field:/, "") ?? "";
    this.#live.textContent = `difference ${shownNumber(this.#filter.rank(leaf) + 1)} of ${shownNumber(this.#filter.shown.length)}: ${visible(kind)} in ${place}`;
  }

  #toHash(): void {
    const found = /^#d([1-9]\d{0,9})$/.exec(location.hash);
    if (found?.[1] === undefined) return;
    this.#view(false);
    this.#pane.select(Math.min(Number(found[1]), this.#report.head.leaves) - 1, { focus: false });
  }

  #searched(): void {
    const { hits, done } = this.#search;
    const at = hits.indexOf(this.#pane.current);
    const count = `${at >= 0 ? `${shownNumber(at + 1)} of ` : ""}${shownCount(hits.length, "hit")}`;
    this.#hits.textContent = this.#field.value === "" ? "" : `${count}${done ? "" : " …"}`;
  }

  #toHit(by: 1 | -1): void {
    const hit = this.#search.next(this.#pane.current, by);
    if (hit !== undefined) this.#pane.select(hit, { focus: false });
    this.#searched();
  }

  #key(event: PageEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const { target } = event;
    if (target !== null && (target.tagName === "INPUT" || target.closest("dialog") !== null)) return;
    if (
      target !== null &&
      (event.key === "Enter" || event.key === " ") &&
      target.closest("button, a, summary") !== null
    )
      return;
    const move = (this.#causes?.element.hidden === false ? this.#causeMoves(this.#causes) : this.#moves())[event.key];
    if (move === undefined) return;
    event.preventDefault();
    move();
  }

  #causeMoves(causes: Causes): Readonly<Record<string, () => void>> {
    return {
      j: () => causes.step(1),
      ArrowDown: () => causes.step(1),
      k: () => causes.step(-1),
      ArrowUp: () => causes.step(-1),
      Enter: () => {
        const leaf = causes.leafInView();
        if (leaf !== undefined) this.#toDifference(leaf);
      },
      c: () => {
        this.#view(false);
        this.#feed.focus();
      },
      "/": () => {
        this.#view(false);
        this.#field.focus();
      },
      "?": () => this.#help.showModal(),
    };
  }

  #moves(): Readonly<Record<string, () => void>> {
    const pane = this.#pane;
    const { scroller } = pane;
    const last = (): void => pane.select(this.#filter.shown.at(-1) ?? 0);
    return {
      j: () => pane.step(1),
      ArrowDown: () => pane.step(1),
      k: () => pane.step(-1),
      ArrowUp: () => pane.step(-1),
      n: () => pane.stepPlace(1),
      p: () => pane.stepPlace(-1),
      g: () => pane.select(0),
      Home: () => pane.select(0),
      G: last,
      End: last,
      Enter: () => pane.fold(),
      PageDown: () => scroller.to(scroller.top + scroller.view - 60),
      " ": () => scroller.to(scroller.top + scroller.view - 60),
      PageUp: () => scroller.to(scroller.top - scroller.view + 60),
      t: () => (this.#side.contains(document.activeElement) ? this.#feed : this.#side).focus(),
      Escape: () => this.#feed.focus(),
      c: () => {
        this.#view(true);
        this.#causes?.step(0);
      },
      "/": () => {
        this.#field.focus();
        this.#field.select();
      },
      "?": () => this.#help.showModal(),
    };
  }

  /** Paper has no scroll bar: what fits on it is laid out whole, and what does not is counted. */
  #preparePaper(): void {
    if (this.#report.head.leaves <= MAX_PRINTED)
      for (let chunk = 0; chunk < this.#report.head.chunks.length; chunk++) void this.#report.load(chunk);
    addEventListener("beforeprint", () => this.#paper.replaceChildren(...this.#pane.printed(MAX_PRINTED)));
    addEventListener("afterprint", () => this.#paper.replaceChildren());
  }
}

/** How many characters and bytes go into each of two columns. */
function measured(probe: PageElement, room: number): Measure {
  const width = probe.getBoundingClientRect().width / 100 || 8;
  const cell = room / 2 - 20;
  const columns = Math.max(12, Math.floor(cell / width));
  // Bytes are set smaller: 11.5 against 12.5 pixels.
  const narrow = (cell / width) * (12.5 / 11.5);
  return { columns, perRow: [16, 8].find((count) => narrow >= 8 + 2 + count * 4 + 2) ?? 4 };
}

function helpOf(): PageElement {
  const list = element("dl", "");
  for (const [keys, what] of KEYS) {
    const names = keys.split(" ").flatMap((key, at) => [...(at > 0 ? [" "] : []), element("kbd", "", key)]);
    list.append(element("dt", "", ...names), element("dd", "", what));
  }
  const dialog = withAttributes(element("dialog", ""), { "aria-label": "Keys" });
  dialog.append(
    element("h2", "", "Keys"),
    list,
    button("tool", "Close", () => dialog.close()),
  );
  return dialog;
}

void start();
