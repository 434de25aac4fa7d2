import type { CauseName } from "../../src/world.ts";

export const LANGUAGES = ["c", "python", "node", "go", "rust", "java", "shell", "perl"] as const;
export type Language = (typeof LANGUAGES)[number];

/** What a project has to build with, and how much of it does. */
interface Told {
  /** Unique within its language: what the result's misses are listed by. */
  name: string;
  /** Every one of them alone, or those of `joint` only together, changes the output. */
  causes: readonly CauseName[];
  /** Not demanded and not wrong either: the cause comes with it by the nature of the thing. */
  also?: readonly CauseName[];
  /** What cannot be known from outside: the seed of these hashes is the kernel's randomness, and one pick shows no order. */
  toldAs?: CauseName;
  /** The causes change the output only when all of them differ. */
  joint?: true;
  /** Files of the source, besides the program. */
  files?: Readonly<Record<string, string>>;
}

/** Who lists the names of all variables also tells of what other variations are borne by. */
export const BORNE_BY_VARIABLES: readonly CauseName[] = ["cpu-model", "hash-order", "terminal", "uninitialised"];

/** A piece of the project's own generator program, which writes into the output that it is handed. */
export interface Section extends Told {
  /** Lines before all sections: imports, declarations. The same line is written once. */
  head?: readonly string[];
  /** Statements of the language; what they write to is `out` (stdout in shell). */
  body: string;
}

/** Lines of the build script that make one output of their own. */
export interface Step extends Told {
  /** File name of the output. */
  output: string;
  /** `$1` is the output's path, in a folder that is there. */
  lines: string;
  tools?: readonly string[];
}

/** A step after which there is no build in the adversarial world. */
export interface Breaker {
  name: string;
  /** The variation that breaks it. */
  cause: CauseName;
  lines: string;
}

/** A language: how sections become a program, and how the build script runs it. */
export interface Kitchen {
  language: Language;
  tools: readonly string[];
  sections: readonly Section[];
  /** What can be made with this language's own tools besides a program that is run. */
  steps: readonly Step[];
  /** The generator: files of the source. Section `n` appends to the file named by argument `n`, counted from 1. */
  program: (sections: readonly Section[]) => Record<string, string>;
  /** Builds the program and runs it over `$@`. */
  run: string;
}

/** Each distinct line once, in order of first appearance. */
export function heads(sections: readonly Section[]): string {
  return [...new Set(sections.flatMap((section) => section.head ?? []))].join("\n");
}

/** `text` with every line indented. */
export function indented(text: string, by = "  "): string {
  return text
    .trim()
    .split("\n")
    .map((line) => (line === "" ? "" : by + line))
    .join("\n");
}

/** `make(section, n)` of every section, joined. */
export function each(sections: readonly Section[], make: (section: Section, index: number) => string): string {
  return sections.map(make).join("\n");
}
