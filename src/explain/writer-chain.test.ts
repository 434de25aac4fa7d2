/** The graph of a trace, and questions to traces written by hand and by chance. */
import { strict as assert } from "node:assert";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import * as fc from "fast-check";
import { utf8 } from "../bytes.ts";
import { memorySource } from "../bytesource.ts";
import type { FileEvent, Trace } from "../sandbox/trace.ts";
import { bears, type TreeFiles, treeFiles } from "./bearing.ts";
import { buildGraph } from "./build-graph.ts";
import { asTyped } from "./commands.ts";
import { scriptFiles } from "./script-files.ts";
import { scriptPlace } from "./script-place.ts";
import { writerOf } from "./writer.ts";

const ROOT = "/build/thing";

/** Processes as `parent: command`, events as `process what path [to]`, paths below the build path. */
function traceOf(processes: readonly [parent: number, command: string[]][], events: readonly string[]): Trace {
  return {
    processes: processes.map(([parent, argv], id) => ({
      id,
      parent: parent < 0 ? undefined : parent,
      argv,
      directory: ROOT,
      began: 0,
    })),
    events: events.map((text): FileEvent => {
      const [process = "", what = "", path = "", to = ""] = text.split(" ");
      const event = { process: Number(process), what, path: `${ROOT}/${path}` };
      return (to === "" ? event : { ...event, to: `${ROOT}/${to}` }) as FileEvent;
    }),
    doubts: [],
  };
}

const treeOf =
  (files: Readonly<Record<string, string>>): TreeFiles =>
  (path, use) => {
    const text = files[path];
    return text === undefined ? undefined : use(memorySource(utf8(text), path));
  };

const asked = (trace: Trace, artifact: string, evidence: string, files?: Readonly<Record<string, string>>) =>
  writerOf({ artifact, leaf: [], evidence: utf8(evidence) }, trace, {
    buildPath: ROOT,
    sources: [],
    ...(files === undefined ? {} : { tree: treeOf(files) }),
  });

const PAIR: [number, string[]][] = [
  [-1, ["make"]],
  [0, ["gen", "a b", "it's"]],
  [0, ["pack"]],
];

test("folders that are renamed, links, and links to folders lead back", () => {
  for (const [events, output] of [
    [["1 write tmp/in/x", "2 rename tmp out"], "out/in/x"],
    [["1 write x", "2 link x out"], "out"],
    [["1 write x", "2 symlink x out"], "out"],
    [["1 write v1/x", "2 symlink v1 latest"], "latest/x"],
    [["2 symlink v1 latest", "1 write latest/x"], "v1/x"],
    [["1 write x", "2 symlink x y", "2 rename y z"], "z"],
    [["1 write x", "2 rename x y", "2 rename y z"], "z"],
  ] as const) {
    assert.deepEqual(asked(traceOf(PAIR, events), output, "bytes")?.argv, ["gen", "a b", "it's"], events.join(", "));
  }
  assert.equal(asked(traceOf(PAIR, ["1 write x", "2 unlink x"]), "x", "bytes"), undefined);
  assert.equal(asked(traceOf(PAIR, ["2 symlink a b", "2 symlink b a", "1 write c"]), "a", "bytes"), undefined);
});

test("what is there and lacks the bytes did not hand them on; what is gone may have", () => {
  const trace = traceOf(
    [
      [-1, ["make"]],
      [0, ["tell"]],
      [0, ["middle"]],
      [0, ["final"]],
    ],
    ["1 write a", "2 read a", "2 write b", "3 read b", "3 write out"],
  );
  const file = (files: Record<string, string>): string | undefined => asked(trace, "out", "the-host", files)?.file;
  assert.equal(file({ a: "the-host", b: "the-host", out: "by the-host" }), "a");
  assert.equal(file({ a: "the-host", out: "by the-host" }), "a", "b was removed");
  assert.equal(file({ a: "the-host", b: "something else", out: "by the-host" }), "out");
  assert.equal(file({ a: "the-host", b: "\u001f\u008b", out: "by the-host" }), "out");
  assert.equal(file({ a: "x", b: "the-host", out: "by the-host" }), "b");
  assert.equal(file({}), "out", "without files the last writer is sure");
  assert.equal(
    asked(trace, "out", "aaaaaa", { a: "aaaaaa", out: "aaaaaa" })?.file,
    "out",
    "one byte over and over says nothing",
  );
});

test("of several inputs that bear the bytes one rule's first stands for all; of several rules what joined them", () => {
  const events = ["1 write a", "2 write b", "3 read a", "3 read b", "3 write out"];
  const files = { a: "the-host", b: "the-host", out: "the-host the-host" };
  const named = (two: string): string | undefined =>
    asked(
      traceOf(
        [
          [-1, ["make"]],
          [0, ["gcc", "a"]],
          [0, [two, "b"]],
          [0, ["link"]],
        ],
        events,
      ),
      "out",
      "the-host",
      files,
    )?.argv[0];
  assert.equal(named("gcc"), "gcc");
  assert.equal(named("other"), "link");
});

test("parents are told from the outermost down, without what says nothing", () => {
  const trace = traceOf(
    [
      [-1, ["sh", "-c", "exec make -j2 all"]],
      [0, ["make", "-j2", "all"]],
      [1, ["/bin/sh", "-c", "cd sub && env LC_ALL=C ./gen 'x y'\n  true"]],
      [2, ["env", "LC_ALL=C", "./gen", "x y"]],
      [3, ["./gen", "x y"]],
      [4, ["./gen", "x y"]],
    ],
    ["5 write out"],
  );
  const writer = asked(trace, "out", "bytes");
  assert.deepEqual(writer?.parents, ["make -j2 all", "cd sub && env LC_ALL=C ./gen 'x y'; true"]);
  assert.deepEqual([writer?.directory, writer?.file], [".", "out"]);
  const long = { id: 0, parent: undefined, argv: ["x", "y".repeat(500)], directory: "/" };
  assert.equal(asTyped(long).length, 200);
});

test("bytes are found across the windows that files are read in", () => {
  const size = (1 << 20) + 4096;
  for (const at of [0, (1 << 20) - 5, (1 << 20) - 1, 1 << 20, size - 8]) {
    const content = new Uint8Array(size);
    content.set(utf8("the-host"), at);
    assert.ok(bears(memorySource(content), utf8("the-host")), String(at));
    assert.ok(!bears(memorySource(content), utf8("the-hosT")), String(at));
  }
});

function scratch(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "bitforbit-chain-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

test("nothing outside of a hostile tree is read, and no folder or fifo in it", (t) => {
  const folder = scratch(t);
  mkdirSync(join(folder, "tree/sub"), { recursive: true });
  writeFileSync(join(folder, "secret"), "the-host");
  writeFileSync(join(folder, "tree/own"), "the-host");
  symlinkSync("../secret", join(folder, "tree/out"));
  symlinkSync("..", join(folder, "tree/up"));
  symlinkSync("loop", join(folder, "tree/loop"));
  symlinkSync("own", join(folder, "tree/in"));
  const tree = treeFiles(join(folder, "tree"));
  const size = (path: string): number | undefined => tree(path, (source) => source.size);
  assert.deepEqual(["own", "in", "out", "up/secret", "../secret", "loop", "sub", "nothing", "a\0b"].map(size), [
    8,
    8,
    ...Array.from({ length: 7 }, () => undefined),
  ]);
});

test("scripts: large files, other texts and what is not text are passed over", async (t) => {
  const folder = scratch(t);
  for (const sub of ["node_modules/x", "sub"]) mkdirSync(join(folder, sub), { recursive: true });
  writeFileSync(join(folder, "Makefile"), "all:\n");
  writeFileSync(join(folder, "node_modules/x/build.sh"), "true\n");
  writeFileSync(join(folder, "sub/tool.py"), "pass\n");
  writeFileSync(join(folder, "README.md"), "make\n");
  writeFileSync(join(folder, "large.sh"), "#".repeat((1 << 20) + 1));
  writeFileSync(join(folder, "binary.sh"), Uint8Array.of(0xff, 0xfe, 0));
  symlinkSync("/etc/passwd", join(folder, "link.sh"));
  const found = await scriptFiles(folder);
  assert.deepEqual(
    found.map(({ path }) => path),
    ["Makefile", "sub/tool.py"],
  );
});

const gen = (output: string): string[] => [
  "python3",
  "-m",
  "gen",
  "--flag",
  "--other",
  "--more",
  "-o",
  output,
  "gen.in",
];

test("make's variables, rules and continued lines are put in", () => {
  const text = `PY ?= python3
OUT := build
OPTS = --flag \\
  --other
OPTS += --more
all: $(OUT)/a.txt $(OUT)/b.txt

$(OUT)/a.txt: gen.in | dirs
\t@$(PY) -m gen $(OPTS) \\
\t  -o $@ $<
$(OUT)/b.txt: gen.in
\t@$(PY) -m gen $(OPTS) -o $@ $<
.PHONY: all
LOOP = $(LOOP) x
loop:
\techo $(LOOP)
`;
  const place = (argv: string[]) =>
    scriptPlace([{ id: 0, parent: undefined, argv, directory: ROOT, began: 0 }], [{ path: "sub/Makefile", text }], {
      path: `${ROOT}/x`,
      cause: undefined,
    });
  assert.deepEqual([place(gen("build/a.txt"))?.line, place(gen("build/b.txt"))?.line], [9, 12]);
  assert.equal(place(["something", "else"]), undefined);
});

test("traces of chance: an answer is a process of the trace, the same each time, and asking ends", () => {
  const name = fc.constantFrom("a", "b", "c", "d/e", "d/f", "g", "d");
  const argv = fc.constantFrom<string[][]>(
    ["sh", "-c", "x > a; y | z > b"],
    ["sh", "s.sh"],
    ["cp", "a", "b"],
    ["tar", "-cf", "a"],
    ["gzip"],
    ["x"],
    ["gcc", "-c"],
    ["cc1"],
    [],
  );
  const event = fc.tuple(
    fc.constantFrom("read", "write", "write", "read", "rename", "link", "symlink", "unlink"),
    name,
    name,
    fc.nat(11),
  );
  fc.assert(
    fc.property(
      fc.array(argv, { minLength: 1, maxLength: 12 }),
      fc.array(fc.nat(11)),
      fc.array(event, { maxLength: 40 }),
      (all, above, events) => {
        const processes = all.map((words, id): [number, string[]] => [id === 0 ? -1 : (above[id] ?? 0) % id, words]);
        const trace = traceOf(
          processes,
          events.map(
            ([what, path, to, who]) =>
              `${who % all.length} ${what} ${path}${/read|write|unlink/.test(what) ? "" : ` ${to}`}`,
          ),
        );
        const files = { a: "the-host", b: "x the-host", "d/e": "none", g: "the-host" };
        for (const artifact of ["a", "b", "d/e", "g"]) {
          const found = asked(trace, artifact, "the-host", files);
          const again = asked({ ...trace }, artifact, "the-host", files);
          assert.deepEqual(found, again);
          if (found === undefined) assert.equal(buildGraph(trace).final(`${ROOT}/${artifact}`), undefined);
          else assert.ok(processes.some(([, words]) => words.join("\0") === found.argv.join("\0")));
        }
      },
    ),
    { numRuns: 500 },
  );
});

test("a long build is asked within bounds", () => {
  const events = Array.from(
    { length: 60_000 },
    (_, at) => `${1 + (at % 2)} ${at % 3 === 0 ? "read" : "write"} f${at % 5000}`,
  );
  const trace = traceOf(PAIR, [...events, "1 read f1", "1 write out"]);
  assert.ok(asked(trace, "out", "the-host", { f1: "the-host", out: "the-host" }) !== undefined);
});
