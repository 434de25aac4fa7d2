import { mkdir } from "node:fs/promises";
import { basename, join } from "node:path";
import {
  CYCLONEDX_BOM,
  provenance,
  PROVENANCE_V1,
  REPRODUCTION_V1,
  reproductionStatement,
  sbomStatement,
  type Statement,
} from "../attest/statement.ts";
import { type Clock, systemClock } from "../clock.ts";
import type { Output } from "../build/outputs.ts";
import { digestOf, type Digest } from "../digest.ts";
import { copyDurable, writeDurable } from "../durable.ts";
import { type Entropy, systemEntropy, uniqueName } from "../entropy.ts";
import { type JsonObject, parseJson } from "../json.ts";
import { readCycloneDx } from "../sbom/cyclonedx-read.ts";
import { cycloneDx, sbomBytes } from "../sbom/cyclonedx.ts";
import { scoreBom } from "../sbom/score.ts";
import { openStore } from "../store/store.ts";
import { VERSION } from "../version.ts";
import { openAttester, type SigningOptions } from "./attester.ts";
import { BUILDER_ID } from "./builder.ts";
import type { Verdict } from "./check.ts";
import type { Prepared } from "./prepare.ts";
import { dependenciesRead, environmentParameters, materialsOf, toolchainParameters } from "./materials.ts";
import type { MaterialsRead } from "./reads.ts";
import { evidenceName, publishedNames, requirePlainPlaces } from "./publish.ts";
import { releaseEvents } from "./events.ts";
import { facts as factsFrom } from "../sbom/package-facts.ts";
import { factsOf, sha512Of, sourceFacts } from "./package-facts.ts";
import { withLedger } from "./record.ts";

export interface ReleaseOptions extends SigningOptions {
  /** Built by the rules; false for a local build, which is never promoted. */
  canonical: boolean;
  /** Folder that takes the artifacts and the evidence. */
  output: string;
  clock?: Clock;
  entropy?: Entropy;
}

export interface Released {
  build: string;
  artifacts: { path: string; digest: Digest; size: number; file: string; manifest: Digest }[];
  bundles: { predicateType: string; file: string; digest: Digest }[];
  /** `completeness`: of the NTIA's minimum elements, from 0 to 1. */
  sbom: { components: number; completeness: number };
  log: { origin: string; first: number; last: number };
  keyId: string;
  /** Of a keyless signer. */
  identity?: { subject: string; issuer: string };
}

/**
 * The bill of materials of a project. Its time is the source's, so the same
 * source gives the same document. `made`: the outputs and the folder they are in.
 */
export async function sbomOf(
  prepared: Prepared,
  made?: { outputs: readonly Output[]; folder: string },
  read?: MaterialsRead,
): Promise<JsonObject> {
  const { recipe, lock, source, home } = prepared;
  const outputs = await Promise.all(
    (made?.outputs ?? []).map(async ({ path, digest, executable }) => ({
      path,
      digest,
      executable,
      sha512: await sha512Of(join(made?.folder ?? "", path)),
    })),
  );
  const version = source.tag?.name ?? /^pkg:[^?#]+@([^?#]+)/.exec(source.uri)?.[1] ?? source.commit;
  const { supplier, license, homepage } = recipe.about ?? {};
  const told = await sourceFacts(join(prepared.staged, recipe.directory));
  const facts = { ...told, ...factsFrom(undefined, supplier, license, homepage) };
  return cycloneDx(
    {
      name: recipe.name,
      outputs,
      facts,
      packages: await factsOf(lock.materials, home.cache),
      maker: { kind: "organization", name: "bitforbit, a local builder", url: BUILDER_ID },
      ...(version === undefined ? {} : { version: decodeURIComponent(version) }),
      ...(/^pkg:[^?#]+@/.test(source.uri) ? { purl: source.uri } : {}),
    },
    dependenciesRead(lock.materials, read),
    source.epoch * 1000,
    VERSION,
  );
}

/**
 * Turns a verdict into evidence: SBOM, provenance and the account of the two
 * worlds, signed, logged, stored beside the artifacts, and entered in the
 * ledger. In that order: what the ledger tells of exists.
 */
export async function release(prepared: Prepared, verdict: Verdict, options: ReleaseOptions): Promise<Released> {
  const clock = options.clock ?? systemClock;
  const build = uniqueName(options.entropy ?? systemEntropy);
  const { home } = prepared;
  const files = publishedNames(verdict.outputs, prepared.recipe.name);
  await requirePlainPlaces(prepared.folder, options.output, files);
  const attest = await openAttester(home, options, clock);
  const made = { outputs: verdict.outputs, folder: verdict.outputsFolder ?? "" };
  const bom = await sbomOf(prepared, made, verdict.read);
  const statements = statementsOf(prepared, verdict, { build, canonical: options.canonical, bom });
  const before = clock.now();
  const { bundles, keyId, identity, log } = await attest(statements);
  const signedIn = clock.now() - before;

  const store = await openStore(home.store);
  const artifacts: Released["artifacts"] = [];
  for (const [index, output] of verdict.outputs.entries()) {
    const path = join(verdict.outputsFolder ?? "", output.path);
    const stored = await store.putArtifact({ content: { path }, name: basename(output.path) });
    await store.attachAll(
      bundles.map((bundle, at) => ({
        artifact: output.digest,
        bundle,
        predicateType: statements[at]?.predicateType ?? "",
      })),
    );
    const file = join(options.output, files[index] ?? output.path);
    await copyDurable(path, file, output.executable ? 0o755 : 0o644);
    artifacts.push({ path: output.path, digest: output.digest, size: output.size, file, manifest: stored.manifest });
  }
  const written = await writeEvidence(prepared.recipe.name, options.output, statements, bundles, bom);
  const components = (bom["components"] as JsonObject[]).length;
  const released: Released = {
    build,
    artifacts,
    bundles: written,
    sbom: { components, completeness: scoreBom(readCycloneDx(bom)).standards.ntia ?? 0 },
    log: { origin: log.origin, first: Math.min(...log.indexes), last: Math.max(...log.indexes) },
    keyId,
    ...(identity === undefined ? {} : { identity: { subject: identity.subject, issuer: identity.issuer } }),
  };
  const about = { canonical: options.canonical, at: clock.now(), signedIn };
  await withLedger(home, async (ledger) => ledger.recordAll(releaseEvents(prepared, verdict, released, about)));
  return released;
}

interface About {
  build: string;
  canonical: boolean;
  bom: JsonObject;
}

function statementsOf(prepared: Prepared, verdict: Verdict, about: About): Statement[] {
  const subjects = verdict.outputs.map(({ path, digest }) => ({ name: path, digest }));
  const times = verdict.worlds.map((run) => run.times);
  const { recipe, source } = prepared;
  const statements = [
    provenance({
      subjects,
      source: {
        uri: source.uri,
        digest: source.digest,
        ...(source.tag === undefined ? {} : { ref: `refs/tags/${source.tag.name}` }),
      },
      externalParameters: {
        recipe: { digest: { sha256: prepared.recipeDigest.slice(7) } },
        command: recipe.command,
        outputs: [...recipe.outputs],
        directory: recipe.directory,
      },
      internalParameters: {
        environment: environmentParameters(prepared.lock.environment),
        toolchain: toolchainParameters(verdict.read),
        notCanonical: [...verdict.notCanonical],
        env: { ...recipe.env },
        limits: { ...recipe.limits },
        sourceDateEpoch: source.epoch,
        ...(source.tag === undefined ? {} : { tagSignature: source.tag.signature }),
        worlds: verdict.worlds.map((run) => run.world.name),
        notCovered: verdict.lacks.map((lack) => lack.what),
        caveats: [...verdict.caveats],
        crutches: [...verdict.crutches],
      },
      canonical: about.canonical,
      materials: materialsOf(prepared, verdict.read),
      builder: { id: BUILDER_ID, version: VERSION },
      invocationId: about.build,
      startedOn: Math.min(...times.map(({ start }) => start)),
      finishedOn: Math.max(...times.map(({ end }) => end)),
      byproducts: [
        { name: "sbom.cdx.json", digest: digestOf(sbomBytes(about.bom)), mediaType: "application/vnd.cyclonedx+json" },
      ],
    }),
    // In the order of the file beside it, so that either can stand for the other.
    sbomStatement(subjects, parseJson(sbomBytes(about.bom), "the SBOM") as JsonObject),
  ];
  const { outcome } = verdict;
  // No account of two worlds: one build, or a comparison with somebody's artifact, which is never released.
  if (outcome === "built-once" || outcome === "matches-given" || outcome === "differs-from-given") return statements;
  return [
    ...statements,
    reproductionStatement({
      subjects,
      invocationId: about.build,
      verdict: outcome,
      worlds: verdict.worlds.map((run) => ({
        world: run.world,
        outputs: run.outputs.map(({ path, digest }) => ({ name: path, digest })),
      })),
      causes: verdict.causes.map((cause) => ({ cause: cause.name, artifact: cause.artifact, leaf: cause.leaf })),
      lacks: verdict.lacks,
      crutches: verdict.crutches,
    }),
  ];
}

const EVIDENCE_NAMES: Readonly<Record<string, string>> = {
  [PROVENANCE_V1]: "provenance",
  [CYCLONEDX_BOM]: "sbom",
  [REPRODUCTION_V1]: "reproduction",
};

async function writeEvidence(
  project: string,
  folder: string,
  statements: readonly Statement[],
  bundles: readonly Uint8Array[],
  bom: JsonObject,
): Promise<Released["bundles"]> {
  await mkdir(folder, { recursive: true });
  const name = evidenceName(project);
  const written: Released["bundles"] = [];
  for (const [index, bundle] of bundles.entries()) {
    const predicateType = statements[index]?.predicateType ?? "";
    const file = join(folder, `${name}.${EVIDENCE_NAMES[predicateType] ?? "attestation"}.sigstore.json`);
    await writeDurable(file, bundle);
    written.push({ predicateType, file, digest: digestOf(bundle) });
  }
  await writeDurable(join(folder, `${name}.cdx.json`), sbomBytes(bom));
  return written;
}
