/** Bundles the package into dist/: start-up time counts, and users need none of our development tools. */
import { chmodSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { spawnSync } from "node:child_process";
import * as promises from "node:fs/promises";
import { resolve } from "node:path";
import { type Plugin, rolldown } from "rolldown";
import { reportAssets } from "../src/diff/report/assets.ts";

const manifest = JSON.parse(readFileSync("package.json", "utf8")) as { dependencies?: Record<string, string> };
rmSync("dist", { recursive: true, force: true });

const external = Object.keys(manifest.dependencies ?? {});

/**
 * Commander loads node:child_process, and with it node:net and node:dgram, for
 * subcommands that are programs of their own, which we have none of. To load it
 * costs as much as the rest of our start.
 */
const withoutPrograms: Plugin = {
  name: "commander-without-programs",
  resolveId: (id, importer) =>
    id === "node:child_process" && importer?.includes("/commander/") === true ? "\0no-programs" : undefined,
  load: (id) => (id === "\0no-programs" ? "export const spawn = undefined;\nexport default { spawn };" : undefined),
};

/** The report's page is made of source files, which the bundle carries as what they came to. */
const reportPage: Plugin = {
  name: "report-page",
  load: async (id) => {
    if (!id.endsWith("/src/diff/report/assets.ts")) return undefined;
    const assets = JSON.stringify(await reportAssets());
    return { code: `const assets = ${assets};\nexport const reportAssets = async () => assets;`, moduleType: "js" };
  },
};

/**
 * node:fs/promises takes milliseconds to load, and what verifies or compares small
 * files calls nothing of it: it is loaded with the first call.
 */
const promisesWhenCalled: Plugin = {
  name: "fs-promises-when-called",
  resolveId: (id) => (id === "node:fs/promises" ? "\0fs-promises" : undefined),
  load: (id) => {
    if (id !== "\0fs-promises") return undefined;
    const calls = Object.entries(promises).filter(([, value]) => typeof value === "function");
    const lines = calls.map(([name]) => `export const ${name} = (...given) => promises.${name}(...given);`);
    return ['import { constants, promises } from "node:fs";', "export { constants };", ...lines].join("\n");
  },
};

const library = await rolldown({
  input: { index: "src/index.ts", verify: "src/policy/verify.ts", "diff-worker": "src/diff/worker.ts" },
  platform: "node",
  external,
  plugins: [reportPage],
  logLevel: "warn",
});
await library.write({ dir: "dist", format: "esm", chunkFileNames: "chunks/[name]-[hash].js" });
await library.close();

// CommonJS, because Node starts it faster: no loader of ES modules, and no facade for each of Node's own modules.
const program = await rolldown({
  input: { bitforbit: "src/cli/main.ts", "diff-worker": "src/diff/worker.ts" },
  platform: "node",
  external,
  plugins: [withoutPrograms, promisesWhenCalled, reportPage],
  logLevel: "warn",
});
await program.write({
  dir: "dist",
  format: "cjs",
  entryFileNames: "[name].cjs",
  chunkFileNames: "chunks/[name]-[hash].cjs",
  // Few files for the verbs that run in every pipeline: to find and open one costs as much as to run it.
  codeSplitting: {
    groups: [
      { name: "version", test: /src\/version\.ts$/, priority: 4 },
      // With the leaves that verbs share, or whoever needs one of them would load all of "deciding".
      {
        name: "program",
        test: /src\/(cli\/program|bytes|bytesource|clock|entropy|errors|json|order|format\/(magic|inflation|text))\.ts$/,
        priority: 3,
      },
      { name: "digests", test: /src\/(digest|durable)\.ts$/, priority: 3 },
      { name: "comparing", test: /src\/cli\/verbs\/diff\.ts$/, priority: 1 },
      // What every difference needs, then what every one within a format needs, then the formats that hold most others.
      { name: "differing", test: /src\/diff\/(formats|render|text)\.ts$/, priority: 0.9 },
      { name: "cutting", test: /src\/(diff\/(compare|renames)|format\/(part|record))\.ts$/, priority: 0.8 },
      { name: "inflating", test: /src\/(diff\/compressed|format\/(compressed-part|gzip|xz|zstd))\.ts$/, priority: 0.7 },
      { name: "archives", test: /src\/format\/(tar|tar-parts|ar|ar-parts)\.ts$/, priority: 0.6 },
      {
        name: "programs",
        test: /src\/format\/(elf|elf-parts|dwarf-info|string-parts|disassembly)\.ts$/,
        priority: 0.5,
      },
      { name: "deciding", test: /src\/cli\/verbs\/verify\.ts$/, priority: 2 },
      { name: "evidence", test: /src\/cli\/verbs\/evidence\.ts$/, priority: 1.5 },
    ],
  },
});
await program.close();

// Declarations come from src alone; the project's own settings take in the tests as well.
const settings = "node_modules/.cache/tsconfig.types.json";
mkdirSync("node_modules/.cache", { recursive: true });
const options = { noEmit: false, emitDeclarationOnly: true, rootDir: resolve("src"), outDir: resolve("dist/types") };
const files = { include: [resolve("src")], exclude: [resolve("src/**/*.test.ts")] };
writeFileSync(settings, JSON.stringify({ extends: resolve("tsconfig.json"), compilerOptions: options, ...files }));
const types = spawnSync("tsc", ["-p", settings], { stdio: "inherit" });
if (types.status !== 0) process.exit(1);

const entry = "dist/bitforbit.cjs";
const code = readFileSync(entry, "utf8");
if (!code.startsWith("#!")) writeFileSync(entry, `#!/usr/bin/env node\n${code}`);
chmodSync(entry, 0o755);
