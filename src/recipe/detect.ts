import { basename, resolve } from "node:path";
import { detectCargo } from "./cargo.ts";
import { detectDebian } from "./debian.ts";
import type { Detected } from "./detected.ts";
import { detectGo } from "./go.ts";
import { detectMake } from "./make.ts";
import { detectMaven } from "./maven.ts";
import { detectNpm } from "./npm.ts";
import { detectPip } from "./pip.ts";

/**
 * In order: what says most about how a project is released comes first. A
 * Debian source package often holds a configure script or a setup.py; a
 * Makefile often stands beside everything else.
 */
const DETECTORS = [detectDebian, detectCargo, detectGo, detectMaven, detectPip, detectNpm, detectMake] as const;

/**
 * Looks at the project in `folder` and gives the recipe of the first ecosystem
 * that it belongs to, or undefined. Runs nothing. Throws `input` when the
 * project's manifest is broken.
 */
export async function detect(folder: string): Promise<Detected | undefined> {
  const fallbackName = basename(resolve(folder));
  let found: Detected | undefined;
  for (const detector of DETECTORS) {
    const detected = await detector(folder, fallbackName);
    if (detected === undefined) continue;
    if (found === undefined) found = detected;
    else if (detected.recipe.ecosystem !== "make") {
      found.assumed.push(`this is also a project of ${detected.recipe.ecosystem}: taken as ${found.recipe.ecosystem}`);
    }
  }
  return found;
}
