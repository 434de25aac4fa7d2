import { join } from "node:path";
import { createDurable, writeDurable } from "../../durable.ts";
import { BitforbitError, type ExitCode } from "../../errors.ts";
import { detect } from "../../recipe/detect.ts";
import { RECIPE_FILE } from "../../recipe/recipe.ts";
import { recipeToml } from "../../recipe/write.ts";
import type { Options } from "../program.ts";
import { projectFolder } from "../project.ts";
import type { Terminal } from "../terminal.ts";

/** `bitforbit init [DIR]`: writes a recipe that builds, and says what it assumed. */
export async function init(args: readonly string[], options: Options, terminal: Terminal): Promise<ExitCode> {
  const folder = await projectFolder(args[0]);
  const path = join(folder, RECIPE_FILE);
  const found = await detect(folder);
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
