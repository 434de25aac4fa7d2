import { lstatSync } from "node:fs";
import { join } from "node:path";
import { BitforbitError } from "../errors.ts";
import type { Recipe } from "../recipe/recipe.ts";
import { SYSTEM_PATH, toolPaths } from "../sandbox/toolchain.ts";

export interface Tools {
  /** Paths of this machine to show at their own place. */
  hostPaths: string[];
  /** PATH inside. */
  path: string;
}

/** A locked environment's root file system. */
export interface LockedRoot {
  folder: string;
  /** Variables that it comes with: an image's own PATH. */
  env?: Readonly<Record<string, string>>;
  /** See `EnvironmentRoot.confirm`. */
  confirm?: () => Promise<LockedRoot | undefined>;
}

/** Where the recipe's tools are: in the locked root, or on this machine. Throws `lacking`, naming those that are not there. */
export async function toolsFor(recipe: Recipe, root: LockedRoot | undefined): Promise<Tools> {
  const { tools } = recipe.environment;
  if (root !== undefined) {
    const path = [...new Set([...(root.env?.["PATH"] ?? "").split(":"), ...SYSTEM_PATH])].filter((one) =>
      one.startsWith("/"),
    );
    const missing = tools.filter((tool) => !path.some((folder) => isInRoot(root.folder, folder, tool)));
    if (missing.length > 0) throw missingInRoot(recipe, missing);
    return { hostPaths: [], path: path.join(":") };
  }
  const { hostPaths, path, missing } = await toolPaths(tools);
  if (missing.length === 0) return { hostPaths, path };
  throw new BitforbitError("lacking", `the recipe needs ${missing.join(", ")}, which this machine does not have`, {
    hint: `install ${missing.join(", ")}, or correct environment.tools in bitforbit.toml`,
  });
}

/** Names alone are looked at: a link in the root may lead to a place that is another one out here. */
function isInRoot(root: string, folder: string, tool: string): boolean {
  const parent = lstatSync(join(root, folder), { throwIfNoEntry: false });
  return parent?.isDirectory() === true && lstatSync(join(root, folder, tool), { throwIfNoEntry: false }) !== undefined;
}

function missingInRoot(recipe: Recipe, missing: readonly string[]): BitforbitError {
  const names = missing.join(", ");
  return new BitforbitError("lacking", `the recipe needs ${names}, which its environment does not have`, {
    hint:
      recipe.environment.type === "debian"
        ? `add the package that has it to environment.packages (apt-file search bin/${missing[0] ?? ""})`
        : "choose an image that has it, or correct environment.tools in bitforbit.toml",
  });
}
