import { dirname, resolve } from "node:path";
import { systemClock } from "../../clock.ts";
import { isDigest } from "../../digest.ts";
import { BitforbitError, type ExitCode } from "../../errors.ts";
import { decideBy, readAdvisories } from "../../flow/decide.ts";
import { gatherBundles, readBundles, resolveArtifact } from "../../flow/evidence.ts";
import type { Home } from "../../flow/home.ts";
import { ownPolicyFile, readText, rulesFor } from "../../flow/trust.ts";
import { parseCases } from "../../policy/cases.ts";
import { leastChange } from "../../policy/least-change.ts";
import { policyDocument } from "../../policy/policy.ts";
import { type Options, texts } from "../program.ts";
import { nearestHome, text } from "../project.ts";
import { stdout } from "../streams.ts";
import type { Terminal } from "../terminal.ts";
import { decisionDocument, showDecision } from "./verify.ts";

/** `bitforbit policy show | explain ARTIFACT | test CASES`. */
export async function policy(args: readonly string[], options: Options, terminal: Terminal): Promise<ExitCode> {
  const [action, named] = args;
  const home = await nearestHome(".", options);
  if (action === "show") return await show(home, options, terminal);
  if (action === "explain" && named !== undefined) return await explain(home, named, options, terminal);
  if (action === "test" && named !== undefined) return await test(home, named, options, terminal);
  throw new BitforbitError("usage", "policy takes 'show', 'explain' and an artifact, or 'test' and a file of cases");
}

async function show(home: Home, options: Options, terminal: Terminal): Promise<ExitCode> {
  const file = text(options, "policy");
  const written = file === undefined ? await ownPolicyFile(home) : await readText(file);
  const document = policyDocument(written, file ?? "this home's own policy");
  if (terminal.json) terminal.document(document);
  else stdout.write(written);
  return 0;
}

async function explain(home: Home, named: string, options: Options, terminal: Terminal): Promise<ExitCode> {
  const artifact = await resolveArtifact(named);
  const bundles = await gatherBundles(home, artifact, await readBundles(texts(options, "bundle")));
  const advisories = await readAdvisories(texts(options, "advisories"));
  const rules = await rulesFor(home, text(options, "policy"));
  const now = systemClock.now();
  const decision = await decideBy(rules, artifact, bundles, now, advisories);
  showDecision(terminal, artifact, decision, rules);
  const decisive = decision.reasons.find((reason) => !reason.ok);
  const { changes, complete } = await leastChange(rules.policy, (changed) =>
    decideBy({ ...rules, policy: changed }, artifact, bundles, now, advisories),
  );
  if (decisive !== undefined) {
    terminal.line(`  decided by: ${decisive.check}; to be allowed${complete ? "" : ", at least"}:`);
    for (const { check, evidence, policy: keys } of changes) {
      const or = keys === undefined ? "" : `; or, in the policy, leave out ${keys.join(", ")}`;
      terminal.line(`    ${check.padEnd(11)} ${evidence}${or}`);
    }
  }
  terminal.document({
    ...decisionDocument(artifact, decision, rules),
    ...(decisive === undefined ? {} : { decidedBy: decisive.check, changes }),
    demands: rules.policy,
  });
  return decision.ok ? 0 : 1;
}

/** Decides each case; says which are decided otherwise than they must be. */
async function test(home: Home, file: string, options: Options, terminal: Terminal): Promise<ExitCode> {
  const cases = parseCases(await readText(file), file);
  const rules = await rulesFor(home, text(options, "policy"));
  const advisories = await readAdvisories(texts(options, "advisories"));
  const beside = (path: string): string => resolve(dirname(file), path);
  const results: object[] = [];
  let failed = 0;
  for (const { name, artifact: which, bundles: files, allow, decidedBy, at } of cases) {
    const artifact = await resolveArtifact(isDigest(which) ? which : beside(which));
    const bundles = await gatherBundles(home, artifact, await readBundles(files.map(beside)));
    const now = at === undefined ? systemClock.now() : Date.parse(at);
    const decision = await decideBy(rules, artifact, bundles, now, advisories);
    const decisive = decision.reasons.find(({ ok }) => !ok);
    const ok = decision.ok === allow && (decidedBy === undefined || decisive?.check === decidedBy);
    if (!ok) failed++;
    const got = decisive === undefined ? "allowed" : `denied by ${decisive.check}: ${decisive.message}`;
    const wanted = allow ? "allowed" : `denied${decidedBy === undefined ? "" : ` by ${decidedBy}`}`;
    terminal.line(
      `  ${ok ? terminal.good("✓") : terminal.bad("✗")} ${name}${ok ? "" : `: must be ${wanted}, is ${got}`}`,
    );
    results.push({ name, ok, wanted, got });
  }
  terminal.line();
  terminal.line(`  ${cases.length - failed} of ${cases.length} cases are decided as they must be, under ${rules.from}`);
  terminal.document({ ok: failed === 0, failed, cases: results });
  return failed === 0 ? 0 : 1;
}
