/** The report in a browser: a million differences, the keyboard, the choice of kinds, and nothing that the inputs can do to it. */
import { strict as assert } from "node:assert";
import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import type { Difference, Leaf } from "../src/diff/difference.ts";
import { reportHtml } from "../src/diff/html.ts";
import type { Reading } from "../src/diff/reading.ts";
import { noBrowser, openPage, type Page } from "./browser.ts";
import { scratchFolder } from "./command.ts";

const skip = noBrowser ?? false;
const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text));
const at = (offset: number, length: number, other: number = length): Leaf["ranges"] => [
  { a: { offset, length }, b: { offset, length: other } },
];
const field = (path: string[], name: string, a: string, b: string): Leaf => ({
  kind: "leaf",
  path,
  what: "field",
  field: name,
  a,
  b,
  ranges: at(4, 12),
});
const text = (path: string[], a: string, b: string): Leaf => ({
  kind: "leaf",
  path,
  what: "text",
  a,
  b,
  bytesA: bytes(a),
  bytesB: bytes(b),
  atA: 0,
  atB: 0,
  ranges: at(0, a.length, b.length),
});
const raw = (path: string[], a: Uint8Array, b: Uint8Array, offset: number): Leaf => ({
  kind: "leaf",
  path,
  what: "bytes",
  bytesA: a,
  bytesB: b,
  atA: 0,
  atB: 0,
  ranges: at(offset, 1),
});
const node = (path: string[], format: string, ...children: (Difference | Leaf)[]): Difference => ({
  kind: "node",
  path,
  format,
  children,
});
const readingOf = (difference: Difference | undefined, rest: Partial<Reading> = {}): Reading => ({
  a: { name: "old.tar", size: 10_240, sha256: "a".repeat(64) },
  b: { name: "new.tar", size: 10_240, sha256: "b".repeat(64) },
  difference,
  excluded: [],
  incomplete: [],
  ...rest,
});

async function htmlOf(reading: Reading): Promise<string> {
  const pieces: string[] = [];
  for await (const piece of reportHtml(reading)) pieces.push(piece);
  return pieces.join("");
}

async function shown(t: TestContext, reading: Reading): Promise<{ page: Page; file: string }> {
  const file = join(scratchFolder(t), "report.html");
  writeFileSync(file, await htmlOf(reading));
  const page = await openPage();
  t.after(() => page.close());
  await page.size(1280, 800);
  await page.open(`file://${file}`);
  await page.until(
    "document.querySelector('article .row') || document.querySelector('main.nothing')",
    "the report is drawn",
  );
  return { page, file };
}

/** What was asked of the network is the file itself, and nothing was refused or failed. */
function quiet(page: Page, file: string): void {
  assert.deepEqual([...new Set(page.happened.requests)], [`file://${file}`]);
  assert.deepEqual(page.happened.complaints, []);
}

const current = "document.querySelector('article[data-current=true]')";
const inView = `(() => { const box = ${current}?.getBoundingClientRect(); const feed = document.querySelector('.feed').getBoundingClientRect(); return box !== undefined && box.top < feed.bottom && box.bottom > feed.top; })()`;
const hash = async (page: Page): Promise<string> => await page.value("location.hash");

const listing = (extra: string): string =>
  [
    ...Array.from({ length: 30 }, (_, line) => `mov r${line}, ${line}`),
    extra,
    ...Array.from({ length: 30 }, (_, line) => `nop ${line}`),
  ].join("\n");

const small = node(
  [],
  "directory",
  node(
    ["x.tar"],
    "tar",
    field(["x.tar", "m"], "mtime", "1700000000", "1700003600"),
    node(["x.tar", "m"], "text", text(["x.tar", "m"], "one two\n", "one three\n")),
  ),
  node(["lib.so"], "ELF", {
    ...field(["lib.so", "symbol main"], "code", listing("call one"), listing("call two")),
    listing: true,
  }),
  node(
    ["z"],
    "bytes",
    raw(["z"], bytes("0123456789abcdef0123456789abcdef"), bytes("0123456789abcdef0123X56789abcdef"), 20),
  ),
  { ...field(["x.tar"], "derived", "", ""), a: "1", b: "2", note: "follows" },
);

test("the same reading gives the same bytes, and names of the inputs stand in data only", async () => {
  const evil = "</script><script>alert(1)</script><!--<img src=x onerror=alert(1)>";
  const reading = readingOf(node([], "directory", text([evil], evil, `${evil}2`)), {
    excluded: [{ rule: evil, reason: evil, leaves: 1, bytes: 1 }],
    incomplete: [{ path: [evil], why: evil }],
  });
  const html = await htmlOf(reading);
  assert.equal(html, await htmlOf(reading));
  assert.doesNotMatch(html, /alert\(1\)<\/script>|<img/);
  assert.equal(html.match(/<script>/g)?.length, 1, "one script is a program");
  const [, program = ""] = /<script>([\s\S]*?)<\/script>/.exec(html) ?? [];
  assert.ok(html.includes(`script-src 'sha256-${createHash("sha256").update(program).digest("base64")}'`));
  assert.doesNotMatch(
    program,
    /innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|fetch\(|XMLHttpRequest|import\(/,
  );
  assert.doesNotMatch(html.replace(program, ""), /https?:\/\//, "no address to ask");
});

test(
  "a million differences: few elements, the end is reached, and any place at once",
  { skip, timeout: 400_000 },
  async (t) => {
    const files = 100_000;
    const [a, b] = [bytes("0123456789abcdef0123456789abcdef"), bytes("0123456789abcdef0123X56789abcdef")];
    const many = Array.from({ length: files }, (_, file): Difference => {
      const path = [`dir${file % 1000}/file-${file}`, "m"];
      return node(
        path,
        "text",
        ...Array.from({ length: 10 }, (__, k): Leaf =>
          k % 3 === 0
            ? field(path, "mtime", String(1e9 + file), String(1e9 + file + k))
            : k % 3 === 1
              ? text(path, `line ${file} ${k} old\n`, `line ${file} ${k} new\n`)
              : raw(path, a, b, 20),
        ),
      );
    });
    const { page, file } = await shown(t, readingOf(node([], "directory", ...many)));
    const elements = async (): Promise<number> => await page.value("document.querySelectorAll('main *').length");
    assert.ok((await elements()) < 3000);
    assert.ok(
      await page.value("document.querySelector('.feed').scrollHeight < 17e6"),
      "a height that every browser can have",
    );

    const first = await page.value<string>("document.querySelector('article').getAttribute('aria-label')");
    await page.wheel(800, 500, 400);
    await page.until("document.querySelector('.feed').scrollTop > 0");
    await page.value("new Promise((done) => setTimeout(done, 600))");
    const rank = await page.value<number>(
      "Number([...document.querySelectorAll('article')].find((one) => one.getBoundingClientRect().bottom > 300).getAttribute('aria-posinset'))",
    );
    assert.ok(rank > 1 && rank < 30, `a turn of the wheel moves by rows, not by thousands (${rank})`);
    assert.match(first, /file-0/);

    await page.value("document.querySelector('.feed').scrollTop = 1e9");
    await page.until("document.querySelector('article[aria-posinset=\"1000000\"] .row')", "the last difference");
    await page.value("new Promise((done) => setTimeout(done, 400))");
    assert.ok(
      await page.value(
        "document.querySelector('article[aria-posinset=\"1000000\"]').getBoundingClientRect().bottom <= innerHeight + 1",
      ),
      "it stands whole in view",
    );
    assert.ok((await elements()) < 3000);

    await page.value("location.hash = '#d543211'");
    await page.until(`${current}?.getAttribute('aria-posinset') === '543211' && ${inView}`);
    assert.match(await page.value(`${current}.textContent`), /#543211/);
    await page.value("document.querySelector('.feed').scrollTop = 3e6");
    await page.until(
      "[...document.querySelectorAll('article')].some((one) => one.querySelector('.row') && Math.abs(Number(one.getAttribute('aria-posinset')) - 500000) < 20000)",
      "the middle",
    );

    const frames = `new Promise((done) => { const feed = document.querySelector('.feed'); const times = []; let last = performance.now(); const step = () => { const now = performance.now(); times.push(now - last); last = now; feed.scrollTop += 90; times.length < 60 ? requestAnimationFrame(step) : done(times.sort((x, y) => x - y)[30]); }; requestAnimationFrame(step); })`;
    const median = await page.value<number>(frames);
    assert.ok(median < 60, `a frame takes ${median} ms while it scrolls`);

    await page.value(
      "[...document.querySelectorAll('.chip')].find((chip) => chip.textContent.startsWith('mtime')).click()",
    );
    await page.until(
      "document.querySelector('.status').textContent.startsWith('400,000 of 1,000,000 differences hidden: mtime 400,000')",
    );
    quiet(page, file);
  },
);

test("the keyboard goes everywhere, and says where it is", { skip, timeout: 60_000 }, async (t) => {
  const { page, file } = await shown(t, readingOf(small));
  await page.key("j");
  assert.equal(await hash(page), "#d2");
  await page.until(`document.activeElement === ${current}`, "the difference has the focus");
  assert.match(
    await page.value("document.querySelector('[aria-live]').textContent"),
    /difference 2 of 5: text in x\.tar › m/,
  );
  await page.key("ArrowDown");
  assert.equal(await hash(page), "#d3");
  await page.key("k");
  assert.equal(await hash(page), "#d2");
  await page.key("n");
  const third = await hash(page);
  await page.key("p");
  assert.equal(await hash(page), "#d1");
  await page.key("n");
  assert.equal(await hash(page), third);
  await page.key("G");
  assert.equal(await hash(page), "#d5");
  await page.key("g");
  assert.equal(await hash(page), "#d1");

  await page.until(`${current}.querySelector('.row')`);
  await page.key("Enter");
  await page.until(`!${current}.querySelector('.row')`, "folded");
  await page.key("Enter");
  await page.until(`${current}.querySelector('.row')`, "unfolded");

  await page.key("?");
  assert.equal(await page.value("document.querySelector('dialog').open"), true);
  await page.key("Escape");
  await page.until("!document.querySelector('dialog').open");
  await page.key("t");
  assert.equal(await page.value("document.activeElement.getAttribute('role')"), "tree");
  await page.key("End");
  await page.until("document.querySelector('[role=treeitem][aria-selected=true]').textContent.startsWith('z')");
  await page.key("Home");
  await page.key("ArrowLeft");
  await page.until("document.querySelector('[role=treeitem]').getAttribute('aria-expanded') === 'false'");
  assert.equal(
    await page.value(
      "document.getElementById(document.querySelector('[role=tree]').getAttribute('aria-activedescendant')).getAttribute('aria-selected')",
    ),
    "true",
  );

  await page.key("/");
  await page.type("CALL TWO");
  await page.until("document.querySelector('.hits').textContent.startsWith('1 hit')");
  await page.key("Enter");
  await page.until(`${current}.textContent.includes('symbol main')`);
  quiet(page, file);
});

test("text by words, bytes by bytes, listings by lines, times as dates", { skip, timeout: 60_000 }, async (t) => {
  const { page } = await shown(t, readingOf(small));
  const cells = async (label: string): Promise<string[]> =>
    await page.value(
      `[...[...document.querySelectorAll('article')].find((one) => one.getAttribute('aria-label') === ${JSON.stringify(label)}).querySelectorAll('mark')].map((one) => one.textContent)`,
    );
  assert.deepEqual(await cells("text in x.tar › m"), ["two", "three"]);
  assert.deepEqual(await cells("code in lib.so › symbol main"), ["one", "two"]);
  assert.deepEqual(await cells("bytes in z"), ["34", "4", "58", "X"]);
  const all = await page.value<string>("document.querySelector('.feed').textContent");
  assert.match(all, /2023-11-14T22:13:20Z.*2023-11-14T23:13:20Z \(1 h later\)/);
  const rows = await page.value<number>(
    "[...document.querySelectorAll('article')].find((one) => one.getAttribute('aria-label').startsWith('code')).querySelectorAll('.row').length",
  );
  assert.equal(rows, 1 + 3 + 1 + 3 + 1, "three lines around the one that changed, and how it goes on");
});

test(
  "kinds are hidden and counted; what was excluded or not looked into stands at the top",
  { skip, timeout: 60_000 },
  async (t) => {
    const { page } = await shown(
      t,
      readingOf(small, {
        excluded: [{ rule: "kind field:mode", reason: "umask", leaves: 212, bytes: 3401 }],
        incomplete: [{ path: ["big"], why: "not compared: the time was over" }],
      }),
    );
    const sayings = await page.value<string>(
      "[...document.querySelectorAll('.saying')].map((one) => one.textContent).join('|')",
    );
    assert.equal(
      sayings,
      "212 differences excluded by kind field:mode, 3,401 bytes: umask|big: not compared: the time was over",
    );
    const press = async (name: string): Promise<void> =>
      void (await page.value(
        `[...document.querySelectorAll('.chip')].find((chip) => chip.textContent.startsWith(${JSON.stringify(name)})).click()`,
      ));
    await press("derived");
    await press("mtime");
    await page.until("document.querySelectorAll('article').length === 3");
    assert.equal(
      await page.value("document.querySelector('.status').textContent"),
      "2 of 5 differences hidden: mtime 1, derived 1",
    );
    assert.equal(await page.value("[...document.querySelectorAll('.chip[aria-pressed=false]')].length"), 2);
    await press("all");
    await page.until("document.querySelectorAll('article').length === 5");
    assert.equal(await page.value("document.querySelector('.status').textContent"), "");
  },
);

const EVIL = `"'><img src=x onerror="document.title='owned'"><script>document.title='owned'</script>\u202e\u200b\u001b[2J javascript:alert(1) ]]>--></script>`;

test(
  "names, values, listings, notes and rules of strangers are text and nothing else",
  { skip, timeout: 60_000 },
  async (t) => {
    const difference = node(
      [],
      EVIL,
      {
        ...node([EVIL], EVIL, text([EVIL], EVIL, `${EVIL}2\n`), field([EVIL, `a/${EVIL}`], EVIL, EVIL, `${EVIL}2`)),
        note: EVIL,
      },
      { ...field([EVIL], "code", `${EVIL}\n1`, `${EVIL}\n2`), listing: true, note: EVIL },
      { kind: "leaf", path: [`${EVIL}3`], what: "only-b", b: EVIL, bytesB: bytes(EVIL), ranges: at(0, 0, 9) },
    );
    const { page, file } = await shown(t, {
      ...readingOf(difference, {
        excluded: [{ rule: EVIL, reason: EVIL, leaves: 1, bytes: 1 }],
        incomplete: [{ path: [EVIL], why: EVIL }],
      }),
      a: { name: EVIL },
      b: { name: EVIL },
    });
    await page.value("[...document.querySelectorAll('details')].forEach((one) => { one.open = true; })");
    for (const key of ["j", "j", "j", "t", "End"]) await page.key(key);
    await page.value("new Promise((done) => setTimeout(done, 200))");
    assert.equal(
      await page.value("document.querySelectorAll('img, iframe, object, [onerror], a[href^=javascript]').length"),
      0,
    );
    assert.doesNotMatch(await page.value("document.title"), /^owned/);
    const told = await page.value<string>("document.body.innerText");
    assert.match(told, /<img src=x onerror=/);
    assert.doesNotMatch(told, /[\u202e\u200b\u001b]/u);
    assert.match(told, /\\u\{202e\}\\u\{200b\}\\u\{001b\}/);
    quiet(page, file);
  },
);

test("equal inputs, paper, and the dark", { skip, timeout: 60_000 }, async (t) => {
  const { page: same } = await shown(t, readingOf(undefined));
  assert.match(await same.value("document.body.innerText"), /The two are identical/);
  const { page: but } = await shown(t, readingOf(undefined, { excluded: [{ rule: "path x", leaves: 2, bytes: 7 }] }));
  const told = await but.value<string>("document.body.innerText");
  assert.match(told, /equal but for what was excluded/);
  assert.doesNotMatch(told, /identical/);

  const { page } = await shown(t, readingOf(small));
  const pdf = await page.pdf();
  assert.ok(pdf.length > 5000);
  await page.value("dispatchEvent(new Event('beforeprint'))");
  assert.equal(await page.value("document.querySelectorAll('.paper .leaf').length"), 5);
  const paper = async (scheme: string): Promise<string> => {
    await page.media({ "prefers-color-scheme": scheme });
    return await page.value("getComputedStyle(document.body).backgroundColor");
  };
  assert.notEqual(await paper("dark"), await paper("light"));
});
