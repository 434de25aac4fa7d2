import type { ExitCode } from "../errors.ts";
import { plainWords } from "./plain-words.ts";
import { openTerminal, reportError, type Terminal } from "./terminal.ts";

/** What a verb gets: options by their long names, and the terminal. */
export type Options = Readonly<Record<string, unknown>>;

/** The values of an option that may be given several. */
export function texts(options: Options, name: string): string[] {
  const value = options[name];
  return Array.isArray(value) ? value.map(String) : [];
}

export type Verb = (args: readonly string[], options: Options, terminal: Terminal) => Promise<ExitCode>;

export interface VerbEntry {
  usage: string;
  summary: string;
  options: readonly (readonly [flags: string, description: string])[];
  examples: readonly string[];
  load: () => Promise<Verb>;
}

const HOME_OPTION = [
  "--home <dir>",
  "where state lives (default: $BITFORBIT_HOME, else .bitforbit in the project)",
] as const;
const POLICY_OPTIONS = [
  ["--policy <file>", "a policy file instead of the project's own trust"],
  ["--bundle <file...>", "evidence in files, besides what the store holds"],
  ["--key <file>", "trust this public key (PEM) and no other"],
  ["--log-key <file>", "trust the log of this key (PEM), instead of one's own"],
  ["--offline", "use no network; this is always so, the option only says it"],
] as const;

const EXPLAIN_OPTIONS = [
  ["--html <file>", "write a report as one HTML file that needs no network"],
  ["--quick", "two builds and no more: what their bytes do not name stays unknown"],
  ["--budget <duration>", "time for the builds that find causes out: 20m, 2h (default: 30m)"],
] as const;

const VARY_OPTIONS = [
  ["--vary <names>", "variations besides the usual ones: filesystem,vcs,load,race, all of these, or machine"],
  ["--no-vary <names>", "variations to leave out: clock,path"],
] as const;

/** The contract: DESIGN.md, "The command line". In the order in which one meets them. */
const VERBS: readonly VerbEntry[] = [
  {
    usage: "init [dir]",
    summary: "look at a project, write bitforbit.toml, say what was assumed",
    options: [
      ["--source <purl>", "write a recipe for a published source instead, pinned by digest"],
      ["--environment <type>", "host, debian or debian:SUITE (default: a pinned Debian where apt is at hand)"],
      ["--force", "replace a bitforbit.toml that is there"],
      HOME_OPTION,
    ],
    examples: [
      "bitforbit init",
      "bitforbit init path/to/project",
      "bitforbit init tomli --source pkg:pypi/tomli@2.0.1",
    ],
    load: async () => (await import("./verbs/init.ts")).init,
  },
  {
    usage: "lock [dir]",
    summary: "pin every material by digest into bitforbit.lock",
    options: [
      ["--check", "fetch afresh and say whether the lock still fits; exit 1 when it does not"],
      ["--update", "resolve the environment anew, even where the locked one is what the recipe asks for"],
      ["--as-of <date>", "have registries answer as of this day (2026-03-01), where their metadata allows it"],
      HOME_OPTION,
    ],
    examples: ["bitforbit lock", "bitforbit lock --check", "bitforbit lock --as-of 2026-03-01"],
    load: async () => (await import("./verbs/lock.ts")).lock,
  },
  {
    usage: "build [dir]",
    summary: "lock, build in two worlds, compare, and sign, log and store the evidence",
    options: [
      ["--once", "one build in the canonical world: marked local, never promotable"],
      ...EXPLAIN_OPTIONS,
      ["-o, --output <dir>", "where the outputs go (default: dist in the project)"],
      ["--keep", "keep the build trees and say where they are"],
      HOME_OPTION,
    ],
    examples: ["bitforbit build", "bitforbit build --once", "bitforbit build examples/hello --json"],
    load: async () => (await import("./verbs/build.ts")).build,
  },
  {
    usage: "check [dir]",
    summary: "build in two worlds and say why they differ; attest nothing",
    options: [
      ["--against <artifact>", "build once, and compare with what somebody published: a file, a folder or sha256:…"],
      ...VARY_OPTIONS,
      ...EXPLAIN_OPTIONS,
      ["--until <chance>", "where two builds agree, build on until a rare outcome would have shown with this chance"],
      ["--rarity <share>", "how rare an outcome --until and the verdict speak of (default: 10%)"],
      ["--fresh", "forget the builds that an interrupted check left, instead of going on from them"],
      ["--keep", "keep the build trees and say where they are"],
      HOME_OPTION,
    ],
    examples: [
      "bitforbit check",
      "bitforbit check --budget 2h",
      "bitforbit check --vary filesystem,vcs --no-vary clock",
      "bitforbit check --against dist/tomli-2.0.1-py3-none-any.whl",
      "bitforbit check --until 99.9%",
      "bitforbit check --html why.html",
      "bitforbit check --json | jq .causes",
    ],
    load: async () => (await import("./verbs/check.ts")).check,
  },
  {
    usage: "fix [dir]",
    summary: "try remedies for what makes the builds differ, keep those that help, and change the project",
    options: [
      ["--dry-run", "print the changes, write nothing"],
      ["--budget <time>", "time for all builds (default: 30m)"],
      ["--cause <name>", "mend this cause only"],
      ["--force", "change files that differ from the commit, too"],
      HOME_OPTION,
    ],
    examples: ["bitforbit fix --dry-run", "bitforbit fix --cause clock", "bitforbit fix --json | jq -r .diff"],
    load: async () => (await import("./verbs/fix.ts")).fix,
  },
  {
    usage: "diff <a> <b>",
    summary: "the difference of two files, folders, archives, images, artifacts or builds, to the last byte",
    options: [
      ["--platform <os/arch>", "of images for several platforms, compare the one for this"],
      ["--html <file>", "write a report as one HTML file that needs no network"],
      ["--format <format>", "text (default), line (one line), markdown (a comment for a pull request)"],
      ["--full", "all findings, whatever the height of the screen"],
      ["--max-lines <n>", "print at most so many lines (default: what fits the screen, else 2000)"],
      ["--exclude <glob...>", "leave paths out of the verdict; every view says how much that was"],
      ["--exclude-kind <kind...>", "leave out a kind of difference: field:mtime, derived, padding, order, format:NAME"],
      ["--timeout <seconds>", "tell after this time what was found so far, and what was not compared"],
      ["--prove", "show of each file and each decoded content that the difference is complete"],
      ["--profile <file...>", "leave out what this TOML file lists: [[exclude]] with path, kind, reason"],
      HOME_OPTION,
    ],
    examples: [
      "bitforbit diff old.tar.gz new.tar.gz",
      "bitforbit diff a/ b/ --html report.html",
      "bitforbit diff a/ b/ --exclude-kind field:mtime derived",
      "bitforbit diff --json a/ b/",
      "bitforbit diff b15d76250650ba3807e6c1d5650e25bf b8e1…   (the outputs of two builds)",
      "bitforbit diff sha256:d7bf18d1… dist/tomli-2.0.1-py3-none-any.whl",
      "bitforbit diff registry.example/base:1 oci:layout",
    ],
    load: async () => (await import("./verbs/diff.ts")).diff,
  },
  {
    usage: "sbom [dir]",
    summary: "the CycloneDX bill of materials of a project's lock",
    options: [["-o, --output <file>", "write it here instead of stdout"], HOME_OPTION],
    examples: ["bitforbit sbom -o sbom.cdx.json"],
    load: async () => (await import("./verbs/sbom.ts")).sbom,
  },
  {
    usage: "verify [artifacts...]",
    summary: "decide whether artifacts (files or digests) are what was built, with the reasons",
    options: [
      ...POLICY_OPTIONS,
      ["--trusted-root <file>", "verify Sigstore bundles of others by this trusted_root.json"],
      ["--identity <name>", "who must have signed: the certificate's name, or its beginning and *"],
      ["--issuer <url>", "who must have vouched for that name"],
      ["--advisories <file...>", "OSV advisories (JSON), for a policy that denies vulnerable components"],
      ["--list <file>", "verify these as well: files or digests, one a line"],
      HOME_OPTION,
    ],
    examples: [
      "bitforbit verify dist/hello",
      "bitforbit verify hello --policy policy.toml --bundle hello.*.sigstore.json",
      "bitforbit verify sha256:9f86d0…",
      "bitforbit verify tool.tar.gz --trusted-root trusted_root.json --identity 'https://github.com/o/r/*' --issuer https://token.actions.githubusercontent.com",
    ],
    load: async () => (await import("./verbs/verify.ts")).verify,
  },
  {
    usage: "promote <digest> <environment>",
    summary: "let an artifact into an environment (dev, staging, prod), after verification only",
    options: [["--policy <file>", "a policy file instead of the project's own trust"], HOME_OPTION],
    examples: ["bitforbit promote sha256:9f86d0… staging"],
    load: async () => (await import("./verbs/promote.ts")).promote,
  },
  {
    usage: "keys <action>",
    summary: "list the signing keys, create them, export the public ones (list | create | export | trusted-root)",
    options: [
      ["-o, --output <file>", "write what is exported here instead of stdout"],
      ["--role <role>", "which public key to export: artifact (default), or checkpoint, which is the log's"],
      HOME_OPTION,
    ],
    examples: [
      "bitforbit keys list",
      "bitforbit keys export -o release.pub",
      "bitforbit keys trusted-root -o trusted_root.json",
    ],
    load: async () => (await import("./verbs/keys.ts")).keys,
  },
  {
    usage: "log <action> [index]",
    summary: "the transparency log: show | prove INDEX | audit | list",
    options: [HOME_OPTION],
    examples: ["bitforbit log show", "bitforbit log prove 3 --json", "bitforbit log audit"],
    load: async () => (await import("./verbs/log.ts")).log,
  },
  {
    usage: "store <action> [digest]",
    summary: "artifacts and their attestations: list | show DIGEST | get DIGEST -o FILE | check",
    options: [["-o, --output <file>", "write the artifact here"], HOME_OPTION],
    examples: ["bitforbit store list", "bitforbit store show sha256:9f86d0…", "bitforbit store check"],
    load: async () => (await import("./verbs/store.ts")).store,
  },
  {
    usage: "policy <action> [artifact]",
    summary: "the rules by which artifacts are decided on: show them, explain a decision, test them",
    options: [
      ["--policy <file>", "this policy file"],
      ["--bundle <file...>", "evidence in files, besides what the store holds"],
      ["--advisories <file...>", "OSV advisories (JSON), for a policy that denies vulnerable components"],
      HOME_OPTION,
    ],
    examples: [
      "bitforbit policy show > policy.toml",
      "bitforbit policy explain dist/hello",
      "bitforbit policy test cases.toml --policy policy.toml",
    ],
    load: async () => (await import("./verbs/policy.ts")).policy,
  },
  {
    usage: "stats",
    summary: "the ten metrics of reproducibility, from the ledger",
    options: [
      ["--days <n>", "the last so many days (default: 30)"],
      ["--prometheus", "in Prometheus's text format"],
      HOME_OPTION,
    ],
    examples: ["bitforbit stats", "bitforbit stats --days 7 --json"],
    load: async () => (await import("./verbs/stats.ts")).stats,
  },
  {
    usage: "serve",
    summary: "a page of builds and their stories, a JSON API, and /metrics",
    options: [
      ["--port <n>", "default: 8470; 0 for any free one"],
      ["--host <address>", "default: 127.0.0.1"],
      HOME_OPTION,
    ],
    examples: ["bitforbit serve", "bitforbit serve --port 0"],
    load: async () => (await import("./verbs/serve.ts")).serve,
  },
];

/** Verbs whose answer "no" is a verdict on the outputs: input that a rule forbids is bad input there. */
const JUDGING = new Set(["build", "check", "diff", "fix", "init", "sbom"]);

/** Options of every verb. */
const COMMON_OPTIONS = [
  ["--json", "one JSON document on stdout, everything for people on stderr"],
  ["-q, --quiet", "say nothing to people but warnings and errors"],
] as const;

/** All verbs, with the options that each of them has. */
export function verbEntries(): VerbEntry[] {
  return VERBS.map((entry) => ({ ...entry, options: [...entry.options, ...COMMON_OPTIONS] }));
}

/** Runs the command line on `words` and gives its exit code; never throws. */
export async function main(words: readonly string[]): Promise<ExitCode> {
  const json = words.includes("--json");
  const [asked, ...rest] = words;
  const verbs = verbEntries();
  const only = verbs.find(({ usage }) => usage.split(" ")[0] === asked);
  try {
    const plain = only === undefined ? undefined : plainWords(only, rest);
    if (only !== undefined && plain !== undefined) return await run(only, plain.args, plain.options);
    // To describe a verb costs a few tenths of a millisecond: one that is named needs no other.
    const { parsed } = await import("./parser.ts");
    return await parsed(words, only === undefined ? verbs : [only], run);
  } catch (error) {
    const exit = reportError(error, json);
    return exit === 1 && JUDGING.has(asked ?? "") ? 2 : exit;
  }
}

async function run({ load }: VerbEntry, args: readonly string[], options: Options): Promise<ExitCode> {
  const terminal = openTerminal({ json: options["json"] === true, quiet: options["quiet"] === true });
  return await (
    await load()
  )(args, options, terminal);
}
