import { DEFAULT_LIMITS, type Recipe } from "./recipe.ts";

/** A recipe for a project, and in plain words what had to be assumed. */
export interface Detected {
  recipe: Recipe;
  assumed: string[];
}

/** A recipe with what all detected recipes share. */
export function recipeWith(
  parts: Pick<Recipe, "name" | "command" | "outputs"> & Partial<Recipe> & { tools: string[] },
): Recipe {
  const { tools, ...rest } = parts;
  return {
    patches: [],
    environment: { type: "host", tools },
    network: "none",
    strict: false,
    determinise: false,
    fetch: undefined,
    directory: ".",
    env: {},
    limits: { ...DEFAULT_LIMITS },
    lockfiles: [],
    ...rest,
  };
}

/** Shell lines, each one ended. */
export function script(...lines: string[]): string {
  return `${lines.join("\n")}\n`;
}

/** A recipe's name from any text: what is not allowed in one becomes `-`. */
export function recipeName(text: string | undefined, fallback: string): string {
  return allowed(text ?? "") || allowed(fallback) || "project";
}

function allowed(text: string): string {
  return text
    .replace(/[^A-Za-z0-9._+@-]+/g, "-")
    .replace(/^[^A-Za-z0-9]+/, "")
    .slice(0, 128);
}

/** Text as one word for a POSIX shell. */
export function shellWord(text: string): string {
  return /^[A-Za-z0-9_./:=@%+,-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
