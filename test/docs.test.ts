/** The documentation says what the program does: every verb and option is in it, every link leads to a file. */
import { strict as assert } from "node:assert";
import { existsSync, globSync, readFileSync, statSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import test from "node:test";
import { verbEntries } from "../src/cli/program.ts";
import { notVaried } from "../src/vary/not-varied.ts";
import { variations, worldPair } from "../src/vary/worlds.ts";
import { bitforbit, scratchFolder } from "./command.ts";

const COMMANDS = "docs/reference/commands.md";
const commands = readFileSync(COMMANDS, "utf8");
const pages = globSync(["README.md", "ARCHITECTURE.md", "docs/**/*.md"]).sort();

/** Words in quotes that begin with our name, in messages and in pages: a command that is advised. */
const ADVISED = /['`]bitforbit ([a-z][^'`\n]*)['`]/g;

/** What is wrong with an advised command: a verb, an action or an option that does not exist. */
function unknownIn(advised: string): string | undefined {
  const [verb = "", second = ""] = advised.split(" ");
  const entry = verbEntries().find(({ usage }) => usage.split(" ")[0] === verb);
  if (entry === undefined) return ["complete", "help"].includes(verb) ? undefined : `no verb ${verb}`;
  const { usage, summary, options } = entry;
  if (usage.includes("<action>") && /^[a-z-]+$/.test(second) && !summary.includes(second)) return `no action ${second}`;
  const known = options.flatMap(([names]) => names.match(/--[a-z][a-z-]*/g) ?? []);
  return [...advised.matchAll(/(?<= )--[a-z][a-z-]*/g)].map(([name]) => name).find((name) => !known.includes(name));
}

test("what a message or a page advises can be typed", () => {
  const wrong = ["bitforbit wibble", "bitforbit log wobble", "bitforbit build --wibble"];
  for (const one of wrong) assert.ok(unknownIn(one.replace("bitforbit ", "")) !== undefined, one);
  let advice = 0;
  const found: string[] = [];
  for (const file of [...globSync("src/**/*.ts"), ...pages].filter((name) => !name.endsWith(".test.ts"))) {
    for (const [, advised = ""] of readFileSync(file, "utf8").matchAll(ADVISED)) {
      advice++;
      const unknown = unknownIn(advised);
      if (unknown !== undefined) found.push(`${file}: 'bitforbit ${advised}' (${unknown})`);
    }
  }
  assert.deepEqual(found, []);
  assert.ok(advice > 100, `${advice}`);
});

/** The section of a verb; what every verb has stands in a section of its own. */
function section(title: string): string {
  const [, after] = commands.split(`\n## ${title}\n`);
  assert.ok(after !== undefined, `${COMMANDS} has no section ${title}`);
  return after.split("\n## ")[0] ?? "";
}

/** The verbs that `--help` lists. */
const verbsIn = (help: string): string[] =>
  [...help.matchAll(/^ {2}([a-z]+) (?:\[options\]|\[command\])/gm)]
    .map((match) => match[1] ?? "")
    .filter((verb) => verb !== "help");

/** "--output <dir>", "-o", … : each way to give an option, with what it takes. */
function optionsIn(help: string): string[] {
  const lines = [...help.matchAll(/^ {2}((?:-[a-zA-Z], )?--[a-z][a-z-]*(?: <[^>]+>)?)(?= )/gm)];
  return lines.map((match) => match[1] ?? "");
}

test("every verb and every option of --help is in the reference, and no other", async (t) => {
  const folder = scratchFolder(t);
  const verbs = verbsIn((await bitforbit(folder, ["--help"])).stdout);
  assert.ok(verbs.length >= 14, verbs.join(" "));
  const shared = section("Every verb");
  for (const verb of verbs) {
    const { stdout } = await bitforbit(folder, [verb, "--help"]);
    const usage = /^Usage: bitforbit (.*)$/m.exec(stdout)?.[1]?.replace(" [options]", "") ?? "?";
    const own = section(verb);
    assert.ok(own.includes(`\`bitforbit ${usage}\``), `${verb}: the usage is "bitforbit ${usage}"`);
    const options = optionsIn(stdout);
    assert.ok(options.length >= 3, stdout);
    for (const option of options) {
      assert.ok(own.includes(`| \`${option}\` |`) || shared.includes(`| \`${option}\` |`), `${verb}: ${option}`);
    }
    for (const [, told = ""] of own.matchAll(/^\| `(-[^`]+)` \|/gm)) {
      assert.ok(options.includes(told), `${verb}: ${told} is in the reference, but not in --help`);
    }
  }
});

test("every environment variable that the program reads is in the reference", () => {
  const names = globSync("src/cli/**/*.ts").flatMap((file) =>
    [...readFileSync(file, "utf8").matchAll(/\b(?:environment|process\.env)\["([A-Z_]+)"\]/g)].map((match) => match[1]),
  );
  assert.ok(names.includes("BITFORBIT_HOME"));
  for (const name of names) assert.ok(section("Every verb").includes(`\`${name}`) || name === "TERM", name);
});

test("an action that the reference names takes the arguments that it is given there", async (t) => {
  const folder = scratchFolder(t);
  for (const [verb, action, argument] of [
    ["policy", "explain", "no-such-file"],
    ["log", "prove", "0"],
    ["store", "show", `sha256:${"0".repeat(64)}`],
  ] as const) {
    const { stderr } = await bitforbit(folder, [verb, action, argument]);
    assert.doesNotMatch(stderr, /too many arguments|has no action/, `${verb} ${action}`);
  }
});

/** Headings as their anchors are written: lower case, without punctuation, spaces as dashes. */
function anchorsOf(page: string): string[] {
  const text = readFileSync(page, "utf8").replaceAll(/^```[\s\S]*?^```/gm, "");
  return [...text.matchAll(/^#+ (.*)$/gm)].map((match) =>
    (match[1] ?? "")
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, "")
      .replaceAll(" ", "-"),
  );
}

test("every relative link leads to a file, and to a heading in it", () => {
  assert.ok(pages.includes("ARCHITECTURE.md") && pages.includes("docs/tutorial.md"), pages.join(" "));
  for (const page of pages) {
    const text = readFileSync(page, "utf8").replaceAll(/^```[\s\S]*?^```/gm, "");
    for (const [, target = ""] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(target)) continue;
      const [path = "", anchor] = target.split("#");
      const file = path === "" ? page : normalize(join(dirname(page), path));
      assert.ok(!file.startsWith("..") && existsSync(file), `${page}: ${target} leads nowhere`);
      if (anchor === undefined || !file.endsWith(".md") || !statSync(file).isFile()) continue;
      assert.ok(anchorsOf(file).includes(anchor), `${page}: ${target}: no such heading`);
    }
  }
});

test("every page can be reached from docs/README.md", () => {
  const index = readFileSync("docs/README.md", "utf8");
  for (const page of pages.filter((name) => name.startsWith("docs/") && name !== "docs/README.md")) {
    assert.ok(index.includes(`](${page.slice("docs/".length)})`), `${page} is not in docs/README.md`);
  }
});

const oneLine = (text: string): string => text.replaceAll(/\s+/g, " ").trim();

test("docs/variations.md says of every variation what the variation says of itself, and of its values", () => {
  const page = readFileSync("docs/variations.md", "utf8");
  const headings = [...page.matchAll(/^## (.*)$/gm)].map((match) => match[1]);
  assert.deepEqual(headings, [...variations.map(({ name }) => name), "What is not varied"]);
  for (const { name, how, shows, remedy, beyond } of variations) {
    const text = page.split(`\n## ${name}\n`)[1]?.split("\n## ")[0] ?? "";
    const told = `- **How**: ${how} - **In bytes**: ${shows} - **Remedy**: ${remedy}. - **Cannot reach**: ${beyond}`;
    assert.equal(oneLine(text).replaceAll(/\\([*_])/g, "$1"), oneLine(told), name);
    assert.match(page, new RegExp(`^\\| \\[${name}\\]\\(#${name}\\) \\| \\S.* \\| \\S.* \\|$`, "m"), name);
  }
  for (const { name, why, known, remedy } of notVaried) {
    assert.ok(oneLine(page).includes(oneLine(`- **${name}**: ${why} ${known} Remedy: ${remedy}.`)), name);
  }
  const table = page.split("\n|---|---|---|\n")[1]?.split("\n\n")[0] ?? "";
  const [canonical, adversarial] = worldPair("NAME");
  for (const { buildPath, hostname, timezone, locale, user } of [canonical, adversarial]) {
    for (const value of [buildPath, hostname, timezone, locale, user.name, user.home, String(user.uid)]) {
      assert.ok(table.includes(value), value);
    }
  }
  const { firstPid = 0, memoryShown = 0, environment } = adversarial;
  const values = [firstPid, memoryShown / 1024, environment["PYTHONHASHSEED"], environment["PERL_HASH_SEED"]];
  for (const value of [...values, environment["TERM"], environment["COLUMNS"]]) {
    assert.ok(table.includes(String(value)), String(value));
  }
});
