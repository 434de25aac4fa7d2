/** Lines of build scripts as words, with make's variables put in, so that a command can be found again. */
import type { SourceText } from "./script-files.ts";

export interface ScriptLine {
  path: string;
  /** Counts from 1; of a line that goes on, the first. */
  line: number;
  text: string;
  words: ReadonlySet<string>;
}

const MAX_LINES = 20_000;
const MAX_LINE = 4096;

const cut = new WeakMap<SourceText, ScriptLine[]>();

/** The lines of a source that say something: no empty ones, no comments. */
export function scriptLines(source: SourceText): readonly ScriptLine[] {
  let lines = cut.get(source);
  if (lines === undefined) cut.set(source, (lines = linesOf(source)));
  return lines;
}

const isMake = (path: string): boolean => /(?:^|\/)(?:GNUm|[Mm])akefile[^/]*$|\.ma?k$|(?:^|\/)rules$/.test(path);

function linesOf({ path, text }: SourceText): ScriptLine[] {
  const lines: ScriptLine[] = [];
  const make = isMake(path) ? new Makefile(text) : undefined;
  for (const { line, text: whole } of joined(text)) {
    const expanded = make?.expanded(whole) ?? whole;
    const shown = whole.trim();
    if (shown === "" || /^(?:#(?!!)|\/\/|\*|\/\*|--\s|dnl\b|rem\b)/.test(shown)) continue;
    lines.push({ path, line, text: shown, words: wordsOf(`${expanded} ${whole}`) });
  }
  return lines;
}

/** Lines with those that go on after a backslash joined. */
function* joined(text: string): Generator<{ line: number; text: string }> {
  let [start, whole] = [0, ""];
  for (const [at, line] of text.split("\n").slice(0, MAX_LINES).entries()) {
    if (whole === "") start = at;
    const goesOn = line.endsWith("\\") && whole.length + line.length < MAX_LINE;
    whole += goesOn ? `${line.slice(0, -1)} ` : line;
    if (goesOn) continue;
    yield { line: start + 1, text: whole.slice(0, MAX_LINE) };
    whole = "";
  }
}

/** The words of a line or command, and the names at the ends of paths. */
export function wordsOf(text: string): Set<string> {
  const words = new Set<string>();
  for (const word of text.slice(0, 8 * MAX_LINE).split(/[\s;|&<>()"'`{}\\,=@!]+|:(?=\s|$)/)) {
    const plain = word.replace(/^(?:\.\/)+/, "").replace(/[.:]$/, "");
    if (plain === "" || !/[\w%]/.test(plain)) continue;
    words.add(plain);
    const slash = plain.lastIndexOf("/");
    if (slash !== -1 && slash < plain.length - 1) words.add(plain.slice(slash + 1));
  }
  return words;
}

const IMPLICIT: readonly (readonly [name: string, value: string])[] = [
  ["CC", "cc"],
  ["CXX", "g++"],
  ["AR", "ar"],
  ["ARFLAGS", "rv"],
  ["LD", "ld"],
  ["RM", "rm -f"],
  ["MAKE", "make"],
];

const MAX_EXPANDED = 4 * MAX_LINE;

/** What a makefile's variables stand for, as far as its text says. */
class Makefile {
  readonly #variables = new Map<string, string>(IMPLICIT);
  #target = "";
  #needs: readonly string[] = [];

  constructor(text: string) {
    for (const { text: line } of joined(text)) {
      const [, name, sign, value] =
        /^\s*(?:export\s+|override\s+)*([\w.-]+)\s*(\+|:{1,3}|\?|!)?=(.*)$/.exec(line) ?? [];
      if (name === undefined || value === undefined || line.startsWith("\t")) continue;
      const plain = value.replace(/\s#.*$/, "").trim();
      this.#variables.set(
        name,
        sign === "+" ? `${this.#variables.get(name) ?? ""} ${plain}`.slice(0, MAX_LINE) : plain,
      );
    }
  }

  /** A line as make would see it; the target of the rule that it stands in is put in for `$@`. */
  expanded(line: string): string {
    const rule = line.startsWith("\t") ? null : /^([^=\s:][^=:]*?)\s*::?(?!=)\s*([^=;]*?)\s*(?:;.*)?$/.exec(line);
    if (rule !== null) {
      this.#target = this.#put(rule[1] ?? "");
      this.#needs = this.#put(rule[2] ?? "")
        .split(/\s+/)
        .filter(Boolean);
    }
    return this.#put(line);
  }

  #put(text: string): string {
    let put = text;
    for (let depth = 0; depth < 8 && /\$[({@<^]/.test(put) && put.length < MAX_EXPANDED; depth++) {
      const next = put.replaceAll(/\$(?:\$|([@<^?*])|\(([\w.-]+)\)|\{([\w.-]+)\})/g, (whole, auto, round, curly) => {
        if (whole === "$$") return whole;
        if (auto !== undefined) return this.#automatic(String(auto));
        return this.#variables.get(String(round ?? curly)) ?? "";
      });
      if (next === put) break;
      put = next;
    }
    return put.slice(0, MAX_EXPANDED);
  }

  #automatic(sign: string): string {
    if (sign === "@") return this.#target;
    return sign === "<" ? (this.#needs[0] ?? "") : this.#needs.join(" ");
  }
}
