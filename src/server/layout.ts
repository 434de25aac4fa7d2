/** The frame of every page, and the small pieces that all pages share. */
import { hexOf, sha256 } from "../digest.ts";
import { base64 } from "../bytes.ts";
import type { Decision, Output, Reason } from "./evidence.ts";
import { type Markup, isPlain, markup, shellWord, trusted } from "./markup.ts";
import type { Problem } from "./problem.ts";
import { isTime, shortened, shownAge, shownSize, shownTime, type VerdictWords } from "./shown.ts";
import { rfc3339 } from "../clock.ts";
import { style } from "./style.ts";

/** What a page may load: itself and this one style sheet, known by its hash; no script, frame, font or form. */
export const CONTENT_SECURITY_POLICY: string = [
  "default-src 'none'",
  `style-src 'sha256-${base64(sha256(style))}'`,
  "img-src data:",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

export interface Frame {
  title: string;
  /** Which entry of the navigation this page is. */
  here?: "builds";
  version: string;
  now: number;
}

// A filled square beside an outlined one: the same bit twice.
const ICON =
  "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Cpath fill='%231f6f5c' d='M1 3h6v10H1zM9 3h6v10H9zM10.5 4.5v7h3v-7z' fill-rule='evenodd'/%3E%3C/svg%3E";

export function page(frame: Frame, body: Markup): string {
  return markup`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${frame.title} · bitforbit</title>
<link rel="icon" href="${trusted(ICON)}">
<style>${trusted(style)}</style>
</head>
<body>
<a class="skip" href="#content">Skip to the content</a>
<header class="top">
<a class="brand" href="/"><span aria-hidden="true">▮▯</span> bitforbit</a>
<nav aria-label="Main"><ul>
<li><a href="/"${frame.here === "builds" && trusted(' aria-current="page"')}>Builds</a></li>
<li><a href="/log/checkpoint">Log checkpoint</a></li>
<li><a href="/openapi.json">API</a></li>
<li><a href="/metrics">Prometheus</a></li>
</ul></nav>
</header>
<main id="content" tabindex="-1">
${body}
</main>
<footer>
<p>bitforbit ${frame.version} · as of ${time(frame.now)} · read-only: nothing on these pages can change anything.</p>
</footer>
</body>
</html>
`.toString();
}

export function problemPage(problem: Problem, frame: Omit<Frame, "title">): string {
  return page(
    { ...frame, title: problem.title },
    markup`<h1>${problem.status} ${problem.title}</h1>
<p class="lead">${problem.detail}</p>
<p><b>What to do:</b> ${problem.hint}.</p>
<p><a href="/">All builds</a></p>`,
  );
}

/** A moment: UTC, and how long ago when `now` is given. */
export function time(at: number, now?: number): Markup {
  if (!isTime(at)) return markup`<span class="quiet">at an unknown time</span>`;
  return markup`<time datetime="${rfc3339(at)}">${shownTime(at)}</time>${
    now !== undefined && markup` <span class="quiet">${shownAge(at, now)}</span>`
  }`;
}

export function badge(words: VerdictWords): Markup {
  return markup`<span class="badge ${words.tone}"><span class="sign" aria-hidden="true">${words.sign}</span> ${words.word}</span>`;
}

/** Yes or no, by sign and by word. */
export function outcome(ok: boolean, yes: string, no: string): Markup {
  return badge({ sign: ok ? "✓" : "✗", word: ok ? yes : no, tone: ok ? "good" : "bad", sentence: "" });
}

/** A digest or commit, short; opened, it shows the whole value, which one click selects. */
export function digest(value: string): Markup {
  return markup`<details class="digest"><summary title="${value}"><code>${shortened(value)}</code></summary><code class="whole">${value}</code></details>`;
}

/** A short digest that leads to its artifact's page; the whole value is in the title and in the address. */
export function artifactLink(value: string): Markup {
  return markup`<a class="code" href="/artifacts/${value}" title="${value}">${shortened(value)}</a>`;
}

export interface Column {
  head: string;
  /** Numbers stand on the right. */
  right?: boolean;
}

/**
 * A table that becomes a list of cards on narrow screens. The roles are spelt
 * out because browsers drop a table's meaning once its display is changed.
 */
export function table(caption: string, columns: readonly Column[], rows: readonly (readonly Markup[])[]): Markup {
  const side = (column: Column | undefined) => column?.right === true && trusted(' class="right"');
  return markup`<table role="table"><caption>${caption}</caption>
<thead role="rowgroup"><tr role="row">${columns.map(
    (column) => markup`<th role="columnheader" scope="col"${side(column)}>${column.head}</th>`,
  )}</tr></thead>
<tbody role="rowgroup">${rows.map(
    (cells) => markup`
<tr role="row">${cells.map(
      (cell, index) =>
        markup`<td role="cell" data-head="${columns[index]?.head ?? ""}"${side(columns[index])}><div>${cell}</div></td>`,
    )}</tr>`,
  )}
</tbody></table>`;
}

/** Name and value pairs; those without a value are left out. */
export function facts(pairs: readonly (readonly [string, Markup | string | undefined])[]): Markup {
  const present = pairs.filter(([, value]) => value !== undefined);
  if (present.length === 0) return markup``;
  return markup`<dl class="facts">${present.map(
    ([name, value]) => markup`<div><dt>${name}</dt><dd>${value}</dd></div>`,
  )}</dl>`;
}

export function reasons(list: readonly Reason[]): Markup {
  return markup`<ul class="reasons">${list.map(
    ({ check, ok, message, hint }) =>
      markup`<li class="${ok ? "good" : "bad"}"><span class="sign" aria-hidden="true">${ok ? "✓" : "✗"}</span><div><b>${check}</b> <span class="sr">${ok ? "passed" : "did not pass"}:</span> ${message}${
        hint !== undefined && markup`<p class="hint">${hint}</p>`
      }</div></li>`,
  )}</ul>`;
}

export function decisionOf(decision: Decision): Markup {
  return markup`<p>${outcome(decision.ok, "allowed", "denied")}</p>${reasons(decision.reasons)}`;
}

/** Commands for a terminal: one click selects one of them. */
export function commands(list: readonly { says: string; command: string }[]): Markup {
  return markup`<ul class="commands">${list.map(
    ({ says, command }) => markup`<li><span>${says}</span><pre tabindex="0"><code>${command}</code></pre></li>`,
  )}</ul>`;
}

/**
 * How to check an output without this server. A name that cannot be shown as it
 * is cannot be copied either, so such an output is called FILE.
 */
export function verifyCommands(output: Output): { says: string; command: string }[] {
  const path = isPlain(output.path) && !output.path.includes("\\") ? output.path : "FILE";
  return [
    { says: "Decide, offline, with the reasons:", command: `bitforbit verify ${shellWord(path)}` },
    {
      says: "Compare the bytes with nothing of ours:",
      command: `echo ${shellWord(`${hexOf(output.digest)}  ${path}`)} | sha256sum -c`,
    },
  ];
}

export function outputsTable(outputs: readonly Output[], caption: string): Markup {
  return table(
    caption,
    [{ head: "Output" }, { head: "Digest" }, { head: "Size", right: true }],
    outputs
      .slice(0, MOST_SHOWN)
      .map((output) => [
        markup`<code>${output.path}</code>`,
        artifactLink(output.digest),
        markup`<span title="${output.size} bytes">${shownSize(output.size)}</span>`,
      ]),
  );
}

/** Lists on pages end here; the API has the rest. */
export const MOST_SHOWN = 50;

export function andMore(count: number, noun: string): Markup | false {
  return (
    count > MOST_SHOWN && markup`<p class="quiet">and ${count - MOST_SHOWN} more ${noun}: the API lists them all.</p>`
  );
}
