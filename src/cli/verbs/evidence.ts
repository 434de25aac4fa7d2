import { resolve } from "node:path";
import { utf8Text } from "../../bytes.ts";
import { systemClock } from "../../clock.ts";
import { digestOf } from "../../digest.ts";
import { BitforbitError, type ExitCode } from "../../errors.ts";
import { documentCheckers } from "../../flow/document-checkers.ts";
import { resolveArtifact } from "../../flow/evidence.ts";
import { rulesFor } from "../../flow/trust.ts";
import { verifyEvidence } from "../../policy/evidence.ts";
import { smallFile } from "../../small-file.ts";
import { type Options, texts } from "../program.ts";
import { nearestHome, text } from "../project.ts";
import { grouped, type Terminal } from "../terminal.ts";
import { decisionDocument, showDecision } from "./verify.ts";

const HINT = "evidence export DIGEST -o FILE · evidence verify ARTIFACT --evidence FILE";
const MOST_BYTES = 80 << 20;

/** `bitforbit evidence export DIGEST -o FILE`, `evidence verify ARTIFACT --evidence FILE`. */
export async function evidence(args: readonly string[], options: Options, terminal: Terminal): Promise<ExitCode> {
  const [action, named] = args;
  if (named === undefined)
    throw new BitforbitError("usage", "evidence takes an action and an artifact", { hint: HINT });
  if (action === "export") return await exporting(named, options, terminal);
  if (action === "verify") return await verifying(named, options, terminal);
  throw new BitforbitError("usage", `evidence has no action ${JSON.stringify(action)}`, { hint: HINT });
}

/** Loads nothing that writes: no log writer, no database, no store but for reading. */
async function verifying(named: string, options: Options, terminal: Terminal): Promise<ExitCode> {
  const file = text(options, "evidence");
  if (file === undefined) throw new BitforbitError("usage", "evidence verify needs --evidence FILE", { hint: HINT });
  const artifact = await resolveArtifact(named);
  const rules = await rulesFor(await nearestHome(".", options), text(options, "policy"));
  const sbom = text(options, "sbom");
  const now = systemClock.now();
  const { decision, missing, checked, unchecked } = verifyEvidence({
    evidence: smallFile(file, MOST_BYTES),
    artifact,
    bills: sbom === undefined ? [] : [smallFile(sbom, MOST_BYTES)],
    policy: rules.policy,
    trust: rules.trust,
    now,
    checkers: documentCheckers(rules, now),
  });
  showDecision(terminal, artifact, decision, rules);
  for (const { role, digest } of missing)
    terminal.warn(`the ${role} ${digest} is not in the file: hand it in with --sbom`);
  for (const type of unchecked) terminal.warn(`${type} came along and is not checked: nothing was decided by it`);
  terminal.document({
    ...decisionDocument(artifact, decision, rules),
    missing: missing.map((bill) => ({ ...bill })),
    checked,
    unchecked,
  });
  return decision.ok ? 0 : 1;
}

async function exporting(named: string, options: Options, terminal: Terminal): Promise<ExitCode> {
  const output = text(options, "output");
  if (output === undefined) throw new BitforbitError("usage", "evidence export needs -o FILE", { hint: HINT });
  const limit = text(options, "sbomLimit") ?? "1048576";
  if (!/^\d{1,8}$/.test(limit)) {
    throw new BitforbitError("usage", `--sbom-limit ${JSON.stringify(limit)} is no number of bytes`);
  }
  const documents = await Promise.all(texts(options, "document").map(documentOf));
  const { exportEvidence } = await import("../../flow/export-evidence.ts");
  const { writeDurable } = await import("../../durable.ts");
  const artifact = await resolveArtifact(named);
  const home = await nearestHome(".", options);
  const { file, besides, bills, statements } = await exportEvidence(home, artifact, {
    bundles: texts(options, "bundle"),
    documents,
    sbomLimit: Number(limit),
  });
  await writeDurable(resolve(output), file);
  terminal.document({
    artifact: { digest: artifact.digest, name: artifact.name },
    written: resolve(output),
    digest: digestOf(file),
    size: file.length,
    besides,
    statements,
    bills,
  });
  terminal.line(
    `wrote ${output}: ${grouped(statements)} statements, ${grouped(besides)} B and the bills, ${grouped(file.length)} B in all`,
  );
  for (const { role, digest, size, included } of bills) {
    terminal.line(
      `  ${role.padEnd(9)} ${grouped(size)} B  ${digest}${included ? "" : "  (left outside: over --sbom-limit)"}`,
    );
  }
  return 0;
}

/** `TYPE=FILE`. */
async function documentOf(word: string): Promise<{ type: string; text: string }> {
  const at = word.lastIndexOf("=");
  if (at < 1) throw new BitforbitError("usage", `--document ${JSON.stringify(word)} is not TYPE=FILE`);
  const path = word.slice(at + 1);
  const content = utf8Text(smallFile(path, MOST_BYTES));
  if (content === undefined) throw new BitforbitError("input", `${path} is not UTF-8`);
  return { type: word.slice(0, at), text: content };
}
