import { parse, TomlError } from "smol-toml";
import { utf8Text } from "../bytes.ts";
import { BitforbitError } from "../errors.ts";

export type Toml = string | number | bigint | boolean | Date | Toml[] | { [key: string]: Toml };
export type TomlTable = { [key: string]: Toml };

/** Nesting is bounded by smol-toml's `maxDepth`. */
const MAX_DEPTH = 64;

/**
 * Parses TOML 1.0 that came from outside; `what` names it in errors, which give
 * line and column. Integers beyond 2^53 come as bigint. Throws `input`, or
 * `limit` beyond `maxBytes`.
 */
export function parseToml(source: Uint8Array | string, what: string, maxBytes: number = 32 << 20): TomlTable {
  if (source.length > maxBytes) throw new BitforbitError("limit", `${what}: larger than ${maxBytes} bytes`);
  const text = typeof source === "string" ? source : utf8Text(source);
  if (text === undefined) throw new BitforbitError("input", `${what}: not UTF-8`);
  try {
    return parse(text, { maxDepth: MAX_DEPTH, integersAsBigInt: "asNeeded" }) as TomlTable;
  } catch (error) {
    if (error instanceof TomlError) {
      const reason = error.message.split("\n")[0]?.replace(/^Invalid TOML document: /, "") ?? "";
      throw new BitforbitError("input", `${what}:${error.line}:${error.column}: ${reason}`, { cause: error });
    }
    throw new BitforbitError("input", `cannot parse ${what}: ${(error as Error).message}`, { cause: error });
  }
}

export function isTable(value: unknown): value is TomlTable {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Date);
}

/** A TOML basic string (TOML 1.0, "String"), on one line. Throws `input` on lone surrogates. */
export function tomlString(text: string): string {
  if (!text.isWellFormed()) throw new BitforbitError("input", "a lone surrogate cannot stand in TOML");
  return JSON.stringify(text).replaceAll("\u007f", "\\u007f");
}

/** A value that people read on several lines where it has several: a multi-line literal string where it can be one. */
export function tomlText(text: string): string {
  const literal = text.includes("\n") && !text.includes("'''") && !/[\u0000-\u0008\u000b-\u001f\u007f]/.test(text);
  return literal && text.isWellFormed() && !text.endsWith("'") ? `'''\n${text}'''` : tomlString(text);
}

/** A bare key where TOML allows one, otherwise a quoted key. */
export function tomlKey(key: string): string {
  return /^[A-Za-z0-9_-]+$/.test(key) ? key : tomlString(key);
}

/**
 * Where the key at `path` (table names, then the key) stands in text that
 * parsed: line and column from 1. For error messages: tables must be written
 * as `[table]` headers or dotted keys; otherwise the nearest place known.
 */
export function locateKey(text: string, path: readonly string[]): { line: number; column: number } {
  const wanted = path.join(".");
  let table: string[] = [];
  let best = { line: 1, column: 1, depth: 0 };
  let fence: string | undefined;
  for (const [index, line] of text.split("\n").entries()) {
    if (fence !== undefined) {
      if (line.includes(fence)) fence = undefined;
      continue;
    }
    const header = /^\s*\[\[?\s*([^\]]+?)\s*\]\]?/.exec(line);
    const key = /^(\s*)([A-Za-z0-9_."' -]+?)\s*=\s*(.*)$/.exec(line);
    if (header !== null) table = keyParts(header[1] ?? "");
    const here = header !== null ? table : key !== null ? [...table, ...keyParts(key[2] ?? "")] : undefined;
    if (here !== undefined && here.length > best.depth && (wanted === here.join(".") || startsWith(path, here))) {
      best = { line: index + 1, column: line.search(/\S/) + 1, depth: here.length };
    }
    const opened = key === null ? undefined : /^('''|""")/.exec(key[3] ?? "")?.[1];
    if (opened !== undefined && !(key?.[3] ?? "").slice(3).includes(opened)) fence = opened;
  }
  return { line: best.line, column: best.column };
}

function keyParts(text: string): string[] {
  return text.split(".").map((part) => part.trim().replace(/^(["'])(.*)\1$/, "$2"));
}

function startsWith(path: readonly string[], start: readonly string[]): boolean {
  return start.length <= path.length && start.every((part, index) => part === path[index]);
}
