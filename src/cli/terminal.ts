import { stripVTControlCharacters, styleText } from "node:util";
import { neutralised } from "../bytes.ts";
import { type Clock, systemClock } from "../clock.ts";
import { BitforbitError, type ExitCode, exitCodeOf, messageOf, systemCode } from "../errors.ts";
import { isTerminal, stderr, stdout, streamOf } from "./streams.ts";

/**
 * The voice of the command line, fixed in one file: what is asked for goes to
 * stdout, what happens on the way to stderr; lower case, no full stop, hints on
 * their own lines. With `--json` stdout carries one document and nothing else.
 */
export interface Terminal {
  readonly json: boolean;
  readonly quiet: boolean;
  readonly width: number;
  /** Rows of the screen that the answer goes to; undefined when it goes into a file or a pipe. */
  readonly height: number | undefined;
  readonly colour: boolean;
  /** Progress is shown, in a line that the next one replaces. */
  readonly live: boolean;
  /** Part of the answer. */
  line(text?: string): void;
  /** The label of a step and what it gave, aligned; part of the answer. */
  step(label: string, text: string): void;
  /** Said on the way, to people only. */
  say(text: string): void;
  /** A warning, to people only. */
  warn(text: string, remedy?: string): void;
  /** The one JSON document of this run, printed when `--json` was given; its form has version 1: schemas/. */
  document(value: object): void;
  /** The same from the pieces of its text, for documents too large to be one string. */
  pieces(text: Iterable<string>): void;
  /** Shows a line that is replaced by the next one, on terminals only; undefined clears it. */
  progress(text: string | undefined): void;
  good(text: string): string;
  bad(text: string): string;
  dim(text: string): string;
  strong(text: string): string;
}

/** Of the documents that `--json` prints: what was there stays, in name, type and unit, until this changes. */
const DOCUMENT_VERSION = 1;

type Style = Parameters<typeof styleText>[0];

export function openTerminal(options: { json: boolean; quiet: boolean; clock?: Clock }): Terminal {
  const environment = process.env;
  const clock = options.clock ?? systemClock;
  const noColour = (environment["NO_COLOR"] ?? "") !== "" || environment["TERM"] === "dumb";
  const forced = (environment["FORCE_COLOR"] ?? "") !== "" && environment["FORCE_COLOR"] !== "0";
  const screen = isTerminal(1) ? streamOf(1) : undefined;
  const colour = !noColour && (forced || screen !== undefined) && !options.json;
  const live = isTerminal(2) && !options.quiet && environment["CI"] === undefined && environment["TERM"] !== "dumb";
  const columns = Number(environment["COLUMNS"] ?? "") || (screen?.columns ?? 100);
  const width = Math.max(60, Math.min(columns, 140));
  const paint = (style: Style) => (text: string) => (colour ? styleText(style, text, { validateStream: false }) : text);
  let shown = false;
  let lastProgress = 0;

  const clear = (): void => {
    if (shown) stderr.write("\r\u001b[K");
    shown = false;
  };
  const people = (text: string): void => {
    clear();
    if (!options.quiet) (options.json ? stderr : stdout).write(`${text}\n`);
  };

  return {
    json: options.json,
    quiet: options.quiet,
    width,
    height: screen?.rows,
    colour,
    live,
    line: (text = "") => people(text),
    step: (label, text) => {
      const [first = "", ...rest] = text.split("\n").flatMap((line) => wrapped(line, width - 13));
      people(`  ${paint("bold")(label.padEnd(10))} ${first}`);
      for (const line of rest) people(`  ${" ".repeat(10)} ${line}`);
    },
    say: (text) => {
      clear();
      if (!options.quiet) stderr.write(`${text}\n`);
    },
    warn: (text, remedy) => {
      clear();
      stderr.write(`warning: ${neutralised(text)}\n`);
      if (remedy !== undefined) stderr.write(`  hint: ${neutralised(remedy)}\n`);
    },
    document: (value) => {
      clear();
      if (options.json) stdout.write(`${JSON.stringify({ version: DOCUMENT_VERSION, ...value }, null, 2)}\n`);
    },
    pieces: (text) => {
      clear();
      if (options.json) for (const piece of text) stdout.write(piece);
    },
    progress: (text) => {
      if (!live) return;
      if (text === undefined) return clear();
      const now = clock.elapsed();
      if (shown && now - lastProgress < 80) return;
      lastProgress = now;
      shown = true;
      stderr.write(`\r\u001b[K${neutralised(text).slice(0, width - 1)}`);
    },
    good: paint("green"),
    bad: paint("red"),
    dim: paint("dim"),
    strong: paint("bold"),
  };
}

const length = (text: string): number => stripVTControlCharacters(text).length;

/** Breaks a line at spaces so that it fits; continuation lines keep its indent. Colours do not count. */
export function wrapped(line: string, width: number): string[] {
  if (length(line) <= width) return [line];
  const indent = /^ */.exec(line)?.[0] ?? "";
  const lines: string[] = [];
  let current = "";
  for (const word of line.slice(indent.length).split(" ")) {
    if (current !== "" && length(indent) + length(current) + 1 + length(word) > width) {
      lines.push(indent + current);
      current = word;
    } else current = current === "" ? word : `${current} ${word}`;
  }
  return [...lines, indent + current];
}

/** Prints an error in the one form that errors have, and gives the exit code. */
export function reportError(thrown: unknown, json: boolean): ExitCode {
  const error = explained(thrown);
  const known = error instanceof BitforbitError;
  const message = messageOf(error);
  stderr.write(`bitforbit: ${neutralised(message)}\n`);
  if (known && error.hint !== undefined) stderr.write(`  hint: ${neutralised(error.hint)}\n`);
  if (!known && error instanceof Error && (process.env["BITFORBIT_DEBUG"] ?? "") !== "") {
    stderr.write(`${error.stack ?? ""}\n`);
  }
  if (json) {
    const document = {
      version: DOCUMENT_VERSION,
      error: {
        code: known ? error.code : "input",
        message,
        ...(known && error.hint !== undefined ? { hint: error.hint } : {}),
      },
    };
    stdout.write(`${JSON.stringify(document, null, 2)}\n`);
  }
  return exitCodeOf(error);
}

/** Errors of the file system that no room foresaw, with what a person can do about them. */
function explained(error: unknown): unknown {
  const cause = error;
  switch (systemCode(error)) {
    case "EACCES":
    case "EPERM":
    case "EROFS":
      return new BitforbitError("input", messageOf(error), {
        hint: "may you read and write there? --home DIR keeps the state elsewhere, --output DIR the results",
        cause,
      });
    case "ENOSPC":
    case "EDQUOT":
      return new BitforbitError("outside", messageOf(error), { hint: "free disk space, then run again", cause });
    default:
      return error;
  }
}

/** `1,234,567`: digits in groups of three, the same in every locale. */
export function grouped(count: number): string {
  return String(count).replace(/\B(?=(?:\d{3})+$)/g, ",");
}

/** `1 component`, `2 components`, `1,234 bytes`. */
export function counted(count: number, one: string, many = `${one}s`): string {
  return `${grouped(count)} ${count === 1 ? one : many}`;
}

/** `1.3 s`, `2 min 5 s`. */
export function duration(milliseconds: number): string {
  if (milliseconds < 1000) return `${Math.round(milliseconds)} ms`;
  if (milliseconds < 60_000) return `${(milliseconds / 1000).toFixed(1)} s`;
  return `${Math.floor(milliseconds / 60_000)} min ${Math.round((milliseconds % 60_000) / 1000)} s`;
}

/** `sha256:0123456789ab…`: enough to recognise, never enough to rely on. */
export function short(digest: string): string {
  return digest.length > 20 ? `${digest.slice(0, 19)}…` : digest;
}
