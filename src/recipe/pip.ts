import { isTable, parseToml, type TomlTable } from "../format/toml.ts";
import { type Detected, recipeName, recipeWith, script, shellWord } from "./detected.ts";
import { hasFile, readProjectFile } from "../project-file.ts";

/** Where a hash-pinned list of build requirements may stand, the most telling name first. */
const LOCKS = ["requirements-build.txt", "build-requirements.txt", "requirements.lock", "requirements.txt"];

/**
 * Python: a wheel by the project's own PEP 517 back end. What `[build-system]`
 * requires is collected as wheels when the lock is made; the build sees those
 * and no index.
 */
export async function detectPip(folder: string, fallbackName: string): Promise<Detected | undefined> {
  const text = await readProjectFile(folder, "pyproject.toml");
  const hasSetup = (await hasFile(folder, "setup.py")) || (await hasFile(folder, "setup.cfg"));
  if (text === undefined && !hasSetup) return undefined;
  const project = text === undefined ? {} : parseToml(text, "pyproject.toml");
  if (!hasSetup && !isTable(project["build-system"]) && !isTable(project["project"])) return undefined;
  const requires = buildRequirements(project);
  const assumed: string[] = [];
  const lock = await hashedLock(folder);
  if (lock === undefined) {
    assumed.push(
      `build requirements (${requires.join(", ")}) are taken as they are when the lock is made and pinned there by digest; a requirements-build.txt with --hash lines pins them in the project`,
    );
  }
  const wheels = '--wheel-dir "$BITFORBIT_DEPS/wheels" --no-cache-dir';
  const recipe = recipeWith({
    name: recipeName(nameOf(project), fallbackName),
    ecosystem: "pip",
    tools: ["python3"],
    lockfiles: lock === undefined ? [] : [lock],
    fetch: script(
      lock === undefined
        ? `python3 -m pip wheel ${wheels} ${requires.map(shellWord).join(" ")}`
        : `python3 -m pip wheel ${wheels} --require-hashes -r ${lock}`,
    ),
    command: script(
      'python3 -m pip wheel --no-index --find-links "$BITFORBIT_DEPS/wheels" --no-deps --no-cache-dir --wheel-dir dist .',
    ),
    outputs: ["dist/*.whl"],
  });
  return { recipe, assumed };
}

/** PEP 518: without a `requires`, setuptools. Its back end may ask for `wheel` besides. */
function buildRequirements(project: TomlTable): string[] {
  const system = project["build-system"];
  const requires = isTable(system) && Array.isArray(system["requires"]) ? system["requires"] : undefined;
  const wanted = requires?.filter((item): item is string => typeof item === "string" && !item.startsWith("-")) ?? [
    "setuptools>=40.8.0",
  ];
  if (wanted.some((item) => /^setuptools\b/i.test(item)) && !wanted.some((item) => /^wheel\b/i.test(item))) {
    wanted.push("wheel");
  }
  return wanted;
}

function nameOf(project: TomlTable): string | undefined {
  const table = project["project"];
  return isTable(table) && typeof table["name"] === "string" ? table["name"] : undefined;
}

async function hashedLock(folder: string): Promise<string | undefined> {
  for (const name of LOCKS) {
    const text = await readProjectFile(folder, name);
    if (text !== undefined && /--hash=sha(?:256|384|512):/.test(text)) return name;
  }
  return undefined;
}
