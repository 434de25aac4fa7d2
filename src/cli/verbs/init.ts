import { join } from "node:path";
import { createDurable, writeDurable } from "../../durable.ts";
import { BitforbitError, type ExitCode } from "../../errors.ts";
import { extractArchive } from "../../format/extract.ts";
import type { Home } from "../../flow/home.ts";
import { withScratch } from "../../flow/scratch.ts";
import { detect } from "../../recipe/detect.ts";
import { type Detected, recipeWith } from "../../recipe/detected.ts";
import { type Recipe, RECIPE_FILE } from "../../recipe/recipe.ts";
import { recipeToml } from "../../recipe/write.ts";
import { pinSource } from "../../source/archive.ts";
import { readSource, stage } from "../../source/source.ts";
import type { Options } from "../program.ts";
import { homeFor, projectFolder, text } from "../project.ts";
import type { Terminal } from "../terminal.ts";

/** Fetches a published source, pins it by digest, and looks at what is in it. */
async function detectFetched(folder: string, purl: string, home: Home): Promise<Detected | undefined> {
  const pinned = await pinSource(folder, { purl }, home.cache);
  return await withScratch(home, {}, async (scratch) => {
    const source = { purl, sha256: pinned.sha256 };
    const recipe: Recipe = { ...recipeWith({ name: "source", command: "", outputs: [], tools: [] }), source };
    const options = { cache: home.cache, extract: extractArchive };
    const tree = join(scratch, "tree");
    await stage(await readSource(folder, recipe, options), folder, recipe, tree, options);
    const found = await detect(tree);
    return found && { ...found, recipe: { ...found.recipe, source } };
  });
}

/** `bitforbit init [DIR]`: writes a recipe that builds, and says what it assumed. */
export async function init(args: readonly string[], options: Options, terminal: Terminal): Promise<ExitCode> {
  const folder = await projectFolder(args[0]);
  const path = join(folder, RECIPE_FILE);
  const purl = text(options, "source");
  const found = purl === undefined ? await detect(folder) : await detectFetched(folder, purl, homeFor(folder, options));
  if (found === undefined) {
    throw new BitforbitError("input", `nothing to build was recognised in ${folder}`, {
      hint: "it holds no package.json, pyproject.toml, Cargo.toml, go.mod, pom.xml, configure, Makefile or debian/control; write bitforbit.toml by hand: name, command, outputs",
    });
  }
  const toml = recipeToml(found.recipe, found.assumed);
  if (options["force"] === true) await writeDurable(path, toml);
  else if (!(await createDurable(path, toml))) {
    throw new BitforbitError("conflict", `${path} is there already`, {
      hint: "edit it, or give --force to replace it",
    });
  }
  terminal.line(`${terminal.strong(found.recipe.name)}: a ${found.recipe.ecosystem ?? "plain"} project`);
  for (const line of found.assumed) terminal.line(`  assumed  ${line}`);
  terminal.line();
  terminal.line(`wrote ${RECIPE_FILE}; next: bitforbit build`);
  terminal.document({
    written: path,
    project: found.recipe.name,
    ...(found.recipe.ecosystem === undefined ? {} : { ecosystem: found.recipe.ecosystem }),
    assumed: found.assumed,
  });
  return 0;
}
