import { join, relative, resolve } from "node:path";
import { systemClock } from "../../clock.ts";
import { uniqueName, systemEntropy } from "../../entropy.ts";
import { BitforbitError, type ExitCode } from "../../errors.ts";
import type { Outcome } from "../../flow/check.ts";
import { verdictDocument } from "../../flow/document.ts";
import { preflight } from "../../flow/preflight.ts";
import type { Prepared } from "../../flow/prepare.ts";
import { requirePlainPlaces } from "../../flow/publish.ts";
import { buildEvents } from "../../flow/events.ts";
import { withLedger } from "../../flow/record.ts";
import { release, type Released } from "../../flow/release.ts";
import { withScratch } from "../../flow/scratch.ts";
import { writeLock } from "../../lock/lock-file.ts";
import { canonicalObstacles } from "../../source/source.ts";
import type { Options } from "../program.ts";
import { keylessSigner } from "../keyless.ts";
import { homeFor, nearestHome, passphrase, projectFolder, text } from "../project.ts";
import { counted, short, type Terminal } from "../terminal.ts";
import { showArtifacts, showVerdict } from "../verdict.ts";
import { buildTwice, EXIT_OF, explaining, reportPlace, writeReport } from "./check.ts";

/** `bitforbit build [DIR]`: the main job, from a recipe to a verified, signed, logged and stored artifact. */
export async function build(args: readonly string[], options: Options, terminal: Terminal): Promise<ExitCode> {
  const folder = await projectFolder(args[0]);
  const home = homeFor(folder, options);
  const once = options["once"] === true;
  const output = resolve(text(options, "output") ?? join(folder, "dist"));
  const report = await reportPlace(options);
  const keyless = await keylessSigner(options, terminal);
  return await withScratch(
    home,
    { keep: options["keep"] === true, say: (line) => terminal.say(line) },
    async (scratch) => {
      const accept = (prepared: Prepared): void => (once ? undefined : requireCanonical(prepared));
      const secret = passphrase();
      await preflight(home, secret);
      await requirePlainPlaces(folder, output, []);
      const { prepared, verdict } = await buildTwice(folder, home, scratch, terminal, {
        ...explaining(options),
        once,
        accept,
        again: "bitforbit build",
      });
      if (prepared.lockMade) await writeLock(folder, prepared.lock);
      showVerdict(terminal, verdict);
      await writeReport(report, prepared, verdict, terminal);
      const document = verdictDocument(prepared, verdict);
      const canonical = verdict.notCanonical.length === 0;
      if (verdict.outputsFolder === undefined || verdict.outcome === "failed") {
        const about = { build: uniqueName(systemEntropy), at: systemClock.now(), canonical };
        await withLedger(home, async (ledger) => ledger.recordAll(buildEvents(prepared, verdict, about)));
        terminal.document({ ...document, canonical, build: about.build });
        return EXIT_OF[verdict.outcome];
      }
      const released = await release(prepared, verdict, {
        canonical,
        output,
        ...(keyless === undefined ? {} : { keyless }),
        ...(secret === undefined ? {} : { passphrase: secret }),
      });
      const nearest = await nearestHome(".", options);
      showReleased(
        terminal,
        released,
        verdict.outcome,
        verifyOptions(released, options, nearest.root === home.root ? "" : ` --home ${shownPath(home.root)}`),
      );
      terminal.document({ ...document, canonical, ...releasedDocument(released) });
      return EXIT_OF[verdict.outcome];
    },
  );
}

/** A canonical build starts from what others can get: refuses what they cannot, with what to do. */
function requireCanonical({ source }: Prepared): void {
  const [first, ...rest] = canonicalObstacles(source);
  if (first === undefined) return;
  const others = rest.length === 0 ? "" : ` (and ${rest.length} more)`;
  const local = first.remedy.includes("--once") ? "" : "; or 'bitforbit build --once' for a local build";
  throw new BitforbitError("input", `not a canonical build: ${first.what}${others}`, {
    hint: `${first.remedy}${local}`,
  });
}

/** What `verify` needs besides the artifact: a keyless signature is nobody's whom this home knows. */
function verifyOptions({ identity }: Released, options: Options, homeOption: string): string {
  if (identity === undefined) return homeOption;
  const root = text(options, "trustedRoot") ?? "";
  return ` --trusted-root ${root} --identity '${identity.subject}' --issuer ${identity.issuer}`;
}

function showReleased(terminal: Terminal, released: Released, outcome: Outcome, verifying: string): void {
  const { sbom, log, identity } = released;
  const signer = identity === undefined ? `key ${released.keyId.slice(0, 12)}…` : identity.subject;
  const rest = sbom.completeness < 1 ? "; 'bitforbit sbom --score' says what is missing" : "";
  const complete = `${Math.floor(sbom.completeness * 100)} % of the minimum elements${rest}`;
  terminal.step("sbom", `CycloneDX 1.6, ${counted(sbom.components, "component")}, ${complete}`);
  terminal.step("evidence", `${released.bundles.length} statements signed by ${signer}`);
  terminal.step("log", `${log.origin}, entries ${log.first} to ${log.last}, inclusion proven`);
  terminal.step("build id", released.build);
  terminal.line();
  showArtifacts(
    terminal,
    released.artifacts.map(({ file, digest, size }) => ({ path: shownPath(file), digest, size })),
  );
  terminal.line();
  if (outcome === "built-once") return terminal.line("  a local build: not canonical, never promotable");
  if (outcome !== "reproducible") {
    return terminal.line("  kept and signed as what it is; a policy that demands reproduction denies it");
  }
  const [first] = released.artifacts;
  if (first !== undefined)
    terminal.line(
      `  verify:  bitforbit verify ${shownPath(first.file)}${verifying}   ${terminal.dim(`or ${short(first.digest)}`)}`,
    );
}

function releasedDocument(released: Released): Record<string, unknown> {
  return {
    build: released.build,
    artifacts: released.artifacts,
    attestations: released.bundles,
    sbom: released.sbom,
    log: released.log,
    keyId: released.keyId,
    ...(released.identity === undefined ? {} : { identity: released.identity }),
  };
}

/** As a person would type it here. */
function shownPath(file: string): string {
  const path = relative("", file);
  return path.startsWith("..") ? file : path;
}
