import { digestOf } from "../digest.ts";
import { concat } from "../bytes.ts";
import { type Advisory, parseAdvisories } from "../policy/advisories.ts";
import type { Decision } from "../policy/decision.ts";
import { verify } from "../policy/verify.ts";
import type { Artifact } from "./evidence.ts";
import { smallFile } from "../small-file.ts";
import type { Rules } from "./trust.ts";

/** Vulnerabilities from files, with the digest of all of them. */
export interface Advisories {
  list: readonly Advisory[];
  digest: string;
}

const MAX_ADVISORY_FILE = 64 << 20;

/** The decision by rules from a file or a home; what a policy asks for besides is loaded when it does. */
export async function decideBy(
  rules: Rules,
  artifact: Pick<Artifact, "digest" | "name">,
  bundles: readonly Uint8Array[],
  now: number,
  advisories?: Advisories,
): Promise<Decision> {
  const { policy, trust, from } = rules;
  const wanted = policy.rules ?? [];
  const compiled = wanted.length === 0 ? undefined : (await import("../policy/rules.ts")).compileRules(wanted, from);
  return verify({
    artifact: { digest: artifact.digest, name: artifact.name },
    bundles,
    policy,
    trust,
    now,
    ...(compiled === undefined ? {} : { rules: compiled }),
    ...(advisories === undefined ? {} : { advisories }),
  });
}

/** OSV advisories, JSON: one or a list in each file. Undefined without files. */
export async function readAdvisories(files: readonly string[]): Promise<Advisories | undefined> {
  if (files.length === 0) return undefined;
  const all = files.map((file) => smallFile(file, MAX_ADVISORY_FILE));
  return {
    list: all.flatMap((bytes, at) => parseAdvisories(bytes, files[at] ?? "the advisories")),
    digest: digestOf(concat(all)),
  };
}
