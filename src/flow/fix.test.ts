/** Which remedies are kept: with verdicts that a stand-in gives, so that every turn can be taken. */
import { strict as assert } from "node:assert";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type TestContext, test } from "node:test";
import type { Clock } from "../clock.ts";
import { digestOf, hexOf } from "../digest.ts";
import type { Difference, Leaf } from "../diff/difference.ts";
import type { Cause } from "../explain/cause.ts";
import { parseRecipe } from "../recipe/recipe.ts";
import type { HostAbilities } from "../sandbox/host.ts";
import type { CauseName } from "../world.ts";
import type { CheckOptions, Verdict } from "./check.ts";
import { type Fixed, fix, type FixOptions } from "./fix.ts";
import { homeAt } from "./home.ts";
import type { Prepared } from "./prepare.ts";

const RECIPE = 'name = "x"\ncommand = "make"\noutputs = ["out"]\n';

function prepared(t: TestContext, files: Readonly<Record<string, string>>, recipeText = RECIPE): Prepared {
  const folder = mkdtempSync(join(tmpdir(), "bitforbit-test-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const staged = join(folder, "staged");
  for (const [path, content] of Object.entries({ "bitforbit.toml": recipeText, ...files })) {
    mkdirSync(dirname(join(staged, path)), { recursive: true });
    writeFileSync(join(staged, path), content);
  }
  writeFileSync(join(folder, "bitforbit.toml"), recipeText);
  const recipe = parseRecipe(recipeText, "bitforbit.toml");
  const recipeDigest = digestOf(recipeText);
  return {
    folder,
    home: homeAt(join(folder, "home")),
    recipe,
    recipeDigest,
    source: {
      kind: "git",
      name: "x",
      uri: "file:x",
      submodules: [],
      dirty: [],
      untracked: 0,
      shallow: false,
      treeDigest: digestOf(""),
      digest: {},
      epoch: 1_700_000_000,
    },
    lock: {
      version: 2,
      name: "x",
      recipe: recipeDigest,
      environment: { type: "host", pinned: false },
      tools: [],
      lockfiles: [],
      materials: [],
    },
    root: undefined,
    recording: undefined,
    deps: undefined,
    staged,
  };
}

/** A place that differs, how much, and why. */
interface Differs {
  name: CauseName;
  artifact: string;
  bytes?: number;
  basis?: Cause["basis"];
}

function verdict(outcome: Verdict["outcome"], differs: readonly Differs[] = [], breaks: CauseName[][] = []): Verdict {
  const leaves = differs.map(({ artifact, bytes = 10 }): Leaf => {
    const range = { offset: 0, length: bytes };
    return { kind: "leaf", path: [artifact], what: "text", ranges: [{ a: range, b: range }] };
  });
  const difference: Difference = { kind: "node", path: [], format: "directory", children: leaves };
  const causes = differs.map(({ name, artifact, basis = "watermark" }): Cause => ({
    name,
    artifact,
    leaf: [],
    offset: 0,
    evidence: { a: "", b: "" },
    confidence: "certain",
    remedy: "",
    basis,
  }));
  return {
    outcome,
    worlds: [],
    outputs: [],
    outputsFolder: undefined,
    difference: differs.length === 0 ? undefined : difference,
    causes,
    covered: [],
    lacks: [],
    unasked: [],
    caveats: [],
    read: undefined,
    notCanonical: [],
    builds: 2,
    resumed: 0,
    breaks,
    open: [],
    agreement: undefined,
    crutches: [],
  };
}

const found = (differs: readonly Differs[]): Verdict =>
  differs.length === 0 ? verdict("reproducible") : verdict("differs", differs);

/** A project as the stand-in sees it: the command, the variables and one file. */
interface Seen {
  command: string;
  env: Record<string, string>;
  make: string;
  quick: boolean;
}

async function fixed(project: Prepared, say: (seen: Seen) => Verdict, more: Partial<FixOptions> = {}): Promise<Fixed> {
  const scratch = join(project.folder, "scratch");
  mkdirSync(scratch, { recursive: true });
  return await fix(project, {
    host: {} as HostAbilities,
    scratch,
    ...more,
    verdictOn: async ({ recipe, staged }: Prepared, { quick = false }: CheckOptions) => {
      const make = readFileSync(join(staged, "Makefile"), "utf8");
      await Promise.resolve();
      return say({ command: recipe.command, env: recipe.env, make, quick });
    },
  });
}

const told = ({ trials }: Fixed): string[] =>
  trials.map(({ cause, remedy, outcome }) => `${cause} ${remedy} ${outcome}`);

const clock: Differs = { name: "clock", artifact: "when" };
const DATED = "all:\n\tdate > when\n";

test("what reproduces is left as it is, after one verdict", async (t) => {
  const result = await fixed(prepared(t, { Makefile: DATED }), () => found([]));
  assert.deepEqual([result.builds, result.files, result.trials, result.diff], [2, [], [], ""]);
});

test("a remedy that helps is kept, as a diff of the project's own line", async (t) => {
  const project = prepared(t, { Makefile: DATED });
  const result = await fixed(project, ({ make }) => found(make.includes("date -u -d") ? [] : [clock]));
  assert.deepEqual(told(result), ["clock date-command helped"]);
  assert.equal(result.after.outcome, "reproducible");
  assert.deepEqual(
    result.files.map(({ path }) => path),
    ["Makefile"],
  );
  assert.match(
    result.diff,
    /^--- a\/Makefile\n\+\+\+ b\/Makefile\n@@ -1,2 \+1,2 @@\n all:\n-\tdate > when\n\+\tdate -u -d /,
  );
  assert.equal(readFileSync(join(project.staged, "Makefile"), "utf8"), DATED, "what was prepared is not written to");
});

test("one that does not help is undone, one that breaks the build too, and one with which something else differs", async (t) => {
  const files = { Makefile: "all:\n\ttar cf out a\n\tdate > when\n" };
  for (const [after, outcome] of [
    [found([clock]), "no-help"],
    [verdict("failed"), "broke"],
    [verdict("fails-in-adversarial"), "broke"],
    [found([{ name: "locale", artifact: "other" }]), "no-help"],
  ] as const) {
    const result = await fixed(prepared(t, files), ({ make }) => (make === files.Makefile ? found([clock]) : after));
    assert.equal(result.trials[0]?.remedy, "tar-times");
    const changing = result.trials.filter(({ changes }) => changes.every(({ path }) => path === "Makefile"));
    for (const trial of changing) assert.equal(trial.outcome, outcome, trial.remedy);
    assert.deepEqual([result.files, result.diff, result.after.outcome], [[], "", "differs"]);
    assert.notEqual(result.trials[0]?.because, undefined);
  }
});

test("the least intrusive comes first, and nothing more is tried for what is gone", async (t) => {
  const makefile = "all:\n\tdate > when\n\tsort x > y\n";
  const result = await fixed(prepared(t, { Makefile: makefile }), ({ command }) =>
    found(command.startsWith("export LC_ALL=C.UTF-8\n") ? [] : [{ name: "locale", artifact: "y" }]),
  );
  assert.deepEqual(told(result), ["locale locale-variable helped"]);
  const after = RECIPE.replace('"make"', "'''\nexport LC_ALL=C.UTF-8\nmake'''");
  assert.equal(result.files[0]?.after, after);
  assert.equal(result.prepared.lock.recipe, digestOf(after));
});

test("what helps only together is tried together", async (t) => {
  const makefile = "all:\n\tgzip x\n\tdate > when\n";
  const result = await fixed(prepared(t, { Makefile: makefile }), ({ make }) =>
    found(make.includes("gzip -n") && make.includes("date -u") ? [] : [clock]),
  );
  assert.deepEqual(told(result), [
    "clock gzip-n no-help",
    "clock date-command no-help",
    "clock gzip-n + date-command helped",
  ]);
  assert.equal(result.after.outcome, "reproducible");
});

test("what is not needed goes: of one remedy some of its lines, of several the ones that others stand in for", async (t) => {
  const makefile = "all:\n\tdate > when\n\tdate > log\n";
  const lines = await fixed(prepared(t, { Makefile: makefile }), ({ make }) =>
    found(/date -u[^\n]*> when/.test(make) ? [] : [clock]),
  );
  assert.match(lines.diff, /^-\tdate > when$/m);
  assert.doesNotMatch(lines.diff, /^-\tdate > log$/m);

  const two: Differs[] = [{ name: "mtime", artifact: "a.gz" }, clock];
  const several = await fixed(prepared(t, { Makefile: "all:\n\tdate > when; gzip when\n" }), ({ make }) => {
    if (make.includes("date -u")) return found([]);
    return found(make.includes("gzip -n") ? [clock] : two);
  });
  assert.deepEqual(told(several), ["mtime gzip-n not-needed", "clock date-command helped"]);
  assert.doesNotMatch(several.diff, /gzip -n/);
});

test("what experiments found is known in quick verdicts, too, and what was hidden is named in a second round", async (t) => {
  const makefile = "all:\n\tuuidgen > id\n\tdate >> id\n";
  const random: Differs = { name: "random", artifact: "id", basis: "experiment" };
  const result = await fixed(prepared(t, { Makefile: makefile }), ({ make, quick }) => {
    if (!make.includes("date -u")) return found([{ ...clock, artifact: "id" }]);
    if (make.includes("--sha1")) return found([]);
    return found([quick ? { name: "unknown", artifact: "id" } : random]);
  });
  assert.deepEqual(told(result), ["clock date-command helped", "random fixed-random helped"]);
  assert.equal(result.after.outcome, "reproducible");
});

test("a build that breaks in another world is mended as well", async (t) => {
  const result = await fixed(prepared(t, { Makefile: DATED }), ({ command }) =>
    command.startsWith("export TZ=UTC\n") ? found([]) : verdict("fails-in-adversarial", [], [["timezone"]]),
  );
  assert.deepEqual(told(result), ["timezone timezone-variable helped"]);
  assert.equal(result.after.outcome, "reproducible");
});

test("one cause only, when one is named", async (t) => {
  const result = await fixed(
    prepared(t, { Makefile: DATED }),
    ({ make, command }) =>
      found([
        ...(make.includes("date -u") ? [] : [clock]),
        ...(command.includes("TZ") ? [] : [{ name: "timezone", artifact: "z" } as const]),
      ]),
    { cause: "timezone" },
  );
  assert.deepEqual(told(result), ["timezone timezone-variable helped"]);
  assert.deepEqual(
    result.after.causes.map(({ name }) => name),
    ["clock"],
  );
});

test("it ends within its builds and its time, and says so", async (t) => {
  const makefile = "all:\n\tdate > when; gzip x; tar cf y z\n";
  const builds = await fixed(prepared(t, { Makefile: makefile }), () => found([clock]), { maxBuilds: 4 });
  assert.deepEqual([builds.trials.length, builds.stopped], [2, "builds"]);

  let elapsed = 0;
  const ticking: Clock = { now: () => 0, elapsed: () => elapsed };
  const time = await fixed(
    prepared(t, { Makefile: makefile }),
    () => {
      elapsed += 60_000;
      return found([clock]);
    },
    { budget: 150_000, clock: ticking },
  );
  assert.deepEqual([time.trials.length, time.stopped], [2, "budget"]);
});

test("an interruption loses the trial under way, and nothing else", async (t) => {
  const interrupt = new AbortController();
  const two: Differs[] = [clock, { name: "timezone", artifact: "z" }];
  let trials = 0;
  const result = await fixed(
    prepared(t, { Makefile: DATED }),
    ({ make, command }) => {
      // The first has both, and breaks the build.
      if (command.includes("TZ") && trials++ === 0) return verdict("failed");
      if (command.includes("TZ") && make.includes("date -u")) {
        interrupt.abort();
        throw new Error("cancelled");
      }
      return found(make.includes("date -u") ? two.slice(1) : two);
    },
    { signal: interrupt.signal },
  );
  assert.equal(result.stopped, "interrupted");
  assert.deepEqual(
    result.files.map(({ path }) => path),
    ["Makefile"],
  );
  assert.deepEqual(
    result.after.causes.map(({ name }) => name),
    ["timezone"],
  );
});

const ZONE: Differs = { name: "timezone", artifact: "z" };
const USER: Differs = { name: "user", artifact: "u" };
const THREE = { Makefile: "all:\n\tdate > when\n\tdate -r x +%H > z\n\twhoami > u\n" };

test("the first remedy of every cause is tried at once; what is not needed of them goes", async (t) => {
  const result = await fixed(prepared(t, THREE), ({ make, command }) =>
    found([
      ...(make.includes("date -u -d") ? [] : [clock]),
      ...(make.includes("date -u -d") || command.includes("TZ") ? [] : [ZONE]),
      ...(make.includes("whoami") ? [USER] : []),
    ]),
  );
  assert.deepEqual(told(result), [
    "clock date-command helped",
    "timezone timezone-variable not-needed",
    "user constant-user helped",
  ]);
  assert.equal(result.after.outcome, "reproducible");
  assert.equal(result.builds, 2 + 2 + 2 * 3 + 2);
  assert.doesNotMatch(result.diff, /TZ/);
});

test("what is mended at once stays, and the rest is tried by itself; what breaks at once is tried one by one", async (t) => {
  const some = await fixed(prepared(t, THREE), ({ make, command }) =>
    found([
      ...(make.includes("date -u -d") ? [] : [clock]),
      ...(command.includes("TZ") ? [] : [ZONE]),
      ...(make.includes("whoami") || !command.includes("LC_ALL") ? [USER] : []),
    ]),
  );
  assert.deepEqual(told(some).slice(0, 3), [
    "clock date-command helped",
    "timezone timezone-variable helped",
    "user constant-user no-help",
  ]);
  const none = await fixed(prepared(t, THREE), ({ make, command }) =>
    make.includes("date -u -d") && command.includes("TZ")
      ? verdict("failed")
      : found([...(make.includes("date -u -d") ? [] : [clock]), ZONE]),
  );
  assert.equal(told(none)[0], "clock date-command helped");
  assert.ok(told(none).includes("timezone timezone-variable broke"), told(none).join());
});

test("a source that is fetched by digest: the recipe changes, and its files in a patch", async (t) => {
  const recipe = `${RECIPE}[source]\npurl = "pkg:npm/x@1"\nsha256 = "${"0".repeat(64)}"\n`.replace(
    '"make"',
    '"make; date > when"',
  );
  const result = await fixed(prepared(t, { Makefile: DATED }, recipe), ({ command }) =>
    found(command.includes("date -u") ? [] : [clock]),
  );
  assert.deepEqual(
    result.files.map(({ path }) => path),
    ["bitforbit.toml"],
  );

  const patched = await fixed(prepared(t, { Makefile: DATED }, recipe), ({ make }) =>
    found(make.includes("date -u") ? [] : [clock]),
  );
  assert.deepEqual(
    patched.files.map(({ path, before }) => [path, before === undefined]),
    [
      ["bitforbit.toml", false],
      ["reproducible.patch", true],
    ],
  );
  assert.ok(patched.diff.endsWith(patched.files[1]?.after ?? "-"));
  assert.deepEqual(patched.prepared.recipe.patches, ["reproducible.patch"]);
  assert.equal(patched.prepared.lock.patches?.[0]?.sha256, hexOf(digestOf(patched.files[1]?.after ?? "")));
});
