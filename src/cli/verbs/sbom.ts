import { lstatSync } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { resolve } from "node:path";
import { rfc3339, systemClock } from "../../clock.ts";
import { type Digest, digestOf, parseDigest, sha256Hex } from "../../digest.ts";
import { writeDurable } from "../../durable.ts";
import { BitforbitError, type ExitCode, systemCode } from "../../errors.ts";
import type { Home } from "../../flow/home.ts";
import { lastArtifact, observedReads } from "../../flow/observed-reads.ts";
import { prepare } from "../../flow/prepare.ts";
import { sbomOf } from "../../flow/release.ts";
import { withScratch } from "../../flow/scratch.ts";
import type { JsonObject } from "../../json.ts";
import { probeHost } from "../../sandbox/host.ts";
import type { Bom, ReadBom } from "../../sbom/bom.ts";
import { type Claims, claimsOf } from "../../sbom/claims.ts";
import { compareBoms } from "../../sbom/compare.ts";
import { readCycloneDx } from "../../sbom/cyclonedx-read.ts";
import { writeCycloneDx, type WrittenBom } from "../../sbom/cyclonedx-write.ts";
import { sbomBytes } from "../../sbom/cyclonedx.ts";
import { readBom } from "../../sbom/read.ts";
import { type Score, scoreBom } from "../../sbom/score.ts";
import { writeSpdx } from "../../sbom/spdx-write.ts";
import { VERSION } from "../../version.ts";
import type { Options } from "../program.ts";
import { homeFor, nearestHome, projectFolder, text } from "../project.ts";
import { stdout } from "../streams.ts";
import { counted, grouped, type Terminal } from "../terminal.ts";

type Format = "cyclonedx" | "spdx";

/** `bitforbit sbom [DIR]`, `sbom --score [DIR | FILE]`, `sbom import FILE`, `sbom diff A B`. */
export async function sbom(args: readonly string[], options: Options, terminal: Terminal): Promise<ExitCode> {
  const [first, a, b] = args;
  const format = formatOf(options);
  if (first === "import") return await importing(a, format, options, terminal);
  if (first === "diff") return await comparing(a, b, terminal);
  if (a !== undefined) throw new BitforbitError("usage", `sbom has no action ${JSON.stringify(first)}`, { hint: HINT });
  const scored = options["score"] === true;
  if (first !== undefined && lstatSync(first, { throwIfNoEntry: false })?.isFile() === true) {
    if (!scored) throw new BitforbitError("usage", `${first} is a file, not a project`, { hint: HINT });
    const read = await readFileBom(first);
    return showScore(terminal, first, scoreBom(read, await claimsFor(read.bom, options, terminal)));
  }
  const folder = await projectFolder(first);
  const home = homeFor(folder, options);
  const { document, project } = await billOf(folder, home, terminal);
  const own = readCycloneDx(document);
  if (scored) {
    const artifact = chosenArtifact(options) ?? (await lastArtifact(home, project));
    const observed = artifact === undefined ? undefined : await observedReads(home, artifact);
    const claims = observed === undefined ? undefined : claimsOf(own.bom, observed.dependencies);
    return showScore(terminal, project, scoreBom(own, claims));
  }
  const bytes = sbomBytes(format === "spdx" ? inFormat(own.bom, format).document : document);
  const output = text(options, "output");
  if (output === undefined) {
    stdout.write(bytes);
    return 0;
  }
  await writeDurable(resolve(output), bytes);
  const components = (document["components"] as JsonObject[]).length;
  terminal.line(`wrote ${output}: ${grouped(components)} components`);
  terminal.document({ written: resolve(output), digest: digestOf(bytes), size: bytes.length, components });
  return 0;
}

const HINT = "sbom [dir] · sbom --score [dir or file] · sbom import FILE · sbom diff A B";

async function billOf(
  folder: string,
  home: Home,
  terminal: Terminal,
): Promise<{ document: JsonObject; project: string }> {
  const bill = await withScratch(home, {}, async (scratch) => {
    const prepared = await prepare(folder, home, {
      host: await probeHost(),
      scratch,
      onProgress: (line) => terminal.progress(`fetch · ${line}`),
      onWarning: (line) => terminal.warn(line),
    });
    return { document: await sbomOf(prepared), project: prepared.recipe.name };
  });
  terminal.progress(undefined);
  return bill;
}

function formatOf(options: Options): Format {
  const format = text(options, "format") ?? "cyclonedx";
  if (format === "cyclonedx" || format === "spdx") return format;
  throw new BitforbitError("usage", `no such format: ${JSON.stringify(format)}`, { hint: "cyclonedx or spdx" });
}

function chosenArtifact(options: Options): Digest | undefined {
  const named = text(options, "artifact");
  return named === undefined ? undefined : parseDigest(named);
}

const MOST_BYTES = 64 << 20;

async function readFileBom(path: string | undefined): Promise<ReadBom> {
  if (path === undefined) throw new BitforbitError("usage", "no SBOM was named", { hint: HINT });
  try {
    const stats = await stat(path);
    if (!stats.isFile()) throw new BitforbitError("input", `${path} is not a regular file`);
    if (stats.size > MOST_BYTES) throw new BitforbitError("limit", `${path} is larger than ${MOST_BYTES} bytes`);
    return readBom(new Uint8Array(await readFile(path)), path);
  } catch (error) {
    const code = systemCode(error);
    if (code === undefined) throw error;
    throw new BitforbitError("input", `cannot read ${path}: ${code}`, { cause: error });
  }
}

/** What the build of `--artifact` was seen to read, set against the bill; undefined where no artifact was named. */
async function claimsFor(bom: Bom, options: Options, terminal: Terminal): Promise<Claims | undefined> {
  const artifact = chosenArtifact(options);
  if (artifact === undefined) return undefined;
  const observed = await observedReads(await nearestHome(".", options), artifact);
  if (observed !== undefined) return claimsOf(bom, observed.dependencies);
  terminal.warn(`nothing is known of what the build of ${artifact} read: the store has no provenance that says it`);
  return undefined;
}

/** The bill in a format; what SPDX demands and it does not say is of now, and of this program. */
function inFormat(bom: Bom, format: Format): WrittenBom {
  if (format === "cyclonedx") return writeCycloneDx(bom);
  const digits = sha256Hex(JSON.stringify(bom));
  const uuid = `${digits.slice(0, 8)}-${digits.slice(8, 12)}-8${digits.slice(13, 16)}-8${digits.slice(17, 20)}-${digits.slice(20, 32)}`;
  return writeSpdx(bom, {
    created: rfc3339(systemClock.now()),
    creator: { kind: "tool", name: "bitforbit", version: VERSION },
    namespace: `urn:uuid:${uuid}`,
  });
}

async function importing(
  path: string | undefined,
  format: Format,
  options: Options,
  terminal: Terminal,
): Promise<ExitCode> {
  const read = await readFileBom(path);
  const claims = await claimsFor(read.bom, options, terminal);
  const score = scoreBom(read, claims);
  const output = text(options, "output");
  const written = inFormat(read.bom, format);
  const lost = [...read.lost, ...(output === undefined ? [] : written.lost)];
  if (output !== undefined) await writeDurable(resolve(output), sbomBytes(written.document));
  terminal.document({
    format: read.format,
    specVersion: read.specVersion,
    components: read.bom.components.length,
    lost,
    ...(output === undefined ? {} : { written: resolve(output), added: written.added }),
    ...(claims === undefined ? {} : { build: { ...claims } }),
    ...scoreDocument(score),
  });
  const count = counted(read.bom.components.length, "component");
  terminal.line(`${path}: ${read.format} ${read.specVersion} with ${count}`);
  for (const line of lost) terminal.line(terminal.dim(`  not kept: ${line}`));
  if (output !== undefined) terminal.line(`  wrote ${output}`);
  for (const line of output === undefined ? [] : written.added) terminal.line(`  added: ${line}`);
  for (const purl of claims?.missing ?? [])
    terminal.line(`${terminal.bad("✗")} the build read ${purl}, which it lacks`);
  for (const purl of claims?.unread ?? [])
    terminal.line(`${terminal.bad("✗")} it lists ${purl}, which the build never read`);
  if (claims !== undefined && claims.missing.length + claims.unread.length === 0) {
    terminal.line(`${terminal.good("✓")} it lists what the build was seen to read, and nothing else`);
  }
  scoreLines(terminal, score);
  return (claims?.missing.length ?? 0) > 0 ? 1 : 0;
}

async function comparing(a: string | undefined, b: string | undefined, terminal: Terminal): Promise<ExitCode> {
  const [one, other] = [await readFileBom(a), await readFileBom(b)];
  const difference = compareBoms(one.bom, other.bom);
  const equal = difference.added.length + difference.removed.length + difference.changed.length === 0;
  terminal.document({ equal, ...difference });
  for (const name of difference.removed) terminal.line(`- ${name}`);
  for (const name of difference.added) terminal.line(`+ ${name}`);
  for (const { component, fields } of difference.changed) {
    terminal.line(`~ ${component}`);
    for (const field of fields) terminal.line(`    ${field.field}: ${field.a || "(none)"} → ${field.b || "(none)"}`);
  }
  if (equal) terminal.line("the same components");
  return equal ? 0 : 1;
}

const MOST_NAMED = 100;

function scoreDocument({ score, standards, elements }: Score): JsonObject {
  return {
    score,
    standards: { ...standards },
    elements: elements.map(({ missing, ...element }) => ({ ...element, missing: missing.slice(0, MOST_NAMED) })),
  };
}

function showScore(terminal: Terminal, name: string, score: Score): ExitCode {
  terminal.document(scoreDocument(score));
  terminal.line(terminal.strong(`sbom · ${name}`));
  scoreLines(terminal, score);
  return 0;
}

const STANDARDS = { ntia: "NTIA minimum elements", bsi: "BSI TR-03183-2", build: "what the build read" } as const;

function scoreLines(terminal: Terminal, { score, standards, elements }: Score): void {
  for (const standard of ["ntia", "bsi", "build"] as const) {
    const mean = standards[standard];
    if (mean === undefined) continue;
    terminal.line();
    terminal.line(`  ${STANDARDS[standard]}: ${percent(mean)}`);
    for (const element of elements.filter((one) => one.standard === standard && one.asked > 0)) {
      const { asked, present, missing } = element;
      const sign = present === asked ? terminal.good("✓") : terminal.bad("✗");
      terminal.line(`    ${sign} ${element.name.padEnd(44)} ${grouped(present)} of ${grouped(asked)}`);
      if (present === asked) continue;
      const more = missing.length > 3 ? `, and ${grouped(missing.length - 3)} more` : "";
      terminal.line(terminal.dim(`        lacking: ${missing.slice(0, 3).join(", ")}${more}`));
      terminal.line(terminal.dim(`        ${element.remedy}`));
    }
  }
  terminal.line();
  terminal.line(`  score ${percent(score)}`);
}

/** Rounded down: what lacks anything is not 100 %. */
const percent = (share: number): string => `${Math.floor(share * 1000) / 10} %`;
