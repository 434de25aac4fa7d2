/** What the pairs are made with: programs run under fixed circumstances, and edits that leave no other trace. */
import { spawnSync } from "node:child_process";
import {
  chmodSync,
  cpSync,
  existsSync,
  lutimesSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

/** All that is made here is of this time, unless another one is what differs. */
export const THEN = 1_700_000_000;

export interface Pair {
  name: string;
  /** What was done to it, in a few words. */
  what: string;
  /** The name of the file or folder on both sides. */
  file: string;
  /** Writes both sides. */
  make(a: string, b: string): void | Promise<void>;
}

/** `$BITFORBIT_CACHE`/pairs, else below the temporary folder. */
export function pairsFolder(): string {
  return join(process.env["BITFORBIT_CACHE"] ?? join(tmpdir(), "bitforbit"), "pairs");
}

export interface RunOptions {
  cwd?: string;
  env?: Readonly<Record<string, string>>;
  input?: string | Uint8Array;
}

/** Runs a program to its end and gives what it printed. Throws when it fails. */
export function run(program: string, args: readonly string[], options: RunOptions = {}): Buffer {
  const ran = spawnSync(program, args, {
    ...options,
    env: { ...process.env, LC_ALL: "C.UTF-8", TZ: "UTC", SOURCE_DATE_EPOCH: String(THEN), ...options.env },
    maxBuffer: 1 << 30,
    timeout: 15 * 60_000,
  });
  if (ran.error !== undefined) throw ran.error;
  if (ran.status !== 0) {
    throw new Error(`${program} ${args.join(" ")} exited with ${ran.status}: ${ran.stderr.toString().slice(-800)}`);
  }
  return ran.stdout;
}

let depth = 0;

/** A folder of its own for the time of `work`; its name is always the same, for some programs write it into what they make. */
export function inScratch<T>(work: (folder: string) => T): T {
  const folder = join(tmpdir(), `bitforbit-pair-${depth++}`);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder);
  try {
    return work(folder);
  } finally {
    depth--;
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Writes a file and its folders, of the fixed time. */
export function write(path: string, content: string | Uint8Array, mode = 0o644): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, content);
  chmodSync(path, mode);
  utimesSync(path, THEN, THEN);
}

/** Changes a file's bytes and nothing else: its mode and times stay. */
export function edit(path: string, change: (bytes: Buffer) => string | Uint8Array): void {
  const { mode, atime, mtime } = statSync(path);
  writeFileSync(path, change(readFileSync(path)));
  chmodSync(path, mode & 0o7777);
  utimesSync(path, atime, mtime);
}

export function editText(path: string, change: (text: string) => string): void {
  edit(path, (bytes) => {
    const before = bytes.toString("latin1");
    const after = change(before);
    if (after === before) throw new Error(`${path}: nothing was changed`);
    return Buffer.from(after, "latin1");
  });
}

/** One bit of one byte. */
export function flip(path: string, at: number): void {
  edit(path, (bytes) => {
    bytes[at] = (bytes[at] ?? 0) ^ 1;
    return bytes;
  });
}

/** Replaces bytes by as many others, at every place. */
export function replaceSame(path: string, from: string, to: string): void {
  if (from.length !== to.length) throw new Error(`${from} and ${to} are not of one length`);
  editText(path, (text) => text.replaceAll(from, to));
}

/** All files and folders below, parents first, in the order of their names. */
export function below(folder: string): string[] {
  return (readdirSync(folder, { recursive: true, encoding: "utf8" }) satisfies string[])
    .toSorted()
    .map((name) => join(folder, name));
}

export function filesBelow(folder: string): string[] {
  return below(folder).filter((path) => statSync(path, { throwIfNoEntry: false })?.isFile() === true);
}

/** Gives everything below a folder one time, links too. */
export function settle(folder: string, seconds: number = THEN): void {
  for (const path of [...below(folder).toReversed(), folder]) lutimesSync(path, seconds, seconds);
}

export function copyTree(from: string, to: string): void {
  mkdirSync(dirname(to), { recursive: true });
  run("cp", ["-a", from, to]);
}

/** The one file in a folder whose name a pattern fits. */
export function found(folder: string, pattern: RegExp): string {
  const names = filesBelow(folder).filter((path) => pattern.test(path));
  const [first] = names;
  if (first === undefined) throw new Error(`${folder}: no file like ${pattern}`);
  return first;
}

/** The same tree in both sides' places, the second one changed. */
export function trees(a: string, b: string, from: string, change: (tree: string) => void): void {
  copyTree(from, a);
  copyTree(from, b);
  change(b);
}

export function copy(from: string, to: string): void {
  if (!existsSync(from)) throw new Error(`${from} is not there`);
  mkdirSync(dirname(to), { recursive: true });
  cpSync(from, to, { preserveTimestamps: true });
}
