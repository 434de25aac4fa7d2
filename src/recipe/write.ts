import { tomlKey, tomlString, tomlText } from "../format/toml.ts";
import { byteOrder } from "../order.ts";
import { formatDuration, formatSize } from "./quantity.ts";
import { DEFAULT_LIMITS, type Recipe } from "./recipe.ts";

/** A recipe as TOML for people; `assumed` becomes comments at the top. Inverse of `parseRecipe`. */
export function recipeToml(recipe: Recipe, assumed: readonly string[] = []): string {
  const lines: string[] = [];
  for (const line of assumed) lines.push(`# assumed: ${line.replace(/[\u0000-\u001f\u007f]/g, " ")}`);
  if (assumed.length > 0) lines.push("");
  lines.push(`name = ${tomlString(recipe.name)}`);
  if (recipe.ecosystem !== undefined) lines.push(`ecosystem = ${tomlString(recipe.ecosystem)}`);
  if (recipe.directory !== ".") lines.push(`directory = ${tomlString(recipe.directory)}`);
  if (recipe.fetch !== undefined) {
    lines.push(
      "",
      "# with network, when the lock is made; writes to $BITFORBIT_DEPS",
      `fetch = ${tomlText(recipe.fetch)}`,
    );
  }
  const reach = recipe.network === "replay" ? "with the recorded network" : "without network";
  lines.push("", `# ${reach}; reads $BITFORBIT_DEPS`, `command = ${tomlText(recipe.command)}`, "");
  lines.push(`outputs = ${tomlList(recipe.outputs)}`);
  if (recipe.lockfiles.length > 0) lines.push(`lockfiles = ${tomlList(recipe.lockfiles)}`);
  if (recipe.patches.length > 0) lines.push(`patches = ${tomlList(recipe.patches)}`);
  if (recipe.network !== "none") lines.push(`network = ${tomlString(recipe.network)}`);
  if (recipe.strict) lines.push("strict = true");
  if (recipe.determinise) lines.push("determinise = true");
  if (recipe.vary !== undefined) lines.push(`vary = ${tomlList(recipe.vary)}`);
  if (recipe.noVary !== undefined) lines.push(`no-vary = ${tomlList(recipe.noVary)}`);
  if (recipe.source !== undefined) {
    lines.push("", "[source]");
    for (const key of ["purl", "url", "sha256"] as const) {
      const value = recipe.source[key];
      if (value !== undefined) lines.push(`${key} = ${tomlString(value)}`);
    }
  }
  lines.push("", "[environment]", ...environmentLines(recipe.environment));
  const names = Object.keys(recipe.env).sort(byteOrder);
  if (names.length > 0) {
    lines.push("", "[env]", ...names.map((name) => `${tomlKey(name)} = ${tomlString(recipe.env[name] ?? "")}`));
  }
  const limits = limitLines(recipe);
  if (limits.length > 0) lines.push("", "[limits]", ...limits);
  return `${lines.join("\n")}\n`;
}

function environmentLines(environment: Recipe["environment"]): string[] {
  return Object.entries(environment)
    .filter(([, value]) => value !== undefined && !(Array.isArray(value) && value.length === 0))
    .map(([key, value]) => `${key} = ${Array.isArray(value) ? tomlList(value) : tomlString(String(value))}`);
}

function tomlList(items: readonly string[]): string {
  return `[${items.map(tomlString).join(", ")}]`;
}

/** Only what differs from the defaults. */
function limitLines({ limits }: Recipe): string[] {
  const lines: string[] = [];
  if (limits.timeoutSeconds !== DEFAULT_LIMITS.timeoutSeconds) {
    lines.push(`timeout = "${formatDuration(limits.timeoutSeconds)}"`);
  }
  if (limits.processes !== DEFAULT_LIMITS.processes) lines.push(`processes = ${limits.processes}`);
  const sizes = { memory: "memoryBytes", disk: "diskBytes", output: "outputBytes", log: "logBytes" } as const;
  for (const [key, field] of Object.entries(sizes)) {
    if (limits[field] !== DEFAULT_LIMITS[field]) lines.push(`${key} = "${formatSize(limits[field])}"`);
  }
  return lines;
}
