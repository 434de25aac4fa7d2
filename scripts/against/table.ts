/** The table of docs/diff.md, from what the benchmark and the comparison have kept beside the pairs. */
import { existsSync, lstatSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import type { Figures } from "../../bench/diffoscope.bench.ts";
import { median } from "../../bench/paired.ts";
import type { MadePair } from "../pairs/all.ts";

/** What was found of a pair; the last two are not there where diffoscope gave no answer. */
export interface Counts {
  differences: number;
  lines?: number;
  missing?: number;
}

const PAGE = resolve(import.meta.dirname, "../../docs/diff.md");
const FROM = "<!-- npm run against-diffoscope writes from here -->";
const TO = "<!-- to here -->";
const COLUMNS = [
  "pair",
  "what",
  "size",
  "ours",
  "",
  "differences",
  "diffoscope",
  "",
  "lines",
  "times as fast",
  "missing",
];

/** Below, both mostly start up. */
const LONG = 5;

interface Row {
  pair: MadePair;
  figures: Figures;
  counts: Counts;
}

export function writeTable(pairs: readonly MadePair[]): void {
  const rows = pairs.flatMap((pair): Row[] => {
    const [figures, counts] = [kept<Figures>(pair, "figures.json"), kept<Counts>(pair, "missing.json")];
    return figures === undefined || counts === undefined ? [] : [{ pair, figures, counts }];
  });
  const page = readFileSync(PAGE, "utf8");
  const [before, after] = [page.indexOf(FROM) + FROM.length, page.indexOf(TO)];
  if (before < FROM.length || after < before) throw new Error(`${PAGE}: no place for the table`);
  const large = rows.filter(isLarge);
  const small = rows.filter((row) => !isLarge(row));
  const text = `\n\n${[...sectionOf("Of 1 MB and more", large), ...sectionOf("Smaller", small)].join("\n\n")}\n\n`;
  writeFileSync(PAGE, `${page.slice(0, before)}${text}${page.slice(after)}`);
  console.log(`${rows.length} pairs in ${PAGE}`);
}

/** By size alone, and not by outcome: a release is of that size, and the others mostly show how programs start. */
const RELEASE_SIZE = 1_000_000;
const isLarge = ({ pair }: Row): boolean => Math.max(sizeOf(pair.a), sizeOf(pair.b)) >= RELEASE_SIZE;

function sectionOf(heading: string, rows: readonly Row[]): string[] {
  if (rows.length === 0) return [];
  const lines = [COLUMNS, COLUMNS.map(() => "---"), ...rows.map(cellsOf)].map((cells) => `| ${cells.join(" | ")} |`);
  return [`### ${heading}`, summary(rows), lines.join("\n")];
}

function kept<T>({ a }: MadePair, name: string): T | undefined {
  const path = join(dirname(dirname(a)), name);
  return existsSync(path) ? (JSON.parse(readFileSync(path, "utf8")) as T) : undefined;
}

function summary(rows: readonly Row[]): string {
  const told = rows.filter(({ figures }) => figures.peer !== undefined);
  const ratios = told.map(({ figures }) => ratioOf(figures));
  const unanswered = told.filter(({ figures }) => figures.peer?.ended === false).length;
  const answered = rows.filter(({ counts }) => counts.missing !== undefined);
  const complete = answered.filter(({ counts }) => counts.missing === 0).length;
  const load = rows.map((row) => row.figures.load);
  const long = told.filter(({ figures }) => (figures.peer?.seconds ?? 0) > LONG).map(({ figures }) => ratioOf(figures));
  const longer =
    long.length === 0
      ? ""
      : `; of the ${long.length} that take diffoscope over ${LONG} s, ${median(long).toFixed(0)} times`;
  const sum = (side: "ours" | "peer"): string =>
    told.reduce((seconds, { figures }) => seconds + (figures[side]?.seconds ?? 0), 0).toFixed(0);
  return (
    `${told.length} pairs: in the median ${median(ratios).toFixed(0)} times as fast, at least ${Math.min(...ratios).toFixed(1)} ` +
    `times${longer}. All together: ${sum("ours")} s against ` +
    `${sum("peer")} s; to ${unanswered} of them diffoscope gave no answer. Nothing is missing in ${complete} of the ${answered.length} that it ` +
    `answered. The load of the machine (two cores) was ${median(load).toFixed(1)} in the median, ${Math.max(...load).toFixed(1)} at most.`
  );
}

function ratioOf({ ours, peer }: Figures): number {
  return (peer?.seconds ?? Number.NaN) / ours.seconds;
}

function cellsOf({ pair, figures, counts }: Row): string[] {
  const { ours, peer } = figures;
  const theirs = peer === undefined || !peer.ended ? ["no answer in 120 s", "", ""] : undefined;
  return [
    pair.name,
    pair.what,
    sizeOf(pair.a) === sizeOf(pair.b) ? bytes(sizeOf(pair.a)) : `${bytes(sizeOf(pair.a))}, ${bytes(sizeOf(pair.b))}`,
    `${ours.seconds.toFixed(2)} s`,
    `${ours.mebibytes.toFixed(0)} MiB`,
    String(counts.differences),
    ...(theirs ?? [
      `${(peer?.seconds ?? 0).toFixed(2)} s`,
      `${(peer?.mebibytes ?? 0).toFixed(0)} MiB`,
      counts.lines === undefined ? "" : String(counts.lines),
    ]),
    `${theirs === undefined ? "" : "over "}${ratioOf(figures).toFixed(0)}`,
    counts.missing === undefined ? "" : String(counts.missing),
  ];
}

function sizeOf(path: string): number {
  const stats = lstatSync(path);
  if (!stats.isDirectory()) return stats.size;
  return readdirSync(path).reduce((sum, name) => sum + sizeOf(join(path, name)), 0);
}

function bytes(count: number): string {
  if (count < 10_000) return `${count} B`;
  return count < 1_000_000 ? `${(count / 1000).toFixed(0)} kB` : `${(count / 1_000_000).toFixed(1)} MB`;
}
