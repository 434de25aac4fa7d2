/** Why it differs, cause by cause: the bytes in their place, who wrote them, what to do; then the worlds, and what was not covered. */
import { document, type PageElement } from "./browser.ts";
import type { CheckCause, CheckHead, CheckPlace, ReportDocument } from "./document.ts";
import { element, shownCount, shownNumber, withAttributes } from "./elements.ts";
import { type Measure, type Row, rowsOf } from "./leaf-rows.ts";
import { rowElement } from "./pane.ts";
import { visible } from "./visible.ts";

/** Places of a cause that show their bytes; and rows of them, of which some are before the first that differs. */
const MAX_EXCERPTS = 3;
const EXCERPT_ROWS = 10;
const ROWS_BEFORE = 2;

interface Excerpt {
  leaf: number;
  into: PageElement;
  /** What stands on either side, above the excerpt. */
  values: PageElement;
  place: CheckCause["places"][number];
}

export class Causes {
  readonly element: PageElement = withAttributes(element("main", "causes"), { "aria-label": "Causes" });
  readonly #report: ReportDocument;
  readonly #go: (leaf: number) => void;
  readonly #sections: PageElement[];
  /** The cause that was read last; -1: none yet. */
  #read = -1;
  /** Of the last drawing. */
  #columns = 0;
  readonly #excerpts: Excerpt[] = [];

  constructor(report: ReportDocument, check: CheckHead, go: (leaf: number) => void) {
    this.#report = report;
    this.#go = go;
    const about = check.about.map((line) => element("p", "about", visible(line)));
    const failures = check.failures.map((failure) => this.#failure(failure));
    this.#sections = check.causes.map((cause, at) => this.#cause(cause, at));
    const rest = [
      ...(check.loose === 0
        ? []
        : [element("p", "quiet", `${shownCount(check.loose, "further difference")} only follow`)]),
      worldsTable(check),
      uncovered(check),
    ];
    this.element.append(...about, ...failures, ...this.#sections, ...rest);
  }

  /** Draws the bytes in their places, for the width that there is. */
  async draw(measure: Measure): Promise<void> {
    if (measure.columns === this.#columns) return;
    this.#columns = measure.columns;
    for (const { leaf, into, values, place } of this.#excerpts) {
      await this.#report.load(this.#report.chunkOf(leaf));
      const data = this.#report.leaf(leaf);
      // Another width has come in the meantime.
      if (this.#columns !== measure.columns) return;
      if (data === undefined) continue;
      // A field is its own excerpt.
      values.hidden = data.s === undefined && data.a === place.a && data.b === place.b;
      const kind = this.#report.head.kinds[this.#report.kind[leaf] ?? 0]?.name ?? "";
      const rows = rowsOf(data, kind, measure);
      const first = Math.max(0, rows.findIndex(differs) - ROWS_BEFORE);
      const shown = rows.slice(first, first + EXCERPT_ROWS);
      into.replaceChildren(...shown.map(rowElement));
      if (rows.length > shown.length)
        into.append(element("div", "row words", shownCount(rows.length - shown.length, "more row")));
    }
  }

  /** To another cause, counted from the one that is read; 0: to that. */
  step(by: number): void {
    const at = this.#sections.findIndex((section) => section.contains(document.activeElement));
    const next = (at === -1 ? this.#read : at) + by;
    this.#read = Math.max(0, Math.min(this.#sections.length - 1, next));
    this.#sections[this.#read]?.focus();
  }

  /** The first leaf of the cause that is being read. */
  leafInView(): number | undefined {
    const at = this.#sections.findIndex((section) => section.contains(document.activeElement));
    return this.#report.head.check?.causes[at]?.places.find(({ leaf }) => leaf !== undefined)?.leaf;
  }

  #cause(cause: CheckCause, at: number): PageElement {
    const name = element(
      "h2",
      "",
      visible(cause.name),
      " ",
      element("span", `badge ${toneOf(cause)}`, cause.confidence),
    );
    if (cause.sure !== "") name.append(" ", element("span", "sure", cause.sure));
    const section = withAttributes(element("section", "cause", name), {
      tabindex: 0,
      "aria-label": `cause ${at + 1}: ${visible(cause.name)}, ${cause.confidence}`,
    });
    for (const place of cause.places.slice(0, MAX_EXCERPTS)) section.append(...this.#place(place, true));
    const rest = cause.places.slice(MAX_EXCERPTS);
    if (rest.length > 0) section.append(this.#furtherPlaces(rest, cause.morePlaces));
    const facts = element("dl", "facts");
    for (const command of cause.commands) facts.append(element("dt", "", "written by"), commandElement(command));
    for (const remedy of cause.remedies)
      facts.append(element("dt", "", "remedy"), element("dd", "remedy", visible(remedy)));
    if (cause.tried.length > 0)
      facts.append(element("dt", "", "tried"), element("dd", "", cause.tried.map(visible).join("; ")));
    section.append(facts);
    if (cause.consequences.length > 0) section.append(this.#consequences(cause));
    return section;
  }

  #furtherPlaces(places: CheckCause["places"], more: number): PageElement {
    const made = element(
      "details",
      "",
      element("summary", "", `and ${shownCount(places.length + more, "more place")}`),
    );
    for (const place of places) made.append(...this.#place(place, false));
    if (more > 0) made.append(element("p", "quiet", `and ${shownNumber(more)} that this report does not list`));
    return made;
  }

  #place(place: CheckCause["places"][number], whole: boolean): PageElement[] {
    const line = element("p", "where", this.#link(place));
    if (place.offset !== undefined) line.append(element("span", "quiet", ` at byte ${shownNumber(place.offset)}`));
    const side = (name: "a" | "b"): PageElement => {
      const value = visible(place[name].replaceAll("\n", "⏎"));
      return element("div", `cell ${name} changed`, element("span", "sr", `${name.toUpperCase()}: `), value);
    };
    const values = element("div", "values", side("a"), side("b"));
    if (!whole || place.leaf === undefined) return [line, values];
    const excerpt = withAttributes(element("div", "excerpt"), {
      "aria-label": "The bytes in their place",
      role: "group",
    });
    this.#excerpts.push({ leaf: place.leaf, into: excerpt, values, place });
    return [line, values, excerpt];
  }

  /** The path of a place; a link to its bytes where they are in the report. */
  #link({ path, leaf }: CheckPlace): PageElement {
    const text = path.map(visible).join(" › ");
    if (leaf === undefined) return element("span", "path", text);
    const link = withAttributes(element("a", "path", text), { href: `#d${leaf + 1}` });
    link.addEventListener("click", (event) => {
      event.preventDefault();
      this.#go(leaf);
    });
    return link;
  }

  #consequences(cause: CheckCause): PageElement {
    const count = cause.consequences.length + cause.moreConsequences;
    const list = element("ul", "", ...cause.consequences.map((place) => element("li", "", this.#link(place))));
    if (cause.moreConsequences > 0)
      list.append(element("li", "quiet", `and ${shownNumber(cause.moreConsequences)} more`));
    return element("details", "", element("summary", "", `and ${shownNumber(count)} that follow from it`), list);
  }

  #failure({ world, reason, log }: CheckHead["failures"][number]): PageElement {
    const made = element("section", "cause", element("h2", "", `In the ${visible(world)} world the build failed`));
    made.append(element("p", "", visible(reason)));
    if (log !== "") made.append(element("pre", "log", log.split("\n").map(visible).join("\n")));
    return made;
  }
}

const differs = (row: Row): boolean =>
  row.type === "hex" ? row.hex.marked.includes(true) : row.type === "pair" && row.changed;

const toneOf = ({ name, confidence }: CheckCause): string =>
  name === "unknown" || confidence === "possible" ? "warn" : "bad";

function commandElement({ typed, directory, file, parents, script }: CheckCause["commands"][number]): PageElement {
  const made = element("dd", "", element("code", "", visible(typed)));
  if (script !== undefined) {
    const place = `${visible(script.path)}:${script.line}`;
    made.append(
      element("div", "script", element("span", "path", place), " ", element("code", "quiet", visible(script.text))),
    );
  }
  const under = parents.length === 0 ? "" : `, under ${parents.map(visible).join(" › ")}`;
  made.append(element("div", "quiet", `into ${visible(file)}, in ${visible(directory)}${under}`));
  return made;
}

function worldsTable({ worlds: { names, rows } }: CheckHead): PageElement {
  const head = element("tr", "", element("th", "", "World"), ...names.map((name) => columnHead(visible(name))));
  const body = rows.map(({ what, values }) => {
    const same = values.every((value) => value === values[0]);
    const cells = values.map((value) => element("td", "", visible(value)));
    return element("tr", same ? "same" : "", withAttributes(element("th", "", what), { scope: "row" }), ...cells);
  });
  const table = element("table", "", element("thead", "", head), element("tbody", "", ...body));
  return element("section", "", element("h2", "", "The worlds"), element("div", "wide", table));
}

const columnHead = (text: string): PageElement => withAttributes(element("th", "", text), { scope: "col" });

function uncovered({ notCovered, sayings }: CheckHead): PageElement {
  const section = element("section", "", element("h2", "", "What was not covered"));
  const lines = notCovered.map(({ what, remedy, causes }) => {
    const line = element("li", "", visible(what));
    if (causes.length > 0) line.append(element("span", "quiet", ` (${causes.map(visible).join(", ")})`));
    if (remedy !== "") line.append(`: ${visible(remedy)}`);
    return line;
  });
  lines.push(...sayings.map((saying) => element("li", "", visible(saying))));
  section.append(
    lines.length === 0 ? element("p", "quiet", "Nothing is known that was not.") : element("ul", "", ...lines),
  );
  return section;
}
