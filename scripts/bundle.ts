/** Bundles the package into dist/: start-up time counts, and users need none of our development tools. */
import { chmodSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { spawnSync } from "node:child_process";
import { resolve } from "node:path";
import { rolldown } from "rolldown";

const manifest = JSON.parse(readFileSync("package.json", "utf8")) as { dependencies?: Record<string, string> };
rmSync("dist", { recursive: true, force: true });

const bundle = await rolldown({
  input: { bitforbit: "src/cli/main.ts", index: "src/index.ts", verify: "src/policy/verify.ts" },
  platform: "node",
  external: Object.keys(manifest.dependencies ?? {}),
  logLevel: "warn",
});
await bundle.write({ dir: "dist", format: "esm", minify: false, chunkFileNames: "chunks/[name]-[hash].js" });
await bundle.close();

// Declarations come from src alone; the project's own settings take in the tests as well.
const settings = "node_modules/.cache/tsconfig.types.json";
mkdirSync("node_modules/.cache", { recursive: true });
const options = { noEmit: false, emitDeclarationOnly: true, rootDir: resolve("src"), outDir: resolve("dist/types") };
const files = { include: [resolve("src")], exclude: [resolve("src/**/*.test.ts")] };
writeFileSync(settings, JSON.stringify({ extends: resolve("tsconfig.json"), compilerOptions: options, ...files }));
const types = spawnSync("tsc", ["-p", settings], { stdio: "inherit" });
if (types.status !== 0) process.exit(1);

const entry = "dist/bitforbit.js";
const code = readFileSync(entry, "utf8");
if (!code.startsWith("#!")) writeFileSync(entry, `#!/usr/bin/env node\n${code}`);
chmodSync(entry, 0o755);
