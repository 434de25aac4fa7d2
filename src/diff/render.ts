import { styleText } from "node:util";
import { hex, neutralised } from "../bytes.ts";
import { rfc3339 } from "../clock.ts";
import { type Difference, type Leaf, type Range, summaryOf } from "./difference.ts";

export interface RenderOptions {
  /** Columns of the terminal. */
  width?: number;
  color?: boolean;
  /** Lines printed for one leaf's text on each side. */
  maxLines?: number;
  /** Lines in all; a last one says how many differences are not shown. */
  maxTotal?: number;
}

type Style = Parameters<typeof styleText>[0];

interface Page {
  lines: string[];
  width: number;
  maxLines: number;
  maxTotal: number;
  hidden: number;
  paint(style: Style, text: string): string;
}

/** Shown in place of fields of the same change in many members. */
const MAX_SAME = 5;

/**
 * A difference as lines for people: one line for each place, indented by what
 * contains it, values and lines below. Names and text come from strangers:
 * control characters are made visible.
 */
export function renderText(difference: Difference, options: RenderOptions = {}): string[] {
  const color = options.color ?? false;
  const page: Page = {
    lines: [],
    width: Math.max(options.width ?? 100, 40),
    maxLines: options.maxLines ?? 8,
    maxTotal: options.maxTotal ?? 2000,
    hidden: 0,
    paint: (style, text) => (color ? styleText(style, text, { validateStream: false }) : text),
  };
  renderNode(page, difference, 0, []);
  if (page.hidden > 0) page.lines.push(page.paint("dim", `… and ${counted(page.hidden, "more difference")}`));
  const { leaves, files } = summaryOf(difference);
  page.lines.push(page.paint("bold", `${counted(leaves, "difference")} in ${counted(files.length, "file")}`));
  return page.lines;
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

function renderNode(page: Page, node: Difference, indent: number, above: readonly string[]): void {
  const own = below(node.path, above);
  if (own !== "" || indent === 0) {
    const name = own === "" ? "." : own;
    line(page, indent, `${page.paint("bold", name)} ${page.paint("dim", `(${node.format})`)}`);
  }
  if (node.note !== undefined) line(page, indent + 1, page.paint("yellow", clean(page, node.note)));
  const repeats = new Map<string, number>();
  for (const child of node.children) {
    if (page.lines.length >= page.maxTotal) {
      page.hidden += child.kind === "leaf" ? 1 : summaryOf(child).leaves;
      continue;
    }
    if (child.kind === "node") {
      renderNode(page, child, indent + (own === "" && indent > 0 ? 0 : 1), node.path);
      continue;
    }
    const seen = (repeats.get(sameness(child)) ?? 0) + 1;
    repeats.set(sameness(child), seen);
    if (seen <= MAX_SAME) renderLeaf(page, child, indent + 1, node.path);
  }
  for (const [same, count] of repeats) {
    if (count > MAX_SAME) line(page, indent + 1, page.paint("dim", `… ${same} in ${count - MAX_SAME} more`));
  }
}

/** Leaves alike in this are not all shown: a thousand members with another mtime are one finding. */
function sameness(leaf: Leaf): string {
  return leaf.what === "field" ? (leaf.field ?? "field") : `${leaf.what} ${leaf.path.join("\0")}`;
}

function below(path: readonly string[], above: readonly string[]): string {
  return path.slice(above.length).map(harmless).join(" › ");
}

function line(page: Page, indent: number, text: string): void {
  page.lines.push(`${"  ".repeat(Math.min(indent, 20))}${text}`);
}

/** Untrusted text as one line. */
function harmless(text: string): string {
  return neutralised(text.replace(/\n/g, "↵").replace(/\t/g, "  "));
}

/** One line of untrusted text, at most as wide as the terminal. */
function clean(page: Page, text: string): string {
  const flat = harmless(text);
  const most = page.width - 8;
  return flat.length > most ? `${flat.slice(0, most)}…` : flat;
}

function renderLeaf(page: Page, leaf: Leaf, indent: number, above: readonly string[]): void {
  const where = [below(leaf.path, above), leaf.field ?? leaf.what, place(leaf)].filter((word) => word !== "");
  const title = where.join("  ");
  if (leaf.what === "field" || leaf.what === "type") {
    line(page, indent, title);
    if (leaf.a !== undefined || leaf.b !== undefined) renderValues(page, leaf, indent + 1);
  } else if (leaf.what === "bytes") {
    line(page, indent, title);
    renderHex(page, leaf, indent + 1);
  } else {
    line(page, indent, title);
    renderLines(page, leaf, indent + 1);
  }
  if (leaf.note !== undefined) line(page, indent + 1, page.paint("dim", clean(page, leaf.note)));
}

function place(leaf: Leaf): string {
  const first = leaf.ranges[0];
  if (first === undefined) return "";
  const { a, b } = first;
  const more = leaf.ranges.length > 1 ? ` and ${leaf.ranges.length - 1} more` : "";
  const at = a.offset === b.offset ? `${a.offset}` : `${a.offset}/${b.offset}`;
  const length = a.length === b.length ? `${a.length}` : `${a.length}/${b.length}`;
  return `at ${at}, ${length} bytes${more}`;
}

function renderValues(page: Page, leaf: Leaf, indent: number): void {
  const show = (value: string | undefined): string =>
    value === undefined ? "" : `${clean(page, value)}${isTime(leaf) ? timeOf(value) : ""}`;
  line(page, indent, page.paint("red", `- ${show(leaf.a)}`));
  line(page, indent, page.paint("green", `+ ${show(leaf.b)}`));
}

function isTime(leaf: Leaf): boolean {
  return leaf.field !== undefined && /mtime$|^[ac]time$/.test(leaf.field);
}

function timeOf(value: string): string {
  const seconds = Number(value);
  return value !== "" && Math.abs(seconds) < 8e12 ? ` (${rfc3339(Math.floor(seconds) * 1000)})` : "";
}

function renderLines(page: Page, leaf: Leaf, indent: number): void {
  const side = (mark: string, style: Style, text: string | undefined): void => {
    if (text === undefined || text === "") return;
    const lines = text.replace(/\n$/, "").split("\n");
    for (const one of lines.slice(0, page.maxLines))
      line(page, indent, page.paint(style, `${mark} ${clean(page, one)}`));
    if (lines.length > page.maxLines)
      line(page, indent, page.paint("dim", `… ${lines.length - page.maxLines} more lines`));
  };
  side("-", "red", leaf.a);
  side("+", "green", leaf.b);
}

function renderHex(page: Page, leaf: Leaf, indent: number): void {
  const first = leaf.ranges[0];
  if (first === undefined || leaf.bytesA === undefined || leaf.bytesB === undefined) return;
  line(page, indent, page.paint("red", `- ${hexPiece(leaf.bytesA, leaf.atA ?? 0, first.a)}`));
  line(page, indent, page.paint("green", `+ ${hexPiece(leaf.bytesB, leaf.atB ?? 0, first.b)}`));
}

/** The first bytes of a range out of an excerpt that begins at `at`. */
function hexPiece(bytes: Uint8Array, at: number, { offset, length }: Range): string {
  const start = Math.max(0, offset - at);
  const shown = bytes.subarray(start, Math.min(start + Math.min(length, 16), bytes.length));
  const text = Buffer.from(shown)
    .toString("latin1")
    .replace(/[^\x20-\x7e]/g, ".");
  return `${hex(shown)}  ${text}${length > shown.length ? " …" : ""}`;
}
