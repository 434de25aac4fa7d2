/** The list of real packages, `list.toml`: what is built, pinned by digest, and in which environment. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import * as v from "valibot";
import { digestOf, hexOf } from "../../src/digest.ts";
import { BitforbitError } from "../../src/errors.ts";
import { parseToml } from "../../src/format/toml.ts";
import { canonicalJson, type Json } from "../../src/json.ts";

export const ECOSYSTEMS = ["debian", "npm", "pip", "cargo", "go", "maven"] as const;
export type CorpusEcosystem = (typeof ECOSYSTEMS)[number];

export const FOLDER: string = import.meta.dirname;
const FILE = join(FOLDER, "list.toml");

export interface ListEnvironment {
  suite: string;
  packages: string[];
  tools?: string[] | undefined;
}

interface Written {
  /** As the registry says it: "hello", "@noble/hashes", "filippo.io/age", "group:artifact". */
  name: string;
  version: string;
  /** Of what the client fetches: the archive, or the .dsc. */
  sha256: string;
  /** What of it makes a build differ, where that is why it is in the list. */
  about?: string | undefined;
  /** Qualifiers of the package URL, where they are not the ecosystem's usual ones. */
  qualifiers?: string | undefined;
  /** Which of the environments; the one named like the ecosystem, when left out. */
  environment?: string | undefined;
  /** These stand in for what `bitforbit init` writes. */
  fetch?: string | undefined;
  command?: string | undefined;
  outputs?: string[] | undefined;
  lockfiles?: string[] | undefined;
  env?: Record<string, string> | undefined;
}

export interface Entry extends Written {
  ecosystem: CorpusEcosystem;
  from: ListEnvironment;
  /** What a result is about: changes when anything changes that the entry's recipe is made of. */
  key: string;
}

const strings: v.GenericSchema<string[]> = v.array(v.string());

const environment: v.GenericSchema<ListEnvironment> = v.strictObject({
  suite: v.string(),
  packages: strings,
  tools: v.optional(strings),
});

const entry: v.GenericSchema<Written> = v.strictObject({
  name: v.string(),
  version: v.string(),
  sha256: v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/)),
  about: v.optional(v.string()),
  qualifiers: v.optional(v.string()),
  environment: v.optional(v.string()),
  fetch: v.optional(v.string()),
  command: v.optional(v.string()),
  outputs: v.optional(strings),
  lockfiles: v.optional(strings),
  env: v.optional(v.record(v.string(), v.string())),
});

const list = v.strictObject({
  environment: v.record(v.string(), environment),
  debian: v.optional(v.array(entry), []),
  npm: v.optional(v.array(entry), []),
  pip: v.optional(v.array(entry), []),
  cargo: v.optional(v.array(entry), []),
  go: v.optional(v.array(entry), []),
  maven: v.optional(v.array(entry), []),
});

/** All entries, in the list's order. Throws `input` for a list that is not one. */
export function readList(): Entry[] {
  const parsed = v.safeParse(list, parseToml(readFileSync(FILE, "utf8"), "list.toml"));
  if (!parsed.success) {
    const [issue] = parsed.issues;
    const where = (issue.path ?? []).map((item) => String(item.key)).join(".");
    throw new BitforbitError("input", `list.toml: ${where}: ${issue.message}`);
  }
  const seen = new Set<string>();
  return ECOSYSTEMS.flatMap((ecosystem) =>
    parsed.output[ecosystem].map((written) => {
      const name = written.environment ?? ecosystem;
      const from = parsed.output.environment[name];
      const id = `${ecosystem} ${written.name} ${written.version}`;
      if (from === undefined) throw new BitforbitError("input", `list.toml: ${id}: no environment.${name}`);
      if (seen.has(id)) throw new BitforbitError("input", `list.toml: ${id} is there twice`);
      seen.add(id);
      const { about: _, ...built } = written;
      const key = hexOf(digestOf(canonicalJson({ ecosystem, ...built, from } as unknown as Json))).slice(0, 16);
      return { ...written, ecosystem, from, key };
    }),
  );
}

/** The package URL of an entry's source. */
export function purlOf({ ecosystem, name, version, qualifiers, from }: Entry): string {
  const usual = { debian: `arch=source&distro=${from.suite}`, maven: "classifier=source-release&type=zip" };
  const rest = qualifiers ?? (ecosystem === "debian" || ecosystem === "maven" ? usual[ecosystem] : undefined);
  const type = { debian: "deb/debian", npm: "npm", pip: "pypi", cargo: "cargo", go: "golang", maven: "maven" };
  const path = ecosystem === "maven" ? name.replace(":", "/") : name.replace(/^@/, "%40");
  return `pkg:${type[ecosystem]}/${path}@${encodeURIComponent(version).replaceAll("%3A", ":")}${rest === undefined ? "" : `?${rest}`}`;
}
