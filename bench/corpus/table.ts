/** docs/corpus.md from results.jsonl: `node bench/corpus/table.ts`, and at the end of each run. */
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { ECOSYSTEMS, type Entry, readList } from "./list.ts";
import { type Checked, idOf, readResults, type Result } from "./results.ts";

const PAGE = resolve(import.meta.dirname, "../../docs/corpus.md");

const HEAD = `# Real packages

Published packages, fetched from the registries by digest (\`bench/corpus/list.toml\`), each with the recipe that
\`bitforbit init\` writes for it unless the list says otherwise, locked, and checked in two worlds that differ in every
variation the machine has. Where one differs, \`bitforbit fix\` is let loose on it, and apart from that it is checked with
\`determinise = true\`. \`npm run corpus\` makes the results (\`bench/corpus/results.jsonl\`) and this page.

The list is chosen to differ: it has packages that write dates, paths, random numbers and the order of folders into what
they make. The shares below say how bitforbit does on those, not how the registries do.
`;

/** A row is an entry of the list as it is now; a result of an earlier form of it is left out. */
interface Row {
  entry: Entry;
  result: Result | undefined;
}

export function writePage(): void {
  const results = readResults();
  const rows = readList().map((entry): Row => {
    const result = results.get(idOf(entry));
    return { entry, result: result?.key === entry.key ? result : undefined };
  });
  mkdirSync(dirname(PAGE), { recursive: true });
  writeFileSync(PAGE, page(rows));
}

function page(rows: readonly Row[]): string {
  return [
    HEAD,
    "## Totals",
    "",
    ...totals(rows),
    "",
    "## Causes",
    "",
    ...causes(rows),
    "",
    "## Every package",
    "",
    "`cause (n)`: n places that it explains; what changes only because something else did is left out. Seconds are wall time",
    "on cores that other work shared: they say what to expect, not how fast it is.",
    "",
    ...ECOSYSTEMS.flatMap((ecosystem) => [
      `### ${ecosystem}`,
      "",
      ...table(rows.filter(({ entry }) => entry.ecosystem === ecosystem)),
      "",
    ]),
  ].join("\n");
}

const was =
  (verdict: string) =>
  ({ result }: Row): boolean =>
    result?.check?.verdict === verdict;

function totals(rows: readonly Row[]): string[] {
  const line = (what: string, of: readonly Row[]): string => {
    const differing = of.filter((row) => was("differs")(row) || was("fails-in-adversarial")(row));
    const named = differing.filter(({ result }) => isNamed(result?.check));
    const after = (checkOf: (result: Result) => Checked | undefined): string => {
      const tried = differing.flatMap(({ result }) => (result === undefined ? [] : [checkOf(result) ?? []].flat()));
      return tried.length === 0
        ? "–"
        : `${tried.filter(({ verdict }) => verdict === "reproducible").length} of ${tried.length}`;
    };
    const unbuilt = of.filter(({ result }) => result !== undefined && !isBuilt(result));
    return cells([
      what,
      String(of.length),
      String(of.filter(was("reproducible")).length),
      String(of.filter(was("differs")).length),
      String(of.filter(was("fails-in-adversarial")).length),
      String(unbuilt.length),
      String(of.filter(({ result }) => result === undefined).length),
      `${named.length} of ${differing.length}`,
      after(({ fix }) => fix?.check),
      after(({ determinise }) => determinise),
      String(of.reduce((sum, { result }) => sum + buildsOf(result), 0)),
    ]);
  };
  return [
    cells([
      "",
      "packages",
      "reproducible",
      "differs",
      "fails only in the varied world",
      "not built",
      "not run",
      "every cause named",
      "reproducible after fix",
      "reproducible with determinise",
      "builds",
    ]),
    cells(Array.from({ length: 11 }, (_, at) => (at === 0 ? "---" : "---:"))),
    ...ECOSYSTEMS.map((ecosystem) =>
      line(
        ecosystem,
        rows.filter(({ entry }) => entry.ecosystem === ecosystem),
      ),
    ),
    line("**all**", rows),
  ];
}

function isBuilt({ check }: Result): boolean {
  return check !== undefined && check.verdict !== "failed" && check.verdict !== "not checked";
}

/** Whether something is named, and nothing is unknown. */
function isNamed(check: Checked | undefined): boolean {
  const names = Object.keys(check?.causes ?? {});
  return names.length > 0 && !names.includes("unknown");
}

function buildsOf(result: Result | undefined): number {
  const { check, fix, determinise } = result ?? {};
  return [check, fix, fix?.check, determinise].reduce((sum, one) => sum + (one?.builds ?? 0), 0);
}

/** In how many packages, and places, each cause was found. */
function causes(rows: readonly Row[]): string[] {
  const found = new Map<string, { packages: number; places: number; ecosystems: Set<string> }>();
  for (const { entry, result } of rows) {
    for (const [name, places] of Object.entries(result?.check?.causes ?? {})) {
      const one = found.get(name) ?? { packages: 0, places: 0, ecosystems: new Set() };
      found.set(name, one);
      one.packages += 1;
      one.places += places;
      one.ecosystems.add(entry.ecosystem);
    }
  }
  const sorted = [...found].sort(([a, x], [b, y]) => y.packages - x.packages || (a < b ? -1 : 1));
  return [
    cells(["cause", "packages", "places", "ecosystems"]),
    cells(["---", "---:", "---:", "---"]),
    ...sorted.map(([name, { packages, places, ecosystems }]) =>
      cells([name, String(packages), String(places), ECOSYSTEMS.filter((one) => ecosystems.has(one)).join(", ")]),
    ),
  ];
}

function table(rows: readonly Row[]): string[] {
  return [
    cells([
      "package",
      "why it is here",
      "verdict",
      "causes",
      "remedy tried",
      "after the remedy",
      "with determinise",
      "lock",
      "check",
    ]),
    cells(["---", "---", "---", "---", "---", "---", "---", "---:", "---:"]),
    ...rows.map(({ entry, result }) =>
      cells([
        `${entry.name} ${entry.version}`,
        entry.about ?? "",
        verdictOf(result),
        causesIn(result?.check),
        remedies(result),
        verdictWithCauses(result?.fix?.check),
        verdictWithCauses(result?.determinise),
        result?.lock.seconds === undefined ? "" : `${result.lock.seconds.toFixed(0)} s`,
        result?.check === undefined ? "" : `${result.check.seconds.toFixed(0)} s`,
      ]),
    ),
  ];
}

function verdictOf(result: Result | undefined): string {
  if (result === undefined) return "not run";
  const { check, lock } = result;
  if (check === undefined) return `not locked: ${lock.reason ?? ""}`;
  return check.reason === undefined ? check.verdict : `${check.verdict}: ${check.reason}`;
}

function causesIn(check: Checked | undefined): string {
  const broken = (check?.breaks ?? []).map((names) => `broken by ${names.join(" with ")}`);
  const named = Object.entries(check?.causes ?? {}).map(([name, places]) => `${name} (${places})`);
  return [...broken, ...named].join(", ");
}

function remedies(result: Result | undefined): string {
  const { fix } = result ?? {};
  if (fix === undefined) return "";
  if (fix.reason !== undefined) return fix.reason;
  const early = fix.stopped === undefined ? "" : ` (ended by its ${fix.stopped})`;
  if (fix.kept.length > 0) return `${fix.kept.join("; ")}${early}`;
  return `${fix.tried.length > 0 ? `none helped of ${fix.tried.length}` : "none known"}${early}`;
}

function verdictWithCauses(check: Checked | undefined): string {
  if (check === undefined) return "";
  const named = causesIn(check);
  return [check.verdict, ...(named === "" ? [] : [named])].join(": ");
}

function cells(words: readonly string[]): string {
  return `| ${words.map((word) => word.replaceAll("|", "\\|").replace(/\s+/g, " ")).join(" | ")} |`;
}

if (import.meta.main) writePage();
