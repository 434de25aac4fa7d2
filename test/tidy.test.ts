/** The repository's habits, as tests: floors, file sizes, names, and what may touch the ambient world. */
import { strict as assert } from "node:assert";
import { globSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import test from "node:test";

const FLOOR: Readonly<Record<string, number>> = {
  format: 0,
  recipe: 1,
  source: 1,
  normalise: 1,
  sbom: 1,
  attest: 1,
  keys: 1,
  log: 1,
  oci: 1,
  record: 1,
  // compares what registries and layouts hold
  diff: 2,
  lock: 2,
  sandbox: 2,
  store: 2,
  ledger: 2,
  build: 3,
  environment: 3,
  vary: 3,
  explain: 3,
  policy: 3,
  flow: 4,
  observe: 4,
  gate: 4,
  farm: 4,
  server: 5,
  // composes the server, too
  cli: 6,
};

const files = globSync("src/**/*.{ts,tsx}").sort();
const sources = files.filter((file) => !/\.test\.tsx?$/.test(file));
const text = new Map(files.map((file) => [file, readFileSync(file, "utf8")]));

const roomOf = (file: string): string => (file.split("/").length === 2 ? "" : (file.split("/")[1] ?? ""));
const floorOf = (file: string): number => {
  if (file === "src/index.ts") return 6;
  return roomOf(file) === "" ? 0 : (FLOOR[roomOf(file)] ?? -1);
};

/** Specifiers that are loaded at run time: type-only imports leave nothing behind. */
function imports(file: string): string[] {
  const code = text.get(file) ?? "";
  const statements = code.matchAll(/^(?:import|export)\s+(?!type\s)(?:[^"';]*?\sfrom\s+)?"([^"]+)"/gm);
  const dynamic = code.matchAll(/\bimport\(\s*"([^"]+)"/g);
  return [...statements, ...dynamic].map((match) => match[1] ?? "");
}

const resolved = (file: string, specifier: string): string => normalize(join(dirname(file), specifier));

/** All files and packages that loading `file` loads. */
function closure(file: string, follow: "all" | "static" = "all"): Set<string> {
  const seen = new Set<string>();
  const queue = [file];
  for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
    if (seen.has(next)) continue;
    seen.add(next);
    if (!next.startsWith("src/")) continue;
    const code = text.get(next) ?? "";
    for (const specifier of imports(next)) {
      if (follow === "static" && code.includes(`import("${specifier}")`)) continue;
      queue.push(specifier.startsWith(".") ? resolved(next, specifier) : specifier);
    }
  }
  return seen;
}

test("every room has a floor, and imports lower floors only", () => {
  for (const file of files) {
    assert.ok(floorOf(file) >= 0, `${file}: the room ${roomOf(file)} has no floor`);
    if (file.includes(".test.")) continue;
    for (const specifier of imports(file).filter((name) => name.startsWith("."))) {
      const target = resolved(file, specifier);
      const leaf = roomOf(target) === "" && target !== "src/index.ts";
      if (leaf || roomOf(target) === roomOf(file)) continue;
      assert.ok(
        floorOf(target) < floorOf(file),
        `${file} (floor ${floorOf(file)}) imports ${target} (floor ${floorOf(target)})`,
      );
    }
  }
});

test("nothing that decides can run anything", () => {
  for (const file of sources.filter((name) => /^src\/(policy|gate)\//.test(name))) {
    for (const loaded of closure(file)) {
      assert.ok(
        !/child_process|node:net|node:http|src\/(build|sandbox|cli|server)\//.test(loaded),
        `${file} reaches ${loaded}`,
      );
    }
  }
});

test("verifying loads no server, sandbox or database code, as a library and as a verb", () => {
  for (const entry of [
    "src/policy/verify.ts",
    "src/policy/evidence.ts",
    "src/cli/verbs/verify.ts",
    "src/cli/verbs/evidence.ts",
  ]) {
    for (const loaded of closure(entry, "static")) {
      assert.ok(
        !/sqlite|kysely|hono|child_process|src\/(server|sandbox|build)\//.test(loaded),
        `${entry} loads ${loaded}`,
      );
      assert.ok(loaded !== "src/ledger/ledger.ts", `${entry} loads ${loaded}`);
    }
  }
});

test("what verifies an evidence file can be read in a day: its whole import closure", () => {
  const loaded = [...closure("src/policy/evidence.ts")];
  const lines = loaded
    .filter((name) => name.startsWith("src/"))
    .map((name) => (text.get(name) ?? "").split("\n").length);
  const sum = lines.reduce((total, count) => total + count, 0);
  assert.ok(sum <= 6000, `${sum} lines in ${lines.length} files`);
  const packages = loaded.filter((name) => !name.startsWith("src/")).sort();
  // valibot: the shape of key-rings.
  const known = /^(?:node:(?:crypto|fs|zlib)|valibot)$/;
  assert.deepEqual(
    packages.filter((name) => !known.test(name)),
    [],
    `${sum} lines in ${lines.length} files`,
  );
});

test("no barrel files: only index.ts re-exports", () => {
  for (const file of sources.filter((name) => name !== "src/index.ts")) {
    assert.doesNotMatch(text.get(file) ?? "", /^export\s+(?:\*|(?:type\s+)?\{[^}]*\})\s+from\b/m, `${file} re-exports`);
  }
});

test("no file is named for nothing", () => {
  for (const file of files) {
    assert.doesNotMatch(
      file,
      /\b(?:utils?|helpers?|common|core|manager|service|misc)\b/,
      `${file}: name it for what it is`,
    );
  }
});

test("files are of a size that one reads in a sitting", () => {
  for (const file of files) {
    const lines = (text.get(file) ?? "").split("\n").length;
    assert.ok(lines <= 600, `${file} has ${lines} lines: is it one thing, or several?`);
  }
  assert.ok(readFileSync("ARCHITECTURE.md", "utf8").split("\n").length <= 201, "ARCHITECTURE.md is over 200 lines");
});

/** What only its owner may touch. */
const OWNED: readonly { what: string; pattern: RegExp; owners: readonly string[] }[] = [
  {
    what: "the ambient clock",
    pattern: /\bDate\.now\(|new Date\(\)|performance\.now\(/,
    owners: ["src/clock.ts", "src/exclusive.ts"],
  },
  {
    what: "ambient randomness",
    pattern: /Math\.random|randomBytes|randomUUID|getRandomValues/,
    owners: ["src/entropy.ts", "src/keys/"],
  },
  { what: "the locale", pattern: /localeCompare|toLocale\w+\(|Intl\./, owners: [] },
  {
    what: "the host's compressor",
    pattern: /\b(?:gzipSync|deflateSync|deflateRawSync|createGzip|createDeflate|zstdCompress|brotliCompress)/,
    owners: [],
  },
  { what: "unsorted directory order", pattern: /\breaddirSync?\(|\bopendir\(/, owners: ["src/tree.ts"] },
  {
    what: "private keys",
    pattern: /createPrivateKey|generateKeyPair/,
    // the second: of an authority that lives for one run, in memory
    owners: ["src/keys/", "src/record/authority.ts"],
  },
  { what: "console", pattern: /\bconsole\./, owners: [] },
];

test("the ambient world is touched by its owners only", () => {
  for (const file of sources) {
    for (const { what, pattern, owners } of OWNED) {
      if (owners.some((owner) => file.startsWith(owner))) continue;
      const at = (text.get(file) ?? "").split("\n").findIndex((line) => pattern.test(line));
      assert.equal(at, -1, `${file}:${at + 1} touches ${what}, which belongs to ${owners.join(", ") || "nobody"}`);
    }
  }
});

test("no configuration file too many at the root", () => {
  const known = globSync("{*.json,.*.json,*.config.*,.gitignore}").filter((name) => name !== "package-lock.json");
  assert.ok(known.length <= 6, `at most six configuration files at the root: ${known.join(", ")}`);
});
