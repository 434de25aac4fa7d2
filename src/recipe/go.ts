import { join } from "node:path";
import { namesIn, walkTree } from "../tree.ts";
import { type Detected, recipeName, recipeWith, script } from "./detected.ts";
import { hasFile, readProjectFile } from "../project-file.ts";

/**
 * Go: modules are downloaded when the lock is made (go.sum checks them); the
 * build has that download folder as its proxy and checks go.sum again.
 */
export async function detectGo(folder: string, fallbackName: string): Promise<Detected | undefined> {
  const text = await readProjectFile(folder, "go.mod");
  if (text === undefined) return await detectWithoutModules(folder, fallbackName);
  const module = /^\s*module\s+"?([^\s"]+)"?/m.exec(text)?.[1];
  const name = recipeName(
    module
      ?.replace(/\/v\d+$/, "")
      .split("/")
      .at(-1),
    fallbackName,
  );
  const assumed: string[] = [];
  const needsSum = /^\s*require\b/m.test(text);
  const vendored = await hasFile(folder, "vendor/modules.txt");
  if (needsSum && !(await hasFile(folder, "go.sum"))) assumed.push("go.sum is missing: go mod tidy makes it");
  const program = await hasProgram(folder);
  if (!program) assumed.push("no package main found: the output is the compiled archive of the root package");
  const flags = `-trimpath -buildvcs=false -ldflags=-buildid=`;
  const recipe = recipeWith({
    name,
    ecosystem: "go",
    tools: ["go"],
    lockfiles: needsSum ? ["go.sum"] : [],
    env: { GOTOOLCHAIN: "local", GOFLAGS: vendored ? "-mod=vendor" : "-mod=readonly -modcacherw" },
    ...(vendored || !needsSum ? {} : { fetch: script('GOMODCACHE="$BITFORBIT_DEPS/go" go mod download') }),
    command: script(
      'export GOPROXY="file://$BITFORBIT_DEPS/go/cache/download" GOSUMDB=off GONOSUMDB= GOPRIVATE=',
      "mkdir -p dist",
      program ? `go build ${flags} -o dist/ ./...` : `go build ${flags} -buildmode=archive -o dist/${name}.a .`,
    ),
    outputs: program ? ["dist/*"] : [`dist/${name}.a`],
  });
  return { recipe, assumed };
}

/**
 * Sources from before modules, or of a single program: the package in the folder itself, which can import the standard
 * library and no more. Where there is a Makefile, that says how they are built.
 */
async function detectWithoutModules(folder: string, fallbackName: string): Promise<Detected | undefined> {
  const names = (await namesIn(folder)).filter((name) => name.endsWith(".go") && !name.endsWith("_test.go"));
  if (names.length === 0) return undefined;
  for (const name of ["GNUmakefile", "makefile", "Makefile"]) if (await hasFile(folder, name)) return undefined;
  const texts = await Promise.all(names.map(async (name) => await readProjectFile(folder, name)));
  const program = texts.some((text) => text !== undefined && /^package main\b/m.test(text));
  const name = recipeName(undefined, fallbackName);
  const output = program ? `dist/${name}` : `dist/${name}.a`;
  return {
    recipe: recipeWith({
      name,
      ecosystem: "go",
      tools: ["go"],
      env: { GOTOOLCHAIN: "local", GO111MODULE: "off" },
      command: script(
        "mkdir -p dist",
        // By its files: a folder outside GOPATH is named by its path, which -trimpath leaves in the program.
        `go build -trimpath -ldflags=-buildid= ${program ? "" : "-buildmode=archive "}-o ${output} $(LC_ALL=C ls *.go | grep -v '_test\\.go$')`,
      ),
      outputs: [output],
    }),
    assumed: ["go.mod is missing: built without modules, from the standard library alone (go mod init makes it)"],
  };
}

/** Whether some package of the module is a program. Looks at no more than 20,000 entries. */
async function hasProgram(folder: string): Promise<boolean> {
  let seen = 0;
  for await (const entry of walkTree(folder)) {
    if (++seen > 20_000) return true;
    if (entry.type !== "file" || !entry.path.endsWith(".go") || entry.path.endsWith("_test.go")) continue;
    if (/(?:^|\/)(?:testdata|vendor|\.git|_[^/]*)\//.test(entry.path)) continue;
    const text = await readProjectFile(folder, join(entry.path)).catch(() => undefined);
    if (text !== undefined && /^package main\b/m.test(text) && !/^\/\/go:build ignore\b/m.test(text)) return true;
  }
  return false;
}
