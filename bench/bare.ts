import { cpSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Prepared } from "../src/flow/prepare.ts";
import { SYSTEM_PATH } from "../src/sandbox/toolchain.ts";
import { time } from "./paired.ts";

/**
 * A function that runs the recipe's command in a fresh copy of source and
 * dependencies, in the same locked root under bare bubblewrap, and gives the
 * milliseconds; copying, into `folder`, is not timed.
 */
export function bareBuild({ recipe, source, deps, staged, root }: Prepared, folder: string): (run: number) => number {
  if (root === undefined) throw new Error(`${recipe.name} has no pinned environment`);
  return (run) => {
    const tree = join(folder, `bare-${run}`);
    const dependencies = join(folder, `deps-${run}`);
    cpSync(staged, tree, { recursive: true, preserveTimestamps: true, verbatimSymlinks: true });
    if (deps === undefined) mkdirSync(dependencies);
    else cpSync(deps, dependencies, { recursive: true });
    const env = {
      ...recipe.env,
      PATH: SYSTEM_PATH.join(":"),
      HOME: "/home",
      LC_ALL: "C.UTF-8",
      SOURCE_DATE_EPOCH: String(source.epoch),
      BITFORBIT_DEPS: "/deps",
    };
    const mounts = ["--ro-bind", root.folder, "/", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"];
    const own = ["--tmpfs", "/home", "--bind", tree, "/build", "--bind", dependencies, "/deps"];
    const sandbox = ["--unshare-net", ...mounts, ...own, "--chdir", join("/build", recipe.directory)];
    return time(["bwrap", ...sandbox, "/bin/sh", "-eu", "-c", recipe.command], { env });
  };
}
