import { strict as assert } from "node:assert";
import test from "node:test";
import { digestOf, sha256 } from "../digest.ts";
import { base64 } from "../bytes.ts";
import { artifactPage } from "./artifact-page.ts";
import { buildPage } from "./build-page.ts";
import { buildsPage } from "./builds-page.ts";
import type { BuildRecord, FoundCause, Story } from "./evidence.ts";
import { hexView } from "./hex-view.ts";
import { CONTENT_SECURITY_POLICY, verifyCommands } from "./layout.ts";
import { isPlain, shellWord } from "./markup.ts";
import { memoryEvidence, NOW } from "./memory-evidence.ts";
import { shownAge, shownDuration, shownMetric, shownSize, shownTime } from "./shown.ts";
import { style } from "./style.ts";

const frame = { version: "0.1.0", now: NOW };
const evidence = memoryEvidence();
const storyOf = (verdict: BuildRecord["verdict"]): Story => {
  const build = evidence.builds.find((one) => one.verdict === verdict);
  assert.ok(build);
  return { build, events: evidence.events.get(build.id) ?? [] };
};
const listOf = (builds: readonly BuildRecord[], newest = true): string =>
  buildsPage({ builds, next: undefined, newest, metrics: [], ...frame });

/** Text, attribute and comment break-outs, a terminal escape, and text that runs backwards. */
const HOSTILE = `"'><script>alert(1)</script><img src=x onerror=alert(1)>--><!--\u001b[31m\u202ecod.exe\u0000`;

const commandsOf = (path: string) =>
  verifyCommands({ path, digest: digestOf("x"), size: 1 }).map(({ command }) => command);
const headings = (page: string) => [...page.matchAll(/<h2 id="step-\d">([^<]*)/g)].map(([, title]) => title);
type Side = Parameters<typeof hexView>[0];
const shownBytes = (a: Side, b: Side) => hexView(a, b).toString();
const marked = (html: string) => [...html.matchAll(/<mark>([^<]*)<\/mark>/g)].map(([, bytes]) => bytes);

/** The tags of a page, in order, with their attributes' names. */
function skeleton(html: string): string[] {
  return [...html.matchAll(/<(\/?[a-z][a-z0-9]*)((?:\s+[\w-]+(?:="[^"]*")?)*)\s*>/g)].map(
    ([, tag, attributes]) => `${tag} ${(attributes ?? "").replace(/="[^"]*"/g, "")}`,
  );
}

/** The three pages with `text` wherever a name may stand. */
function pagesWith(text: string): string[] {
  const cause: FoundCause = {
    name: "unknown",
    artifact: text,
    path: text,
    command: text,
    evidence: { text, a: { offset: 0, hex: "00ff" }, b: { offset: 0, hex: text } },
    confidence: 0.5,
    remedy: text,
  };
  const build: BuildRecord = {
    ...storyOf("differs").build,
    project: text,
    source: { uri: text, commit: text, tag: text, tree: text },
    causes: [cause],
    outputs: [{ path: text, digest: digestOf("x"), size: 1 }],
    lacks: [{ what: text, remedy: text }],
    environment: text,
  };
  const data = {
    world: { name: text, hostname: text, environment: { [text]: text }, user: { name: text, home: text } },
    lockfiles: [{ path: text, sha256: text }],
    reasons: [{ check: text, ok: false, message: text, hint: text }],
    predicateType: text,
    digest: text,
    origin: text,
    by: text,
    name: text,
    [text]: text,
  };
  const kinds = ["lock", "world", "verdict", "sbom", "attest", "log", "store", "verify", "promote", "deploy"] as const;
  const events = kinds.map((kind) => ({
    kind,
    at: NOW,
    ok: false,
    environment: text,
    artifact: digestOf("x"),
    data,
  }));
  const metric = { id: text, name: text, value: 1, unit: text, target: text, meets: true, note: text, samples: 1 };
  const stored = { digest: digestOf("x"), name: text, size: 1, mediaType: text, manifest: digestOf("m") };
  const attestation = { digest: digestOf("b"), predicateType: text, bundle: async () => new Uint8Array() };
  const decision = { ok: false, reasons: [{ check: text, ok: false, message: text, hint: text }] };
  const record = { builds: [build], events };
  return [
    buildsPage({ builds: [build], next: undefined, newest: true, metrics: [metric], ...frame }),
    buildPage({ build, events }, frame),
    artifactPage({ digest: digestOf("x"), stored, record, attestations: [attestation], decision, ...frame }),
  ];
}

test("whatever a name holds, the page has the same tags as with a harmless one", () => {
  // A tab, so that neither is offered as a command to copy.
  const harmless = pagesWith("harm\tless");
  pagesWith(HOSTILE).forEach((page, index) => {
    assert.deepEqual(skeleton(page), skeleton(harmless[index] ?? ""));
    assert.doesNotMatch(page, /<script|<img|\sonerror="/i);
    assert.doesNotMatch(
      page,
      /[\u0000-\u0008\u001b\u202e]/u,
      "what steers a terminal or reorders text is made visible",
    );
    assert.match(page, /&lt;script&gt;/);
    assert.match(page, /\\u202e/);
  });
});

test("the policy names the style sheet that the pages carry, and the pages load nothing", () => {
  const page = listOf(evidence.builds);
  const inline = /<style>([\s\S]*?)<\/style>/.exec(page)?.[1] ?? "";
  assert.ok(CONTENT_SECURITY_POLICY.includes(`'sha256-${base64(sha256(inline))}'`));
  for (const [, target] of page.matchAll(/\s(?:src|href)="([^"]*)"/g))
    assert.match(target ?? "", /^(?:\/|#|data:image\/svg)/);
  assert.doesNotMatch(page, /\sstyle="|\son\w+="/, "the policy would refuse inline styles and handlers");
});

test("commands can be pasted: names are quoted for the shell, and a name that lies is not offered", () => {
  assert.equal(commandsOf("dist/a.tgz")[0], "bitforbit verify dist/a.tgz");
  assert.equal(commandsOf("dist/a b; rm -rf ~")[0], "bitforbit verify 'dist/a b; rm -rf ~'");
  assert.equal(commandsOf("it's $(id)")[0], `bitforbit verify 'it'\\''s $(id)'`);
  assert.equal(commandsOf("--policy=none")[0], "bitforbit verify ./--policy=none");
  for (const lying of ["a\nrm -rf ~", "a\u202eb", "a\u001b[A", "a\u200bb"])
    assert.equal(commandsOf(lying)[0], "bitforbit verify FILE");
  assert.equal(commandsOf("x")[1], `echo '${digestOf("x").slice(7)}  x' | sha256sum -c`);
  assert.equal(shellWord(""), "''");
  assert.ok(isPlain("Größe 名前"));
});

test("with no build, the page says what to run", () => {
  assert.match(listOf([]), /bitforbit init[\s\S]*bitforbit build/);
  assert.doesNotMatch(listOf(evidence.builds), /bitforbit init/);
  assert.match(listOf([], false), /no older builds/);
});

test("each verdict is said in a word and a sign, not by colour alone", () => {
  const page = listOf(evidence.builds);
  for (const said of [
    "✓</span> reproducible",
    "≠</span> differs",
    "✗</span> failed",
    "!</span> fails in the",
    "…</span> no verdict",
  ]) {
    assert.ok(page.includes(said), said);
  }
  const strip = buildsPage({ builds: [], next: undefined, newest: true, metrics: METRICS, ...frame });
  for (const said of ["✓</span> met", "✗</span> missed", "–</span> no data yet", "99.9 %"])
    assert.ok(strip.includes(said), said);
});

const METRICS = [
  { id: "M1", name: "a", value: 0.99999, unit: "ratio", target: "≥ 95 %", meets: true, note: "", samples: 3 },
  { id: "M2", name: "b", value: 0.5, unit: "ratio", target: "≥ 95 %", meets: false, note: "", samples: 3 },
  { id: "M3", name: "c", unit: "ratio", target: "≥ 95 %", note: "nothing promoted yet", samples: 0 },
];

test("a build's story goes from its source to its promotions, and says what did not happen", () => {
  const order = ["Source", "Lock", "Two worlds", "Comparison", "Evidence", "Store", "Verifications", "Promotions"];
  const reproducible = buildPage(storyOf("reproducible"), frame);
  assert.deepEqual(headings(reproducible), order);
  assert.match(reproducible, /Differ in 14 of 15 ways/);
  assert.match(reproducible, /promoted<\/span> to <b>staging<\/b>/);
  const differs = buildPage(storyOf("differs"), frame);
  assert.deepEqual(headings(differs), order);
  assert.match(differs, /2 causes found, 1 consequence/);
  assert.match(differs, /<b>Remedy:<\/b> drop the host name/);
  assert.match(differs, /Not promoted to any environment/);
  assert.match(reproducible, /git clone https:\/\/git\.example\.org\/left-align\.git again/);
  assert.doesNotMatch(differs, /git clone/, "a purl is not for git to fetch");
  const local = buildPage(storyOf(undefined), frame);
  assert.match(local, /Local builds are never promoted/);
  assert.match(local, /One world only/);
});

test("a story of thousands of causes, outputs and events stays a page", () => {
  const { build, events } = storyOf("differs");
  const [cause] = build.causes;
  const [output] = build.outputs;
  assert.ok(cause && output);
  const many = {
    ...build,
    causes: Array.from({ length: 5000 }, () => cause),
    outputs: Array.from({ length: 5000 }, () => output),
  };
  const event = { kind: "verify" as const, at: NOW, ok: true, data: { text: "x".repeat(5000) } };
  const page = buildPage({ build: many, events: [...events, ...Array.from({ length: 5000 }, () => event)] }, frame);
  assert.ok(page.length < 1_000_000, `${page.length} characters`);
  assert.match(page, /and 4950 more causes/);
});

test("bytes: marks where they are given, else what the sides do not share; broken hexadecimal shows none", () => {
  const computed = shownBytes({ offset: 16, hex: "616263" }, { offset: 16, hex: "61585963" });
  assert.deepEqual(marked(computed), ["62", "b", "58 59", "XY"]);
  assert.match(computed, /000010/);
  const given = shownBytes({ offset: 16, hex: "616263", marks: [{ offset: 18, length: 1 }] }, undefined);
  assert.deepEqual(marked(given), ["63", "c"]);
  assert.deepEqual(marked(shownBytes({ offset: 0, hex: "616" }, { offset: 0, hex: "zz" })), []);
  const across = shownBytes({ offset: 0, hex: "00".repeat(20) }, { offset: 0, hex: "01".repeat(20) });
  assert.equal(marked(across).length, 8, "two rows a side, bytes and characters");
});

test("values are written as people read them", () => {
  assert.deepEqual([0, 0.25, 840, 12_400, 125_000, 3_720_000].map(shownDuration), [
    "0 ms",
    "0.25 ms",
    "840 ms",
    "12.4 s",
    "2 min 05 s",
    "1 h 02 min",
  ]);
  assert.deepEqual([812, 5200, 71_600_000, 999_999].map(shownSize), ["812 B", "5.2 kB", "71.6 MB", "1.0 MB"]);
  assert.equal(shownTime(NOW), "2026-11-23 10:20:30 UTC");
  assert.equal(shownTime(Number.NaN), "at an unknown time");
  assert.deepEqual(
    [1, 90, 3600, 172_800, -7200].map((seconds) => shownAge(NOW - seconds * 1000, NOW)),
    ["just now", "1 minute ago", "1 hour ago", "2 days ago", "in 2 hours"],
  );
  const metric = { id: "M1", name: "", target: "", note: "", samples: 1 };
  const shown = (value: number, unit: string) => shownMetric({ ...metric, value, unit });
  assert.deepEqual(
    [
      shown(0.99999, "ratio"),
      shown(0.29, "ratio"),
      shown(1, "ratio"),
      shown(61, "milliseconds"),
      shown(12, "minutes"),
      shown(12_345, "count"),
    ],
    ["99.9 %", "29 %", "100 %", "61 ms", "12 min 00 s", "12\u202f345"],
  );
});

test("every text colour stands out from every ground it is used on, light and dark (WCAG 2.2, 1.4.3)", () => {
  const [light, dark] = [...style.matchAll(/--paper:[^}]*?--mark-ink: #[0-9a-f]{6}/g)].map(([block]) => colours(block));
  assert.ok(light && dark);
  const grounds = ["paper", "raised", "sunken"];
  const pairs = ["ink", "quiet", "link", "good", "warn", "bad"].flatMap((ink) =>
    grounds.map((ground) => [ink, ground]),
  );
  pairs.push(["good", "good-paper"], ["warn", "warn-paper"], ["bad", "bad-paper"], ["ink", "warn-paper"]);
  pairs.push(["quiet", "warn-paper"], ["mark-ink", "mark"]);
  for (const palette of [light, dark]) {
    for (const [ink = "", ground = ""] of pairs) {
      const ratio = contrast(palette.get(ink) ?? "", palette.get(ground) ?? "");
      assert.ok(ratio >= 4.5, `${ink} on ${ground}: ${ratio.toFixed(2)}`);
    }
  }
});

function colours(block: string): Map<string, string> {
  return new Map([...block.matchAll(/--([a-z-]+): (#[0-9a-f]{6})/g)].map(([, name = "", value = ""]) => [name, value]));
}

function luminance(colour: string): number {
  const [red = 0, green = 0, blue = 0] = [1, 3, 5].map((at) => {
    const part = Number.parseInt(colour.slice(at, at + 2), 16) / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

function contrast(a: string, b: string): number {
  const [high = 0, low = 0] = [luminance(a), luminance(b)].sort((x, y) => y - x);
  return (high + 0.05) / (low + 0.05);
}
