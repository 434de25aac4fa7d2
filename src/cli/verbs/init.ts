import { join } from "node:path";
import { createDurable, writeDurable } from "../../durable.ts";
import { BitforbitError, type ExitCode } from "../../errors.ts";
import { extractArchive } from "../../format/extract.ts";
import type { Home } from "../../flow/home.ts";
import { withScratch } from "../../flow/scratch.ts";
import { detect } from "../../recipe/detect.ts";
import { type Detected, recipeWith } from "../../recipe/detected.ts";
import { type Recipe, RECIPE_FILE } from "../../recipe/recipe.ts";
import { pinnedEnvironment, suiteHere } from "../../recipe/pinned.ts";
import { recipeToml } from "../../recipe/write.ts";
import { pinSource } from "../../source/archive.ts";
import { readSource, stage } from "../../source/source.ts";
import type { Options } from "../program.ts";
import { homeFor, projectFolder, text } from "../project.ts";
import type { Terminal } from "../terminal.ts";

/** Fetches a published source, pins it by digest, and looks at what is in it. */
async function detectFetched(
  folder: string,
  purl: string,
  home: Home,
  environment: string | undefined,
): Promise<Detected | undefined> {
  const pinned = await pinSource(folder, { purl }, home.cache);
  return await withScratch(home, {}, async (scratch) => {
    const source = { purl, sha256: pinned.sha256 };
    const recipe: Recipe = { ...recipeWith({ name: "source", command: "", outputs: [], tools: [] }), source };
    const options = { cache: home.cache, extract: extractArchive };
    const tree = join(scratch, "tree");
    await stage(await readSource(folder, recipe, options), folder, recipe, tree, options);
    const detected = await detect(tree);
    const found = detected && (await inEnvironment(detected, tree, environment));
    return found && { ...found, recipe: { ...found.recipe, source } };
  });
}

/** The recipe in a pinned environment, where this machine can make one; `wanted`: "host", "debian" or "debian:SUITE". */
async function inEnvironment(found: Detected, folder: string, wanted: string | undefined): Promise<Detected> {
  const [type = "", named] = wanted?.split(":") ?? [];
  if (wanted !== undefined && !/^(?:host|debian(?::[a-z][a-z0-9-]*)?)$/.test(wanted)) {
    throw new BitforbitError("usage", `not an environment: ${JSON.stringify(wanted)}`, {
      hint: "host, debian, or debian:SUITE; images are named in bitforbit.toml",
    });
  }
  if (type === "host") return found;
  const suite = named ?? suiteHere();
  if (suite === undefined) {
    if (type === "debian") {
      throw new BitforbitError("lacking", "a Debian environment needs apt and Debian's archive keyring", {
        hint: "apt-get install apt debian-archive-keyring, or give --environment host",
      });
    }
    const assumed = "the machine's own programs are used, which pins nothing: such builds are not canonical";
    return { ...found, assumed: [...found.assumed, assumed] };
  }
  const environment = await pinnedEnvironment(found.recipe, folder, suite);
  if (environment === undefined) return found;
  const assumed = `programs come from Debian ${suite}, pinned in the lock; choose another suite, or an image, in bitforbit.toml`;
  return { recipe: { ...found.recipe, environment }, assumed: [...found.assumed, assumed] };
}

/** `bitforbit init [DIR]`: writes a recipe that builds, and says what it assumed. */
export async function init(args: readonly string[], options: Options, terminal: Terminal): Promise<ExitCode> {
  const folder = await projectFolder(args[0]);
  const path = join(folder, RECIPE_FILE);
  const purl = text(options, "source");
  const wanted = text(options, "environment");
  const found =
    purl === undefined
      ? await detect(folder).then((detected) => detected && inEnvironment(detected, folder, wanted))
      : await detectFetched(folder, purl, homeFor(folder, options), wanted);
  if (found === undefined) {
    throw new BitforbitError("input", `nothing to build was recognised in ${folder}`, {
      hint: "it holds no package.json, pyproject.toml, Cargo.toml, go.mod, pom.xml, configure, Makefile or debian/control; write bitforbit.toml by hand: name, command, outputs",
    });
  }
  const { recipe, assumed } = found;
  const toml = recipeToml(recipe, assumed);
  if (options["force"] === true) await writeDurable(path, toml);
  else if (!(await createDurable(path, toml))) {
    throw new BitforbitError("conflict", `${path} is there already`, {
      hint: "edit it, or give --force to replace it",
    });
  }
  terminal.line(`${terminal.strong(recipe.name)}: a ${recipe.ecosystem ?? "plain"} project`);
  for (const line of assumed) terminal.line(`  assumed  ${line}`);
  terminal.line();
  terminal.line(`wrote ${RECIPE_FILE}; next: bitforbit build`);
  terminal.document({
    written: path,
    project: recipe.name,
    ...(recipe.ecosystem === undefined ? {} : { ecosystem: recipe.ecosystem }),
    environment: recipe.environment.type,
    assumed,
  });
  return 0;
}
