/**
 * The keys of `bitforbit.lock`: one table that is both the parser's and, written
 * out, the published JSON Schema (`schemas/lock-file.schema.json`).
 */
import * as v from "valibot";

/** The version that is written. */
export const VERSION = 2;

const MAX_PACKAGES = 100_000;
const MAX_TOOLS = 10_000;
const MAX_LAYERS = 1000;

const text = v.pipe(v.string(), v.minLength(1, "is empty"), v.maxLength(8192, "is too long"));
const whole = v.pipe(
  v.number(),
  v.integer("is not whole"),
  v.minValue(0, "is negative"),
  v.maxValue(Number.MAX_SAFE_INTEGER, "is too large"),
);
const matching = (pattern: RegExp, what: string) => v.pipe(text, v.regex(pattern, `is not ${what}`));
const digits = (count: number) =>
  v.pipe(v.string(), v.regex(new RegExp(`^[0-9a-f]{${count}}$`), `is not ${count} lower-case hexadecimal digits`));
const digest = v.pipe(
  v.string(),
  v.regex(/^sha256:[0-9a-f]{64}$/, "is not a digest ('sha256:' and 64 lower-case hexadecimal digits)"),
);

const requested = v.optional(
  v.pipe(
    v.array(text),
    v.maxLength(1000, "is too long"),
    v.description("What the recipe asks for: when it asks for something else, it is resolved anew."),
  ),
);

const host = v.strictObject({ type: v.literal("host"), pinned: v.literal(false) });

const debian = v.strictObject({
  type: v.literal("debian"),
  pinned: v.literal(true),
  suite: matching(/^[A-Za-z0-9][A-Za-z0-9._/-]*$/, "a suite"),
  components: v.pipe(
    v.array(matching(/^[A-Za-z0-9][A-Za-z0-9._/-]*$/, "a component")),
    v.minLength(1, "is empty"),
    v.maxLength(100, "is too long"),
  ),
  architecture: matching(/^[a-z0-9][a-z0-9-]*$/, "a Debian architecture"),
  requested,
  root: v.pipe(digest, v.description("Tree digest of the root file system.")),
  packages: v.pipe(
    v.array(
      v.strictObject({
        // Debian Policy, 5.6.1 and 5.6.12.
        name: matching(/^[a-z0-9][a-z0-9+.-]+$/, "a package's name"),
        version: matching(/^[A-Za-z0-9.+:~-]+$/, "a package's version"),
        architecture: matching(/^[a-z0-9][a-z0-9-]*$/, "a Debian architecture"),
        size: v.pipe(whole, v.description("Bytes of the .deb file.")),
        sha256: v.pipe(digits(64), v.description("Of the .deb file.")),
      }),
    ),
    v.maxLength(MAX_PACKAGES, `is longer than ${MAX_PACKAGES}`),
    v.description("In byte order of name, then architecture."),
  ),
});

const oci = v.strictObject({
  type: v.literal("oci"),
  pinned: v.literal(true),
  image: v.pipe(text, v.description("As the recipe names it, without a digest.")),
  requested,
  platform: matching(/^[a-z0-9]+\/[a-z0-9_]+(?:\/[a-z0-9._]+)?$/, 'a platform such as "linux/amd64"'),
  manifest: v.pipe(digest, v.description("Of the platform's own manifest.")),
  root: v.pipe(digest, v.description("Tree digest of the root file system.")),
  layers: v.pipe(
    v.array(digest),
    v.maxLength(MAX_LAYERS, `is longer than ${MAX_LAYERS}`),
    v.description("As transferred, lowest first."),
  ),
});

const tool = v.strictObject({
  name: text,
  path: matching(/^\//, "an absolute path"),
  version: text,
  sha256: digits(64),
});

const material = v.strictObject({
  purl: v.optional(v.pipe(text, v.startsWith("pkg:", "is not a package URL"))),
  uri: v.optional(text),
  name: text,
  version: v.optional(text),
  runtime: v.optional(v.pipe(v.boolean(), v.description("Needed to run the product, not only to build it."))),
  licence: v.optional(text),
  size: v.optional(v.pipe(whole, v.description("Bytes of the artifact as it is served."))),
  goH1: v.optional(v.pipe(v.string(), v.regex(/^h1:[A-Za-z0-9+/]{43}=$/, "is not a Go module hash"))),
  sha1: v.optional(digits(40)),
  sha256: v.optional(digits(64)),
  sha384: v.optional(digits(96)),
  sha512: v.optional(digits(128)),
  dependsOn: v.optional(v.pipe(v.array(text), v.description("purls, sorted."))),
});

const entries = {
  name: text,
  recipe: v.pipe(digest, v.description("Of the bytes of bitforbit.toml.")),
  source: v.optional(v.strictObject({ purl: v.optional(text), url: v.optional(text), sha256: digits(64) })),
  deps: v.optional(
    v.pipe(
      v.strictObject({ digest, files: whole, bytes: whole }),
      v.description("What was fetched, by content, without a client's bookkeeping."),
    ),
  ),
  asOf: v.optional(v.pipe(whole, v.description("Registries were to answer as of this day: seconds since 1970."))),
  patch: v.optional(
    v.pipe(
      v.array(v.strictObject({ path: text, sha256: digits(64) })),
      v.maxLength(1000, "is too long"),
      v.description("The recipe's patches of its source, in its order."),
    ),
  ),
  lockfile: v.optional(v.array(v.strictObject({ path: text, sha256: digits(64) }))),
  material: v.optional(v.pipe(v.array(material), v.description("In byte order of the purls."))),
};

const second = v.strictObject({
  version: v.pipe(v.literal(VERSION), v.description("Of the format.")),
  environment: v.variant("type", [host, debian, oci]),
  tool: v.optional(v.pipe(v.array(tool), v.maxLength(MAX_TOOLS, `is longer than ${MAX_TOOLS}`))),
  ...entries,
});

/** A lock as it is written. */
export interface Written {
  name: string;
  recipe: string;
  environment: WrittenEnvironment;
  source?: { purl?: string | undefined; url?: string | undefined; sha256: string } | undefined;
  deps?: { digest: string; files: number; bytes: number } | undefined;
  asOf?: number | undefined;
  patch?: { path: string; sha256: string }[] | undefined;
  lockfile?: { path: string; sha256: string }[] | undefined;
  tool?: { name: string; path: string; version: string; sha256: string }[] | undefined;
  material?: WrittenMaterial[] | undefined;
}

export type WrittenEnvironment =
  | { type: "host"; pinned: false }
  | {
      type: "debian";
      pinned: true;
      suite: string;
      components: string[];
      architecture: string;
      requested?: string[] | undefined;
      root: string;
      packages: { name: string; version: string; architecture: string; size: number; sha256: string }[];
    }
  | {
      type: "oci";
      pinned: true;
      image: string;
      requested?: string[] | undefined;
      platform: string;
      manifest: string;
      root: string;
      layers: string[];
    };

export interface WrittenMaterial {
  purl?: string | undefined;
  uri?: string | undefined;
  name: string;
  version?: string | undefined;
  runtime?: boolean | undefined;
  licence?: string | undefined;
  size?: number | undefined;
  goH1?: string | undefined;
  sha1?: string | undefined;
  sha256?: string | undefined;
  sha384?: string | undefined;
  sha512?: string | undefined;
  dependsOn?: string[] | undefined;
}

/** Without environments and tools; its lists may stand in any order. */
export const version1: v.GenericSchema<unknown, Written> = v.strictObject({
  version: v.literal(1),
  environment: host,
  ...entries,
});

/** For editors and other programs, too: `schemas/lock-file.schema.json` is written from it. */
export const version2: v.GenericSchema<unknown, Written> = second;

const KEYS: Readonly<Record<string, readonly string[]>> = {
  "": Object.keys(second.entries),
  environment: [...new Set([host, debian, oci].flatMap((table) => Object.keys(table.entries)))],
  "environment.packages": ["name", "version", "architecture", "size", "sha256"],
  source: ["purl", "url", "sha256"],
  deps: ["digest", "files", "bytes"],
  patch: ["path", "sha256"],
  lockfile: ["path", "sha256"],
  tool: Object.keys(tool.entries),
  material: Object.keys(material.entries),
};

/** The keys of a table; `path` is that of a value in it. */
export function knownKeys(path: readonly (string | number)[]): readonly string[] {
  const table = path.slice(0, -1).filter((part) => typeof part === "string");
  return KEYS[table.join(".")] ?? [];
}
