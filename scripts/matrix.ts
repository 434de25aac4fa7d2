/**
 * The published projects in examples/, through the command line as a user has it:
 *
 *     npm run matrix                      all of them
 *     npm run matrix -- yq-go hello-deb   these; the rows of the others stay
 *     npm run matrix -- --print …         writes no file
 *
 * Each is locked in an empty home and built in two worlds; built again with
 * the registries out of reach; locked again in a second empty home, whose lock
 * must be the same to the byte; and built there. docs/matrix.md gets the
 * table. The exit code is 1 when a cell says anything but yes.
 */
import { spawn, spawnSync } from "node:child_process";
import { cpSync, existsSync, globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join, resolve } from "node:path";
import { performance } from "node:perf_hooks";
import { parse } from "smol-toml";
import { HEADER, type Row, rowLine, rowsOf, withRows } from "./matrix-table.ts";

const ROOT = resolve(import.meta.dirname, "..");
const BITFORBIT = join(ROOT, "bin/bitforbit");
const PAGE = join(ROOT, "docs/matrix.md");

const LOCK = "bitforbit.lock";

/** No build here takes a quarter of it, even on a busy machine. */
const LONGEST = 40 * 60_000;

interface Output {
  path: string;
  digest: string;
}

/** What of schemas/{lock,build,error}.schema.json is used here. */
interface Document {
  verdict?: string;
  environment?: string;
  materials?: number;
  causes?: { name: string }[];
  caveats?: string[];
  notCovered?: { what: string }[];
  worlds?: { name: string; failure?: string; log?: string }[];
  outputs?: Output[];
  read?: {
    environment: { read: unknown[]; unread: unknown[] };
    dependencies: { read: unknown[]; unread: unknown[] };
    undeclared: { files: number; paths: string[] }[];
    doubts: string[];
  };
  changes?: { counts?: { added: number; removed: number; changed: number } };
  error?: { code: string; message: string };
}

interface Ran {
  code: number | null;
  document: Document;
  seconds: number;
}

type Env = Readonly<Record<string, string>>;

interface Offline {
  /** Words before the command. */
  prefix: readonly string[];
  env: Env;
  how: string;
}

async function bitforbit(folder: string, home: string, args: readonly string[], offline?: Offline): Promise<Ran> {
  const words = [...(offline?.prefix ?? []), BITFORBIT, ...args, "--json", "--home", home];
  const [program = BITFORBIT, ...rest] = words;
  const began = performance.now();
  return await new Promise((done, fail) => {
    const child = spawn(program, rest, {
      cwd: folder,
      // Roots of environments are otherwise shared by all homes of the machine.
      env: { ...process.env, NO_COLOR: "1", BITFORBIT_CACHE: `${home}-cache`, ...offline?.env },
      timeout: LONGEST,
      stdio: ["ignore", "pipe", "pipe"],
    });
    let [stdout, stderr] = ["", ""];
    child.stdout.on("data", (chunk: Buffer) => (stdout += chunk.toString()));
    child.stderr.on("data", (chunk: Buffer) => (stderr = (stderr + chunk.toString()).slice(-20_000)));
    child.on("error", fail);
    child.on("close", (code) => {
      done({ code, document: documentOf(stdout, stderr), seconds: (performance.now() - began) / 1000 });
    });
  });
}

function documentOf(stdout: string, stderr: string): Document {
  try {
    return JSON.parse(stdout) as Document;
  } catch {
    return { error: { code: "none", message: stderr.trim().split("\n").at(-1) ?? "no document and no words" } };
  }
}

/** Clients that ask again and again would make an hour of saying no. */
const NO_RETRIES: Env = {
  npm_config_fetch_retries: "0",
  PIP_RETRIES: "0",
  CARGO_NET_RETRY: "0",
};

/** A network namespace with nothing in it where that may be made; a proxy that nobody answers at, always. */
function offlineMeans(): Offline {
  const dead = "http://127.0.0.1:9";
  const names = ["http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"];
  const env = { ...NO_RETRIES, ...Object.fromEntries(names.map((name) => [name, dead])), no_proxy: "", NO_PROXY: "" };
  const may = process.geteuid?.() === 0 && spawnSync("unshare", ["-n", "true"]).status === 0;
  return may
    ? { prefix: ["unshare", "-n"], env, how: "in an empty network namespace" }
    : { prefix: [], env, how: "with every proxy set to a dead port" };
}

/** What went wrong, in a line. */
function reason({ code, document }: Ran): string {
  const world = document.worlds?.find(({ failure }) => failure !== undefined);
  const words = document.error?.message ?? world?.failure ?? `exit code ${code}`;
  const log = world?.log?.split("\n").findLast((line) => /error|cannot|not found|failed/i.test(line));
  return [...words.split("\n").slice(0, 1), ...(log === undefined ? [] : [log.trim()])].join(": ").slice(0, 300);
}

/** "yes", or how many of the outputs differ and which is the first. */
function compared(first: readonly Output[], again: Ran): string {
  const second = again.document.outputs ?? [];
  if (again.code === 2 || again.code === 3 || again.code === 4 || again.code === null) return `no: ${reason(again)}`;
  const digests = new Map(second.map(({ path, digest }) => [path, digest]));
  const others = first.filter(({ path, digest }) => digests.get(path) !== digest);
  if (first.length > 0 && others.length === 0 && second.length === first.length) return "yes";
  return `no: ${others.length} of ${first.length} differ${others[0] === undefined ? "" : `, ${others[0].path} first`}`;
}

function copyExample(name: string, into: string, lock: "with lock" | "without lock"): string {
  const folder = join(into, name);
  const left = ["dist", ".bitforbit", ...(lock === "with lock" ? [] : [LOCK])];
  cpSync(join(ROOT, "examples", name), folder, { recursive: true, filter: (path) => !left.includes(basename(path)) });
  return folder;
}

/** Packages of the environment that a lock pins; 0 when it is the host's. */
function packagesIn(lock: string): number {
  const { environment } = parse(lock) as { environment?: { packages?: unknown[] } };
  return environment?.packages?.length ?? 0;
}

function recipeOf(name: string): { ecosystem?: string; source?: unknown } {
  return parse(readFileSync(join(ROOT, "examples", name, "bitforbit.toml"), "utf8"));
}

/** One project, in folders of its own that go when it is done. */
async function measure(name: string, offline: Offline): Promise<Row> {
  const work = mkdtempSync(join(tmpdir(), "bitforbit-matrix-"));
  try {
    return await measureIn(work, name, offline);
  } finally {
    spawnSync("chmod", ["-R", "u+rwX", work]);
    rmSync(work, { recursive: true, force: true });
  }
}

async function measureIn(work: string, name: string, offline: Offline): Promise<Row> {
  const folder = copyExample(name, work, "with lock");
  const home = join(work, "home");
  const row: Row = { project: name, ecosystem: recipeOf(name).ecosystem ?? "", ...NOT_RUN, remarks: [] };
  const committed = existsSync(join(folder, LOCK)) ? readFileSync(join(folder, LOCK), "utf8") : undefined;

  const locked = await bitforbit(folder, home, ["lock", "--update"]);
  row.lockSeconds = locked.seconds;
  if (locked.code !== 0) return { ...row, verdict: "not locked", remarks: [reason(locked)] };
  const lock = readFileSync(join(folder, LOCK), "utf8");
  row.committed = committed === undefined ? "none" : committed === lock ? "yes" : drift(locked);
  row.environment = (locked.document.environment ?? "").replace(/,.*$/, "");
  row.materials = `${locked.document.materials ?? 0} + ${packagesIn(lock)}`;

  const built = await bitforbit(folder, home, ["build"]);
  row.buildSeconds = built.seconds;
  row.verdict = built.document.verdict ?? "failed";
  if (built.code !== 0) row.remarks.push(reasonOfVerdict(built));
  row.remarks.push(...remarksOn(built.document));
  const outputs = built.document.outputs ?? [];
  row.outputs = String(outputs.length);
  row.read = readOf(built.document);
  row.undeclared = undeclaredOf(built.document);

  row.offline = compared(outputs, await bitforbit(folder, home, ["build", "--once"], offline));
  // The proof that nothing could be reached: what needs the registries ends with "the world outside failed".
  const proof = await bitforbit(
    copyExample(name, join(work, "proof"), "without lock"),
    join(work, "nothing"),
    ["lock"],
    offline,
  );
  if (proof.code !== 4) row.offline = `no: locking offline in an empty home ended with ${proof.code}`;

  const second = copyExample(name, join(work, "second"), "without lock");
  const again = await bitforbit(second, join(work, "home-2"), ["lock"]);
  row.secondLock = again.code !== 0 ? `no: ${reason(again)}` : sameBytes(folder, second) ? "yes" : "no";
  if (row.secondLock === "yes") {
    row.secondRoot = compared(outputs, await bitforbit(second, join(work, "home-2"), ["build", "--once"]));
  } else {
    const third = copyExample(name, join(work, "third"), "without lock");
    writeFileSync(join(third, LOCK), lock);
    row.secondRoot = compared(outputs, await bitforbit(third, join(work, "home-3"), ["build", "--once"]));
  }
  return row;
}

const NOT_RUN = {
  environment: "",
  materials: "",
  read: "",
  undeclared: "",
  outputs: "",
  lockSeconds: undefined,
  buildSeconds: undefined,
  verdict: "",
  committed: "",
  offline: "not run",
  secondLock: "not run",
  secondRoot: "not run",
} as const satisfies Partial<Row>;

function sameBytes(a: string, b: string): boolean {
  return readFileSync(join(a, LOCK)).equals(readFileSync(join(b, LOCK)));
}

/** How the lock that was made now is not the one that is committed. */
function drift(locked: Ran): string {
  const counts = locked.document.changes?.counts;
  if (counts === undefined) return "no";
  if (counts.added + counts.removed + counts.changed === 0) return "no: the same materials, another format";
  return `no: ${counts.added} added, ${counts.removed} removed, ${counts.changed} changed`;
}

function reasonOfVerdict(built: Ran): string {
  const causes = [...new Set(built.document.causes?.map(({ name }) => name))];
  return causes.length > 0 ? `differs by ${causes.join(", ")}` : reason(built);
}

/** How many of the materials the canonical build was seen to read. */
function readOf({ read }: Document): string {
  return read === undefined ? "not seen" : `${read.dependencies.read.length} + ${read.environment.read.length}`;
}

/** How many files it read that are not locked. */
function undeclaredOf({ read }: Document): string {
  if (read === undefined) return "not seen";
  const files = read.undeclared.reduce((sum, one) => sum + one.files, 0);
  const first = read.undeclared[0]?.paths[0];
  return `${files}${first === undefined || files > 9 ? "" : `: ${first}`}`;
}

function remarksOn({ caveats = [], notCovered = [], read }: Document): string[] {
  return [
    ...caveats.filter((text) => !text.startsWith("clock:") && !text.startsWith("environment:")),
    ...(read?.doubts ?? []),
    ...notCovered.map(({ what }) => `not varied: ${what}`),
  ];
}

const words = process.argv.slice(2);
const printOnly = words.includes("--print");
const wanted = words.filter((word) => !word.startsWith("--"));
const names = globSync(join(ROOT, "examples/*/bitforbit.toml"))
  .map((path) => basename(dirname(path)))
  .filter((name) => recipeOf(name).source !== undefined)
  .sort();
const unknown = wanted.filter((name) => !names.includes(name));
if (unknown.length > 0) {
  console.error(`no such project: ${unknown.join(", ")}; there are ${names.join(", ")}`);
  process.exit(2);
}
const offline = offlineMeans();
console.error(`registries out of reach: ${offline.how}`);
console.log(HEADER);
let well = true;
for (const name of wanted.length > 0 ? wanted : names) {
  const row = await measure(name, offline);
  console.log(rowLine(row));
  well &&=
    [row.offline, row.secondLock, row.secondRoot].every((cell) => cell === "yes") && row.verdict === "reproducible";
  if (printOnly) continue;
  mkdirSync(dirname(PAGE), { recursive: true });
  const page = existsSync(PAGE) ? readFileSync(PAGE, "utf8") : "";
  // After each: a run that is cut short loses one row.
  writeFileSync(
    PAGE,
    withRows(page, [...rowsOf(page).filter((line) => !line.startsWith(`| ${name} |`)), rowLine(row)], names),
  );
}
process.exit(well ? 0 : 1);
