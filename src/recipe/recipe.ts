/**
 * `bitforbit.toml`: what to build, in a form for people. One table of the keys
 * (`schema`) is both the parser's and, written out, the editors' JSON
 * Schema (`schemas/recipe.schema.json`).
 *
 *     name = "hello"
 *     fetch = "npm ci …"          # with network, at lock time, into $BITFORBIT_DEPS
 *     command = "npm run build"   # without network, `sh -eu`
 *     outputs = ["out/*.tgz"]
 *     [limits]
 *     timeout = "30m"
 */
import { join } from "node:path";
import * as v from "valibot";
import { type Digest, digestOf } from "../digest.ts";
import { BitforbitError } from "../errors.ts";
import { isTable, locateKey, parseToml } from "../format/toml.ts";
import type { Ecosystem } from "../material.ts";
import { readProjectFile } from "../project-file.ts";
import { nearest } from "./nearest.ts";
import { requireOwnVariables } from "./own-variables.ts";
import { DURATION_PATTERN, parseDuration, parseSize, SIZE_PATTERN } from "./quantity.ts";

export interface RecipeSource {
  /** Package URL of a source that the ecosystem's own client fetches. */
  purl?: string;
  /** An archive: a URL, or a path relative to the recipe. */
  url?: string;
  /** 64 hexadecimal digits: of the archive, or of the .dsc for a Debian source. */
  sha256: string;
}

export interface Limits {
  timeoutSeconds: number;
  memoryBytes: number;
  processes: number;
  diskBytes: number;
  outputBytes: number;
  logBytes: number;
}

/** What the build's programs come from. `tools`: programs that must be there. */
export type EnvironmentSpec =
  | { type: "host"; tools: string[] }
  | {
      type: "debian";
      tools: string[];
      /** Debian's word: "bookworm". */
      suite: string;
      components: string[];
      /** Names, or "name=version". */
      packages: string[];
      /** Debian's word; undefined: this machine's. */
      architecture: string | undefined;
    }
  | {
      type: "oci";
      tools: string[];
      /** "registry/name@sha256:…", "registry/name:tag", "layout:PATH:tag", "layout:PATH@sha256:…". */
      image: string;
      /** "os/architecture[/variant]"; undefined: this machine's. */
      platform: string | undefined;
    };

export interface Recipe {
  name: string;
  ecosystem?: Ecosystem;
  /** What the SBOM says of the project, where its own metadata does not: `supplier` as `Name <mail> (url)`, an SPDX `license`. */
  about?: { supplier?: string; license?: string; homepage?: string };
  /** Absent: the recipe's own folder is the source. */
  source?: RecipeSource;
  /** Unified diffs beside the recipe, applied in this order to a source that is fetched. */
  patches: string[];
  environment: EnvironmentSpec;
  /** `replay`: what the command asks the network for is answered from the recording that the lock made. */
  network: "none" | "replay";
  /** A build that reads what is not locked is not canonical. */
  strict: boolean;
  /** Every world is held still (vary/determinise.ts), so that a build reproduces that would not by itself. */
  determinise: boolean;
  /** Variations to make besides those that every check makes, and those to leave out; flow/asked.ts knows the names. */
  vary?: string[];
  noVary?: string[];
  /** Shell script run when the lock is made, with network; writes to $BITFORBIT_DEPS. */
  fetch: string | undefined;
  /** Shell script run with `sh -eu` at the build path, without network. */
  command: string;
  /** Paths or globs relative to the build path. */
  outputs: string[];
  /** Sub-folder of the source in which the scripts run; "." is the root. */
  directory: string;
  env: Record<string, string>;
  limits: Limits;
  /** Lockfiles that must be there, relative to `directory`. */
  lockfiles: string[];
}

export const RECIPE_FILE = "bitforbit.toml";

/** What a build gets unless its recipe says otherwise. */
export const DEFAULT_LIMITS: Readonly<Limits> = {
  timeoutSeconds: 30 * 60,
  memoryBytes: 4 * 2 ** 30,
  processes: 1024,
  diskBytes: 8 * 2 ** 30,
  outputBytes: 2 * 2 ** 30,
  logBytes: 64 * 2 ** 20,
};

const MAX_BYTES = 1 << 20;

const text = (what: string, max = 1024): v.GenericSchema<string> =>
  v.pipe(v.string(), v.minLength(1), v.maxLength(max), v.description(what)) as v.GenericSchema<string>;

const matching = (pattern: RegExp, example: string, what: string): v.GenericSchema<string> =>
  v.pipe(v.string(), v.regex(pattern, `is not ${example}`), v.description(what)) as v.GenericSchema<string>;

/** Relative, without `..` or empty parts, no leading slash: it cannot leave the source. */
const INSIDE = /^(?!\/)(?!(?:.*\/)?\.\.(?:\/|$))[^\u0000]{1,1024}$/;
const inside = (what: string): v.GenericSchema<string> => matching(INSIDE, "a relative path without '..'", what);

const list = (item: v.GenericSchema<string>, what: string, least = 0): v.GenericSchema<string[]> =>
  v.pipe(v.array(item), v.minLength(least), v.maxLength(1000), v.description(what)) as v.GenericSchema<string[]>;

const size = (what: string): v.GenericSchema<string> => matching(SIZE_PATTERN, 'a size such as "4 GiB"', what);

const aVariation = matching(/^[a-z]+(?:-[a-z]+)*$/, 'a variation\'s name such as "vcs"', "A variation.");

/** The keys of a recipe as they are written. Unknown keys are errors. */
const schema = v.strictObject({
  name: matching(/^[A-Za-z0-9][A-Za-z0-9._+@-]{0,127}$/, "a name of letters, digits and ._+@-", "The project's name."),
  ecosystem: v.optional(
    v.pipe(
      v.picklist(["npm", "pip", "cargo", "go", "maven", "make", "debian"]),
      v.description("Whose lockfiles and packages these are."),
    ),
  ),
  directory: v.optional(inside("Sub-folder of the source in which the scripts run.")),
  fetch: v.optional(text("Shell script run with network when the lock is made; it writes to $BITFORBIT_DEPS.", 65_536)),
  command: text("Shell script that builds, run with `sh -eu` and without network; $BITFORBIT_DEPS is there.", 65_536),
  outputs: list(inside("A path or glob (*, **)."), "What the command makes, relative to the build path.", 1),
  lockfiles: v.optional(list(inside("A path."), "Lockfiles that must be there, relative to directory.")),
  source: v.optional(
    v.pipe(
      v.strictObject({
        purl: v.optional(matching(/^pkg:[A-Za-z0-9.+-]+\/.{1,2000}$/, "a package URL", "Package URL of the source.")),
        url: v.optional(text("Archive: a URL, or a path relative to this file.", 2048)),
        sha256: matching(
          /^[0-9a-f]{64}$/,
          "64 lower-case hexadecimal digits",
          "SHA-256 of the archive, or of the .dsc.",
        ),
      }),
      v.description("Where the source comes from; without it, this folder is the source."),
    ),
  ),
  about: v.optional(
    v.pipe(
      v.strictObject({
        supplier: v.optional(text('Who supplies it: "Name <mail> (https://…)", or a part of that.', 400)),
        license: v.optional(text('An SPDX expression: "Apache-2.0 OR MIT".', 400)),
        homepage: v.optional(matching(/^https?:\/\/[^\s<>"{}|\\^`]{1,400}$/, "a URL", "Where it lives.")),
      }),
      v.description("What the SBOM says of the project where its own metadata (package.json, PKG-INFO, …) does not."),
    ),
  ),
  patches: v.optional(
    list(inside("A unified diff, relative to this file."), "Applied in this order to a source that is fetched."),
  ),
  network: v.optional(
    v.pipe(
      v.picklist(["none", "replay"]),
      v.description("replay: the command's requests are answered from what was recorded when the lock was made."),
    ),
  ),
  strict: v.optional(v.pipe(v.boolean(), v.description("A build that reads what is not locked is not canonical."))),
  determinise: v.optional(
    v.pipe(
      v.boolean(),
      v.description(
        "Build where clock, randomness and the like stand still, so that it reproduces unchanged; every such crutch is told.",
      ),
    ),
  ),
  vary: v.optional(list(aVariation, 'Variations to make besides the usual ones: "filesystem", "vcs", or "all".', 1)),
  "no-vary": v.optional(list(aVariation, 'Variations to leave out: "clock" for a build that needs the real time.', 1)),
  environment: v.optional(
    v.strictObject({
      type: v.optional(
        v.pipe(
          v.picklist(["host", "debian", "oci"]),
          v.description(
            "host: this machine's own programs, not pinned. debian: packages of a suite. oci: a container image.",
          ),
        ),
      ),
      tools: v.optional(
        list(matching(/^[A-Za-z0-9._+-]{1,64}$/, "a program's name", "A program."), "Programs needed."),
      ),
      suite: v.optional(matching(/^[a-z][a-z0-9-]{0,63}$/, 'a suite such as "bookworm"', "Debian suite.")),
      components: v.optional(
        list(matching(/^[a-z][a-z0-9-]{0,63}$/, 'a component such as "main"', "A component."), "Of the suite.", 1),
      ),
      packages: v.optional(
        list(
          matching(/^[a-z0-9][a-z0-9+.-]+(?:=[A-Za-z0-9.+~:-]+)?$/, "a Debian package's name", "A package."),
          "Debian packages; what they depend on comes with them.",
          1,
        ),
      ),
      architecture: v.optional(matching(/^[a-z0-9-]{2,32}$/, 'such as "amd64"', "Debian architecture.")),
      image: v.optional(text("Container image: registry/name@sha256:…, registry/name:tag, layout:PATH:tag.", 1024)),
      platform: v.optional(
        matching(/^[a-z0-9]+\/[a-z0-9_]+(?:\/[a-z0-9.]+)?$/, 'such as "linux/amd64"', "The image's platform."),
      ),
    }),
  ),
  env: v.optional(
    v.pipe(
      v.record(
        matching(/^[A-Za-z_][A-Za-z0-9_]{0,127}$/, "a variable's name", "A variable's name."),
        v.pipe(v.string(), v.maxLength(32_768)),
      ),
      v.description("Extra environment for fetch and command."),
    ),
  ),
  limits: v.optional(
    v.strictObject({
      timeout: v.optional(matching(DURATION_PATTERN, 'a duration such as "30m"', "Wall time of one build.")),
      memory: v.optional(size("Memory of the whole process tree.")),
      processes: v.optional(
        v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(1_000_000), v.description("Processes at a time.")),
      ),
      disk: v.optional(size("What the build may write.")),
      output: v.optional(size("Total size of the outputs.")),
      log: v.optional(size("Size of the build's log that is kept.")),
    }),
  ),
});

/** For editors: `schemas/recipe.schema.json` is written from it. */
export const recipeSchema: v.GenericSchema = schema;

type Written = v.InferOutput<typeof schema>;

/** A recipe from TOML. Throws `input`, naming `path`, line, column and, for an unknown key, the nearest known one. */
export function parseRecipe(source: string, path: string): Recipe {
  const table = parseToml(source, path, MAX_BYTES);
  const parsed = v.safeParse(schema, table);
  if (!parsed.success) throw broken(source, path, parsed.issues[0]);
  const written = parsed.output;
  if (written.source !== undefined && (written.source.purl === undefined) === (written.source.url === undefined)) {
    const { line, column } = locateKey(source, ["source"]);
    throw new BitforbitError("input", `${path}:${line}:${column}: source needs either purl or url, and not both`);
  }
  if (written.source === undefined && (written.patches ?? []).length > 0) {
    const { line, column } = locateKey(source, ["patches"]);
    throw new BitforbitError("input", `${path}:${line}:${column}: patches are for a source that is fetched`, {
      hint: "this folder is the source: change its files, and leave patches out",
    });
  }
  if (isTable(table["env"]) && Object.keys(table["env"]).length !== Object.keys(written.env ?? {}).length) {
    throw new BitforbitError("input", `${path}: env has a key that is not a variable's name`);
  }
  requireOwnVariables(source, path, written.env ?? {});
  requireFitting(source, path, written.environment ?? {});
  return recipeOf(written);
}

type WrittenEnvironment = NonNullable<Written["environment"]>;

/** The keys that each type of environment takes; those it needs are marked. */
const ENVIRONMENT_KEYS: Readonly<Record<EnvironmentSpec["type"], Readonly<Record<string, "needed" | "allowed">>>> = {
  host: {},
  debian: { suite: "needed", packages: "needed", components: "allowed", architecture: "allowed" },
  oci: { image: "needed", platform: "allowed" },
};

function requireFitting(source: string, path: string, written: WrittenEnvironment): void {
  const type = written.type ?? "host";
  const keys = ENVIRONMENT_KEYS[type];
  for (const key of Object.keys(written)) {
    if (key === "type" || key === "tools" || key in keys) continue;
    const { line, column } = locateKey(source, ["environment", key]);
    const owner = Object.entries(ENVIRONMENT_KEYS).find(([, known]) => key in known)?.[0] ?? "another";
    throw new BitforbitError("input", `${path}:${line}:${column}: environment.${key} is for type = "${owner}"`, {
      hint: `the environment's type is "${type}": set type = "${owner}", or leave ${key} out`,
    });
  }
  for (const [key, need] of Object.entries(keys)) {
    if (need !== "needed" || key in written) continue;
    const { line, column } = locateKey(source, ["environment"]);
    throw new BitforbitError("input", `${path}:${line}:${column}: an environment of type "${type}" needs ${key}`, {
      hint: type === "oci" ? 'image = "registry/name@sha256:…"' : 'suite = "bookworm" and packages = ["gcc", "make"]',
    });
  }
}

function environmentOf(written: WrittenEnvironment): EnvironmentSpec {
  const { tools = [], suite = "", packages = [], components = ["main"], architecture, image = "", platform } = written;
  if (written.type === "debian") return { type: "debian", tools, suite, components, packages, architecture };
  if (written.type === "oci") return { type: "oci", tools, image, platform };
  return { type: "host", tools };
}

function sizeOr(value: string | undefined, fallback: number): number {
  return value === undefined ? fallback : parseSize(value);
}

function aboutOf(about: Written["about"]): Pick<Recipe, "about"> {
  if (about === undefined) return {};
  const { supplier, license, homepage } = about;
  return {
    about: {
      ...(supplier === undefined ? {} : { supplier }),
      ...(license === undefined ? {} : { license }),
      ...(homepage === undefined ? {} : { homepage }),
    },
  };
}

function recipeOf(written: Written): Recipe {
  const limits = written.limits ?? {};
  const { purl, url, sha256 } = written.source ?? {};
  return {
    name: written.name,
    ...(written.ecosystem === undefined ? {} : { ecosystem: written.ecosystem }),
    ...(sha256 === undefined
      ? {}
      : { source: { ...(purl === undefined ? {} : { purl }), ...(url === undefined ? {} : { url }), sha256 } }),
    ...aboutOf(written.about),
    patches: written.patches ?? [],
    environment: environmentOf(written.environment ?? {}),
    network: written.network ?? "none",
    strict: written.strict ?? false,
    determinise: written.determinise ?? false,
    ...(written.vary === undefined ? {} : { vary: written.vary }),
    ...(written["no-vary"] === undefined ? {} : { noVary: written["no-vary"] }),
    fetch: written.fetch,
    command: written.command,
    outputs: written.outputs,
    directory: written.directory ?? ".",
    env: { ...written.env },
    limits: {
      timeoutSeconds: limits.timeout === undefined ? DEFAULT_LIMITS.timeoutSeconds : parseDuration(limits.timeout),
      memoryBytes: sizeOr(limits.memory, DEFAULT_LIMITS.memoryBytes),
      processes: limits.processes ?? DEFAULT_LIMITS.processes,
      diskBytes: sizeOr(limits.disk, DEFAULT_LIMITS.diskBytes),
      outputBytes: sizeOr(limits.output, DEFAULT_LIMITS.outputBytes),
      logBytes: sizeOr(limits.log, DEFAULT_LIMITS.logBytes),
    },
    lockfiles: written.lockfiles ?? [],
  };
}

function broken(source: string, path: string, issue: v.InferIssue<typeof schema>): BitforbitError {
  const keys = (issue.path ?? []).map((item) => String(item.key));
  const named = keys.filter((key) => !/^\d+$/.test(key));
  const where = keys.join(".");
  if (issue.type === "strict_object" && issue.expected !== "never") {
    const { line, column } = locateKey(source, named.slice(0, -1));
    return new BitforbitError("input", `${path}:${line}:${column}: ${JSON.stringify(where)} is missing`);
  }
  const { line, column } = locateKey(source, named);
  if (issue.type === "strict_object" && issue.expected === "never") {
    const known = knownKeys(keys.slice(0, -1));
    const near = nearest(keys.at(-1) ?? "", known);
    return new BitforbitError("input", `${path}:${line}:${column}: unknown key ${JSON.stringify(where)}`, {
      hint: near === undefined ? `known keys here: ${known.join(", ")}` : `did you mean ${JSON.stringify(near)}?`,
    });
  }
  const said = issue.message.startsWith("is not") ? issue.message : plain(issue);
  return new BitforbitError("input", `${path}:${line}:${column}: ${where} ${said}: ${shown(issue.input)}`);
}

function plain(issue: v.InferIssue<typeof schema>): string {
  if (issue.kind === "schema") return `should be ${issue.expected ?? "something else"}`;
  return `is out of bounds (${issue.expected ?? issue.type})`;
}

function shown(value: unknown): string {
  if (value === undefined) return "nothing";
  const json = JSON.stringify(value, (_, item: unknown) => (typeof item === "bigint" ? item.toString() : item)) ?? "";
  return json.length > 80 ? `${json.slice(0, 80)}…` : json;
}

function knownKeys(table: readonly string[]): string[] {
  if (table.length === 0) return Object.keys(schema.entries);
  if (table[0] === "source") return ["purl", "url", "sha256"];
  if (table[0] === "environment") return Object.keys(schema.entries.environment.wrapped.entries);
  return ["timeout", "memory", "processes", "disk", "output", "log"];
}

/**
 * The recipe in `folder` and the digest of its bytes; undefined when there is
 * none. Throws `input` when it is broken.
 */
export async function readRecipe(
  folder: string,
): Promise<{ recipe: Recipe; digest: Digest; path: string } | undefined> {
  const text = await readProjectFile(folder, RECIPE_FILE, MAX_BYTES);
  if (text === undefined) return undefined;
  return { recipe: parseRecipe(text, RECIPE_FILE), digest: digestOf(text), path: join(folder, RECIPE_FILE) };
}
