import { isObject, type JsonObject, parseJson } from "../json.ts";
import { type Detected, recipeName, recipeWith, script } from "./detected.ts";
import { hasFile, readProjectFile } from "../project-file.ts";

/**
 * npm: `npm ci` from a cache that was filled when the lock was made, the
 * `build` script, `npm pack`. Install scripts do not run while there is a
 * network: they run in the build, where there is none.
 */
export async function detectNpm(folder: string, fallbackName: string): Promise<Detected | undefined> {
  const text = await readProjectFile(folder, "package.json");
  if (text === undefined) return undefined;
  const manifest = parseJson(text, "package.json");
  const parts: JsonObject = isObject(manifest) ? manifest : {};
  const scripts = isObject(parts["scripts"]) ? parts["scripts"] : {};
  const assumed: string[] = [];
  const lockfile = (await hasFile(folder, "npm-shrinkwrap.json")) ? "npm-shrinkwrap.json" : "package-lock.json";
  const locked = await hasFile(folder, lockfile);
  const other = locked ? undefined : await firstOf(folder, ["yarn.lock", "pnpm-lock.yaml", "bun.lock"]);
  const alone = !locked && other === undefined && !needsOthers(parts);
  if (!locked && !alone) {
    assumed.push(
      `${lockfile} is missing${other === undefined ? "" : ` (${other} is not read)`}: npm install --package-lock-only makes it`,
    );
  }
  const named = typeof parts["name"] === "string" && typeof parts["version"] === "string";
  const workspaces = parts["workspaces"] !== undefined;
  const pack = workspaces ? "npm pack --workspaces --pack-destination out" : "npm pack --pack-destination out";
  if (!("build" in scripts)) assumed.push('package.json has no "build" script: what is there is packed as it is');
  if (!named && !workspaces)
    assumed.push("package.json has no name and version, so it cannot be packed: outputs are dist/**");
  const recipe = recipeWith({
    name: recipeName(typeof parts["name"] === "string" ? parts["name"] : undefined, fallbackName),
    ecosystem: "npm",
    tools: ["node", "npm"],
    lockfiles: alone ? [] : [lockfile],
    env: { npm_config_update_notifier: "false" },
    ...(alone ? {} : { fetch: script('npm ci --cache "$BITFORBIT_DEPS/npm" --ignore-scripts --no-audit --no-fund') }),
    command: script(
      ...(alone ? [] : ['npm ci --offline --cache "$BITFORBIT_DEPS/npm" --no-audit --no-fund']),
      ...("build" in scripts ? [`npm run build${workspaces ? " --workspaces --if-present" : ""}`] : []),
      ...(named || workspaces ? ["mkdir -p out", pack] : []),
    ),
    outputs: named || workspaces ? ["out/*.tgz"] : ["dist/**"],
  });
  return { recipe, assumed };
}

/** One that names no other package needs nothing fetched, and no lockfile. */
function needsOthers(manifest: JsonObject): boolean {
  const keys = ["dependencies", "devDependencies", "optionalDependencies", "peerDependencies"];
  const named = keys.some((key) => isObject(manifest[key]) && Object.keys(manifest[key]).length > 0);
  return named || manifest["workspaces"] !== undefined;
}

async function firstOf(folder: string, names: readonly string[]): Promise<string | undefined> {
  for (const name of names) if (await hasFile(folder, name)) return name;
  return undefined;
}
