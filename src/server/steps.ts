/** How recorded events are shown: in a line each, and whole under "as recorded". */
import { isDigest } from "../digest.ts";
import { isObject, type Json, prettyJson } from "../json.ts";
import type { Reason, StoryEvent } from "./evidence.ts";
import { andMore, artifactLink, digest, facts, MOST_SHOWN, outcome, reasons, time } from "./layout.ts";
import { type Markup, markup } from "./markup.ts";
import { shownDuration, shownSize } from "./shown.ts";

/** What a predicate type says, in words; the type itself otherwise. */
export function predicateName(type: string): string {
  const known: Readonly<Record<string, string>> = {
    "https://slsa.dev/provenance/v1": "SLSA provenance v1",
    "https://slsa.dev/verification_summary/v1": "verification summary (VSA) v1",
    "https://cyclonedx.org/bom": "CycloneDX SBOM",
    "https://spdx.dev/Document": "SPDX SBOM",
  };
  return known[type] ?? type;
}

const text = (value: Json | undefined): string | undefined =>
  typeof value === "string" || typeof value === "number" ? String(value) : undefined;
const code = (value: Json | undefined): Markup | undefined => {
  const shown = text(value);
  return shown === undefined ? undefined : isDigest(shown) ? digest(shown) : markup`<code>${shown}</code>`;
};

/** SBOM, attestations and log entries. */
export function evidenceBody(events: readonly StoryEvent[]): Markup {
  return markup`<ul class="records">${events.slice(0, MOST_SHOWN).map((event) => markup`<li>${evidenceLine(event)}</li>`)}</ul>${andMore(events.length, "records")}`;
}

function evidenceLine({ kind, ok, artifact, data }: StoryEvent): Markup {
  const about: [string, Markup | undefined] = ["Of", artifact === undefined ? undefined : artifactLink(artifact)];
  if (kind === "sbom") {
    const completeness = data["completeness"];
    return markup`<b>SBOM</b>${outcomeUnless(ok)}${facts([
      ["Format", text(data["format"])],
      ["Components", text(data["components"])],
      ["Completeness", typeof completeness === "number" ? `${Math.floor(completeness * 100)} %` : undefined],
      about,
    ])}`;
  }
  if (kind === "attest") {
    const type = text(data["predicateType"]);
    return markup`<b>${type === undefined ? "Attestation" : predicateName(type)}</b>${outcomeUnless(ok)}${facts([
      ["Bundle", bundleLink(artifact, data["digest"])],
      about,
    ])}`;
  }
  return markup`<b>Log entry</b>${outcomeUnless(ok)}${facts([
    ["Index", text(data["index"])],
    ["Tree size", text(data["treeSize"])],
    ["Origin", code(data["origin"])],
    about,
  ])}`;
}

const outcomeUnless = (ok: boolean): Markup | false => !ok && markup` ${outcome(false, "", "failed")}`;

function bundleLink(artifact: string | undefined, bundle: Json | undefined): Markup | undefined {
  if (artifact === undefined || typeof bundle !== "string" || !isDigest(bundle)) return code(bundle);
  return markup`<a class="code" href="/api/v1/artifacts/${artifact}/attestations/${bundle}" title="${bundle}">${bundle.slice(7, 19)}…</a>`;
}

/** Storing, verifying, promoting, deploying, oldest first; `about` is the artifact whose page this is. */
export function handlingBody(events: readonly StoryEvent[], now: number, about?: string): Markup {
  return markup`<ul class="records">${events
    .slice(0, MOST_SHOWN)
    .map((event) => markup`<li>${handlingLine(event, now, about)}</li>`)}</ul>${andMore(events.length, "records")}`;
}

const OUTCOMES: Readonly<Record<string, readonly [string, string]>> = {
  verify: ["allowed", "denied"],
  promote: ["promoted", "refused"],
  deploy: ["admitted", "denied"],
  store: ["stored", "not stored"],
  "diff-alert": ["same", "other bytes"],
};

function handlingLine(event: StoryEvent, now: number, about: string | undefined): Markup {
  const { data } = event;
  const [yes, no] = OUTCOMES[event.kind] ?? ["done", "failed"];
  const size = data["size"];
  const list = reasonsOf(data["reasons"]);
  const failed = list.filter((reason) => !reason.ok).length;
  const environment = event.environment ?? text(data["environment"]);
  return markup`${outcome(event.ok, yes, no)}${environment !== undefined && markup` to <b>${environment}</b>`} <span class="when">${time(event.at, now)}${
    event.milliseconds !== undefined && ` · ${shownDuration(event.milliseconds)}`
  }</span>${facts([
    ["Artifact", event.artifact === undefined || event.artifact === about ? undefined : artifactLink(event.artifact)],
    ["Name", code(data["name"])],
    ["Manifest", code(data["manifest"])],
    ["Size", typeof size === "number" ? shownSize(size) : undefined],
    ["From", text(data["from"])],
    ["By", text(data["by"])],
    ["Policy", code(data["policy"])],
  ])}${
    list.length > 0 &&
    markup`<details${failed > 0 && markup` open`}><summary>${failed === 0 ? `${list.length} checks passed` : `${failed} of ${list.length} checks did not pass`}</summary>${reasons(list)}</details>`
  }`;
}

/** The reasons of a decision as the ledger holds them; anything else is left to "as recorded". */
function reasonsOf(value: Json | undefined): Reason[] {
  if (!Array.isArray(value)) return [];
  return value.slice(0, MOST_SHOWN).flatMap((item): Reason[] => {
    if (!isObject(item) || typeof item["check"] !== "string" || typeof item["message"] !== "string") return [];
    const hint = item["hint"];
    const reason = { check: item["check"], ok: item["ok"] === true, message: item["message"] };
    return [typeof hint === "string" ? { ...reason, hint } : reason];
  });
}

const MOST_CHARACTERS = 16_384;

/** The events themselves, folded away: nothing that the ledger holds is hidden. */
export function recorded(events: readonly StoryEvent[]): Markup | false {
  if (events.length === 0) return false;
  const whole = prettyJson(events.length === 1 ? events[0] : events.slice(0, MOST_SHOWN));
  const cut = whole.length > MOST_CHARACTERS;
  return markup`<details class="recorded"><summary>as recorded</summary><pre tabindex="0"><code>${whole.slice(0, MOST_CHARACTERS)}${
    cut && "\n… cut here: the API gives the whole"
  }</code></pre></details>`;
}
