/**
 * The one style sheet, inline in every page and allowed by its hash, so that a
 * page that was saved or printed looks the same without this server. A test
 * holds the contrast of every text colour (WCAG 2.2, 1.4.3).
 */
const light = `
  --paper: #fcfcfa; --raised: #ffffff; --sunken: #f3f3ef; --line: #dcdcd4; --ink: #1d1f21; --quiet: #5c6064;
  --link: #17594a; --good: #17643f; --good-paper: #e6f2ea; --warn: #7a4a00; --warn-paper: #faefd9;
  --bad: #a01c2c; --bad-paper: #fae7e8; --mark: #ffe08a; --mark-ink: #3a2a00;`;

const dark = `
  --paper: #141618; --raised: #1b1e21; --sunken: #202428; --line: #363b40; --ink: #e4e6e8; --quiet: #a0a6ac;
  --link: #7fd1ba; --good: #7dd3a0; --good-paper: #16301f; --warn: #e8b765; --warn-paper: #352709;
  --bad: #f29aa2; --bad-paper: #3d171b; --mark: #6b5310; --mark-ink: #fff3cf;`;

export const style: string = `
:root { color-scheme: light dark;${light}
  --mono: ui-monospace, "SF Mono", "Cascadia Mono", "DejaVu Sans Mono", Menlo, Consolas, monospace; }
@media (prefers-color-scheme: dark) { :root {${dark} } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; font-variant-numeric: tabular-nums; }
code, pre, .code { font: .87em/1.5 var(--mono); overflow-wrap: anywhere; }
pre code { font-size: inherit; }
a { color: var(--link); text-underline-offset: .15em; text-decoration-thickness: 1px; }
a:hover { text-decoration-thickness: 2px; }
:focus-visible { outline: 2px solid var(--link); outline-offset: 2px; border-radius: 2px; }
main:focus { outline: none; }
h1 { font-size: 1.5rem; line-height: 1.25; margin: 0 0 .5rem; font-weight: 650; letter-spacing: -.01em; overflow-wrap: anywhere; }
h2 { font-size: 1.05rem; margin: 0; font-weight: 650; }
h3 { font-size: .95rem; margin: 0 0 .3rem; font-weight: 600; overflow-wrap: anywhere; }
p { margin: 0 0 .6rem; overflow-wrap: anywhere; }
.skip { position: absolute; left: -100vw; }
.skip:focus { left: 1rem; top: .5rem; background: var(--raised); padding: .3rem .6rem; z-index: 1; }
.sr { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
.quiet, .when, .says { color: var(--quiet); }
.when { font-size: .87rem; }
.good { color: var(--good); } .bad { color: var(--bad); } .warn { color: var(--warn); }
.whole { user-select: all; }

.top, main, footer { max-width: 76rem; margin: 0 auto; padding: 0 1.5rem; }
.top { display: flex; flex-wrap: wrap; gap: .3rem 2rem; align-items: baseline; padding-top: 1rem; padding-bottom: 1.2rem; }
.brand { font: 650 1rem var(--mono); color: var(--ink); text-decoration: none; letter-spacing: -.02em; }
.brand span { color: var(--link); letter-spacing: -.12em; margin-right: .2em; }
nav ul { display: flex; flex-wrap: wrap; gap: .2rem 1.2rem; list-style: none; margin: 0; padding: 0; font-size: .9rem; }
nav a { color: var(--quiet); text-decoration: none; }
nav a:hover { color: var(--ink); text-decoration: underline; }
nav a[aria-current] { color: var(--ink); box-shadow: 0 2px 0 var(--link); }
.pages { display: flex; justify-content: space-between; padding: .8rem 0; }
.pages a:only-child[rel] { margin-left: auto; }
.pages a { color: var(--link); }
footer { margin-top: 2.5rem; padding-top: .8rem; padding-bottom: 1.5rem; color: var(--quiet); font-size: .82rem; }
footer p { border-top: 1px solid var(--line); padding-top: .8rem; }
.crumbs { font-size: .87rem; color: var(--quiet); margin-bottom: .3rem; }
.crumbs a { color: inherit; }
.lead { font-size: 1.02rem; max-width: 60rem; }

.badge { display: inline-flex; gap: .4em; align-items: baseline; border-radius: 3px; padding: .05rem .5rem; font-size: .87rem; font-weight: 600;
  background: var(--sunken); color: var(--quiet); white-space: nowrap; letter-spacing: 0; }
h1 .badge { vertical-align: .2em; margin-left: .4rem; font-size: .95rem; }
.sign { font-family: var(--mono); font-weight: 700; }
.badge.good { background: var(--good-paper); color: var(--good); }
.badge.warn { background: var(--warn-paper); color: var(--warn); }
.badge.bad { background: var(--bad-paper); color: var(--bad); }
.tag, .cause { display: inline-block; border: 1px solid var(--line); border-radius: 3px; padding: 0 .35rem; font: .8rem/1.45 var(--mono);
  color: var(--quiet); overflow-wrap: anywhere; }
.cause { color: var(--warn); border-color: currentcolor; }

.metrics { margin: 0 0 1.6rem; }
.metrics h2 { font-size: .95rem; margin-bottom: .4rem; }
.metrics h2 .quiet { font-weight: 400; font-size: .87rem; margin-left: .4rem; }
.metrics ul { list-style: none; margin: 0; padding: 0; display: grid; grid-template-columns: repeat(5, 1fr); gap: 1px;
  background: var(--line); border: 1px solid var(--line); border-radius: 4px; overflow: hidden; }
.metrics li { background: var(--raised); color: var(--ink); padding: .5rem .7rem .55rem; display: flex; flex-direction: column; }
.metrics .name { font-size: .8rem; line-height: 1.3; color: var(--quiet); flex: 1; }
.metrics .name b { font-family: var(--mono); font-weight: 600; }
.metrics .value { font-size: 1.3rem; line-height: 1.35; font-weight: 600; letter-spacing: -.01em; }
.metrics .none .value { color: var(--quiet); font-weight: 400; }
.metrics .target { font-size: .78rem; color: var(--quiet); }
.metrics .state { font-weight: 600; margin-right: .35em; }
.metrics .good .state { color: var(--good); } .metrics .bad .state { color: var(--bad); }

table { border-collapse: collapse; width: 100%; font-size: .92rem; }
caption { text-align: left; color: var(--quiet); font-size: .82rem; padding-bottom: .25rem; }
th { text-align: left; font-weight: 600; font-size: .82rem; color: var(--quiet); }
thead th { border-bottom: 1px solid var(--line); padding: .3rem 1rem .3rem 0; }
td { border-bottom: 1px solid var(--line); padding: .42rem 1rem .42rem 0; vertical-align: top; }
.right { text-align: right; white-space: nowrap; }
th.right:not(:last-child), td.right:not(:last-child) { padding-right: 2rem; }
th:last-child, td:last-child { padding-right: 0; }
td time { white-space: nowrap; } td .quiet { font-size: .87em; }
td time + .quiet { display: block; line-height: 1.2; }
.project { font-weight: 600; overflow-wrap: anywhere; }
details > summary { cursor: pointer; color: var(--quiet); font-size: .87rem; }
.digest { display: inline-block; vertical-align: top; }
.digest > summary { list-style: none; color: inherit; font-size: inherit; text-decoration: underline dotted var(--quiet) 1px; text-underline-offset: .2em; }
.digest > summary::-webkit-details-marker { display: none; }
.digest[open] > summary { display: none; }

.facts { margin: .3rem 0 .6rem; display: flex; flex-wrap: wrap; gap: .15rem 1.8rem; font-size: .92rem; }
.facts > div { display: flex; gap: .5rem; align-items: baseline; min-width: 0; }
.facts dt { color: var(--quiet); font-size: .87rem; flex: none; }
.facts dd { margin: 0; min-width: 0; overflow-wrap: anywhere; }
.lacks { border-left: 3px solid var(--warn); background: var(--warn-paper); padding: .5rem .9rem; margin: .8rem 0; border-radius: 0 3px 3px 0; font-size: .92rem; }
.lacks h2 { font-size: .92rem; color: var(--warn); }
.lacks ul { margin: .2rem 0 0; padding-left: 1.1rem; }
.lacks .quiet { color: var(--ink); }

.timeline { list-style: none; margin: 1.4rem 0 0; padding: 0; }
.timeline > li { position: relative; padding: 0 0 1.3rem 2.5rem; color: var(--ink); }
.timeline > li::before { content: ""; position: absolute; left: .72rem; top: 1.6rem; bottom: -.1rem; width: 1px; background: var(--line); }
.timeline > li:last-child::before { display: none; }
.timeline header { display: flex; flex-wrap: wrap; gap: 0 .7rem; align-items: baseline; margin-bottom: .35rem; }
.timeline header .when { margin-left: auto; }
.dot { position: absolute; left: 0; top: 0; width: 1.5rem; height: 1.5rem; border-radius: 50%; text-align: center; font: 700 .85rem/1.4rem var(--mono);
  border: 1px solid currentcolor; background: var(--paper); color: var(--quiet); }
.timeline .good > section > header .dot { color: var(--good); background: var(--good-paper); }
.timeline .warn > section > header .dot { color: var(--warn); background: var(--warn-paper); }
.timeline .bad > section > header .dot { color: var(--bad); background: var(--bad-paper); }
.timeline .none > section > header .dot { border-style: dashed; }
.timeline .none h2 { color: var(--quiet); font-weight: 500; }
.scroll { overflow-x: auto; }
.worlds { width: auto; min-width: 60%; }
.worlds th, .worlds td { padding: .12rem 1.6rem .12rem 0; border: 0; vertical-align: baseline; }
.worlds thead th { color: var(--ink); border-bottom: 1px solid var(--line); }
.worlds tbody th { font-weight: 400; white-space: nowrap; }
.worlds .varied th { color: var(--warn); } .worlds .same { color: var(--quiet); }
.worlds .varied td { font-weight: 600; }
.worlds tbody th span[aria-hidden] { font-family: var(--mono); }

.cause-found { border: 1px solid var(--line); border-radius: 4px; background: var(--raised); padding: .7rem .9rem; margin: .8rem 0; }
.cause-found h3 .quiet { font-weight: 400; }
.remedy { margin: .5rem 0 0; }
.sides { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 33.5rem), 1fr)); gap: .6rem; }
figure { margin: 0; min-width: 0; } figcaption { font-size: .82rem; font-weight: 600; }
pre { background: var(--sunken); margin: 0; padding: .5rem .7rem; border-radius: 3px; overflow-x: auto; white-space: pre; }
.hex { font-size: .72rem; } .hex .offset { color: var(--quiet); }
mark { background: var(--mark); color: var(--mark-ink); font-weight: 700; text-decoration: underline; border-radius: 2px; }
.records { list-style: none; margin: 0; padding: 0; }
.records > li { padding: .3rem 0; border-top: 1px solid var(--line); }
.records > li:first-child { border-top: 0; }
.records .facts { margin: .1rem 0; }
.reasons { list-style: none; margin: .4rem 0; padding: 0; }
.reasons li { display: flex; gap: .6rem; color: var(--ink); padding: .15rem 0; overflow-wrap: anywhere; }
.reasons .good .sign { color: var(--good); } .reasons .bad .sign, .reasons .bad b { color: var(--bad); }
.hint { color: var(--quiet); margin: 0; font-size: .9rem; }
.hint::before { content: "→ "; }
.recorded { margin-top: .4rem; } .recorded pre { max-height: 24rem; overflow: auto; margin-top: .3rem; }
.part { margin: 1.6rem 0 0; } .part > h2, .offline > h2 { margin-bottom: .4rem; }
.commands { list-style: none; padding: 0; margin: .3rem 0; } .commands li { margin: 0 0 .7rem; }
.commands span { font-size: .9rem; }
.commands pre, .empty pre { border: 1px solid var(--line); } .commands code { user-select: all; }
.commands code::before { content: "$ "; color: var(--quiet); }
.offline { border-top: 1px solid var(--line); padding-top: 1rem; margin-top: .6rem; }
.empty { border: 1px dashed var(--line); border-radius: 4px; padding: 1.2rem 1.4rem; max-width: 46rem; }
.empty pre { margin-bottom: .8rem; }

@media (max-width: 64rem) { .metrics ul { grid-template-columns: repeat(auto-fill, minmax(9.5rem, 1fr)); } .metrics ul { background: none; border: 0; gap: .4rem; overflow: visible; }
  .metrics li { border: 1px solid var(--line); border-radius: 4px; } }
@media (max-width: 46rem) {
  .top, main, footer { padding-left: 1rem; padding-right: 1rem; }
  table[role] thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
  table[role], table[role] tbody, table[role] tr, table[role] td, table[role] caption { display: block; }
  table[role] tr { border: 1px solid var(--line); border-radius: 4px; background: var(--raised); padding: .4rem .7rem; margin-bottom: .5rem; }
  table[role] td { border: 0; padding: .12rem 0; display: flex; gap: .6rem; text-align: left; }
  table[role] td > div { min-width: 0; } .badge { white-space: normal; }
  table[role] td::before { content: attr(data-head); color: var(--quiet); font-size: .82rem; flex: 0 0 5.2rem; }
  td time + .quiet { display: inline; }
  .timeline header .when { margin-left: 0; flex-basis: 100%; }
  .timeline > li { padding-left: 2.1rem; }
  .worlds { min-width: 28rem; } .worlds th, .worlds td { padding-right: .9rem; }
}
@media print {
  body { font-size: 10pt; } .top nav, .skip, .pages { display: none; }
  details:not(.recorded)::details-content { content-visibility: visible; block-size: auto; }
  .digest > summary, .recorded { display: none; } a.code[title]::after { content: " = " attr(title); }
  pre { white-space: pre-wrap; } .cause-found, .records > li, tr { break-inside: avoid; }
}
@media (prefers-reduced-motion: no-preference) { html { scroll-behavior: smooth; } }
`;
