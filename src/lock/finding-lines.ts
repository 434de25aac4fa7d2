/** What a recording says beside the lockfiles, as lines for people. */
import { neutralised } from "../bytes.ts";
import { sizeText } from "./change-lines.ts";
import type { Artifact, Findings } from "./recorded.ts";

/** At most `most` lines of a kind; contradictions are not here: they refuse the lock. */
export function findingLines(findings: Findings, most = 10): string[] {
  const { confirmed, unlisted, unpinned, weak, unfetched, unread } = findings;
  const lines = [
    ...(confirmed === 0 ? [] : [`${confirmed} fetched, with the checksums that the project's lockfiles pin`]),
    ...listed(unlisted, "in no lockfile, pinned by bitforbit.lock alone", most),
    ...listed(unpinned, "in a lockfile without a checksum, pinned by bitforbit.lock alone", most),
    ...listed(weak, "pinned by SHA-1 only, which is no protection; bitforbit.lock has SHA-256", most),
    ...(unfetched.length === 0
      ? []
      : [`${unfetched.length} in a lockfile, and not fetched (other platforms, optional)`]),
    ...unread.map((path) => `${path} is not read: what was fetched is not compared with it`),
  ];
  return lines.map(neutralised);
}

function listed(artifacts: readonly Artifact[], what: string, most: number): string[] {
  if (artifacts.length === 0) return [];
  const named = artifacts.slice(0, most).map(({ purl, size, url }) => `  ${purl}, ${sizeText(size)}, from ${url}`);
  const rest = artifacts.length - most;
  return [`${artifacts.length} ${what}:`, ...named, ...(rest > 0 ? [`  … and ${rest} more`] : [])];
}
