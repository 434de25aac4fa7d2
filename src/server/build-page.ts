import type { Json } from "../json.ts";
import { isObject } from "../json.ts";
import type { BuildRecord, FoundCause, Story, StoryEvent, StoryKind } from "./evidence.ts";
import { hexView } from "./hex-view.ts";
import {
  andMore,
  artifactLink,
  badge,
  commands,
  digest,
  facts,
  MOST_SHOWN,
  outputsTable,
  page,
  time,
  verifyCommands,
} from "./layout.ts";
import { type Markup, isPlain, markup, shellWord } from "./markup.ts";
import { counted, shownDuration, verdictWords } from "./shown.ts";
import { evidenceBody, handlingBody, recorded } from "./steps.ts";
import { worldsTable } from "./worlds.ts";

/** One step of the timeline. */
interface Step {
  title: string;
  /** How it went; "none": it did not happen. */
  state: "good" | "warn" | "bad" | "none";
  /** In a line, beside the title. */
  says: string;
  events: readonly StoryEvent[];
  body: Markup;
}

/** `/builds/:id`: one build's story, from its source to where it runs. */
export function buildPage(story: Story, frame: { version: string; now: number }): string {
  const { build } = story;
  const words = verdictWords(build.verdict);
  const of = (...kinds: StoryKind[]) => story.events.filter((event) => kinds.includes(event.kind));
  const steps = [
    sourceStep(build),
    lockStep(build, of("lock")),
    worldsStep(of("world")),
    verdictStep(build, of("build", "verdict", "diff-alert")),
    evidenceStep(build, of("sbom", "attest", "log")),
    handlingStep("Store", of("store"), frame.now, "Nothing was stored."),
    handlingStep("Verifications", of("verify"), frame.now, "Nobody has verified it yet."),
    handlingStep("Promotions", of("promote", "deploy"), frame.now, notPromoted(build)),
  ];
  const body = markup`<p class="crumbs"><a href="/">Builds</a> / ${build.project}</p>
<h1>${build.project} ${badge(words)}</h1>
<p class="lead">${words.sentence} ${summary(build)}</p>
${facts([
  ["Began", time(build.at, frame.now)],
  ["Took", build.milliseconds === undefined ? undefined : shownDuration(build.milliseconds)],
  ["Commit", build.source.commit === undefined ? undefined : digest(build.source.commit)],
  ["Kind", build.canonical ? "canonical build" : "local build: never promotable"],
  ["Build", markup`<code>${build.id}</code>`],
])}
${lacksOf(build)}
<ol class="timeline">${steps.map(stepOf)}</ol>
${offline(build)}`;
  return page({ title: `${build.project}: ${words.word}`, here: "builds", ...frame }, body);
}

function summary(build: BuildRecord): string {
  const parts = [counted(build.outputs.length, "output")];
  const consequences = build.causes.filter((cause) => cause.name === "consequence").length;
  const causes = build.causes.length - consequences;
  if (causes > 0) parts.push(`${counted(causes, "cause")} found`);
  if (consequences > 0) parts.push(counted(consequences, "consequence"));
  return `${parts.join(", ")}.`;
}

function stepOf(step: Step, index: number): Markup {
  const first = step.events[0];
  const sign = { good: "✓", warn: "≠", bad: "✗", none: "–" }[step.state];
  const took = step.events.reduce((sum, event) => sum + (event.milliseconds ?? 0), 0);
  return markup`
<li class="${step.state}"><section aria-labelledby="step-${index}">
<header><span class="dot" aria-hidden="true">${sign}</span><h2 id="step-${index}">${step.title}</h2> <span class="says">${step.says}</span>${
    first !== undefined &&
    markup`<span class="when">${time(first.at)}${took > 0 && step.events.length === 1 && ` · ${shownDuration(took)}`}</span>`
  }</header>
${step.body}
${recorded(step.events)}
</section></li>`;
}

function sourceStep({ source, canonical }: BuildRecord): Step {
  const known = source.commit !== undefined || source.uri !== undefined || source.tree !== undefined;
  return {
    title: "Source",
    state: known ? "good" : "none",
    says: source.tag ?? (source.commit === undefined ? "not from a commit" : canonical ? "a clean commit" : "local"),
    events: [],
    body: facts([
      ["From", source.uri === undefined ? undefined : markup`<code>${source.uri}</code>`],
      ["Commit", source.commit === undefined ? undefined : markup`<code class="whole">${source.commit}</code>`],
      ["Tag", source.tag],
      ["Tree", source.tree === undefined ? undefined : digest(source.tree)],
    ]),
  };
}

function lockStep(build: BuildRecord, events: readonly StoryEvent[]): Step {
  const data = events.at(-1)?.data ?? {};
  const lockfiles = Array.isArray(data["lockfiles"]) ? data["lockfiles"].filter(isObject) : [];
  const materials = countOf(data["materials"]);
  return {
    title: "Lock",
    state: events.length === 0 ? "none" : events.every((event) => event.ok) ? "good" : "bad",
    says: materials === undefined ? "materials not recorded" : counted(materials, "material"),
    events,
    body: markup`${facts([["Environment", build.environment]])}${
      lockfiles.length > 0 &&
      facts(
        lockfiles.slice(0, MOST_SHOWN).map(({ path, sha256 }): [string, Markup] => {
          return [String(path ?? "lockfile"), digest(String(sha256 ?? "no digest"))];
        }),
      )
    }`,
  };
}

const countOf = (value: Json | undefined): number | undefined =>
  Array.isArray(value) ? value.length : typeof value === "number" ? value : undefined;

function worldsStep(events: readonly StoryEvent[]): Step {
  return {
    title: events.length === 2 ? "Two worlds" : "Worlds",
    state: events.length === 0 ? "none" : events.every((event) => event.ok) ? "good" : "bad",
    says: events.length === 0 ? "no world was built" : `${counted(events.length, "build")}, side by side`,
    events,
    body: events.length === 0 ? markup`` : worldsTable(events),
  };
}

function verdictStep(build: BuildRecord, events: readonly StoryEvent[]): Step {
  const words = verdictWords(build.verdict);
  return {
    title: "Comparison",
    state: words.tone,
    says: words.word,
    events,
    body: markup`${build.outputs.length > 0 && outputsTable(build.outputs, build.verdict === "reproducible" ? "Outputs, the same in both worlds" : "Outputs of the canonical world")}${andMore(build.outputs.length, "outputs")}
${build.causes.slice(0, MOST_SHOWN).map(causeOf)}${andMore(build.causes.length, "causes")}`,
  };
}

function causeOf(cause: FoundCause): Markup {
  const sure = Math.min(100, Math.max(0, Math.round(cause.confidence * 100)));
  const { text, a, b } = cause.evidence;
  return markup`<article class="cause-found">
<h3><span class="cause">${cause.name}</span> ${text} <span class="quiet">${sure} % sure</span></h3>
${facts([
  ["In", markup`<code>${cause.artifact}</code>${cause.path !== "" && markup` › <code>${cause.path}</code>`}`],
  ["Written by", cause.command === undefined ? undefined : markup`<code>${cause.command}</code>`],
])}
${(a !== undefined || b !== undefined) && hexView(a, b)}
<p class="remedy"><b>Remedy:</b> ${cause.remedy}</p>
</article>`;
}

function evidenceStep(build: BuildRecord, events: readonly StoryEvent[]): Step {
  const says = events.length > 0 ? counted(events.length, "record") : "no attestations";
  const why = build.canonical ? "Nothing was attested." : "Local builds are not attested.";
  return {
    title: "Evidence",
    state: events.length === 0 ? "none" : events.every((event) => event.ok) ? "good" : "bad",
    says,
    events,
    body: events.length === 0 ? markup`<p class="quiet">${why}</p>` : evidenceBody(events),
  };
}

function handlingStep(title: string, events: readonly StoryEvent[], now: number, otherwise: string): Step {
  const refused = events.filter((event) => !event.ok).length;
  return {
    title,
    state: events.length === 0 ? "none" : refused === 0 ? "good" : "bad",
    says: events.length === 0 ? "none" : refused === 0 ? counted(events.length, "record") : `${refused} refused`,
    events,
    body: events.length === 0 ? markup`<p class="quiet">${otherwise}</p>` : handlingBody(events, now),
  };
}

function notPromoted(build: BuildRecord): string {
  return build.canonical ? "Not promoted to any environment." : "Local builds are never promoted.";
}

function lacksOf(build: BuildRecord): Markup | false {
  if (build.lacks.length === 0) return false;
  return markup`<section class="lacks" aria-labelledby="lacks"><h2 id="lacks"><span aria-hidden="true">!</span> What this machine lacked</h2><ul>${build.lacks
    .slice(0, MOST_SHOWN)
    .map(({ what, remedy }) => markup`<li>${what}<p class="hint">${remedy}</p></li>`)}</ul></section>`;
}

/** Only what git fetches over a network by itself, and a full commit: a URI may name helpers that run programs. */
function againCommand({ source: { uri = "", commit = "" } }: BuildRecord): { says: string; command: string }[] {
  if (!/^(?:https?|ssh|git):\/\//.test(uri) || !isPlain(uri) || !/^(?:[0-9a-f]{40}|[0-9a-f]{64})$/.test(commit))
    return [];
  const command = `git clone ${shellWord(uri)} again && cd again && git checkout ${commit} && bitforbit check`;
  return [{ says: "Build it again from the same commit:", command }];
}

function offline(build: BuildRecord): Markup {
  const first = build.outputs[0];
  const list = [...(first === undefined ? [] : verifyCommands(first)), ...againCommand(build)];
  if (list.length === 0) return markup``;
  return markup`<section class="offline" aria-labelledby="offline"><h2 id="offline">Check it yourself</h2>
<p class="quiet">None of these asks this server.${
    first !== undefined && markup` The output: ${artifactLink(first.digest)} <code>${first.path}</code>`
  }</p>${commands(list)}</section>`;
}
