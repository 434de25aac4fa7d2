/** docs/matrix.md: text for people around one table, of which each run writes the rows that it measured. */

export interface Row {
  project: string;
  ecosystem: string;
  environment: string;
  /** Dependencies by checksum + packages of the environment. */
  materials: string;
  /** As many of both as the build was seen to read. */
  read: string;
  /** Files that it read and that no lock names. */
  undeclared: string;
  outputs: string;
  lockSeconds: number | undefined;
  buildSeconds: number | undefined;
  verdict: string;
  committed: string;
  offline: string;
  secondLock: string;
  secondRoot: string;
  remarks: string[];
}

const COLUMNS = [
  "project",
  "ecosystem",
  "environment",
  "materials",
  "read of them",
  "read, not locked",
  "outputs",
  "lock",
  "build",
  "verdict",
  "committed lock same",
  "offline build same",
  "second lock same",
  "second root same",
  "remark",
];

const line = (cells: readonly string[]): string => `| ${cells.map(cell).join(" | ")} |`;

/** Text of programs in a cell: no end of the cell, of the line, and no markup. */
function cell(text: string): string {
  return text
    .replace(/[\p{Cc}\s]+/gu, " ")
    .replace(/[|<>`*_\\[\]]/g, "\\$&")
    .trim();
}

export const HEADER: string = [line(COLUMNS), `|${COLUMNS.map(() => " --- ").join("|")}|`].join("\n");

const seconds = (value: number | undefined): string => (value === undefined ? "" : `${Math.round(value)} s`);

export function rowLine(row: Row): string {
  return line([
    row.project,
    row.ecosystem,
    row.environment,
    row.materials,
    row.read,
    row.undeclared,
    row.outputs,
    seconds(row.lockSeconds),
    seconds(row.buildSeconds),
    row.verdict,
    row.committed,
    row.offline,
    row.secondLock,
    row.secondRoot,
    row.remarks.join("; "),
  ]);
}

const BEGIN = "<!-- npm run matrix writes from here -->";
const END = "<!-- to here -->";

/** The table's rows in a page; [] where there is none yet. */
export function rowsOf(page: string): string[] {
  const table = page.split(BEGIN)[1]?.split(END)[0] ?? "";
  return table
    .split("\n")
    .filter((text) => text.startsWith("| ") && !text.startsWith("| project |") && !text.startsWith("| ---"));
}

/** The page with these rows, in the order of `names`; rows of projects that are gone are left out. */
export function withRows(page: string, rows: readonly string[], names: readonly string[]): string {
  const ordered = names.flatMap((name) => rows.filter((text) => text.startsWith(`| ${name} |`)).slice(0, 1));
  const table = `${BEGIN}\n\n${[HEADER, ...ordered].join("\n")}\n\n${END}`;
  const [before, rest] = page.split(BEGIN);
  if (rest === undefined) return `${page.trimEnd()}\n\n${table}\n`;
  return `${before ?? ""}${table}${rest.split(END)[1] ?? "\n"}`;
}
