/** What is wrong with a lock's text, said with line and column. */
import type * as v from "valibot";
import { BitforbitError } from "../errors.ts";
import { isTable, type TomlTable } from "../format/toml.ts";
import { byteOrder } from "../order.ts";
import { nearest } from "../recipe/nearest.ts";
import { knownKeys, VERSION, type Written } from "./lock-schema.ts";
import { type Path, placeIn } from "./place.ts";

/** The last line of a lock: a file without it was cut off. */
export const END = "# end of bitforbit.lock";

/** What a person does about a lock that is broken. */
export const ANEW = "'bitforbit lock' makes it anew: review what changes";

/** A lock that git could not merge. Its two sides are two locks; mixed, they are none. */
export function requireNoConflict(source: string, path: string): void {
  if (!hasConflict(source)) return;
  const line = source.split("\n").findIndex((text) => CONFLICT.test(text));
  throw new BitforbitError("input", `${path}:${line + 1}:1: marks of a merge conflict`, {
    hint: "merge bitforbit.toml and the project's lockfiles, then run 'bitforbit lock' again: it makes this file from them",
  });
}

const CONFLICT = /^(?:<{7}|\|{7}|>{7})(?: |\r?$)|^={7}\r?$/m;

export function hasConflict(source: string): boolean {
  return CONFLICT.test(source);
}

/** Whether the end of a lock of this version's format is missing. */
export function isCut(source: string): boolean {
  return !source.slice(-4096).trimEnd().endsWith(END) && !/^version = 1\r?$/m.test(source.slice(0, 4096));
}

export function cutError(source: string, path: string, cause?: unknown): BitforbitError {
  const line = source.split("\n").length;
  return new BitforbitError("input", `${path}:${line}: the end of the file is missing`, { hint: ANEW, cause });
}

/** Throws `input` for a version that is not read. */
export function requireVersion(table: TomlTable, source: string, path: string): 1 | 2 {
  const version = table["version"];
  if (version === 1 || version === VERSION) return version;
  const place = where(source, path, ["version"]);
  if ((typeof version === "number" || typeof version === "bigint") && version > VERSION) {
    throw new BitforbitError(
      "input",
      `${place}: made by a newer bitforbit: version ${version}, and this one reads up to ${VERSION}`,
      { hint: "use the bitforbit that made it, or a newer one" },
    );
  }
  const found = version === undefined ? "none" : JSON.stringify(version, plain);
  throw new BitforbitError("input", `${place}: version ${found} is not known, only 1 and ${VERSION}`, { hint: ANEW });
}

function where(source: string, path: string, at: Path): string {
  const { line, column } = placeIn(source, at);
  return `${path}:${line}:${column}`;
}

const plain = (_: string, value: unknown): unknown => (typeof value === "bigint" ? value.toString() : value);

/** What a schema found, as the error that names it. */
export function issueError(
  source: string,
  path: string,
  table: TomlTable,
  issues: readonly v.BaseIssue<unknown>[],
): BitforbitError {
  const issue = worst(issues);
  if (issue === undefined) return new BitforbitError("input", `${path}: not a lock`, { hint: ANEW });
  const keys = keysOf(issue);
  const missing = issue.type === "strict_object" && issue.expected !== "never";
  const place = where(source, path, missing ? keys.slice(0, -1) : keys);
  const [name, owner] = [shownPath(keys), ownerOf(table, keys)];
  const about = owner === undefined ? "" : ` of ${owner}`;
  if (missing) return new BitforbitError("input", `${place}: ${name}${about} is missing`, { hint: ANEW });
  if (issue.type === "strict_object") {
    const known = knownKeys(keys);
    const near = nearest(String(keys.at(-1)), known);
    return new BitforbitError("input", `${place}: unknown key ${JSON.stringify(name)}${about}`, {
      hint: near === undefined ? `known keys here: ${known.join(", ")}` : `did you mean ${JSON.stringify(near)}?`,
    });
  }
  const said = issue.kind === "schema" ? `should be ${issue.expected ?? "something else"}` : issue.message;
  return new BitforbitError("input", `${place}: ${name}${about} ${said}: ${shown(issue.input)}`, { hint: ANEW });
}

/** The first; but of a key that is missing and one beside it that nobody knows, the latter: it was misspelt. */
function worst(issues: readonly v.BaseIssue<unknown>[]): v.BaseIssue<unknown> | undefined {
  const [first] = issues;
  if (first?.type !== "strict_object") return first;
  return issues.find((issue) => issue.expected === "never" && tableOf(issue) === tableOf(first)) ?? first;
}

function tableOf(issue: v.BaseIssue<unknown>): string {
  return keysOf(issue).slice(0, -1).join("\n");
}

function keysOf(issue: v.BaseIssue<unknown>): (string | number)[] {
  return (issue.path ?? []).map(({ key }) => (typeof key === "number" ? key : String(key)));
}

/** Keys without indexes: the line says which one it is. */
function shownPath(keys: Path): string {
  return keys.filter((key) => typeof key === "string").join(".");
}

/** What an item of a list is called, for people. */
function ownerOf(table: unknown, keys: Path): string | undefined {
  const at = keys.findIndex((key) => typeof key === "number");
  if (at < 0) return undefined;
  let value: unknown = table;
  for (const key of keys.slice(0, at + 1)) {
    value = isTable(value) ? value[String(key)] : Array.isArray(value) ? value[Number(key)] : undefined;
  }
  const name = isTable(value) ? (value["purl"] ?? value["name"] ?? value["path"]) : undefined;
  return typeof name === "string" ? name.slice(0, 200) : undefined;
}

function shown(value: unknown): string {
  if (value === undefined) return "nothing";
  const json = JSON.stringify(value, plain) ?? "nothing";
  return json.length > 100 ? `${json.slice(0, 100)}…` : json;
}

/** What the lists of a lock are ordered by. */
interface Keys {
  lockfile: (item: { path: string }) => string;
  tool: (item: { name: string; path: string }) => string;
  package: (item: { name: string; architecture: string }) => string;
  material: (item: { purl?: string | undefined; name: string; version?: string | undefined }) => string;
}

export const KEY: Keys = {
  lockfile: ({ path }) => path,
  // No name has the character zero in it: the order is that of the first part, then that of the second.
  tool: ({ name, path }) => `${name}\0${path}`,
  package: ({ name, architecture }) => `${name}\0${architecture}`,
  material: ({ purl, name, version }) => purl ?? `${name}@${version ?? ""}`,
};

/**
 * Refuses a lock whose lists are out of order or name something twice: it was
 * edited or merged by hand, and the same lock would no longer be the same bytes.
 */
export function requireOrder(written: Written, source: string, path: string): void {
  const { lockfile = [], material = [], environment } = written;
  check(["lockfile"], lockfile.map(KEY.lockfile));
  check(["tool"], (written.tool ?? []).map(KEY.tool));
  check(["material"], material.map(KEY.material));
  check(["environment", "packages"], environment.type === "debian" ? environment.packages.map(KEY.package) : []);
  for (const [index, { dependsOn = [] }] of material.entries()) check(["material", index, "dependsOn"], dependsOn);

  function check(list: Path, keys: readonly string[]): void {
    for (const [index, key] of keys.entries()) {
      const before = keys[index - 1];
      if (before === undefined || byteOrder(before, key) < 0) continue;
      const place = where(source, path, [...list, index]);
      const [name, other] = [key, before].map((text) => text.replace("\0", " "));
      const reason =
        before === key ? `${name} stands there twice` : `${name} is out of order: it belongs before ${other}`;
      throw new BitforbitError("input", `${place}: ${reason}`, { hint: ANEW });
    }
  }
}
