/** The head of the page: what was compared, what it comes to, what was left out, and the choice of kinds. */
import type { PageElement } from "./browser.ts";
import type { ReportDocument, ReportHead } from "./document.ts";
import { button, element, shownCount, shownNumber, withAttributes } from "./elements.ts";
import type { Filter } from "./filter.ts";
import { visible } from "./visible.ts";

/** Kinds with a button of their own; the others are behind one more. */
const MAX_CHIPS = 12;

export function headerOf(head: ReportHead, go: (leaf: number) => void): PageElement {
  const tone = head.verdict === "different" ? "bad" : head.verdict === "identical" ? "good" : "warn";
  const { check } = head;
  const badge = element("span", `badge ${check?.tone ?? tone}`, visible(check?.verdict ?? head.verdict));
  const bytes =
    head.bytesA === head.bytesB
      ? shownCount(head.bytesA, "byte")
      : `${shownNumber(head.bytesA)} against ${shownCount(head.bytesB, "byte")}`;
  const counts =
    head.leaves === 0 ? "" : `${shownCount(head.leaves, "difference")} in ${shownCount(head.files, "file")}, ${bytes}`;
  const brand = element(
    "span",
    "brand",
    withAttributes(element("span", "sign", "▮▯"), { "aria-hidden": true }),
    check === undefined ? " bitforbit diff" : ` bitforbit check · ${visible(check.project)}`,
  );
  const first = element(
    "div",
    "line",
    brand,
    element("h1", "", badge, element("span", "counts", counts)),
    withAttributes(element("span", "tools"), { id: "tools" }),
  );
  const inputs = element("div", "inputs", inputElement("A", head.a), inputElement("B", head.b));
  return element("header", "", first, inputs, ...sayings(head), ...(head.leaves === 0 ? [] : [detailsOf(head, go)]));
}

function inputElement(side: "A" | "B", { name, size, sha256 }: ReportHead["a"]): PageElement {
  const line = element(
    "div",
    `input ${side.toLowerCase()}`,
    element("b", "", side),
    " ",
    element("span", "name", visible(name)),
  );
  if (size !== undefined) line.append(element("span", "quiet", ` ${shownCount(size, "byte")}`));
  if (sha256 !== undefined) line.append(" ", element("code", "digest", `sha256:${sha256}`));
  line.title = visible(name);
  return line;
}

/** What was excluded, what was not looked into: never folded away. */
function sayings(head: ReportHead): PageElement[] {
  const lines = head.excluded.map(
    ({ rule, reason, leaves, bytes }) =>
      `${shownCount(leaves, "difference")} excluded by ${visible(rule)}, ${shownCount(bytes, "byte")}${reason === undefined ? "" : `: ${visible(reason)}`}`,
  );
  const places = head.incomplete
    .slice(0, 3)
    .map(({ path, why }) => `${path.map(visible).join(" › ") || "the inputs"}: ${visible(why)}`);
  const more = head.incomplete.length - places.length;
  if (more > 0) places.push(`${shownCount(more, "more place")} not looked into`);
  return [...lines, ...places].map((line) => element("p", "saying", line));
}

function detailsOf(head: ReportHead, go: (leaf: number) => void): PageElement {
  const list = element("ol", "findings");
  for (const { text, count, leaf } of head.findings) {
    const link = withAttributes(element("a", "", text), { href: `#d${leaf + 1}` });
    link.addEventListener("click", (event) => {
      event.preventDefault();
      go(leaf);
    });
    list.append(element("li", "", link, ...(count > 1 ? [element("span", "times", `× ${shownNumber(count)}`)] : [])));
  }
  if (head.moreFindings > 0)
    list.append(element("li", "quiet", `and ${shownCount(head.moreFindings, "more finding")}`));
  const made = element("details", "", element("summary", "", "What it comes to"), list);
  if (head.certificate !== undefined) made.append(element("p", "certificate", head.certificate));
  return made;
}

/** A button for each kind, pressed while it is shown, and a line that counts what is hidden. */
export class Kinds {
  readonly element: PageElement;
  readonly #report: ReportDocument;
  readonly #filter: Filter;
  readonly #status: PageElement;
  readonly #buttons: PageElement[];
  readonly #changed: () => void;

  constructor(report: ReportDocument, filter: Filter, changed: () => void) {
    this.#report = report;
    this.#filter = filter;
    this.#changed = changed;
    this.#status = withAttributes(element("span", "status"), { role: "status" });
    this.#buttons = report.head.kinds.map(({ name, rank, count }, kind) => {
      const label = visible(name.replace(/^field:/, ""));
      const chip = button(`chip rank${rank}`, label, () => this.#toggle(kind));
      chip.append(element("span", "count", shownNumber(count)));
      chip.title = `${label}: press to hide or show; with Shift only this`;
      chip.addEventListener("click", (event) => {
        if (event.shiftKey) this.#only(kind);
      });
      return chip;
    });
    const bar = withAttributes(element("div", "kinds", ...this.#buttons.slice(0, MAX_CHIPS)), {
      role: "group",
      "aria-label": "Kinds of differences",
    });
    if (this.#buttons.length > MAX_CHIPS) {
      const rest = this.#buttons.slice(MAX_CHIPS);
      bar.append(
        element(
          "details",
          "more",
          element("summary", "", shownCount(rest.length, "more kind")),
          element("div", "kinds", ...rest),
        ),
      );
    }
    bar.append(
      button("chip all", "all", () => this.#all()),
      this.#status,
    );
    this.element = bar;
    this.#show();
  }

  #toggle(kind: number): void {
    if (!this.#filter.hidden.delete(kind)) this.#filter.hidden.add(kind);
    this.#apply();
  }

  #only(kind: number): void {
    this.#filter.hidden.clear();
    this.#report.head.kinds.forEach((_, at) => at !== kind && this.#filter.hidden.add(at));
    this.#apply();
  }

  #all(): void {
    this.#filter.hidden.clear();
    this.#apply();
  }

  #apply(): void {
    this.#filter.apply();
    this.#show();
    this.#changed();
  }

  #show(): void {
    this.#buttons.forEach((chip, kind) => withAttributes(chip, { "aria-pressed": !this.#filter.hidden.has(kind) }));
    const { leaves, kinds } = this.#report.head;
    const hidden = leaves - this.#filter.shown.length;
    const names = kinds
      .filter((_, kind) => this.#filter.hidden.has(kind))
      .map(({ name, count }) => `${visible(name.replace(/^field:/, ""))} ${shownNumber(count)}`);
    const list = names.length > 3 ? `${names.slice(0, 3).join(", ")}, …` : names.join(", ");
    this.#status.textContent =
      hidden === 0 ? "" : `${shownNumber(hidden)} of ${shownCount(leaves, "difference")} hidden: ${list}`;
  }
}
