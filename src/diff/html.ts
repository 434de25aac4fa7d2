import { base64, utf8 } from "../bytes.ts";
import { sha256 } from "../digest.ts";
import { gzipBytes } from "../format/gzip-write.ts";
import { VERSION } from "../version.ts";
import { counted, filesOf, type Finding, findingsOf, kindWords } from "./findings.ts";
import type { Leaf } from "./difference.ts";
import { reportData } from "./html-data.ts";
import { certificateWords, type Reading, verdictOf } from "./reading.ts";
import { firstOf } from "./render-leaf.ts";
import { reportAssets } from "./report/assets.ts";
import type { CheckHead, ReportHead } from "./report/document.ts";
import { dateOf, visible } from "./report/visible.ts";

/** Findings listed at the top of a report. */
const MAX_FINDINGS = 40;

/**
 * A report as the pieces of one HTML file that needs nothing else: no network,
 * no server. The policy in it lets nothing be loaded and no script run but its
 * own, known by its hash. What comes from the inputs is data only: JSON and
 * compressed JSON, which the script sets as text. The same reading gives the
 * same bytes. `check` is told the number of each leaf.
 */
export async function* reportHtml(
  reading: Reading,
  check?: (numbers: ReadonlyMap<Leaf, number>) => CheckHead,
): AsyncGenerator<string> {
  const { script, style } = await reportAssets();
  const policy = `default-src 'none'; script-src ${hash(script)}; style-src ${hash(style)}; img-src data:; base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'`;
  const data = reportData(reading.difference ?? { kind: "node", path: [], format: "", children: [] });
  yield `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="generator" content="bitforbit ${VERSION}">
<meta name="referrer" content="no-referrer">
<link rel="icon" href="data:,">
<title>bitforbit ${check === undefined ? "diff" : "check"}</title>
<style>${style}</style>
</head>
<body>
<noscript><p>This report is drawn by a script that it carries: allow scripts for this file to read it.</p></noscript>
`;
  const chunks: number[] = [];
  for (const { first, text } of data.chunks()) {
    yield block(`c${chunks.length}`, "text/plain", packed(utf8(text)));
    chunks.push(first);
  }
  yield block("nodes", "text/plain", packed(utf8(JSON.stringify(data.nodes))));
  yield block("columns", "text/plain", packed(columnBytes(data)));
  const findings = reading.difference === undefined ? [] : findingsOf(reading.difference);
  const head: ReportHead = {
    ...headOf(reading, findings),
    leaves: data.node.length,
    kinds: data.kinds,
    chunks,
    findings: findings.slice(0, MAX_FINDINGS).map((finding) => ({
      text: findingWords(finding),
      count: finding.count,
      leaf: data.numbers.get(finding.leaf) ?? 0,
    })),
    moreFindings: Math.max(0, findings.length - MAX_FINDINGS),
    ...(check === undefined ? {} : { check: check(data.numbers) }),
  };
  // Nothing in it can end the block or begin a comment.
  yield block("head", "application/json", JSON.stringify(head).replaceAll("<", "\\u003c"));
  yield `<script>${script}</script>
</body>
</html>
`;
}

const hash = (text: string): string => `'sha256-${base64(sha256(text))}'`;

const block = (id: string, type: string, text: string): string =>
  `<script type="${type}" id="${id}">${text}</script>\n`;

const packed = (bytes: Uint8Array): string => base64(gzipBytes(bytes, { level: 2 }));

function columnBytes({ node, kind, rows }: { node: Uint32Array; kind: Uint16Array; rows: Uint16Array }): Uint8Array {
  const bytes = new Uint8Array(8 * node.length);
  const view = new DataView(bytes.buffer);
  node.forEach((value, at) => view.setUint32(4 * at, value, true));
  kind.forEach((value, at) => view.setUint16(4 * node.length + 2 * at, value, true));
  rows.forEach((value, at) => view.setUint16(6 * node.length + 2 * at, value, true));
  return bytes;
}

const inputOf = ({ name, size, sha256: digest }: Reading["a"]): ReportHead["a"] => ({
  name: name.toWellFormed(),
  ...(size === undefined ? {} : { size }),
  ...(digest === undefined ? {} : { sha256: digest }),
});

function headOf(
  reading: Reading,
  findings: readonly Finding[],
): Omit<ReportHead, "leaves" | "kinds" | "chunks" | "findings" | "moreFindings"> {
  const told = findings.filter((finding) => finding.rank !== "derived");
  return {
    version: VERSION,
    a: inputOf(reading.a),
    b: inputOf(reading.b),
    verdict: verdictOf(reading),
    files: reading.difference === undefined ? 0 : filesOf(reading.difference).length,
    bytesA: told.reduce((sum, finding) => sum + finding.bytesA, 0),
    bytesB: told.reduce((sum, finding) => sum + finding.bytesB, 0),
    excluded: reading.excluded.map((one) => ({ ...one, rule: one.rule.toWellFormed() })),
    incomplete: reading.incomplete.map(({ path, why }) => ({
      path: path.map((name) => name.toWellFormed()),
      why: why.toWellFormed(),
    })),
    ...(reading.certificate === undefined ? {} : { certificate: certificateWords(reading.certificate) }),
  };
}

/** A finding in a line of the list at the top. */
function findingWords({ leaf, kind, count, mixed }: Finding): string {
  const name = visible(kind.replace(/^field:/, ""));
  if (mixed) return `${name}: another change in each`;
  const value = (side: "a" | "b"): string => {
    const date = dateOf(leaf.field, leaf[side]);
    return date === "" ? firstOf(visible(leaf[side] ?? "(none)"), 40) : date;
  };
  const where = count > 1 ? "" : ` in ${visible(leaf.path.at(-1) ?? "")}`;
  if (leaf.what === "field" && (leaf.a !== undefined || leaf.b !== undefined) && leaf.listing !== true)
    return `${name}${where}: ${value("a")} → ${value("b")}`;
  return `${leaf.what === "field" ? name : kindWords(kind, 1).replace(/^1 /, "")}${where}${leaf.ranges.length > 1 ? `, ${counted(leaf.ranges.length, "range")}` : ""}`;
}
