/** The report of causes in a browser: cause by cause, the bytes in their place, the keyboard, and nothing that a build can do to it. */
import { strict as assert } from "node:assert";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import type { Difference, Leaf } from "../src/diff/difference.ts";
import type { Cause } from "../src/explain/cause.ts";
import type { Verdict } from "../src/flow/check.ts";
import { checkReport } from "../src/flow/check-report.ts";
import type { Prepared } from "../src/flow/prepare.ts";
import { worldPair } from "../src/vary/worlds.ts";
import { noBrowser, openPage, type Page } from "./browser.ts";
import { bitforbit, project, scratchFolder } from "./command.ts";

const skip = noBrowser ?? false;
const EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\u202e";

const text = (path: string[], a: string, b: string): Leaf => ({
  kind: "leaf",
  path,
  what: "text",
  a,
  b,
  bytesA: new Uint8Array(Buffer.from(a)),
  bytesB: new Uint8Array(Buffer.from(b)),
  atA: 0,
  atB: 0,
  ranges: [{ a: { offset: 0, length: a.length }, b: { offset: 0, length: b.length } }],
});
const field: Leaf = {
  kind: "leaf",
  path: ["out.tar", "when.txt"],
  what: "field",
  field: "mtime",
  a: "1795399725",
  b: "1795399727",
  ranges: [{ a: { offset: 136, length: 12 }, b: { offset: 136, length: 12 } }],
};
const lines = (end: string): string => `${Array.from({ length: 40 }, (_, at) => `line ${at}`).join("\n")}\n${end}\n`;
const difference: Difference = {
  kind: "node",
  path: [],
  format: "directory",
  children: [
    {
      kind: "node",
      path: ["out.tar"],
      format: "tar",
      children: [field, text(["out.tar", "when.txt"], lines("made 2026-11-23"), lines("made 2027-12-28"))],
    },
    { kind: "node", path: [EVIL], format: "text", children: [text([EVIL], `${EVIL}1`, `${EVIL}2`)] },
    { kind: "node", path: ["SUMS"], format: "text", children: [text(["SUMS"], "aaaa", "bbbb")] },
  ],
};

const cause = (name: Cause["name"], artifact: string, leaf: string[], rest: Partial<Cause> = {}): Cause => ({
  name,
  artifact,
  leaf,
  offset: undefined,
  evidence: { a: "here", b: "there" },
  confidence: "certain",
  remedy: "",
  ...rest,
});

const causes: Cause[] = [
  cause("clock", "out.tar", ["when.txt"], {
    evidence: { a: "2026-11-23", b: "2027-12-28" },
    offset: 300,
    basis: "watermark",
    remedy: "take SOURCE_DATE_EPOCH",
    command: {
      argv: ["date", "+%F"],
      directory: ".",
      file: "when.txt",
      parents: ["make", "date +%F > when.txt"],
      script: { path: "Makefile", line: 8, text: "date +%F > $@" },
    },
  }),
  cause("mtime", "out.tar", ["when.txt", "mtime"], { basis: "field", evidence: { a: "1795399725", b: "1795399727" } }),
  cause("unknown", EVIL, [], { confidence: "possible", evidence: { a: EVIL, b: "x" }, tried: ["18 variations", EVIL] }),
  cause("consequence", "SUMS", [], { from: ["out.tar", "when.txt"], basis: "digest" }),
];

const [canonical, adversarial] = worldPair("thing");
const run = (world: typeof canonical): Verdict["worlds"][number] => ({
  world,
  times: { start: Date.UTC(2026, 10, 23), end: Date.UTC(2026, 10, 23) + 1000 },
  milliseconds: 1000,
  peakMemory: 1 << 24,
  outputs: [],
  failure: undefined,
});
const differs: Verdict = {
  outcome: "differs",
  worlds: [run(canonical), run(adversarial)],
  outputs: [],
  outputsFolder: undefined,
  difference,
  causes,
  covered: ["clock", "mtime"],
  lacks: [{ what: "no second processor", remedy: "run on two", causes: ["cpu-count"] }],
  unasked: [],
  caveats: [EVIL],
  read: undefined,
  notCanonical: [],
  builds: 5,
  resumed: 0,
  breaks: [],
  open: ["the budget ended"],
  agreement: undefined,
  crutches: [],
};
const prepared = {
  recipe: { name: `thing ${EVIL}` },
  source: { kind: "folder", uri: `file:///src/${EVIL}` },
  lock: { environment: { type: "host" } },
} as unknown as Prepared;

async function htmlOf(verdict: Verdict): Promise<string> {
  const pieces: string[] = [];
  for await (const piece of checkReport(prepared, verdict)) pieces.push(piece);
  return pieces.join("");
}

async function shown(t: TestContext, verdict: Verdict, hash = ""): Promise<Page> {
  const file = join(scratchFolder(t), "why.html");
  writeFileSync(file, await htmlOf(verdict));
  const page = await openPage();
  t.after(() => page.close());
  await page.size(1280, 800);
  await page.open(`file://${file}${hash}`);
  await page.until("document.querySelector('main.causes')", "the causes are drawn");
  t.after(() => assert.deepEqual(page.happened.complaints, []));
  t.after(() =>
    assert.deepEqual(new Set(page.happened.requests.map((one) => one.replace(/#.*/, ""))), new Set([`file://${file}`])),
  );
  return page;
}

const inCauses = (page: Page): Promise<boolean> => page.value("!document.querySelector('main.causes').hidden");

test("the same verdict gives the same bytes, and what a build wrote stands in data only", async () => {
  const html = await htmlOf(differs);
  assert.equal(html, await htmlOf(differs));
  assert.doesNotMatch(html, /alert\(1\)<\/script>|<img/);
  assert.equal(html.match(/<script>/g)?.length, 1, "one script is a program");
});

test(
  "cause by cause, with the bytes in their place, the command, the remedy, and what follows",
  { skip },
  async (t) => {
    const page = await shown(t, differs);
    await page.until("document.querySelectorAll('.excerpt .row').length > 4", "the bytes are drawn");
    const told = await page.value<string[]>(
      "[...document.querySelectorAll('section.cause h2')].map((one) => one.textContent)",
    );
    assert.deepEqual(told, [
      "clock certain each world's own value stands there",
      "mtime certain the field itself says so",
      "unknown possible",
    ]);
    const first = await page.value<string>("document.querySelector('section.cause').innerText");
    for (const part of [
      "out.tar › when.txt",
      "at byte 300",
      "2027-12-28",
      "date +%F",
      "Makefile:8",
      "under make › date +%F > when.txt",
      "take SOURCE_DATE_EPOCH",
      "and 1 that follow from it",
    ])
      assert.ok(first.includes(part), `${part} in ${first}`);
    const excerpt = await page.value<string>("document.querySelector('.excerpt').innerText");
    assert.match(excerpt, /made 2026-11-23[\s\S]*made 2027-12-28/);
    const times = await page.value<string>("document.querySelectorAll('section.cause')[1].innerText");
    assert.match(times, /1795399725[\s\S]*1795399727[\s\S]*2 s later/);
    assert.ok(await page.value("document.documentElement.scrollHeight <= 800"), "only the causes scroll");
    const rest = await page.value<string>("document.querySelector('main.causes').innerText");
    for (const part of ["build path", "qelvarn", "no second processor", "run on two", "the budget ended"])
      assert.ok(rest.includes(part), part);
    assert.ok(rest.includes("alert(2)"), "what is hostile is shown as text");
    assert.equal(await page.value("document.querySelectorAll('img, main.causes script').length"), 0);
    assert.match(await page.value("document.title"), /^thing .*: does not reproduce$/);
  },
);

test("the keyboard goes through causes, to the bytes and back", { skip }, async (t) => {
  const page = await shown(t, differs);
  const focused = "document.activeElement.getAttribute('aria-label')";
  await page.key("j");
  assert.match(await page.value(focused), /^cause 1: clock/);
  await page.key("j");
  assert.match(await page.value(focused), /^cause 2: mtime/);
  await page.key("k");
  assert.match(await page.value(focused), /^cause 1: clock/);
  await page.key("Enter");
  assert.equal(await inCauses(page), false);
  await page.until(
    "document.querySelector('article[data-current=true]')?.getAttribute('aria-label')?.startsWith('text in out.tar')",
  );
  await page.key("c");
  assert.equal(await inCauses(page), true);
  assert.match(await page.value(focused), /^cause 1/);
  await page.key("c");
  assert.equal(await inCauses(page), false);
  await page.until("document.querySelector('article .row')", "the differences are laid out");
  await page.value("document.querySelectorAll('.view')[0].click()");
  assert.equal(await inCauses(page), true);
  await page.value("document.querySelector('main.causes details a').click()");
  await page.until(
    "document.querySelector('article[data-current=true]')?.getAttribute('aria-label')?.endsWith('SUMS')",
  );
});

test("an address that names a difference opens it", { skip }, async (t) => {
  const page = await shown(t, differs, "#d2");
  await page.until("document.querySelector('article .row')");
  assert.equal(await inCauses(page), false);
});

test("dark and light, narrow and on paper", { skip }, async (t) => {
  const page = await shown(t, differs);
  const contrast = `(() => {
    const lightness = (colour) => { const [r, g, b] = colour.match(/[\\d.]+/g).map(Number).map((v) => v / 255).map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
    const ground = (one) => { for (let at = one; at; at = at.parentElement) { const c = getComputedStyle(at).backgroundColor; if (!/, 0\\)$/.test(c)) return c; } return "rgb(255, 255, 255)"; };
    const all = [...document.querySelectorAll("main.causes :is(h2, p, a, dd, dt, td, th, li, span, code)")].map((one) => { const [x, y] = [lightness(getComputedStyle(one).color), lightness(ground(one))].sort(); return [(Math.max(x, y) + 0.05) / (Math.min(x, y) + 0.05), one.textContent.slice(0, 40)]; });
    return all.filter(([ratio]) => ratio < 4.5);
  })()`;
  for (const scheme of ["light", "dark"]) {
    await page.media({ "prefers-color-scheme": scheme });
    assert.deepEqual(await page.value(contrast), [], scheme);
  }
  await page.size(420, 800);
  const wide = `[...document.querySelectorAll("body *")].filter((one) => one.closest(".wide, .probe, .paper, [hidden], .sr") === null && one.getBoundingClientRect().right > 421).map((one) => one.tagName + "." + one.className)`;
  await page.until(`${wide}.length === 0`, "nothing is wider than the page");
  assert.ok((await page.pdf()).length > 5000);
});

test("what reproduces, and what fails, have their pages, too", { skip }, async (t) => {
  const same = await shown(t, { ...differs, outcome: "reproducible", difference: undefined, causes: [] });
  assert.equal(await same.value("document.querySelector('h1 .badge').textContent"), "reproducible");
  assert.ok((await same.value<string>("document.body.innerText")).includes("vrompelzak-host"));
  const failed = { ...run(adversarial), failure: { reason: `ended with ${EVIL}`, tail: `one\n\u001b[31m${EVIL}` } };
  const page = await shown(t, {
    ...differs,
    outcome: "fails-in-adversarial",
    worlds: [run(canonical), failed],
    difference: undefined,
    causes: [],
    breaks: [["locale"], ["clock", "path"]],
  });
  const said = await page.value<string>("document.body.innerText");
  assert.match(said, /fails in the adversarial world: locale, or clock with path/);
  assert.match(said, /\\u\{001b\}\[31m/, "escapes are shown, not sent");
});

test("check --html writes it, and says beforehand where it cannot", async (t) => {
  const folder = project(t, {
    "bitforbit.toml": 'name = "tiny"\ncommand = "hostname > out.txt"\noutputs = ["out.txt"]\n',
  });
  const home = ["--home", scratchFolder(t)];
  const nowhere = join(folder, "no/such/why.html");
  const refused = await bitforbit(folder, ["check", "--quick", "--html", nowhere, ...home]);
  assert.equal(refused.code, 2);
  assert.match(refused.stderr, /why\.html: no report can be written there/);
  assert.doesNotMatch(refused.stdout, /built in/);
  const file = join(folder, "why.html");
  const ran = await bitforbit(folder, ["check", "--quick", "--html", file, ...home]);
  assert.equal(ran.code, 1, ran.stdout + ran.stderr);
  assert.match(ran.stdout, /cause {6}hostname \(certain: each world's own value stands there\)\n +out\.txt/);
  assert.ok(existsSync(file) && readFileSync(file, "utf8").includes('"name":"hostname"'));
});
