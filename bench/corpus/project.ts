/** A project folder for an entry: the recipe that `bitforbit init` writes for its source, with what the list says besides. */
import { cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { BitforbitError } from "../../src/errors.ts";
import { parseRecipe, type Recipe, RECIPE_FILE } from "../../src/recipe/recipe.ts";
import { recipeToml } from "../../src/recipe/write.ts";
import { type Bitforbit, reasonOf } from "./bitforbit.ts";
import { type Entry, FOLDER, purlOf } from "./list.ts";

export function folderName({ ecosystem, name, version }: Entry): string {
  return `${ecosystem}-${name}-${version}`.replace(/[^A-Za-z0-9.+-]+/g, "_");
}

/**
 * Writes the entry's recipe into `folder`. What the list says of command and
 * outputs wins over what was detected; the environment is always the list's,
 * so that many entries share a root. Throws when the source cannot be fetched
 * or is not the one of the list.
 */
export async function makeProject(entry: Entry, folder: string, bitforbit: Bitforbit): Promise<void> {
  mkdirSync(folder, { recursive: true });
  const detected = entry.command === undefined ? await detectedIn(entry, folder, bitforbit) : undefined;
  const recipe = recipeOf(entry, detected);
  if (recipe.source?.sha256 !== entry.sha256) {
    throw new BitforbitError("refused", `${purlOf(entry)} is ${recipe.source?.sha256}, the list has ${entry.sha256}`);
  }
  writeFileSync(join(folder, RECIPE_FILE), recipeToml(recipe));
  const lockfiles = join(FOLDER, "lockfiles", folderName(entry));
  if (existsSync(lockfiles)) cpSync(lockfiles, folder, { recursive: true });
}

async function detectedIn(entry: Entry, folder: string, bitforbit: Bitforbit): Promise<Recipe> {
  const ran = await bitforbit(folder, ["init", "--force", "--source", purlOf(entry), "--environment", "host"]);
  if (ran.code !== 0) throw new BitforbitError("outside", reasonOf(ran));
  return parseRecipe(readFileSync(join(folder, RECIPE_FILE), "utf8"), RECIPE_FILE);
}

function recipeOf(entry: Entry, detected: Recipe | undefined): Recipe {
  const { from } = entry;
  const written = parseRecipe(
    `name = "${entry.name.replace(/[^A-Za-z0-9._+-]+/g, "-").replace(/^-+/, "")}"\ncommand = "true"\noutputs = ["out/*"]\n`,
    RECIPE_FILE,
  );
  const base = detected ?? { ...written, ecosystem: entry.ecosystem };
  return {
    ...base,
    source: detected?.source ?? { purl: purlOf(entry), sha256: entry.sha256 },
    fetch: entry.fetch ?? base.fetch,
    command: entry.command ?? base.command,
    outputs: entry.outputs ?? base.outputs,
    lockfiles: entry.lockfiles ?? base.lockfiles,
    env: { ...base.env, ...entry.env },
    environment: {
      type: "debian",
      tools: from.tools ?? [],
      suite: from.suite,
      components: ["main"],
      packages: from.packages,
      architecture: undefined,
    },
  };
}
