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

const KEYLESS_OPTIONS = [
  ["--keyless", "sign with a certificate for this CI job's identity (OIDC, Fulcio) instead of the project's key"],
  ["--trusted-root <file>", "keyless: the trusted_root.json by which every answer is checked"],
  ["--signing-config <file>", "keyless: the services to ask, as Sigstore's signing config (v0.2) names them"],
  ["--fulcio <url>", "keyless: this certificate authority"],
  ["--timestamp-authority <url>", "keyless: this timestamp authority (RFC 3161)"],
  ["--rekor <url>", "keyless: this log (Rekor v2), instead of the signing config's or the project's own"],
  ["--identity-token <file>", "keyless: the token in this file, instead of the one that the job offers"],
  ["--audience <name>", "keyless: whom the token must be for (default: sigstore)"],
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
      ...KEYLESS_OPTIONS,
      HOME_OPTION,
    ],
    examples: [
      "bitforbit build",
      "bitforbit build --once",
      "bitforbit build examples/hello --json",
      "bitforbit build --keyless --signing-config signing_config.json --trusted-root trusted_root.json",
    ],
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
    usage: "sbom [what] [a] [b]",
    summary: "a project's bill of materials (CycloneDX or SPDX): written, scored, imported, compared",
    options: [
      ["--score", "say how much of what NTIA, BSI TR-03183-2 and the build's own reads ask for is in it"],
      ["--format <format>", "cyclonedx (1.6, default) or spdx (2.3)"],
      ["--artifact <digest>", "set the bill against what the build of this artifact was seen to read"],
      ["-o, --output <file>", "write it here instead of stdout"],
      HOME_OPTION,
    ],
    examples: [
      "bitforbit sbom -o sbom.cdx.json",
      "bitforbit sbom --format spdx -o sbom.spdx.json",
      "bitforbit sbom --score",
      "bitforbit sbom --score vendor.cdx.json",
      "bitforbit sbom import vendor.spdx.json --artifact sha256:9f86d0…",
      "bitforbit sbom diff old.cdx.json new.spdx.json",
    ],
    load: async () => (await import("./verbs/sbom.ts")).sbom,
  },
  {
    usage: "attest <artifact>",
    summary: "sign a statement about an artifact, log it, and attach it to what the store has",
    options: [
      ["--type <type>", "provenance, cyclonedx, spdx, test-result, release, vsa or reproduction"],
      ["--predicate <file>", "the predicate, JSON; it is checked against its type before it is signed"],
      ["--policy <file>", "of a vsa: the rules to verify under, instead of the project's own trust"],
      ["--bundle <file...>", "of a vsa: evidence in files, besides what the store holds"],
      ["-o, --output <file>", "write the bundle here, too"],
      ...KEYLESS_OPTIONS,
      HOME_OPTION,
    ],
    examples: [
      "bitforbit attest dist/hello --type test-result --predicate tests.json",
      "bitforbit attest dist/hello --type spdx --predicate hello.spdx.json -o hello.spdx.sigstore.json",
      "bitforbit attest sha256:9f86d0… --type vsa --policy policy.toml --bundle rebuilder.sigstore.json",
    ],
    load: async () => (await import("./verbs/attest.ts")).attest,
  },
  {
    usage: "evidence <action> <artifact>",
    summary: "one file with all evidence for an artifact: export DIGEST -o FILE | verify ARTIFACT --evidence FILE",
    options: [
      ["--evidence <file>", "the evidence file to verify by"],
      ["--policy <file>", "a policy file instead of the project's own trust"],
      ["--sbom <file>", "the SBOM that the evidence names and does not hold"],
      ["--bundle <file...>", "export these bundles, too: rebuilds by others"],
      ["--document <type=file...>", "take a signed document along: a key-ring, a cosigned checkpoint"],
      ["--sbom-limit <bytes>", "a larger SBOM stays outside, named by its digest (default: 1048576)"],
      ["-o, --output <file>", "where the evidence goes"],
      HOME_OPTION,
    ],
    examples: [
      "bitforbit evidence export sha256:9f86d0… -o hello.evidence",
      "bitforbit evidence verify hello --evidence hello.evidence --policy policy.toml",
    ],
    load: async () => (await import("./verbs/evidence.ts")).evidence,
  },
  {
    usage: "verify [artifacts...]",
    summary: "decide whether artifacts (files or digests) are what was built, with the reasons",
    options: [
      ...POLICY_OPTIONS,
      ["--evidence <file>", "the evidence file to verify by, as 'evidence verify' does"],
      ["--sbom <file>", "the SBOM that the evidence file names and does not hold"],
      ["--trusted-root <file>", "verify Sigstore bundles of others by this trusted_root.json"],
      ["--identity <name>", "who must have signed: the certificate's name, or its beginning and *"],
      ["--issuer <url>", "who must have vouched for that name"],
      ["--advisories <file...>", "OSV advisories (JSON), for a policy that denies vulnerable components"],
      ["--list <file>", "verify these as well: files or digests, one a line"],
      ["--no-cache", "of several, verify each anew: believe no decision of an earlier run"],
      HOME_OPTION,
    ],
    examples: [
      "bitforbit verify dist/hello",
      "bitforbit verify hello --policy policy.toml --bundle hello.*.sigstore.json",
      "bitforbit verify sha256:9f86d0…",
      "bitforbit verify hello --evidence hello.evidence --policy policy.toml",
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
    usage: "keys <action> [what...]",
    summary:
      "the signing keys and their key-ring: list | create | rotate | retire KEY | revoke KEY | resign | refresh | trust FILE | export | trusted-root | propose | sign DRAFT | collect DRAFT…",
    options: [
      ["-o, --output <file>", "write what is exported here instead of stdout"],
      ["--role <role>", "the key's role: artifact (default), checkpoint, which is the log's, or root"],
      ["--kms <uri>", "create, rotate: the key that is kept there, instead of a file"],
      ["--algorithm <name>", "create, rotate: ecdsa-p256, ed25519 or ml-dsa-44 (default: the role's)"],
      ["--since <time>", "revoke: from when on the key's signatures are no good"],
      ["--reason <text>", "revoke: why"],
      ["--log-size <n>", "revoke: entries that the log had by then, which stay good"],
      ["--days <n>", "refresh, propose: how long the key-ring is good for"],
      ["--trusted-root <file>", "trusted-root: add the project's log to this one, for what was signed keyless"],
      ["--ring", "export: the whole key-ring, for 'keys trust' elsewhere"],
      ["--add-root <file...>", "propose: root keys (PEM) of other people"],
      ["--remove-root <key...>", "propose: root keys that shall sign no more"],
      ["--threshold <n>", "propose: how many root keys must sign from then on"],
      ["--rotate", "propose: a new artifact key, made here (--kms, --algorithm); the one before retires"],
      ["--retire <key...>", "propose: keys that shall retire"],
      ["--revoke <key>", "propose: a key that shall be revoked; with --since and --reason"],
      HOME_OPTION,
    ],
    examples: [
      "bitforbit keys list",
      "bitforbit keys rotate",
      "bitforbit keys revoke 2pVk8R --since 2026-11-23 --reason 'laptop stolen'",
      "bitforbit keys resign",
      "bitforbit keys export --ring -o builder.keyring",
      "bitforbit keys trust builder.keyring",
      "bitforbit keys export -o release.pub",
      "bitforbit keys propose --add-root ann.pem ben.pem --threshold 2 -o next.draft",
      "bitforbit keys sign next.draft",
      "bitforbit keys collect ann.draft ben.draft",
      "bitforbit keys trusted-root -o trusted_root.json",
    ],
    load: async () => (await import("./verbs/keys.ts")).keys,
  },
  {
    usage: "log <action> [first] [second]",
    summary:
      "the transparency log: show | prove INDEX | audit | list | key | fsck | export DIR | mirror ADDRESS DIR | monitor | judge FILE [FILE] | search | serve",
    options: [
      ["--log <place>", "the folder or address of another log than the project's own; needs --log-key"],
      ["--log-key <file>", "the key of that log: PEM, or a verifier key in one line"],
      ["--entries", "for export: print every entry in base64, instead of writing files"],
      ["--logs <file>", "for monitor: the logs, a verifier key and a place a line (default: the project's own)"],
      ["--watch <file>", "for monitor: whose entries to tell of: lines of key ID, name NAME, digest …, known …"],
      ["--state <dir>", "for monitor: what was seen (default: monitor in the home)"],
      ["--follow <seconds>", "for monitor: look again and again, until Ctrl-C"],
      ["--digest <digest>", "for search: of an artifact, or of what was signed"],
      ["--key <key>", "for search: the id of a key, as 'keys list' prints it, or its PEM file"],
      ["--name <name>", "for search: a person's or workflow's in a certificate"],
      ["--package <name>", "for search: artifacts of that name in the store and in --bundle"],
      ["--bundle <file...>", "for search: statements, to find those about the artifact or package"],
      ["--proof <file>", "for search: write the answer with its proof here"],
      ["--verify <file>", "for search: check the proof in this file, offline"],
      ["--log-size <n>", "for search: with --verify, refuse an answer about fewer entries"],
      ["--publish", "for search: sign the index of one's own log, for others"],
      ["--port <n>", "for serve (default: 8480; 0 for any free one)"],
      ["--host <address>", "for serve (default: 127.0.0.1)"],
      ["--origin <name>", "for serve: the name of a log that is started, the host name by which it is reached"],
      ["--rate <n>", "for serve: entries a second that one address may add (default: 200)"],
      [
        "--lock <url>",
        "for serve on several machines: a database by which one of them writes: postgresql://user@host/db",
      ],
      HOME_OPTION,
    ],
    examples: [
      "bitforbit log show",
      "bitforbit log prove 3 --json",
      "bitforbit log fsck",
      "bitforbit log export /var/www/log",
      "bitforbit log mirror https://log.example/ copy --log-key log.example.key",
      "bitforbit log monitor --logs logs.txt --watch mine.txt --follow 60",
      "bitforbit log judge contradiction.json --log-key log.example.key",
      "bitforbit log search --digest sha256:9f86d0… --proof answer.json",
      "bitforbit log search --digest sha256:9f86d0… --verify answer.json --log-key log.example.key",
      "bitforbit log serve --origin log.example --port 8480",
      "bitforbit log serve --lock postgresql://log@db.example/log",
    ],
    load: async () => (await import("./verbs/log.ts")).log,
  },
  {
    usage: "witness <action>",
    summary: "watch logs for others: cosign what is consistent with all that was seen before (key | serve)",
    options: [
      ["--name <name>", "of the witness, part of its key: witness.example/w1"],
      ["--logs <file>", "for serve: the keys of the logs, one a line, as 'log key' prints them"],
      ["--port <n>", "for serve (default: 8490; 0 for any free one)"],
      ["--host <address>", "for serve (default: 127.0.0.1)"],
      ["--rate <n>", "for serve: checkpoints a second from one address (default: 50)"],
      HOME_OPTION,
    ],
    examples: [
      "bitforbit witness key --name witness.example/w1",
      "bitforbit witness serve --name witness.example/w1 --logs logs.txt",
    ],
    load: async () => (await import("./verbs/witness.ts")).witness,
  },
  {
    usage: "store <action> [digest]",
    summary: "artifacts and their attestations: list | show DIGEST | get DIGEST -o FILE | check | retention",
    options: [
      ["-o, --output <file>", "write the artifact here"],
      ["--prune", "for retention: drop the evidence that may go, each with a statement in the log"],
      ["--check", "for retention: hold every entry of the log against what is here: was anything dropped early?"],
      ["--policy <file>", "for retention --check: an auditor's own retention.toml"],
      ["--witnesses <file>", "for retention --check: the witnesses whose times are believed"],
      ["--key <file...>", "for retention --check: keys (PEM) whose entries are judged (default: the key-ring's)"],
      ["--log <place>", "for retention --check: the log, in a folder or at an address; needs --log-key"],
      ["--log-key <file>", "for retention --check: that log's key"],
      HOME_OPTION,
    ],
    examples: [
      "bitforbit store list",
      "bitforbit store show sha256:9f86d0…",
      "bitforbit store check",
      "bitforbit store retention",
      "bitforbit store retention --prune",
      "bitforbit store retention --check --policy auditor.toml --witnesses auditor.witnesses",
    ],
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
