import { neutralised } from "../bytes.ts";
import type { Cause } from "../explain/cause.ts";
import type { Against } from "../flow/against.ts";
import type { Verdict, WorldRun } from "../flow/check.ts";
import { environmentWords } from "../lock/environment.ts";
import type { Prepared } from "../flow/prepare.ts";
import type { MaterialsRead } from "../flow/reads.ts";
import { showCauses } from "./causes.ts";
import { counted, duration, grouped, short, type Terminal } from "./terminal.ts";

/** Shows what a build starts from. */
export function showPrepared(terminal: Terminal, prepared: Prepared): void {
  const { recipe, source, lock } = prepared;
  terminal.line(terminal.strong(`bitforbit · ${recipe.name}`));
  terminal.line();
  const identity =
    source.commit === undefined
      ? `${source.kind} ${neutralised(source.uri)}\n${source.treeDigest}`
      : `commit ${source.commit.slice(0, 12)}${source.tag === undefined ? "" : ` · tag ${neutralised(source.tag.name)} (signature: ${source.tag.signature})`}`;
  terminal.step("source", identity);
  if (source.dirty.length > 0) {
    const shown = source.dirty.slice(0, 3).map(neutralised).join(", ");
    terminal.step(
      "",
      terminal.bad(
        `dirty: ${source.dirty.length} tracked files differ from the commit (${shown}${source.dirty.length > 3 ? ", …" : ""})`,
      ),
    );
  }
  const materials = lock.materials.filter((material) => material.kind === "dependency").length;
  terminal.step("lock", `${counted(materials, "dependency", "dependencies")} pinned by digest`);
  terminal.step("", environmentWords(lock.environment));
}

/** Shows the two builds and what came of comparing them. */
export function showVerdict(terminal: Terminal, verdict: Verdict): void {
  for (const [index, run] of verdict.worlds.entries()) {
    terminal.step(index === 0 ? "build" : "", `${run.world.name.padEnd(12)} ${worldLine(terminal, run)}`);
  }
  for (const run of verdict.worlds) if (run.failure !== undefined) showFailure(terminal, run);
  if (verdict.read !== undefined) showRead(terminal, verdict.read);
  const ran = verdict.worlds.every((run) => run.failure === undefined);
  if (verdict.against !== undefined) showAgainst(terminal, verdict.against, verdict.difference !== undefined);
  else if (ran && verdict.outcome !== "built-once") terminal.step("compare", compareLine(terminal, verdict));
  showCauses(terminal, verdict.causes);
  terminal.step("verdict", verdictLine(terminal, verdict));
  if (verdict.breaks.flat().includes("clock")) for (const line of REAL_TIME) terminal.step("", line);
  for (const open of verdict.open) terminal.step("", terminal.dim(`left open: ${open}`));
  for (const [index, crutch] of verdict.crutches.entries()) terminal.step(index === 0 ? "crutches" : "", crutch);
  for (const lack of [...verdict.lacks, ...verdict.unasked])
    terminal.step("", terminal.dim(`not covered: ${lack.what}; ${lack.remedy}`));
  for (const caveat of verdict.caveats) terminal.step("", terminal.dim(caveat));
}

/** What the canonical build was seen to read, of what is locked and of what is not. */
function showRead(terminal: Terminal, { environment, dependencies, undeclared, doubts, tools }: MaterialsRead): void {
  const packages = environment.read.length + environment.unread.length;
  const all = dependencies.read.length + dependencies.unread.length;
  const locked = [
    ...(packages === 0 ? [] : [`${grouped(environment.read.length)} of ${counted(packages, "package")}`]),
    ...(all === 0 ? [] : [`${grouped(dependencies.read.length)} of ${counted(all, "dependency", "dependencies")}`]),
  ];
  const files = undeclared.reduce((sum, { paths }) => sum + paths.length, 0);
  const owners = undeclared.filter((one) => one.package !== undefined).length;
  const from = owners === 0 ? "" : ` of ${counted(owners, "package")}`;
  const loose =
    files === 0 ? terminal.good("nothing that is not locked") : `${counted(files, "file")}${from} not locked`;
  terminal.step("read", [...locked, loose].join(" · "));
  const [first] = undeclared.flatMap(({ paths }) => paths);
  if (packages > 0 && first !== undefined) terminal.step("", terminal.dim(`not locked: ${neutralised(first)}`));
  if (tools.length > 0) {
    const named = [...new Map(tools.map(({ name, version }) => [name, `${name} ${version}`])).values()];
    terminal.step("", terminal.dim(neutralised(named.join(" · "))));
  }
  for (const doubt of doubts) terminal.step("", terminal.dim(`not all that it read was seen: ${neutralised(doubt)}`));
}

function worldLine(terminal: Terminal, run: WorldRun): string {
  const { world } = run;
  const sign = run.failure === undefined ? terminal.good("built") : terminal.bad("failed");
  const about = [
    `${world.user.name}@${world.hostname}`,
    elided(world.buildPath),
    world.timezone,
    world.locale,
    `umask ${world.umask.toString(8).padStart(3, "0")}`,
    ...(world.cpus === undefined ? [] : [`${world.cpus} CPU`]),
    ...(world.clockHeld === undefined ? [] : ["clock held still"]),
    ...(world.clockOffset === 0 ? [] : [`+${Math.floor(world.clockOffset / 86_400)} days`]),
    `${world.directoryOrder} directories`,
    ...(world.kernel === undefined ? [] : [`kernel ${world.kernel}`]),
    ...(world.firstPid === undefined ? [] : [`processes from ${world.firstPid}`]),
    ...(world.fileSystem === undefined ? [] : ["tmpfs"]),
    ...(world.vcs === undefined ? [] : ["a git repository"]),
    ...(world.load === undefined ? [] : ["a busy machine"]),
  ].join(" · ");
  return `${sign} in ${duration(run.milliseconds)}\n${terminal.dim(`  ${about}`)}`;
}

const elided = (path: string): string => (path.length > 32 ? `${path.slice(0, 16)}…${path.slice(-15)}` : path);

function showFailure(terminal: Terminal, run: WorldRun): void {
  const reason = neutralised(run.failure?.reason ?? "");
  const said = /^(?:the|an) /.test(reason) ? `: ${reason}` : ` the build ${reason}`;
  terminal.step("failure", terminal.bad(`in the ${run.world.name} world${said}`));
  if ((run.failure?.tail ?? "") === "") return;
  for (const line of (run.failure?.tail ?? "").split("\n").slice(-12)) {
    terminal.step("", terminal.dim(`│ ${neutralised(line).slice(0, terminal.width - 16)}`));
  }
}

function compareLine(terminal: Terminal, verdict: Verdict): string {
  const bytes = verdict.outputs.reduce((sum, output) => sum + output.size, 0);
  const what = `${counted(verdict.outputs.length, "output")}, ${counted(bytes, "byte")}`;
  if (verdict.difference === undefined) return `${what}: ${terminal.good("identical, bit for bit")}`;
  return `${what}: ${terminal.bad("they differ")}`;
}

function verdictLine(terminal: Terminal, verdict: Verdict): string {
  const total =
    verdict.covered.length + new Set([...verdict.lacks, ...verdict.unasked].flatMap((lack) => lack.causes)).size;
  const coverage = terminal.dim(`${verdict.covered.length} of ${total} variations`);
  switch (verdict.outcome) {
    case "reproducible":
      if (verdict.crutches.length > 0) return `${terminal.good("reproducible")}, held still from outside (determinise)`;
      return `${terminal.good("reproducible")} in ${agreementText(verdict)} · ${coverage}`;
    case "differs":
      return `${terminal.bad("does not reproduce")}: ${namesOf(verdict.causes)} · ${coverage}`;
    case "fails-in-adversarial":
      return `${terminal.bad("fails in the adversarial world")}${breaksText(verdict)}, which is not the same as differing`;
    case "built-once":
      return "built once: that says nothing about whether it reproduces";
    case "matches-given":
      return `${terminal.good("reproduces the given artifact")}, bit for bit`;
    case "differs-from-given": {
      const names = namesOf(verdict.causes);
      return `${terminal.bad("differs from the given artifact")}${names === "" ? "" : `: ${names}`}`;
    }
    case "failed":
      return terminal.bad("the build failed");
  }
}

const MAX_FILES = 8;

/** What was given, file by file, and the output that each is held against. */
function showAgainst(terminal: Terminal, { files, notGiven, unseen }: Against, compared: boolean): void {
  const wrong = files.filter(({ digest, built }) => digest !== built);
  const same = files.length - wrong.length;
  terminal.step(
    "compare",
    `${same} of ${counted(files.length, "given file")} ${same === 1 ? "is" : "are"} what was built`,
  );
  for (const { name, digest, output, built } of wrong.slice(0, MAX_FILES)) {
    const is = output === undefined ? "no output could be it" : `${neutralised(output)} is ${short(built ?? "")}`;
    terminal.step("", `${neutralised(name)}: given ${short(digest)}, ${is}`);
  }
  if (wrong.length > MAX_FILES) terminal.step("", terminal.dim(`and ${wrong.length - MAX_FILES} more`));
  if (notGiven.length > 0)
    terminal.step("", terminal.dim(`built and not given: ${counted(notGiven.length, "output")}`));
  if (wrong.length > 0 && unseen !== undefined && !compared) terminal.step("", unseen);
}

const percent = (share: number): string => `${Number((share * 100).toPrecision(2))}%`;

/** What agreeing builds say, and what they do not. */
function agreementText({ agreement }: Verdict): string {
  if (agreement === undefined) return "two worlds";
  const { builds, rarity, missed } = agreement;
  const how = builds === 2 ? "two worlds" : `${builds} builds`;
  return `${how} (an outcome of ${percent(rarity)} of builds would be missed with ${percent(missed)})`;
}

/** What helps a build that fails where the clock is another. */
const REAL_TIME = [
  "remedy: let it not ask what day it is (certificates that are valid for long, openssl verify -attime $SOURCE_DATE_EPOCH)",
  "or, where it needs the real time: 'bitforbit check --no-vary clock', and no-vary = [\"clock\"] in bitforbit.toml",
];

/** "because of clock, or of path with locale". */
function breaksText({ breaks }: Verdict): string {
  return breaks.length === 0 ? "" : ` because of ${breaks.map((one) => one.join(" with ")).join(", or of ")}`;
}

const namesOf = (causes: readonly Cause[]): string =>
  [...new Set(causes.map((cause) => cause.name))].filter((name) => name !== "consequence").join(", ");

/** One line per artifact with its whole digest, as `sha256sum` prints it. */
export function showArtifacts(
  terminal: Terminal,
  artifacts: readonly { path: string; digest: string; size: number }[],
): void {
  const width = Math.min(50, Math.max(...artifacts.map(({ path }) => path.length), 1));
  for (const { path, digest, size } of artifacts.slice(0, 20)) {
    terminal.line(
      `  ${neutralised(path).padEnd(width)} ${grouped(size).padStart(12)} B  ${artifacts.length > 6 ? short(digest) : digest}`,
    );
  }
  if (artifacts.length > 20)
    terminal.line(terminal.dim(`  … and ${grouped(artifacts.length - 20)} more ('--json' lists all)`));
}
