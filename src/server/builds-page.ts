import type { BuildRecord, Metric } from "./evidence.ts";
import { badge, digest, page, table, time } from "./layout.ts";
import { type Markup, markup } from "./markup.ts";
import { counted, shownDuration, shownMetric, verdictWords } from "./shown.ts";

export interface BuildsPage {
  builds: readonly BuildRecord[];
  /** The id to go on from, when there are older builds. */
  next: string | undefined;
  /** Whether this is the newest page. */
  newest: boolean;
  metrics: readonly Metric[];
  now: number;
  version: string;
}

/** `/`: the ten metrics in a strip, then the builds, newest first. */
export function buildsPage(view: BuildsPage): string {
  const body = markup`<h1>Builds</h1>
${view.newest && metricStrip(view.metrics)}
${view.builds.length === 0 ? nothing(view.newest) : buildsTable(view.builds, view.now, "Builds, newest first")}
<nav class="pages" aria-label="Pages">${!view.newest && markup`<a href="/">← newest builds</a>`}${
    view.next !== undefined && markup`<a href="/?before=${view.next}" rel="next">older builds →</a>`
  }</nav>`;
  return page({ title: "Builds", here: "builds", version: view.version, now: view.now }, body);
}

function nothing(newest: boolean): Markup {
  if (!newest) return markup`<p class="lead">There are no older builds.</p>`;
  return markup`<section class="empty" aria-label="No builds yet">
<p class="lead">No builds yet.</p>
<p>In a project of yours, run:</p>
<pre tabindex="0"><code>bitforbit init    # looks at the project, writes bitforbit.toml
bitforbit build   # builds twice in different worlds, compares, attests</code></pre>
<p>Then load this page again: the build will be here, with its verdict and its causes.</p>
</section>`;
}

export function buildsTable(builds: readonly BuildRecord[], now: number, caption: string): Markup {
  return table(
    caption,
    [
      { head: "Verdict" },
      { head: "Project" },
      { head: "Commit" },
      { head: "When" },
      { head: "Took", right: true },
      { head: "Causes" },
      { head: "Artifacts", right: true },
    ],
    builds.map((build) => buildRow(build, now)),
  );
}

function buildRow(build: BuildRecord, now: number): Markup[] {
  const { source, causes } = build;
  const names = [...new Set(causes.map((cause) => cause.name))].filter((name) => name !== "consequence");
  return [
    badge(verdictWords(build.verdict)),
    markup`<a class="project" href="/builds/${build.id}">${build.project}</a>${
      !build.canonical &&
      markup` <span class="tag" title="Not from a clean commit, or built once: never promotable">local</span>`
    }`,
    source.commit === undefined
      ? markup`<span class="quiet">no commit</span>`
      : markup`${digest(source.commit)}${source.tag !== undefined && markup` <span class="tag">${source.tag}</span>`}`,
    time(build.at, now),
    build.milliseconds === undefined ? markup`–` : markup`${shownDuration(build.milliseconds)}`,
    names.length === 0
      ? markup`<span class="quiet">none</span>`
      : markup`${names.slice(0, 4).map((name) => markup`<span class="cause">${name}</span> `)}${
          names.length > 4 && markup`<span class="quiet">+${names.length - 4}</span>`
        }`,
    markup`${build.outputs.length}`,
  ];
}

function metricStrip(metrics: readonly Metric[]): Markup {
  if (metrics.length === 0) return markup``;
  const met = metrics.filter((metric) => metric.meets === true).length;
  const missed = metrics.filter((metric) => metric.meets === false).length;
  return markup`<section class="metrics" aria-labelledby="metrics">
<h2 id="metrics">Metrics <span class="quiet">${met} of ${metrics.length} meet their target, ${missed} ${missed === 1 ? "misses" : "miss"} it</span></h2>
<ul>${metrics.map(metricCell)}</ul>
</section>`;
}

function metricCell(metric: Metric): Markup {
  const state =
    metric.value === undefined || metric.meets === undefined
      ? { tone: "none", sign: "–", word: "no data yet" }
      : metric.meets
        ? { tone: "good", sign: "✓", word: "met" }
        : { tone: "bad", sign: "✗", word: "missed" };
  return markup`<li class="${state.tone}" title="${metric.note}">
<span class="name"><b>${metric.id}</b> ${metric.name}</span>
<span class="value">${shownMetric(metric)}</span>
<span class="target"><span class="state"><span aria-hidden="true">${state.sign}</span> ${state.word}</span> target ${metric.target}<span class="sr">, from ${counted(metric.samples, "sample")}</span></span>
</li>`;
}
