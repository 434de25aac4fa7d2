/** A build of this source against an artifact that somebody published. */
import type { Digest } from "../digest.ts";
import { diff } from "../diff/diff.ts";
import type { Difference, Leaf } from "../diff/difference.ts";
import type { Cause } from "../explain/cause.ts";
import { checksumFiles } from "../explain/checksum-files.ts";
import { conclude, type Evidence, remedyFrom } from "../explain/conclude.ts";
import { artifactAndLeaf, explainLeaves, type Side } from "../explain/explain.ts";
import { knownByPlace, notVaried } from "../vary/not-varied.ts";
import { variations } from "../vary/worlds.ts";
import type { CauseName } from "../world.ts";
import { check, type CheckOptions, type Verdict } from "./check.ts";
import { type Given, laidOut, paired, type Pairing } from "./given.ts";
import type { Prepared } from "./prepare.ts";

/** What a verdict tells of what was given. */
export interface Against {
  named: string;
  /** Each given file, and the output that it is held against; undefined: nothing was built that it could be. */
  files: { name: string; digest: Digest; output: string | undefined; built: Digest | undefined }[];
  /** Outputs that were not given. */
  notGiven: string[];
  /** Why a difference was not looked into, in words. */
  unseen: string | undefined;
}

/**
 * Builds in the canonical world and compares. Where that is not the artifact, the project is checked: what varies
 * in it by itself, and by what, tells what may vary in the other's, too. In what world that was built nobody says.
 */
export async function checkAgainst(prepared: Prepared, given: Given, options: CheckOptions): Promise<Verdict> {
  const { kept: _, ...once } = options;
  const canonical = await check(prepared, { ...once, once: true });
  if (canonical.outcome !== "built-once") return canonical;
  const pairing = paired(given, canonical.outputs);
  const told = { ...canonical, against: against(given, pairing), notCanonical: [] };
  if (pairing.strangers.length === 0 && pairing.pairs.every(({ given: file, output }) => file.digest === output.digest))
    return { ...told, outcome: "matches-given" };
  const sides = await laidOut(pairing, canonical.outputsFolder ?? "", options.scratch);
  const difference = await diff(sides.built, sides.given, {});
  const differing: Verdict = { ...told, outcome: "differs-from-given", difference };
  if (difference === undefined || options.quick === true) {
    return {
      ...differing,
      causes: difference === undefined ? [] : await causesOf(difference, canonical, undefined, sides),
    };
  }
  const own = await check(prepared, options);
  return {
    ...differing,
    worlds: [...canonical.worlds, ...own.worlds],
    causes: await causesOf(difference, canonical, own, sides),
    covered: own.covered,
    lacks: own.lacks,
    unasked: own.unasked,
    open: own.open,
    builds: canonical.builds + own.builds,
    resumed: own.resumed,
  };
}

function against(given: Given, { pairs, notGiven }: Pairing): Against {
  const output = new Map(pairs.map((pair) => [pair.given, pair.output]));
  return {
    named: given.named,
    files: given.files.map((file) => ({
      name: file.name,
      digest: file.digest,
      output: output.get(file)?.path,
      built: output.get(file)?.digest,
    })),
    notGiven: notGiven.map(({ path }) => path),
    unseen: given.files.some(({ path }) => path === undefined)
      ? "only the digest is known: the bytes are not in the store, so what differs cannot be told"
      : undefined,
  };
}

const placeText = ({ artifact, leaf }: Pick<Cause, "artifact" | "leaf">): string => [artifact, ...leaf].join("\0");

/** From our own world's marks on our side, from fields, and from what varies at that place in builds of our own. */
async function causesOf(
  difference: Difference,
  canonical: Verdict,
  own: Verdict | undefined,
  sides: { built: string; given: string },
): Promise<Cause[]> {
  const [run] = canonical.worlds;
  if (run === undefined) return [];
  const side: Side = { world: run.world, times: run.times };
  const explained = explainLeaves(difference, [side, side], variations);
  const attribution = new Map<Leaf, CauseName[][]>();
  const varying = Map.groupBy(own?.causes ?? [], placeText);
  for (const { leaf } of explained) {
    const found = (varying.get(placeText(artifactAndLeaf(leaf))) ?? []).filter(
      ({ name }) => name !== "unknown" && name !== "consequence",
    );
    if (found.length > 0)
      attribution.set(
        leaf,
        found.map(({ name, with: beside = [] }) => [name, ...beside]),
      );
  }
  const artifacts = [...new Set(explained.map(({ leaf }) => leaf.path[0] ?? ""))];
  const checksums = await checksumFiles([sides.built, sides.given], artifacts);
  const tried = own === undefined ? [] : [TRIED[own.outcome === "reproducible" ? "reproducible" : "varies"]];
  const evidence: Evidence = { attribution, noise: new Map(), tried, checksums };
  const causes = conclude(explained, evidence, remedyFrom([...variations, ...notVaried]), knownByPlace);
  const commands = new Map(
    (own?.causes ?? []).flatMap((one) => (one.command === undefined ? [] : [[placeText(one), one.command] as const])),
  );
  return causes.map((cause): Cause => {
    const command = commands.get(placeText(cause));
    // That it varies in our builds does not prove that it is why the other's differs.
    const sure = cause.confidence === "certain" && cause.basis !== "field" && cause.basis !== "digest";
    return { ...cause, ...(sure ? { confidence: "likely" } : {}), ...(command === undefined ? {} : { command }) };
  });
}

const TRIED = {
  reproducible:
    "builds of this source agree in all that was varied: the other was made of another source, by other tools, or in a world that is not varied",
  varies:
    "nothing that was varied changes this place: the other was made of another source, by other tools, or in a world that is not varied",
};
