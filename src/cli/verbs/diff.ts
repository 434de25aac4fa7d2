import { existsSync, readFileSync, statSync } from "node:fs";
import { systemClock } from "../../clock.ts";
import { type Compared, compare } from "../../diff/diff.ts";
import type { Rule } from "../../diff/exclusion.ts";
import {
  certificateOf,
  certificateWords,
  type Input,
  incompleteIn,
  type Reading,
  verdictOf,
} from "../../diff/reading.ts";
import { BitforbitError, type ExitCode, messageOf } from "../../errors.ts";
import { type Options, texts } from "../program.ts";
import type { Terminal } from "../terminal.ts";

const FORMATS = ["text", "line", "markdown"];
/** Lines that go into a file or a pipe. */
const MAX_LINES = 2000;

/** `bitforbit diff A B`: 0 the same, or but for what was excluded; 1 different; 2 not comparable. */
export async function diff(args: readonly string[], options: Options, terminal: Terminal): Promise<ExitCode> {
  const [a, b] = args;
  if (a === undefined || b === undefined) throw new BitforbitError("usage", "diff takes two paths or images");
  const format = terminal.json ? "json" : formatOf(options);
  const maxLines = linesOf(options, terminal);
  const rules = await rulesOf(options);
  const prove = options["prove"] === true;
  const platform =
    typeof options["platform"] === "string"
      ? (await import("../../oci/platform.ts")).parsePlatform(options["platform"])
      : undefined;
  const html = typeof options["html"] === "string" ? options["html"] : undefined;
  const reading = await withPaths([a, b], options, async (pathA, pathB) => {
    const found = await compare(pathA, pathB, { ...until(options["timeout"]), prove, images: { platform } });
    const [left, right] = await Promise.all([
      inputOf(a, pathA, prove || html !== undefined),
      inputOf(b, pathB, prove || html !== undefined),
    ]);
    return await readingOf(found, rules, left, right);
  });
  if (html !== undefined) await writeReport(html, reading, terminal);
  await say(reading, format, maxLines, terminal);
  return reading.difference === undefined ? 0 : 1;
}

/** Ends the comparison once the time is over that a person gave. */
function until(seconds: unknown): { expired?: () => boolean; timeLeft?: () => number } {
  if (seconds === undefined) return {};
  const limit = typeof seconds === "string" && /^\d+(\.\d+)?$/.test(seconds) ? Number(seconds) : 0;
  if (!(limit > 0)) {
    throw new BitforbitError("usage", `--timeout ${String(seconds)}: give seconds, more than 0`);
  }
  const end = systemClock.elapsed() + limit * 1000;
  return { expired: () => systemClock.elapsed() > end, timeLeft: () => end - systemClock.elapsed() };
}

async function readingOf(found: Compared, rules: readonly Rule[], a: Input, b: Input): Promise<Reading> {
  const { difference, excluded } =
    rules.length === 0
      ? { difference: found.difference, excluded: [] }
      : (await import("../../diff/exclusion.ts")).withoutExcluded(found.difference, rules);
  const incomplete = incompleteIn(found.difference, found.incomplete);
  const certificate =
    found.proof === undefined ? {} : { certificate: certificateOf(found.proof, found.incomplete, a, b) };
  return { a, b, difference, excluded, incomplete, ...certificate };
}

/** A build's id, or the digest of an artifact; a file of that name comes first. */
const BUILT = /^(?:[0-9a-f]{32}|sha256:[0-9a-f]{64})$/;

/** Runs some work on the two paths that the words stand for. */
async function withPaths<T>(
  words: readonly [string, string],
  options: Options,
  work: (a: string, b: string) => Promise<T>,
): Promise<T> {
  const opened: { path: string; close(): Promise<void> }[] = [];
  try {
    for (const word of words) {
      if (!BUILT.test(word) || existsSync(word)) opened.push({ path: word, close: () => Promise.resolve() });
      else opened.push(await (await import("../built.ts")).openBuilt(word, options));
    }
    return await work(opened[0]?.path ?? words[0], opened[1]?.path ?? words[1]);
  } finally {
    for (const one of opened) await one.close();
  }
}

async function inputOf(name: string, path: string, digested: boolean): Promise<Input> {
  // An image's reference names nothing here.
  const found = statSync(path, { throwIfNoEntry: false });
  if (found?.isFile() !== true) return { name };
  if (!digested) return { name, size: found.size };
  const { digestOfFile, hexOf } = await import("../../digest.ts");
  return { name, size: found.size, sha256: hexOf(await digestOfFile(path)) };
}

async function say(reading: Reading, format: string, maxLines: number, terminal: Terminal): Promise<void> {
  const { difference } = reading;
  if (format === "json") {
    const { differenceText } = await import("../../diff/json.ts");
    return terminal.pieces(differenceText(difference, reading));
  }
  if (format === "line" || format === "markdown") {
    const { summaryLine, summaryMarkdown } = await import("../../diff/summary-line.ts");
    terminal.line(format === "line" ? summaryLine(reading) : summaryMarkdown(reading).trimEnd());
    return;
  }
  if (difference === undefined) {
    const page = { width: terminal.width, paint: (_style: unknown, text: string) => text };
    terminal.line(terminal.good(verdictOf(reading) === "identical" ? "identical" : "equal but for what was excluded"));
    if (reading.excluded.length > 0 || reading.incomplete.length > 0 || reading.certificate !== undefined) {
      const { sayings } = await import("../../diff/render.ts");
      for (const line of sayings(page, reading)) terminal.line(line);
    }
    return;
  }
  const { renderText } = await import("../../diff/render.ts");
  const lines = renderText(difference, { width: terminal.width, color: terminal.colour, maxTotal: maxLines, reading });
  for (const line of lines) terminal.line(line);
  if (reading.certificate !== undefined) terminal.say(certificateWords(reading.certificate));
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
  if (["exclude", "excludeKind", "profile"].every((name) => texts(options, name).length === 0)) return [];
  const { kindRule, pathRule, profileRules } = await import("../../diff/exclusion.ts");
  const rules = [...texts(options, "exclude").map(pathRule), ...texts(options, "excludeKind").map(kindRule)];
  for (const file of texts(options, "profile")) {
    const { parseToml } = await import("../../format/toml.ts");
    rules.push(...profileRules(parseToml(textOf(file), file), file));
  }
  return rules;
}

function textOf(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    throw new BitforbitError("input", `${file}: ${messageOf(error)}`, { cause: error });
  }
}

async function writeReport(file: string, reading: Reading, terminal: Terminal): Promise<void> {
  const { reportHtml } = await import("../../diff/html.ts");
  await (await import("node:fs/promises")).writeFile(file, reportHtml(reading));
  terminal.say(`report: ${file}`);
}
