import { styleText } from "node:util";
import type { Difference, Leaf } from "./difference.ts";
import { counted, filesOf, type Finding, findingsOf, grouped, kindWords, RANKS, type Rank } from "./findings.ts";
import type { Reading } from "./reading.ts";
import { bodyLines, type Canvas, firstOf, middle, valueLines } from "./render-leaf.ts";
import { textColumns, visible } from "./report/visible.ts";

export interface RenderOptions {
  /** Columns of the terminal. */
  width?: number;
  color?: boolean;
  /** Lines for one finding's text or bytes. */
  maxLines?: number;
  /** Lines in all; what does not fit is counted. */
  maxTotal?: number;
  /** What else is to be said: what was excluded, what was not compared. */
  reading?: Pick<Reading, "excluded" | "incomplete">;
}

interface Page extends Canvas {
  maxTotal: number;
}

/** Files that the summary names. */
const MAX_FILES = 8;
/** Lines for the body of a finding, from generous to terse: the first with which all findings fit is taken. */
const BODIES = [12, 8, 6, 4, 2];

const HEADINGS: Readonly<Record<Rank, string>> = {
  content: "content",
  order: "order",
  metadata: "metadata",
  storage: "compression and padding",
  derived: "what follows from the above",
};

/**
 * A difference as lines for people: first what it comes to, then each finding
 * under the place where it was found, content before metadata and what only
 * follows last. Names and text come from strangers: what could steer the
 * terminal is made visible.
 */
export function renderText(difference: Difference, options: RenderOptions = {}): string[] {
  const color = options.color ?? false;
  const page: Page = {
    width: Math.max(options.width ?? 100, 40),
    color,
    maxTotal: Math.max(options.maxTotal ?? 2000, 5),
    paint: (style, text) => (color && text !== "" ? styleText(style, text, { validateStream: false }) : text),
  };
  const findings = findingsOf(difference);
  const top = [...summaryLines(page, difference, findings), ...sayings(page, options.reading)];
  const head = top.length > page.maxTotal - 3 ? top.slice(0, Math.max(1, page.maxTotal - 3)) : top;
  const room = page.maxTotal - head.length - 1;
  const bodies = BODIES.map((most) => Math.min(most, options.maxLines ?? 12));
  for (const most of bodies.slice(0, -1)) {
    const { lines, shown } = bodyOf(page, findings, most, room);
    if (shown === findings.length) return [...head, "", ...lines];
  }
  const { lines, shown } = bodyOf(page, findings, bodies.at(-1) ?? 2, room - 1);
  if (shown === findings.length) return [...head, "", ...lines];
  const hidden = findings.slice(shown).reduce((sum, finding) => sum + finding.count, 0);
  return [
    ...head,
    "",
    ...lines,
    page.paint("dim", `… and ${counted(hidden, "more difference")}: --full shows more, --html FILE all`),
  ];
}

/** How much differs, and what in which file. */
function summaryLines(page: Page, difference: Difference, findings: readonly Finding[]): string[] {
  const files = filesOf(difference);
  const leaves = findings.reduce((sum, finding) => sum + finding.count, 0);
  // What only follows, such as a compressed stream, would be counted twice.
  const told = findings.filter((finding) => finding.rank !== "derived");
  const a = told.reduce((sum, finding) => sum + finding.bytesA, 0);
  const b = told.reduce((sum, finding) => sum + finding.bytesB, 0);
  const bytes = a === b ? counted(a, "byte") : `${grouped(a)} against ${counted(b, "byte")}`;
  const first = `${counted(leaves, "difference")} in ${counted(files.length, "file")}`;
  const lines = [`${page.paint("bold", first)}${a + b > 0 ? page.paint("dim", `, ${bytes}`) : ""}`];
  if (findings.length < 2 && files.length < 2) return lines;
  const names = Math.min(
    40,
    page.width >> 1,
    Math.max(...files.slice(0, MAX_FILES).map((file) => textColumns(visible(file.name)))),
  );
  for (const file of files.slice(0, MAX_FILES)) {
    const name = middle(visible(file.name), names);
    const words = RANKS.map((rank) =>
      [...file.kinds]
        .filter(([, kind]) => kind.rank === rank)
        .map(([kind, { count }]) => visible(kindWords(kind, count)))
        .join(", "),
    ).filter((text) => text !== "");
    lines.push(
      `  ${page.paint("bold", name + " ".repeat(names - textColumns(name)))}  ${firstOf(words.join(" · "), page.width - names - 4)}`,
    );
  }
  if (files.length > MAX_FILES)
    lines.push(page.paint("dim", `  … and ${counted(files.length - MAX_FILES, "more file")}`));
  return lines;
}

/** What was excluded and what was not compared: never left out. */
export function sayings(page: Pick<Canvas, "paint" | "width">, reading: RenderOptions["reading"]): string[] {
  const excluded = (reading?.excluded ?? []).map(({ rule, reason, leaves, bytes }) => {
    const why = reason === undefined ? "" : ` (${reason})`;
    return page.paint(
      "yellow",
      firstOf(
        `  excluded: ${counted(leaves, "difference")}, ${counted(bytes, "byte")}, by ${visible(rule + why)}`,
        page.width,
      ),
    );
  });
  const incomplete = reading?.incomplete ?? [];
  const shown = incomplete
    .slice(0, 5)
    .map(({ path, why }) => page.paint("yellow", firstOf(`  ${placeName(path)}: ${visible(why)}`, page.width)));
  const more = incomplete.length - shown.length;
  return [
    ...excluded,
    ...shown,
    ...(more > 0 ? [page.paint("yellow", `  … and ${counted(more, "more place")} not looked into`)] : []),
  ];
}

const placeName = (path: readonly string[]): string => (path.length === 0 ? "." : path.map(visible).join(" › "));

/** The findings under their places, until `room` lines are full; `shown` counts findings that are in it. */
function bodyOf(
  page: Page,
  findings: readonly Finding[],
  most: number,
  room: number,
): { lines: string[]; shown: number } {
  const lines: string[] = [];
  const several = new Set(findings.map((finding) => finding.rank)).size > 1;
  let [rank, place] = ["", ""];
  for (const [index, finding] of findings.entries()) {
    const block: string[] = [];
    if (several && finding.rank !== rank) {
      if (lines.length > 0) block.push("");
      block.push(page.paint("dim", HEADINGS[finding.rank]));
      place = "";
    }
    rank = finding.rank;
    const here = placeName(commonPath(finding));
    if (here !== place) block.push(page.paint("bold", middle(here, page.width)));
    place = here;
    block.push(...findingLines(page, finding, most).map((line) => `  ${line}`));
    if (lines.length + block.length > room) {
      // The first finding is cut rather than left out.
      if (index === 0) return { lines: block.slice(0, room), shown: 1 };
      return { lines, shown: index };
    }
    lines.push(...block);
  }
  return { lines, shown: findings.length };
}

/** What the places of a finding share. */
function commonPath({ paths, count }: Finding): string[] {
  const [first = [], ...others] = paths;
  if (count === 1) return first;
  let length = paths.length === 1 ? first.length : first.length - 1;
  for (const other of others) while (first.slice(0, length).some((name, at) => other[at] !== name)) length--;
  return first.slice(0, length);
}

function findingLines(page: Page, finding: Finding, most: number): string[] {
  const { leaf } = finding;
  const room = page.width - 2;
  const label = visible(leaf.what === "field" ? (leaf.field ?? "field") : TITLES[leaf.what]);
  if (finding.rank === "derived") {
    const note = leaf.note === undefined ? [] : [`  ${visible(leaf.note)}`];
    return [`${label}  ${placeOf(leaf, finding.count)}`, ...note].map((line) => page.paint("dim", firstOf(line, room)));
  }
  const lines = finding.mixed
    ? [`${label}  ${page.paint("dim", "another change in each")}`]
    : titleAndBody(page, finding, label, most);
  if (finding.count > 1) lines.push(...elsewhere(page, finding, room));
  if (leaf.note !== undefined && !finding.mixed)
    lines.push(page.paint("dim", firstOf(`  ${visible(leaf.note)}`, room)));
  return lines;
}

const TITLES: Readonly<Record<Leaf["what"], string>> = {
  bytes: "bytes",
  text: "text",
  field: "field",
  "only-a": "only in A",
  "only-b": "only in B",
  order: "order",
  type: "kind",
};

function titleAndBody(page: Page, { leaf }: Finding, label: string, most: number): string[] {
  const room = page.width - 2;
  const body = bodyLines(page, leaf, room - 2, most).map((line) => `  ${line}`);
  const place = placeOf(leaf, 1);
  if (leaf.what === "only-a" || leaf.what === "only-b") {
    const value = leaf.what === "only-a" ? leaf.a : leaf.b;
    const style = leaf.what === "only-a" ? "red" : "green";
    return [
      `${page.paint(style, label)}  ${firstOf(value === undefined ? place : visible(value), room - label.length - 2)}`,
      ...body,
    ];
  }
  const values = leaf.a !== undefined || leaf.b !== undefined;
  if (leaf.what === "field" && values && leaf.a === leaf.b) {
    const shown = middle(visible(leaf.a ?? ""), Math.max(10, room - label.length - place.length - 6));
    return [`${label}  ${shown}  ${page.paint("dim", place)}`, ...body.slice(0, 2)];
  }
  if (body.length === 0 && values) return valueLines(page, leaf, label, room);
  return [`${label}${place === "" ? "" : `  ${page.paint("dim", place)}`}`, ...body];
}

/** Where else the same differs. */
function elsewhere(page: Page, finding: Finding, room: number): string[] {
  const base = commonPath(finding).length;
  const names = finding.paths.map((path) => path.slice(base).map(visible).join(" › ")).filter((name) => name !== "");
  const lead = `  in ${counted(finding.count, "place")}`;
  if (names.length === 0) return [page.paint("dim", lead)];
  let text = `${lead}: `;
  for (const [at, name] of names.entries()) {
    const left = finding.count - at - 1;
    const end = left > 0 ? `, … and ${grouped(left)} more` : "";
    if (at > 0 && textColumns(text) + textColumns(name) + end.length + 2 > room)
      return [page.paint("dim", `${text}, … and ${grouped(finding.count - at)} more`)];
    text += at === 0 ? firstOf(name, Math.max(20, room - textColumns(text) - 24)) : `, ${name}`;
  }
  return [
    page.paint(
      "dim",
      finding.count > names.length ? `${text}, … and ${grouped(finding.count - names.length)} more` : text,
    ),
  ];
}

/** `at 136 (0x88), 12 bytes`. */
function placeOf(leaf: Leaf, leaves: number): string {
  const [first] = leaf.ranges;
  if (first === undefined) return leaves > 1 ? `in ${counted(leaves, "place")}` : "";
  const { a, b } = first;
  const more = leaf.ranges.length > 1 ? ` and ${counted(leaf.ranges.length - 1, "more place")}` : "";
  const at =
    leaf.what === "only-b"
      ? offset(b.offset)
      : a.offset === b.offset || leaf.what === "only-a"
        ? offset(a.offset)
        : `${offset(a.offset)} → ${offset(b.offset)}`;
  const length =
    a.length === b.length
      ? counted(a.length, "byte")
      : leaf.what === "only-a"
        ? counted(a.length, "byte")
        : leaf.what === "only-b"
          ? counted(b.length, "byte")
          : `${grouped(a.length)} → ${counted(b.length, "byte")}`;
  return `at ${at}, ${length}${more}`;
}

const offset = (at: number): string => (at < 10 ? String(at) : `${at} (0x${at.toString(16)})`);
