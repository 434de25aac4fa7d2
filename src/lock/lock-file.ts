/** `bitforbit.lock` as a file: TOML, sorted, to be reviewed like code. */
import { join } from "node:path";
import * as v from "valibot";
import { type Digest, isDigest } from "../digest.ts";
import { writeDurable } from "../durable.ts";
import { BitforbitError } from "../errors.ts";
import { materialList } from "../format/material-list.ts";
import { isTable, parseToml, tomlString } from "../format/toml.ts";
import type { Checksums, Material } from "../material.ts";
import { sortedBy } from "../order.ts";
import { readProjectFile } from "../project-file.ts";
import type { Lock } from "./lock.ts";

export const LOCK_FILE = "bitforbit.lock";

const VERSION = 1;
const MAX_BYTES = 64 << 20;
const ANEW = "bitforbit lock makes it anew";

const HEADER = [
  "# What bitforbit builds this project from, by digest. Commit it, and review its",
  "# changes like code. Made by `bitforbit lock`; not to be edited.",
];

/** A lock as TOML. The same lock gives the same bytes, whatever the order of its lists. */
export function lockToml(lock: Lock): string {
  const lines = [...HEADER, "", `version = ${VERSION}`, ...pairs({ name: lock.name, recipe: lock.recipe })];
  lines.push("", "[environment]", ...pairs({ type: lock.environment.type }), `pinned = ${lock.environment.pinned}`);
  if (lock.source !== undefined) {
    const { purl, url, sha256 } = lock.source;
    lines.push("", "[source]", ...pairs({ purl, url, sha256 }));
  }
  if (lock.deps !== undefined) {
    const { digest, files, bytes } = lock.deps;
    lines.push("", "[deps]", ...pairs({ digest }), `files = ${files}`, `bytes = ${bytes}`);
  }
  for (const { path, sha256 } of sortedBy(lock.lockfiles, (item) => item.path)) {
    lines.push("", "[[lockfile]]", ...pairs({ path, sha256 }));
  }
  for (const material of materialList(lock.materials, "the lock")) lines.push("", ...materialLines(material));
  return `${lines.join("\n")}\n`;
}

const ALGORITHMS = ["goH1", "sha1", "sha256", "sha384", "sha512"] as const;

function materialLines(material: Material): string[] {
  if (material.kind !== "dependency") {
    throw new BitforbitError("input", `a lock lists dependencies, and ${material.name} is a ${material.kind}`);
  }
  const { purl, uri, name, version, runtime, licence, checksums, dependsOn = [] } = material;
  return [
    "[[material]]",
    ...pairs({ purl, uri, name, version }),
    ...(runtime === undefined ? [] : [`runtime = ${runtime}`]),
    ...pairs({ licence }),
    ...pairs(Object.fromEntries(ALGORITHMS.map((algorithm) => [algorithm, checksums[algorithm]]))),
    ...(dependsOn.length === 0 ? [] : ["dependsOn = [", ...dependsOn.map((ref) => `  ${tomlString(ref)},`), "]"]),
  ];
}

function pairs(values: Record<string, string | undefined>): string[] {
  return Object.entries(values).flatMap(([key, value]) => (value === undefined ? [] : `${key} = ${tomlString(value)}`));
}

const text = v.pipe(v.string(), v.minLength(1, "is empty"), v.maxLength(8192, "is too long"));
const whole = v.pipe(v.number(), v.integer("is not whole"), v.minValue(0, "is negative"));
const digits = (count: number) =>
  v.pipe(v.string(), v.regex(new RegExp(`^[0-9a-f]{${count}}$`), `is not ${count} lower-case hexadecimal digits`));
const digest = v.pipe(
  v.string(),
  v.check(isDigest, "is not a digest ('sha256:' and 64 lower-case hexadecimal digits)"),
  v.transform((value) => value as Digest),
);

const schema = v.strictObject({
  version: v.literal(VERSION),
  name: text,
  recipe: digest,
  environment: v.strictObject({ type: v.literal("host"), pinned: v.literal(false) }),
  source: v.optional(v.strictObject({ purl: v.optional(text), url: v.optional(text), sha256: digits(64) })),
  deps: v.optional(v.strictObject({ digest, files: whole, bytes: whole })),
  lockfile: v.optional(v.array(v.strictObject({ path: text, sha256: digits(64) })), []),
  material: v.optional(
    v.array(
      v.strictObject({
        purl: v.optional(v.pipe(text, v.startsWith("pkg:", "is not a package URL"))),
        uri: v.optional(text),
        name: text,
        version: v.optional(text),
        runtime: v.optional(v.boolean()),
        licence: v.optional(text),
        goH1: v.optional(v.pipe(v.string(), v.regex(/^h1:[A-Za-z0-9+/]{43}=$/, "is not a Go module hash"))),
        sha1: v.optional(digits(40)),
        sha256: v.optional(digits(64)),
        sha384: v.optional(digits(96)),
        sha512: v.optional(digits(128)),
        dependsOn: v.optional(v.array(text)),
      }),
    ),
    [],
  ),
});

type Written = v.InferOutput<typeof schema>;

/**
 * A lock from TOML; `path` names it in errors. Inverse of `lockToml`. Throws
 * `input` for an unknown version or key, and for anything that is not what it
 * should be, naming it.
 */
export function parseLock(source: string, path: string): Lock {
  const table = parseToml(source, path, MAX_BYTES);
  const version = table["version"];
  if (version !== VERSION) {
    const newer = typeof version === "number" && version > VERSION;
    throw new BitforbitError(
      "input",
      `${path}: version ${JSON.stringify(version) ?? "none"} is not known, only ${VERSION}`,
      {
        hint: newer ? "a newer bitforbit made it: use that one" : ANEW,
      },
    );
  }
  const parsed = v.safeParse(schema, table);
  if (!parsed.success) throw broken(path, table, parsed.issues[0]);
  const { lockfile, material, environment, name, recipe, source: from, deps } = parsed.output;
  return {
    version: VERSION,
    name,
    recipe,
    environment,
    ...(from === undefined ? {} : { source: present(from) }),
    lockfiles: sortedBy(lockfile, (item) => item.path),
    materials: materialList(material.map(materialOf), path),
    ...(deps === undefined ? {} : { deps }),
  };
}

function present(from: NonNullable<Written["source"]>): NonNullable<Lock["source"]> {
  const { purl, url, sha256 } = from;
  return { ...(purl === undefined ? {} : { purl }), ...(url === undefined ? {} : { url }), sha256 };
}

function materialOf(written: Written["material"][number]): Material {
  const { goH1, sha1, sha256, sha384, sha512, name, ...rest } = written;
  const sums = Object.entries({ goH1, sha1, sha256, sha384, sha512 }).filter(([, value]) => value !== undefined);
  const others = Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== undefined));
  return { kind: "dependency", name, checksums: Object.fromEntries(sums) as Checksums, ...others };
}

function broken(path: string, table: unknown, issue: v.InferIssue<typeof schema>): BitforbitError {
  const keys = (issue.path ?? []).map((item) => String(item.key));
  const where = keys.map((key) => (/^\d+$/.test(key) ? String(Number(key) + 1) : key)).join(".");
  const named = materialName(table, keys);
  const place = `${path}: ${where}${named === undefined ? "" : ` (${named})`}`;
  if (issue.type === "strict_object" && issue.expected === "never") {
    return new BitforbitError("input", `${place}: unknown key`, {
      hint: `remove it, or use the bitforbit that wrote it`,
    });
  }
  if (issue.type === "strict_object" && issue.input === undefined) {
    return new BitforbitError("input", `${place} is missing`, { hint: ANEW });
  }
  const said = issue.kind === "schema" ? `should be ${issue.expected ?? "something else"}` : issue.message;
  const value = typeof issue.input === "string" ? JSON.stringify(issue.input.slice(0, 100)) : typeof issue.input;
  return new BitforbitError("input", `${place} ${said}: ${value}`, { hint: ANEW });
}

/** What a numbered table is called, for people. */
function materialName(table: unknown, keys: readonly string[]): string | undefined {
  const list = isTable(table) ? table[keys[0] ?? ""] : undefined;
  const item = Array.isArray(list) ? list[Number(keys[1])] : undefined;
  const name = isTable(item) ? (item["purl"] ?? item["name"] ?? item["path"]) : undefined;
  return typeof name === "string" ? name.slice(0, 200) : undefined;
}

/** The lock beside a recipe; undefined when there is none. Throws `input` when it is broken. */
export async function readLock(folder: string): Promise<Lock | undefined> {
  const text = await readProjectFile(folder, LOCK_FILE, MAX_BYTES);
  return text === undefined ? undefined : parseLock(text, LOCK_FILE);
}

/** Replaces the lock in `folder`, durably; leaves the file alone when nothing changed. */
export async function writeLock(folder: string, lock: Lock): Promise<void> {
  const text = lockToml(lock);
  const before = await readProjectFile(folder, LOCK_FILE, MAX_BYTES).catch(() => undefined);
  if (before !== text) await writeDurable(join(folder, LOCK_FILE), text);
}
