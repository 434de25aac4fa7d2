/** One entry: locked, checked, and where it differs repaired and determinised, each checked again. */
import { copyFileSync, existsSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { parse } from "smol-toml";
import { LOCK_FILE } from "../../src/lock/lock-file.ts";
import { RECIPE_FILE } from "../../src/recipe/recipe.ts";
import { VERSION } from "../../src/version.ts";
import { type Bitforbit, type Ran, reasonOf } from "./bitforbit.ts";
import type { Entry } from "./list.ts";
import { makeProject } from "./project.ts";
import type { Checked, Result } from "./results.ts";

/** What this bitforbit can do besides check. */
export interface Abilities {
  fix: boolean;
  determinise: boolean;
}

/** Asked of the program and of its schema, so that the corpus runs with each state of bitforbit. */
export function abilities(bitforbit: string, schema: string): Abilities {
  const help = spawnSync(bitforbit, ["--help"], { encoding: "utf8" }).stdout;
  const { properties = {} } = JSON.parse(readFileSync(schema, "utf8")) as { properties?: Record<string, unknown> };
  return { fix: /^\s*fix\b/m.test(help), determinise: "determinise" in properties };
}

/** Throws nothing: what went wrong is in the result. */
export async function measureEntry(
  entry: Entry,
  folder: string,
  bitforbit: Bitforbit,
  can: Abilities,
): Promise<Result> {
  const { ecosystem, name, version, key } = entry;
  const result: Result = { ecosystem, name, version, key, bitforbit: VERSION, lock: NOT_LOCKED };
  try {
    await makeProject(entry, folder, bitforbit);
  } catch (error) {
    return { ...result, lock: { ...NOT_LOCKED, reason: error instanceof Error ? error.message.slice(0, 300) : "" } };
  }
  const locked = await bitforbit(folder, ["lock"]);
  kept(folder, "lock", locked);
  result.lock = lockOf(folder, locked);
  if (locked.code !== 0) return result;
  result.check = await checked(folder, "check", bitforbit);
  if (result.check.verdict !== "differs" && result.check.verdict !== "fails-in-adversarial") return result;
  if (can.determinise) result.determinise = await determinised(folder, bitforbit);
  if (can.fix) result.fix = await repaired(folder, bitforbit);
  return result;
}

const FIX_BUDGET = "10m";

const NOT_LOCKED: Result["lock"] = { seconds: 0, materials: 0, packages: 0 };

/** The program's own words stay beside the recipe, for whoever mends the entry. */
function kept(folder: string, step: string, { said, document }: Ran): void {
  writeFileSync(join(folder, `${step}.json`), JSON.stringify(document, undefined, 1));
  writeFileSync(join(folder, `${step}.said`), said);
}

function lockOf(folder: string, locked: Ran): Result["lock"] {
  const seconds = tenths(locked.seconds);
  if (locked.code !== 0) return { ...NOT_LOCKED, seconds, reason: reasonOf(locked) };
  const { environment } = parse(readFileSync(join(folder, "bitforbit.lock"), "utf8")) as {
    environment?: { packages?: unknown[] };
  };
  return { seconds, materials: locked.document.materials ?? 0, packages: environment?.packages?.length ?? 0 };
}

async function checked(folder: string, step: string, bitforbit: Bitforbit): Promise<Checked> {
  const ran = await bitforbit(folder, ["check"]);
  kept(folder, step, ran);
  const { document } = ran;
  const good = document.verdict === "reproducible" || document.verdict === "differs";
  return {
    verdict: document.verdict ?? "not checked",
    causes: causesOf(document.causes ?? []),
    builds: document.builds ?? document.worlds?.length ?? 0,
    seconds: tenths(ran.seconds),
    outputs: document.outputs?.length ?? 0,
    ...(document.breaks === undefined ? {} : { breaks: document.breaks }),
    ...(good ? {} : { reason: reasonOf(ran) }),
  };
}

/** Sorted by name. What changed only because something else did is no cause. */
function causesOf(causes: readonly { name: string }[]): Record<string, number> {
  const counts = new Map<string, number>();
  for (const { name } of causes) if (name !== "consequence") counts.set(name, (counts.get(name) ?? 0) + 1);
  return Object.fromEntries([...counts].sort(([a], [b]) => (a < b ? -1 : 1)));
}

async function determinised(folder: string, bitforbit: Bitforbit): Promise<Checked> {
  const [path, lock] = [join(folder, RECIPE_FILE), join(folder, LOCK_FILE)];
  renameSync(path, `${path}.plain`);
  try {
    writeFileSync(path, `determinise = true\n${readFileSync(`${path}.plain`, "utf8")}`);
    // The lock holds the recipe's digest; nothing is resolved or fetched again for it.
    copyFileSync(lock, `${lock}.plain`);
    await bitforbit(folder, ["lock"]);
    return await checked(folder, "determinise", bitforbit);
  } finally {
    renameSync(`${path}.plain`, path);
    if (existsSync(`${lock}.plain`)) renameSync(`${lock}.plain`, lock);
  }
}

/** What it does is in the recipe: the source is an archive. The check after it is one of its own, not fix's word. */
async function repaired(folder: string, bitforbit: Bitforbit): Promise<NonNullable<Result["fix"]>> {
  const ran = await bitforbit(folder, ["fix", "--budget", FIX_BUDGET]);
  kept(folder, "fix", ran);
  const { tried = [], builds = 0, stopped } = ran.document;
  const fix = {
    tried: tried.map(({ remedy, outcome }) => `${remedy}: ${outcome}`),
    kept: tried.filter(({ helped }) => helped).map(({ says }) => says.slice(0, 160)),
    builds,
    seconds: tenths(ran.seconds),
    ...(stopped === undefined ? {} : { stopped }),
  };
  if (ran.document.tried === undefined) return { ...fix, reason: reasonOf(ran) };
  return fix.kept.length === 0 ? fix : { ...fix, check: await checked(folder, "fixed", bitforbit) };
}

function tenths(seconds: number): number {
  return Math.round(seconds * 10) / 10;
}

/** Roots are shared; a project's own fetched dependencies and scratch go when it is done. */
export function clear(folder: string): void {
  const home = join(folder, ".bitforbit");
  spawnSync("chmod", ["-R", "u+rwX", home]);
  rmSync(home, { recursive: true, force: true });
}
