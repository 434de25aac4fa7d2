/** A difference in a line, and as a comment for a pull request. */
import { counted, filesOf, type FileSummary, findingsOf, grouped, kindWords, RANKS } from "./findings.ts";
import { type Reading, verdictOf } from "./reading.ts";
import { firstOf, fitted, middle } from "./render-leaf.ts";
import { dateOf, distinct, visible } from "./report/visible.ts";
import { wordPieces } from "./report/words.ts";

const MAX_LINE = 400;
const MAX_FILES = 3;
const MAX_KINDS = 4;

/** `2 files differ: dist/x.whl (2 text changes, mtime in 12 places), y (1 run of bytes)`: one line of at most 400 characters. */
export function summaryLine(reading: Reading): string {
  const tail = tailOf(reading);
  if (reading.difference === undefined) {
    const same = verdictOf(reading) === "identical" ? "identical" : "equal but for what was excluded";
    return firstOf(`${visible(reading.a.name)} and ${visible(reading.b.name)} are ${same}${tail}`, MAX_LINE);
  }
  const files = filesOf(reading.difference);
  const lead = `${counted(files.length, "file differs", "files differ")}: `;
  const shown = files.slice(0, MAX_FILES).map((file) => `${middle(visible(file.name), 60)} (${fileWords(file)})`);
  const more = files.length > MAX_FILES ? `, and ${counted(files.length - MAX_FILES, "more file")}` : "";
  return `${firstOf(lead + shown.join(", "), MAX_LINE - more.length - tail.length)}${more}${tail}`;
}

function fileWords(file: FileSummary): string {
  const kinds = [...file.kinds].sort(([, a], [, b]) => RANKS.indexOf(a.rank) - RANKS.indexOf(b.rank));
  const words = kinds.slice(0, MAX_KINDS).map(([kind, { count }]) => firstOf(visible(kindWords(kind, count)), 60));
  return kinds.length > MAX_KINDS
    ? `${words.join(", ")} and ${counted(kinds.length - MAX_KINDS, "more kind")}`
    : words.join(", ");
}

/** What was excluded and what was not looked into. */
function tailOf({ excluded, incomplete }: Reading): string {
  const leaves = excluded.reduce((sum, rule) => sum + rule.leaves, 0);
  const bytes = excluded.reduce((sum, rule) => sum + rule.bytes, 0);
  const left = leaves === 0 ? "" : `; ${counted(leaves, "difference")} (${counted(bytes, "byte")}) excluded`;
  return incomplete.length === 0 ? left : `${left}; ${counted(incomplete.length, "place")} not looked into`;
}

const MAX_ROWS = 60;
const MAX_CELL = 120;

/** A comment: a heading, and a table of the findings that opens on demand. Escaped for GitHub's, GitLab's and Gitea's Markdown. */
export function summaryMarkdown(reading: Reading): string {
  const lines = [`**bitforbit diff**: ${escaped(summaryLine(reading))}`];
  if (reading.difference !== undefined) {
    const findings = findingsOf(reading.difference);
    const total = findings.reduce((sum, finding) => sum + finding.count, 0);
    lines.push(
      "",
      "<details>",
      `<summary>${counted(total, "difference")}</summary>`,
      "",
      "| where | what | A | B |",
      "|---|---|---|---|",
    );
    for (const { leaf, kind, count, mixed } of findings.slice(0, MAX_ROWS)) {
      const shown = distinct(leaf.a ?? "", leaf.b ?? "");
      const pieces = wordPieces(shown.a, shown.b);
      const value = (side: "a" | "b"): string => {
        if (mixed) return "";
        const date = dateOf(leaf.field, leaf[side]);
        const text = fitted(pieces[side], MAX_CELL).map((piece) => piece.text);
        return code(date === "" ? text.join("") : `${text.join("")} (${date})`);
      };
      const where = leaf.path.map(visible).join(" › ");
      const places = count > 1 ? ` and ${counted(count - 1, "more place")}` : "";
      lines.push(
        `| ${code(middle(where, MAX_CELL))}${places} | ${escaped(visible(kind.replace(/^field:/, "")))} | ${value("a")} | ${value("b")} |`,
      );
    }
    if (findings.length > MAX_ROWS) {
      const hidden = findings.slice(MAX_ROWS).reduce((sum, finding) => sum + finding.count, 0);
      lines.push("", `… and ${counted(hidden, "more difference")}`);
    }
    lines.push("", "</details>");
  }
  const excluded = reading.excluded.map(({ rule, reason, leaves, bytes }) => {
    const why = reason === undefined ? "" : `: ${escaped(visible(reason))}`;
    return `- ${grouped(leaves)} excluded by ${code(visible(rule))}, ${counted(bytes, "byte")}${why}`;
  });
  if (excluded.length > 0) lines.push("", ...excluded);
  const incomplete = reading.incomplete
    .slice(0, 10)
    .map(({ path, why }) => `- ${code(path.map(visible).join(" › "))}: ${escaped(visible(why))}`);
  if (incomplete.length > 0) lines.push("", ...incomplete);
  return `${lines.join("\n")}\n`;
}

/** Text that no Markdown, HTML, mention or link is seen in. */
function escaped(text: string): string {
  return text.replace(/[\\`*_{}[\]()#+.!|<>~$^=:/&@-]/g, (character) =>
    /[.(),:/+=!-]/.test(character) ? soft(character) : entity(character),
  );
}

/** Signs that are harmless within words are left, for the eye, unless they could begin a link or a list. */
const soft = (character: string): string => (character === ":" || character === "/" ? entity(character) : character);

const entity = (character: string): string => `&#${character.charCodeAt(0)};`;

/** A span of code; in a table a bar would end the cell, whatever quotes it. */
function code(text: string): string {
  if (text === "") return "";
  return `<code>${[...text].map((character) => (/[A-Za-z0-9 ,;-]|[^\x20-\x7e]/u.test(character) ? character : entity(character))).join("")}</code>`;
}
