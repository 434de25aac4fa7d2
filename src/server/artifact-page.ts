import type { Digest } from "../digest.ts";
import type { ArtifactRecord, Decision, StoredArtifact, StoredAttestation } from "./evidence.ts";
import { buildsTable } from "./builds-page.ts";
import { andMore, commands, decisionOf, facts, MOST_SHOWN, page, table, verifyCommands } from "./layout.ts";
import { type Markup, markup } from "./markup.ts";
import { shownSize } from "./shown.ts";
import { handlingBody, predicateName, recorded } from "./steps.ts";

export interface ArtifactPage {
  digest: Digest;
  /** Absent when the ledger knows it and the store does not hold it. */
  stored: StoredArtifact | undefined;
  record: ArtifactRecord | undefined;
  attestations: readonly StoredAttestation[];
  /** Decided while the page was made; undefined when it could not be. */
  decision: Decision | undefined;
  now: number;
  version: string;
}

/** `/artifacts/:digest`: what it is, whether it may be used, who says so, and what happened to it. */
export function artifactPage(view: ArtifactPage): string {
  const { digest, stored, record } = view;
  const output = record?.builds.flatMap((build) => build.outputs).find((one) => one.digest === digest);
  const name = stored?.name ?? output?.path ?? "Artifact";
  const size = stored?.size ?? output?.size;
  const builds = record?.builds.slice(0, MOST_SHOWN) ?? [];
  const body = markup`<p class="crumbs"><a href="/">Builds</a> / artifact</p>
<h1>${name}</h1>
<p class="lead"><code class="whole">${digest}</code></p>
${facts([
  ["Size", size === undefined ? undefined : markup`<span title="${size} bytes">${shownSize(size)}</span>`],
  ["Media type", stored === undefined ? undefined : markup`<code>${stored.mediaType}</code>`],
  ["Manifest", stored === undefined ? undefined : markup`<code class="whole">${stored.manifest}</code>`],
  ["Stored", stored === undefined ? "no: the ledger knows it, the store does not hold it" : undefined],
])}
${section("decision", "Decision, as of now", decided(view.decision))}
${section("attestations", "Attestations", attestationsOf(digest, view.attestations))}
${section("builds", "Built by", builds.length > 0 ? buildsTable(builds, view.now, "Builds that made these bytes") : none("No build in this ledger made it."))}
${section("history", "What happened to it", historyOf(digest, record, view.now))}
${section("offline", "Check it yourself", commands([...verifyCommands({ path: name === "Artifact" ? "FILE" : name, digest, size: size ?? 0 }), { says: "The same decision by digest, from the store:", command: `bitforbit verify ${digest}` }]))}`;
  return page({ title: name, version: view.version, now: view.now }, body);
}

const section = (id: string, title: string, body: Markup): Markup =>
  markup`<section class="part" aria-labelledby="${id}"><h2 id="${id}">${title}</h2>${body}</section>`;

const none = (says: string): Markup => markup`<p class="quiet">${says}</p>`;

function decided(decision: Decision | undefined): Markup {
  if (decision === undefined) {
    return markup`<p><b>– not decided.</b> The verifier did not answer: treat it as denied. The server's own output says why.</p>`;
  }
  return decisionOf(decision);
}

function attestationsOf(digest: Digest, attestations: readonly StoredAttestation[]): Markup {
  if (attestations.length === 0) return none("Nobody has attested anything about it.");
  const rows = attestations
    .slice(0, MOST_SHOWN)
    .map((attestation) => [
      markup`<b>${predicateName(attestation.predicateType)}</b>`,
      markup`<code>${attestation.predicateType}</code>`,
      markup`<a class="code" href="/api/v1/artifacts/${digest}/attestations/${attestation.digest}" title="${attestation.digest}">${attestation.digest.slice(7, 19)}…</a>`,
    ]);
  return markup`${table("Sigstore bundles", [{ head: "What" }, { head: "Predicate type" }, { head: "Bundle" }], rows)}${andMore(attestations.length, "attestations")}`;
}

function historyOf(digest: Digest, record: ArtifactRecord | undefined, now: number): Markup {
  const events = record?.events ?? [];
  if (events.length === 0) return none("Neither verified nor promoted so far.");
  return markup`${handlingBody(events, now, digest)}${recorded(events)}`;
}
