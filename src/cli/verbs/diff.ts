import { readFile, writeFile } from "node:fs/promises";
import { statSync } from "node:fs";
import { diff as compare } from "../../diff/diff.ts";
import type { Difference } from "../../diff/difference.ts";
import { kindRule, pathRule, profileRules, type Rule, withoutExcluded } from "../../diff/exclusion.ts";
import { differenceText } from "../../diff/json.ts";
import { type Input, incompleteOf, type Reading, verdictOf } from "../../diff/reading.ts";
import { renderText, sayings } from "../../diff/render.ts";
import { BitforbitError, type ExitCode, messageOf } from "../../errors.ts";
import { type Options } from "../program.ts";
import { texts } from "../project.ts";
import type { Terminal } from "../terminal.ts";

const FORMATS = ["text", "line", "markdown"];
/** Lines that go into a file or a pipe. */
const MAX_LINES = 2000;

/** `bitforbit diff A B`: 0 the same, or but for what was excluded; 1 different; 2 not comparable. */
export async function diff(args: readonly string[], options: Options, terminal: Terminal): Promise<ExitCode> {
  const [a, b] = args;
  if (a === undefined || b === undefined) throw new BitforbitError("usage", "diff takes two paths");
  const format = terminal.json ? "json" : formatOf(options);
  const maxLines = linesOf(options, terminal);
  const rules = await rulesOf(options);
  const found = await compare(a, b);
  const { difference, excluded } = withoutExcluded(found, rules);
  const reading = readingOf(a, b, difference, excluded);
  if (typeof options["html"] === "string") await writeReport(options["html"], reading, terminal);
  await say(reading, format, maxLines, terminal);
  return difference === undefined ? 0 : 1;
}

function readingOf(a: string, b: string, difference: Difference | undefined, excluded: Reading["excluded"]): Reading {
  return { a: inputOf(a), b: inputOf(b), difference, excluded, incomplete: incompleteOf(difference) };
}

function inputOf(name: string): Input {
  const found = statSync(name);
  return { name, ...(found.isFile() ? { size: found.size } : {}) };
}

async function say(reading: Reading, format: string, maxLines: number, terminal: Terminal): Promise<void> {
  const { difference } = reading;
  if (format === "json") return terminal.pieces(differenceText(difference, reading));
  if (format === "line" || format === "markdown") {
    const { summaryLine, summaryMarkdown } = await import("../../diff/summary-line.ts");
    terminal.line(format === "line" ? summaryLine(reading) : summaryMarkdown(reading).trimEnd());
    return;
  }
  if (difference === undefined) {
    const page = { width: terminal.width, paint: (_style: unknown, text: string) => text };
    terminal.line(terminal.good(verdictOf(reading) === "identical" ? "identical" : "equal but for what was excluded"));
    for (const line of sayings(page, reading)) terminal.line(line);
    return;
  }
  const lines = renderText(difference, { width: terminal.width, color: terminal.colour, maxTotal: maxLines, reading });
  for (const line of lines) terminal.line(line);
}

function formatOf(options: Options): string {
  const format = typeof options["format"] === "string" ? options["format"] : "text";
  if (FORMATS.includes(format)) return format;
  throw new BitforbitError("usage", `--format takes ${FORMATS.join(", ")}, not ${JSON.stringify(format)}`);
}

/** A screen with a line left for the prompt; all that fits into the bound with `--full` or into a pipe. */
function linesOf(options: Options, terminal: Terminal): number {
  const given = options["maxLines"];
  if (typeof given === "string") {
    if (!/^[1-9]\d{0,8}$/.test(given))
      throw new BitforbitError("usage", `--max-lines takes a number, not ${JSON.stringify(given)}`);
    return Number(given);
  }
  return options["full"] === true || terminal.height === undefined ? MAX_LINES : Math.max(10, terminal.height - 2);
}

async function rulesOf(options: Options): Promise<Rule[]> {
  const rules = [...texts(options, "exclude").map(pathRule), ...texts(options, "excludeKind").map(kindRule)];
  for (const file of texts(options, "profile")) {
    const { parseToml } = await import("../../format/toml.ts");
    const text = await readFile(file, "utf8").catch((error: unknown) => {
      throw new BitforbitError("input", `${file}: ${messageOf(error)}`, { cause: error });
    });
    rules.push(...profileRules(parseToml(text, file), file));
  }
  return rules;
}

async function writeReport(file: string, reading: Reading, terminal: Terminal): Promise<void> {
  const { reportHtml } = await import("../../diff/html.ts");
  await writeFile(file, reportHtml(reading));
  terminal.say(`report: ${file}`);
}
