import { join } from "node:path";
import { isTable, parseToml, type TomlTable } from "../format/toml.ts";
import { type Detected, recipeName, recipeWith, script } from "./detected.ts";
import { hasFile, readProjectFile } from "../project-file.ts";
import { namesIn } from "../tree.ts";

const VENDORED = 'cargo --config "$BITFORBIT_DEPS/cargo/config.toml"';

/**
 * Cargo: the dependencies are vendored when the lock is made (sources with
 * their checksums, no index and no time stamps), and the build is told to take
 * them instead of the registry. Programs give their binary, libraries their
 * `.crate`.
 */
export async function detectCargo(folder: string, fallbackName: string): Promise<Detected | undefined> {
  const text = await readProjectFile(folder, "Cargo.toml");
  if (text === undefined) return undefined;
  const manifest = parseToml(text, "Cargo.toml");
  const crate = isTable(manifest["package"]) ? manifest["package"] : undefined;
  const name = typeof crate?.["name"] === "string" ? crate["name"] : undefined;
  const assumed: string[] = [];
  if (!(await hasFile(folder, "Cargo.lock"))) assumed.push("Cargo.lock is missing: cargo generate-lockfile makes it");
  const binaries = await binariesOf(folder, manifest, name);
  const workspace = isTable(manifest["workspace"]);
  const library = binaries.length === 0 && !workspace;
  if (library) assumed.push("no binary found: the output is the .crate that cargo package makes");
  if (workspace) assumed.push("a workspace: the outputs are the programs at target/release; name them in outputs");
  const recipe = recipeWith({
    name: recipeName(name, fallbackName),
    ecosystem: "cargo",
    tools: ["cargo", "rustc", "cc"],
    lockfiles: ["Cargo.lock"],
    fetch: script(
      'mkdir -p "$BITFORBIT_DEPS/cargo"',
      'cargo vendor --locked --respect-source-config --versioned-dirs "$BITFORBIT_DEPS/cargo/vendor" > "$BITFORBIT_DEPS/cargo/config.toml"',
    ),
    command: script(
      'export CARGO_HOME="$HOME/.cargo"',
      library
        ? `${VENDORED} package --offline --locked --allow-dirty`
        : `${VENDORED} build --release --offline --locked${workspace ? " --workspace" : ""}`,
      ...(workspace
        ? ["mkdir -p out", "find target/release -maxdepth 1 -type f -perm -100 ! -name '*.so' -exec cp {} out/ \\;"]
        : []),
    ),
    outputs: library
      ? ["target/package/*.crate"]
      : workspace
        ? ["out/*"]
        : binaries.map((binary) => `target/release/${binary}`),
  });
  return { recipe, assumed };
}

/** Names of the programs: `[[bin]]`, else what Cargo finds by itself: `src/main.rs`, `src/bin/*.rs`, `src/bin/…/main.rs`. */
async function binariesOf(folder: string, manifest: TomlTable, name: string | undefined): Promise<string[]> {
  const declared = Array.isArray(manifest["bin"]) ? manifest["bin"] : [];
  const names = declared.flatMap((item) => (isTable(item) && typeof item["name"] === "string" ? [item["name"]] : []));
  const found = declared.length > 0 ? names : await foundBinaries(folder, name);
  return found.filter((item) => /^[A-Za-z0-9_-]+$/.test(item));
}

async function foundBinaries(folder: string, name: string | undefined): Promise<string[]> {
  const found = name !== undefined && (await hasFile(folder, "src/main.rs")) ? [name] : [];
  for (const entry of await namesIn(join(folder, "src/bin")).catch(() => [])) {
    const program = entry.endsWith(".rs") ? entry.slice(0, -3) : entry;
    if (program === entry && !(await hasFile(folder, `src/bin/${entry}/main.rs`))) continue;
    if (!found.includes(program)) found.push(program);
  }
  return found;
}
