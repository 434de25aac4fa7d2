/** What came out, one JSON line an entry and run, in `results.jsonl`; the last line of an entry counts. */
import { closeSync, existsSync, fsyncSync, openSync, readFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { type CorpusEcosystem, type Entry, FOLDER } from "./list.ts";

const FILE = join(FOLDER, "results.jsonl");

/** One `check`. */
export interface Checked {
  /** check's own word, or "not checked" when it gave none. */
  verdict: string;
  /** How many leaves each cause explains; consequences are left out. */
  causes: Record<string, number>;
  builds: number;
  seconds: number;
  /** Of outputs that the canonical build made. */
  outputs: number;
  /** Of a build that fails in the varied world alone: the variations that break it, each list by itself. */
  breaks?: string[][];
  reason?: string;
}

export interface Result {
  ecosystem: CorpusEcosystem;
  name: string;
  version: string;
  key: string;
  /** Version of bitforbit. */
  bitforbit: string;
  lock: { seconds: number; materials: number; packages: number; reason?: string };
  check?: Checked;
  /** What `bitforbit fix` did; the check is one made anew after it. */
  fix?: {
    /** "remedy: what came of it" each. */
    tried: string[];
    /** In words: what helped and is part of the changes. */
    kept: string[];
    builds: number;
    seconds: number;
    /** Why it ended before everything was tried. */
    stopped?: string;
    reason?: string;
    check?: Checked;
  };
  /** Check with `determinise = true`. */
  determinise?: Checked;
}

/** The last result of each entry, by ecosystem, name and version. */
export function readResults(): Map<string, Result> {
  const found = new Map<string, Result>();
  if (!existsSync(FILE)) return found;
  for (const line of readFileSync(FILE, "utf8").split("\n")) {
    const result = parsed(line);
    if (result !== undefined) found.set(idOf(result), result);
  }
  return found;
}

/** A line that a power cut left half written is no result. */
function parsed(line: string): Result | undefined {
  try {
    return line === "" ? undefined : (JSON.parse(line) as Result);
  } catch {
    return undefined;
  }
}

export function idOf({ ecosystem, name, version }: Pick<Result, "ecosystem" | "name" | "version">): string {
  return `${ecosystem} ${name} ${version}`;
}

/** What the entry's last result is, if it is of this entry as it is now and of this bitforbit. */
export function resultOf(results: ReadonlyMap<string, Result>, entry: Entry, bitforbit: string): Result | undefined {
  const result = results.get(idOf(entry));
  return result?.key === entry.key && result.bitforbit === bitforbit ? result : undefined;
}

/** In one write, so that several runners and a cut leave whole lines; begins a line of its own after a half one. */
export function appendResult(result: Result): void {
  const file = openSync(FILE, "a+");
  try {
    const old = existsSync(FILE) ? readFileSync(FILE) : Buffer.alloc(0);
    const begin = old.length > 0 && old.at(-1) !== 10 ? "\n" : "";
    writeSync(file, `${begin}${JSON.stringify(result)}\n`);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}
