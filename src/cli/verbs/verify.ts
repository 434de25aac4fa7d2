import { existsSync } from "node:fs";
import { join } from "node:path";
import { rfc3339, systemClock } from "../../clock.ts";
import { BitforbitError, type ExitCode, messageOf } from "../../errors.ts";
import {
  type Artifact,
  bundlesOf,
  claimedOrigin,
  gatherBundles,
  readBundles,
  resolveArtifact,
} from "../../flow/evidence.ts";
import { decideBy, readAdvisories } from "../../flow/decide.ts";
import type { Home } from "../../flow/home.ts";
import type { KeptDecisions } from "../../flow/kept-decisions.ts";
import { readText, type Rules, rulesFor, rulesForKeys } from "../../flow/trust.ts";
import { DecisionCache } from "../../policy/decision-cache.ts";
import type { Decision } from "../../policy/decision.ts";
import { lastsUntil } from "../../policy/lasting.ts";
import { rulesDigest } from "../../policy/verify.ts";
import { type Options, texts } from "../program.ts";
import { nearestHome, text } from "../project.ts";
import type { Terminal } from "../terminal.ts";

/** What a decision was made by, for people and for whoever caches it. */
interface DecidedBy {
  from: string;
}

/** Decides on one artifact after another. */
interface Judge {
  from: string;
  /** Digest of the rules, where they are the same for all artifacts, and until when a decision by them cannot change. */
  lasting?: { rules: string; until: (decision: Decision, now: number) => number };
  decide(artifact: Artifact): Promise<Decision>;
}

const MAX_ARTIFACTS = 100_000;

/** `bitforbit verify ARTIFACT…`: each decision with its reasons; offline. */
export async function verify(args: readonly string[], options: Options, terminal: Terminal): Promise<ExitCode> {
  if (text(options, "evidence") !== undefined) return await byEvidence(args, options, terminal);
  if (text(options, "sbom") !== undefined) throw new BitforbitError("usage", "--sbom needs --evidence");
  const named = [...args, ...(await listed(text(options, "list")))];
  if (named.length === 0) throw new BitforbitError("usage", "verify takes files or digests, or --list with them");
  if (named.length > MAX_ARTIFACTS) {
    throw new BitforbitError("limit", `${named.length} artifacts are over ${MAX_ARTIFACTS}`, {
      hint: "divide the list",
    });
  }
  const [name = "", ...others] = named;
  const first = await resolveArtifact(name);
  const home = await nearestHome(".", options);
  const judge = await chosenJudge(home, options, named.length > 1);
  const kept = named.length > 1 && options["cache"] !== false ? await keptDecisions(home, judge, terminal) : undefined;
  const documents: object[] = [];
  let denied = 0;
  for (const each of [first, ...others]) {
    const started = systemClock.elapsed();
    const artifact = typeof each === "string" ? await resolveArtifact(each) : each;
    const remembered = kept?.find(artifact.digest, systemClock.now());
    const decision = remembered === undefined ? await judge.decide(artifact) : about(remembered.decision, artifact);
    if (remembered === undefined) kept?.keep(decision, systemClock.now(), untilOf(judge, decision));
    if (!decision.ok) denied++;
    await recordVerification(home, artifact, decision, systemClock.elapsed() - started, terminal);
    if (named.length === 1) showDecision(terminal, artifact, decision, judge);
    else showLine(terminal, artifact, decision);
    const decidedAt = remembered === undefined ? {} : { decidedAt: rfc3339(remembered.at) };
    if (terminal.json) documents.push({ ...decisionDocument(artifact, decision, judge), ...decidedAt });
  }
  // Without what was not kept, the next run verifies again.
  await kept?.save().catch((error: unknown) => terminal.warn(`decisions could not be kept: ${messageOf(error)}`));
  const [only] = documents;
  if (named.length > 1) {
    terminal.line();
    terminal.line(`  ${named.length - denied} of ${named.length} allowed under ${judge.from}`);
    terminal.document({
      allowed: denied === 0,
      count: named.length,
      denied,
      artifacts: documents.map((document) => ({ version: 1, ...document })),
    });
  } else if (only !== undefined) terminal.document(only);
  return denied === 0 ? 0 : 1;
}

/** For batches: one artifact is verified in the time that reading what was kept would take. */
async function keptDecisions(home: Home, judge: Judge, terminal: Terminal): Promise<KeptDecisions | undefined> {
  if (judge.lasting === undefined) return undefined;
  const { openKeptDecisions } = await import("../../flow/kept-decisions.ts");
  const folder = join(home.shared, "decisions");
  const kept = await openKeptDecisions(folder, judge.lasting.rules, systemClock.now());
  if (kept.refusal !== undefined) terminal.warn(`decisions of before are not believed: ${kept.refusal}`);
  return kept;
}

function untilOf({ lasting }: Judge, decision: Decision): number {
  const now = systemClock.now();
  return lasting === undefined ? now : lasting.until(decision, now);
}

/** A remembered decision, with this artifact's name: what was decided is about its bytes. */
function about(decision: Decision, { name, digest }: Artifact): Decision {
  const [first, ...rest] = decision.reasons;
  const reasons = first === undefined ? [] : [{ ...first, message: `${name} is ${digest}` }, ...rest];
  return { ...decision, reasons, facts: { ...decision.facts, name } };
}

/** One artifact by an evidence file: as `evidence verify`, which is loaded when it is asked for. */
async function byEvidence(args: readonly string[], options: Options, terminal: Terminal): Promise<ExitCode> {
  const [named, ...others] = args;
  if (named === undefined || others.length > 0) {
    throw new BitforbitError("usage", "verify --evidence takes one artifact: an evidence file is about one");
  }
  for (const name of ["bundle", "key", "log-key", "trusted-root", "identity", "issuer", "advisories", "list"]) {
    const asked = options[name.replace(/-(.)/, (_, letter: string) => letter.toUpperCase())];
    if (asked !== undefined) throw new BitforbitError("usage", `--evidence and --${name} exclude each other`);
  }
  return await (await import("./evidence.ts")).evidence(["verify", named], options, terminal);
}

/** Names, one a line; empty lines are passed over. */
async function listed(path: string | undefined): Promise<string[]> {
  if (path === undefined) return [];
  return (await readText(path, 16 << 20)).split(/\r?\n/).filter((line) => line !== "");
}

async function chosenJudge(home: Home, options: Options, several: boolean): Promise<Judge> {
  const trustedRoot = text(options, "trustedRoot");
  if (trustedRoot !== undefined) return await rootJudge(trustedRoot, options, several);
  for (const name of ["identity", "issuer"]) {
    if (text(options, name) !== undefined) throw new BitforbitError("usage", `--${name} needs --trusted-root`);
  }
  return await policyJudge(home, options);
}

/** Somebody's bundles, by a Sigstore trusted root and a named signer. */
async function rootJudge(trustedRoot: string, options: Options, several: boolean): Promise<Judge> {
  for (const name of ["policy", "logKey"]) {
    if (text(options, name) === undefined) continue;
    throw new BitforbitError(
      "usage",
      `--trusted-root and --${name === "logKey" ? "log-key" : name} exclude each other`,
    );
  }
  const [key, identity, issuer] = [text(options, "key"), text(options, "identity"), text(options, "issuer")];
  // Loaded when it is asked for: a policy's own evidence needs none of it.
  const { sigstoreJudge } = await import("../../flow/sigstore.ts");
  const { from, digest, judge } = await sigstoreJudge({ trustedRoot, key, identity, issuer });
  const given = await readBundles(texts(options, "bundle"));
  const cache = new DecisionCache();
  return {
    from,
    // Its times were trusted ones, in the past: it does not end.
    lasting: { rules: digest, until: () => Number.POSITIVE_INFINITY },
    decide: async (artifact) => {
      const found = cache.find(artifact.digest, digest, systemClock.now());
      if (found !== undefined) return found;
      const bundles = given.length > 0 ? given : await bundlesOf(artifact, several);
      const decision = await judge(artifact, bundles);
      // Its times were trusted ones, in the past: it does not end.
      cache.keep(decision, Number.POSITIVE_INFINITY);
      return decision;
    },
  };
}

/** Our own evidence, by a policy. */
async function policyJudge(home: Home, options: Options): Promise<Judge> {
  const [policy, key, logKey] = [text(options, "policy"), text(options, "key"), text(options, "logKey")];
  if (policy !== undefined && (key !== undefined || logKey !== undefined)) {
    throw new BitforbitError("usage", "--policy and --key exclude each other");
  }
  if ((key === undefined) !== (logKey === undefined)) {
    throw new BitforbitError(
      "usage",
      "--key and --log-key go together: evidence counts only when it is in a trusted log",
      {
        hint: "the builder's 'bitforbit policy show' gives both in one file for --policy; a Sigstore bundle wants --trusted-root",
      },
    );
  }
  const given = await readBundles(texts(options, "bundle"));
  const advisories = await readAdvisories(texts(options, "advisories"));
  const rules = key === undefined || logKey === undefined ? await rulesFor(home, policy) : undefined;
  return {
    from: rules?.from ?? `${key} and ${logKey}`,
    ...(rules === undefined ? {} : { lasting: lastingBy(rules, advisories?.digest) }),
    decide: async (artifact) => {
      const bundles = await gatherBundles(home, artifact, given);
      const chosen = rules ?? (await rulesForKeys(key ?? "", logKey ?? "", firstOrigin(bundles)));
      return await decideBy(chosen, artifact, bundles, systemClock.now(), advisories);
    },
  };
}

function lastingBy({ policy, trust }: Rules, advisories: string | undefined): NonNullable<Judge["lasting"]> {
  return {
    rules: rulesDigest(policy, trust, advisories),
    until: (decision, now) => lastsUntil(decision, policy, trust, now),
  };
}

function firstOrigin(bundles: readonly Uint8Array[]): string {
  const [bundle] = bundles;
  return (bundle === undefined ? undefined : claimedOrigin(bundle)) ?? "unknown.invalid";
}

/** Leaves the decision where the ledger finds it; a folder that we may not write is no reason to fail. */
async function recordVerification(
  home: Home,
  artifact: Artifact,
  decision: Decision,
  milliseconds: number,
  terminal: Terminal,
): Promise<void> {
  if (!existsSync(home.root)) return; // a stranger's verification leaves nothing behind
  try {
    const { spool } = await import("../../ledger/spool.ts");
    await spool(home.ledger, {
      kind: "verify",
      at: systemClock.now(),
      artifact: artifact.digest,
      ok: decision.ok,
      milliseconds,
      data: { name: artifact.name, reasons: decision.reasons.map((reason) => ({ ...reason })) },
    });
  } catch (error) {
    terminal.warn(`the decision could not be recorded: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** A decision as `verify`, `promote` and `policy explain` print it with `--json`. */
export function decisionDocument(artifact: Artifact, decision: Decision, by: DecidedBy): object {
  const { rules: digest, digest: _digest, name: _name, ...facts } = decision.facts;
  return {
    artifact: { digest: artifact.digest, name: artifact.name },
    allowed: decision.ok,
    rules: { from: by.from, digest },
    reasons: decision.reasons,
    setAside: decision.setAside,
    facts,
    ...(decision.ok ? { chain: chainOf(decision) } : {}),
  };
}

/** From the artifact to the commit that it was made of, as far as the evidence goes. */
function chainOf({ facts }: Decision): { link: string; is: string }[] {
  const { source, log, identity } = facts;
  const commit = source === undefined ? undefined : Object.entries(source.digest)[0];
  const links: [string, string | undefined][] = [
    ["artifact", facts.digest],
    ["statement", facts.predicateType],
    ["signer", facts.signedBy.map(({ name }) => name).join(", ")],
    ["vouched for by", identity?.issuer],
    ["signed at", facts.signedAt],
    ["log", log === undefined ? undefined : `${log.origin} ${log.index}`],
    ["builder", facts.builder],
    ["build", facts.invocationId],
    ["source", source?.uri],
    ["ref", source?.ref],
    ["commit", commit?.[1]],
  ];
  return links.flatMap(([link, is]) => (is === undefined || is === "" ? [] : [{ link, is }]));
}

/** Shows each check in order, then what the evidence says, then the decision. */
export function showDecision(terminal: Terminal, artifact: Artifact, decision: Decision, by: DecidedBy): void {
  terminal.line(terminal.strong(`verify · ${artifact.name}`));
  terminal.line();
  for (const reason of decision.reasons) {
    const sign = reason.ok ? terminal.good("✓") : terminal.bad("✗");
    terminal.line(`  ${sign} ${reason.check.padEnd(11)} ${reason.message}`);
    if (reason.hint !== undefined) terminal.line(`    ${" ".repeat(11)} ${terminal.dim(`hint: ${reason.hint}`)}`);
  }
  for (const aside of decision.setAside) {
    terminal.line(terminal.dim(`    bundle ${aside.bundle + 1} does not count (${aside.check}): ${aside.message}`));
  }
  terminal.line();
  if (decision.ok && decision.facts.identity !== undefined) {
    for (const { link, is } of chainOf(decision)) terminal.line(`  ${link.padEnd(14)} ${is}`);
    terminal.line();
  }
  terminal.line(`  ${decision.ok ? terminal.good("allowed") : terminal.bad("DENIED")} under ${by.from}`);
}

/** One of several: a line, and why it is denied. */
function showLine(terminal: Terminal, artifact: Artifact, decision: Decision): void {
  const failed = decision.reasons.find(({ ok }) => !ok);
  const sign = decision.ok ? terminal.good("✓") : terminal.bad("✗");
  terminal.line(`  ${sign} ${artifact.name}${failed === undefined ? "" : `: ${failed.check}: ${failed.message}`}`);
}
