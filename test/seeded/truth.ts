/**
 * Holds the seeds themselves: what each ingredient is said to be caused by, against
 * builds in which worlds differ in one variation alone, and in all but one:
 *
 *     node test/seeded/truth.ts [language…]
 *
 * A language's ingredients are built together, each into an output of its own. An ingredient whose
 * causes are a, b must differ when only a, or only b differs (when joint: only both), and
 * must not when everything else does. What differs between equal worlds, by races and
 * by randomness that is not held, is said first.
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "../../src/build/build.ts";
import { homeAt } from "../../src/flow/home.ts";
import { prepare, type Prepared } from "../../src/flow/prepare.ts";
import { type HostAbilities, probeHost } from "../../src/sandbox/host.ts";
import { experimentWorlds, mixed, variations } from "../../src/vary/worlds.ts";
import type { CauseName, World } from "../../src/world.ts";
import { git, removeAll, writeFiles } from "../command.ts";
import { generateAll, ingredientsOf, told } from "./generate.ts";
import { type Language, LANGUAGES, type Section, type Step } from "./ingredient.ts";

/** Digests of what was built, by path. */
type Outputs = ReadonlyMap<string, string>;

interface Bench {
  prepared: Prepared;
  host: HostAbilities;
  scratch: string;
}

async function built({ prepared, host, scratch }: Bench, world: World, name: string): Promise<Outputs> {
  const folder = join(scratch, name);
  mkdirSync(folder, { recursive: true });
  const { recipe, source, staged, root, deps } = prepared;
  const { result, lacks } = await build({ recipe, source, staged, world, host, root, deps, scratch: folder });
  for (const { what } of lacks) if (name === "base") console.log(`  lacks: ${what}`);
  if (!result.ok) throw new Error(`${name}: ${result.reason}\n${result.tail}`);
  const outputs = new Map(result.outputs.map(({ path, digest }) => [path, digest]));
  removeAll(folder);
  return outputs;
}

/** Paths that are not the same on both sides. */
function different(a: Outputs, b: Outputs): Set<string> {
  return new Set([...a.keys(), ...b.keys()].filter((path) => a.get(path) !== b.get(path)));
}

/** Does an output of the ingredient differ? One that names its output by the world is told by how the name begins. */
function differs(one: Section | Step, paths: ReadonlySet<string>): boolean {
  const own = "output" in one ? one.output : `${one.name}.txt`;
  const stem = own.replace(/\..*/, "");
  return [...paths].some(
    (path) => path === `out/${own}` || (one.name.startsWith("named-") && path.startsWith(`out/${stem}-`)),
  );
}

async function hold(language: Language, host: HostAbilities): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), "bitforbit-truth-"));
  const scratch = join(folder, "scratch");
  const project = join(folder, "project");
  mkdirSync(scratch);
  try {
    const { name, files } = generateAll(language);
    writeFiles(project, files);
    git(project, "init", "--quiet", "--initial-branch=main");
    git(project, "add", "--all");
    git(project, "commit", "--quiet", "--message=first");
    const prepared = await prepare(project, homeAt(join(folder, "home")), { host, scratch });
    return await matrix(language, name, { prepared, host, scratch });
  } finally {
    spawnSync("sh", ["-c", 'chmod -R u+rwX "$1" && rm -rf "$1"', "sh", folder]);
  }
}

async function matrix(language: Language, name: string, bench: Bench): Promise<number> {
  const [base, other] = experimentWorlds(name, bench.prepared.source.epoch);
  const names = variations.map((variation) => variation.name);
  const all = ingredientsOf(language).map(told);
  const first = await built(bench, base, "base");
  const noise = different(first, await built(bench, { ...base, startDelay: 2100 }, "again"));
  const noisy = all.filter((one) => differs(one, noise)).map((one) => one.name);
  console.log(`${language}: ${all.length} ingredients; equal worlds differ in: ${noisy.join(", ") || "nothing"}`);
  const alone = new Map<CauseName, Set<string>>();
  for (const cause of names) {
    alone.set(cause, different(first, await built(bench, mixed(base, other, [cause], cause), `only-${cause}`)));
  }
  let wrong = 0;
  for (const one of all.filter(({ name: own }) => !noisy.includes(own))) {
    const by = names.filter((cause) => differs(one, alone.get(cause) ?? new Set()));
    const truth = one.joint === true ? [] : one.causes.filter((cause) => names.includes(cause));
    const missing = truth.filter((cause) => !by.includes(cause));
    const more = by.filter((cause) => !one.causes.includes(cause) && one.also?.includes(cause) !== true);
    const unvaried = one.causes.filter((cause) => !names.includes(cause));
    if (missing.length + more.length === 0) continue;
    wrong++;
    const said = [`${one.name}: ${one.causes.join(",") || "none"}`, `differs by ${by.join(",") || "none"}`];
    console.log(`  ${said.join(" · ")}${unvaried.length === 0 ? "" : ` · not varied: ${unvaried.join(",")}`}`);
  }
  return wrong;
}

const asked = process.argv.slice(2);
const host = await probeHost();
let wrong = 0;
for (const language of LANGUAGES.filter((one) => asked.length === 0 || asked.includes(one)))
  wrong += await hold(language, host);
process.exitCode = wrong === 0 ? 0 : 1;
