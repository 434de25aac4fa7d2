import type { Ran } from "../child.ts";
import { neutralised } from "../bytes.ts";
import { BitforbitError, type ErrorCode } from "../errors.ts";

interface Known {
  pattern: RegExp;
  code: ErrorCode;
  message: (match: RegExpExecArray, line: string) => string;
  hint: string;
}

const ARCHIVE = "check the machine's sources (/etc/apt) and the network, then run again";

/** What apt says, in the C locale, and what it means; the first that matches decides. */
const KNOWN: readonly Known[] = [
  {
    pattern: /Release file for (\S+) is expired \(invalid since ([^)]*)\)/,
    code: "refused",
    message: (match) => `the archive's signed index is out of date: ${match[1] ?? ""}, by ${match[2] ?? ""}`,
    hint: "the mirror is stale or held back: use another, or write `Check-Valid-Until: no` into its source if it is one of the past",
  },
  {
    pattern: /Release file for (\S+) is not valid yet/,
    code: "refused",
    message: (match) => `the archive's signed index is from the future: ${match[1] ?? ""}`,
    hint: "set this machine's clock",
  },
  {
    pattern: /EXPKEYSIG|EXPSIG|KEYEXPIRED|key has expired/i,
    code: "refused",
    message: (_, line) => `the archive is signed with a key, or by a signature, that has expired: ${line}`,
    hint: "update debian-archive-keyring; if that is new, use another mirror",
  },
  {
    pattern: /NO_PUBKEY|Missing key/,
    code: "refused",
    message: (_, line) => `the archive is not signed by the Debian archive's keys: ${line}`,
    hint: "use a mirror of Debian's archive, or update debian-archive-keyring",
  },
  {
    pattern:
      /BADSIG|invalid signature|Clearsigned file isn't valid|Bad signature|REVKEYSIG|signatures? (?:were|was) invalid/i,
    code: "refused",
    message: (_, line) => `the archive's signature is wrong: ${line}`,
    hint: "somebody changed the index on its way: use another mirror or network",
  },
  {
    pattern: /is not signed|no longer signed|without (?:a )?signature/i,
    code: "refused",
    message: (_, line) => `the archive is not signed: ${line}`,
    hint: "unsigned archives are never used: use a mirror of Debian's archive",
  },
  {
    pattern: /No space left on device|not have enough (?:free )?space/i,
    code: "outside",
    message: (_, line) => `no space left: ${line}`,
    hint: "free disk space, then run again",
  },
  {
    pattern: /Unable to locate package (\S+)/,
    code: "input",
    message: (match) => `no package is called "${match[1] ?? ""}" in this suite`,
    hint: "check its name, suite and components",
  },
  {
    pattern: /Package '([^']+)' has no installation candidate/,
    code: "input",
    message: (match) => `no package is called "${match[1] ?? ""}" in this suite: others speak of it only`,
    hint: "name a package that provides it, or add the component that it is in",
  },
  {
    pattern: /Version '([^']+)' for '([^']+)' was not found/,
    code: "input",
    message: (match) => `${match[2] ?? ""} has no version ${match[1] ?? ""} in this suite`,
    hint: "archives keep the newest versions only: leave the version away, and let the lock pin it",
  },
  {
    pattern: /^(\S+) : ((?:Pre-)?Depends|Conflicts|Breaks): (.*)/,
    code: "input",
    message: (_, line) => `these packages do not go together: ${line}`,
    hint: "take one of them out, or another suite",
  },
  {
    pattern: /unmet dependencies|held broken packages|pkgProblemResolver/,
    code: "input",
    message: (_, line) => `these packages do not go together: ${line}`,
    hint: "take one of them out, or another suite",
  },
  {
    pattern: /does not have a Release file|no longer has a Release file/,
    code: "outside",
    message: (_, line) => `the archive does not have this suite: ${line}`,
    hint: "check the suite's name (bookworm, trixie, sid); old suites move to the archive of the past",
  },
  {
    pattern: /Hash Sum mismatch|unexpected size/,
    code: "outside",
    message: (_, line) => `the mirror gave other bytes than its signed index says: ${line}`,
    hint: "the mirror is being updated, or something on the way changes files: run again in a while, or use another mirror",
  },
  {
    pattern: /Failed to fetch (.*)/,
    code: "outside",
    message: (match) => `cannot fetch ${match[1] ?? ""}`,
    hint: ARCHIVE,
  },
];

/**
 * What went wrong, or undefined. `update` fails on warnings, too: apt goes on
 * with old lists where it has any, and calls that success.
 */
export function aptFailure(ran: Ran, what: "update" | "install" | "download"): BitforbitError | undefined {
  const lines = `${ran.stderr}\n${Buffer.from(ran.stdout).toString()}`
    .split("\n")
    .map((line) => line.trim())
    .filter(
      (line) =>
        /^(?:E|W|Err):|^\S+ : (?:Pre-)?(?:Depends|Conflicts|Breaks):/.test(line) || /Hash Sum mismatch/.test(line),
    );
  if (ran.exitCode === 0 && (what !== "update" || !lines.some((line) => SERIOUS.test(line)))) return undefined;
  for (const { pattern, code, message, hint } of KNOWN) {
    for (const line of lines) {
      const match = pattern.exec(line);
      if (match !== null)
        return new BitforbitError(code, presentable(message(match, line.replace(/^[EW]: /, ""))), { hint });
    }
  }
  const said = lines.find((line) => line.startsWith("E:")) ?? lines[0] ?? ran.stderr.trim().split("\n").at(-1) ?? "";
  return new BitforbitError("outside", `apt could not ${what}: ${presentable(said)}`, { hint: ARCHIVE });
}

const SERIOUS = /^(?:E|Err):|^W: .*(?:Failed to fetch|GPG error|signature|not signed|Some index files)/;

/** Without credentials, escapes and what goes on for ever. */
function presentable(text: string): string {
  return neutralised(text.replace(/\/\/[^/@\s]*@/g, "//")).slice(0, 400);
}
