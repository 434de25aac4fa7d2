/**
 * The ten measures of reproducible builds, M1 to M10, from the ledger alone.
 * Beside each stands what it tells and how it is counted, in the words of the
 * list it comes from, and then exactly what we count.
 *
 * A measure without events has no value, and says so: nothing recorded is not
 * the same as nothing wrong. Events are those with `from` <= at < `to`, unless a
 * measure says that it looks further back. Medians are nearest-rank: the value
 * at rank ceil(n / 2) of n sorted ones, so a median is a value that occurred.
 */
import type { Digest } from "../digest.ts";
import type { Json } from "../json.ts";
import type { LedgerEvent, RecordedEvent } from "../ledger/event.ts";
import { subjectsOf } from "../ledger/event.ts";
import type { Ledger } from "../ledger/ledger.ts";

export type MetricId = "M1" | "M2" | "M3" | "M4" | "M5" | "M6" | "M7" | "M8" | "M9" | "M10";
export type Unit = "percent" | "minutes" | "seconds" | "count";

export interface Metric {
  id: MetricId;
  name: string;
  /** In `unit`; undefined when nothing was recorded that it could be taken from. */
  value: number | undefined;
  unit: Unit;
  /** What was counted, for rates; undefined for medians. */
  numerator: number | undefined;
  denominator: number | undefined;
  target: { is: ">=" | "<=" | "<"; value: number };
  /** Whether the value meets the target. */
  meets: boolean | undefined;
  /** How many events, artifacts or keys stand behind the value. */
  samples: number;
  /** What was left out, or that nothing was recorded yet; "" when there is nothing to say. */
  note: string;
}

export interface MetricOptions {
  /** Milliseconds since 1970, inclusive. */
  from: number;
  /** Milliseconds since 1970, exclusive. */
  to: number;
  /** Milliseconds since 1970: how old keys are is asked of this moment. */
  now: number;
  /** Days after which a key is due; 365 unless given. */
  rotationDays?: number;
}

const DAY = 86_400_000;
const PROD = "prod";

type Reader = Pick<Ledger, "each">;

/** M1 to M10, in that order. */
export async function metrics(ledger: Reader, options: MetricOptions): Promise<Metric[]> {
  return [
    await reproducibilityRate(ledger, options),
    await attestationVerificationRate(ledger, options),
    await promotionFailures(ledger, options),
    await buildToDeployTime(ledger, options),
    await sbomCompleteness(ledger, options),
    await binaryDiffAlerts(ledger, options),
    await verificationLatency(ledger, options),
    await flakinessRate(ledger, options),
    await keyRotationCompliance(ledger, options),
    await provenanceCoverage(ledger, options),
  ];
}

/**
 * M1 "Percent of builds that match canonical hash. Count matching hashes / total."
 * Canonical builds whose second build, in another world, gave the same bytes;
 * of all canonical builds that were compared. A world in which the build fails
 * does not match; a build that failed everywhere has no hash and is left out.
 */
async function reproducibilityRate(ledger: Reader, { from, to }: MetricOptions): Promise<Metric> {
  let compared = 0;
  let matching = 0;
  let local = 0;
  let failed = 0;
  for await (const { data } of ledger.each({ kinds: ["verdict"], from, to })) {
    if (data["canonical"] !== true) local++;
    else if (data["verdict"] === "failed") failed++;
    else {
      compared++;
      if (data["verdict"] === "reproducible") matching++;
    }
  }
  return rate("M1", "build reproducibility rate", matching, compared, { is: ">=", value: 95 }, [
    compared === 0 && "no verdict of a canonical build recorded yet",
    local > 0 && `${local} local builds not counted`,
    failed > 0 && `${failed} failed builds not counted`,
  ]);
}

/**
 * M2 "Percent artifacts with successful attestations. Verified attestations /
 * artifacts pulled." Every pull is verified, so: verifications that succeeded,
 * of all verifications.
 */
async function attestationVerificationRate(ledger: Reader, { from, to }: MetricOptions): Promise<Metric> {
  const { ok, all } = await count(ledger.each({ kinds: ["verify"], from, to }));
  return rate("M2", "attestation verification rate", ok, all, { is: ">=", value: 99 }, [
    all === 0 && "no verification recorded yet",
  ]);
}

/**
 * M3 "Number of promotions blocked by verification. Count blocked promotions."
 * With a target in percent: promotions denied, of all that were asked for.
 */
async function promotionFailures(ledger: Reader, { from, to }: MetricOptions): Promise<Metric> {
  const { ok, all } = await count(ledger.each({ kinds: ["promote"], from, to }));
  return rate("M3", "artifact promotion failures", all - ok, all, { is: "<", value: 1 }, [
    all === 0 && "no promotion recorded yet",
  ]);
}

/**
 * M4 "Time from canonical build to deployment. Median time in minutes." For the
 * first deployment of an artifact into an environment: the time since the last
 * canonical build of these bytes before it. Later deployments of the same bytes
 * (restarts, rollbacks) say nothing about the way from build to deployment.
 * Builds and first deployments are looked for before `from` too.
 */
async function buildToDeployTime(ledger: Reader, { from, to }: MetricOptions): Promise<Metric> {
  const seen = new Set<string>();
  const minutes: number[] = [];
  let unbuilt = 0;
  for await (const { at, artifact, environment } of ledger.each({ kinds: ["deploy"], ok: true, to })) {
    const key = `${artifact} ${environment}`;
    if (artifact === undefined || seen.has(key)) continue;
    seen.add(key);
    if (at < from) continue;
    const built = await lastCanonicalBuild(ledger, artifact, at);
    if (built === undefined) unbuilt++;
    else minutes.push((at - built) / 60_000);
  }
  return median("M4", "build-to-deploy time", "minutes", minutes, { is: "<", value: 30 }, [
    minutes.length === 0 && "no deployment of a canonical build recorded yet",
    unbuilt > 0 && `${unbuilt} deployed artifacts without a canonical build here`,
  ]);
}

async function lastCanonicalBuild(ledger: Reader, artifact: Digest, before: number): Promise<number | undefined> {
  let last: number | undefined;
  for await (const { at, data } of ledger.each({ kinds: ["build", "verdict"], artifact, to: before + 1 })) {
    if (data["canonical"] === true) last = Math.max(last ?? 0, at);
  }
  return last;
}

/**
 * M5 "Percent artifacts with full SBOM. SBOM present and passes checks." Artifacts
 * of canonical builds, and artifacts that got an SBOM; those whose SBOM was
 * made without fault and scored complete = 1. An SBOM event that names no
 * artifact is for all outputs of its build.
 */
async function sbomCompleteness(ledger: Reader, { from, to }: MetricOptions): Promise<Metric> {
  const artifacts = new Set<Digest>();
  const full = new Set<Digest>();
  for await (const event of ledger.each({ kinds: ["build", "verdict"], from, to })) {
    if (event.data["canonical"] === true) addAll(artifacts, subjectsOf(event));
  }
  for await (const event of ledger.each({ kinds: ["sbom"], to })) {
    const subjects = await subjectsOrOutputs(ledger, event);
    if (event.at >= from) addAll(artifacts, subjects);
    if (event.ok && event.data["complete"] === 1) addAll(full, subjects);
  }
  const complete = [...artifacts].filter((artifact) => full.has(artifact)).length;
  return rate("M5", "SBOM completeness", complete, artifacts.size, { is: ">=", value: 95 }, [
    artifacts.size === 0 && "no artifact of a canonical build recorded yet",
  ]);
}

/**
 * M6 "Alerts for differing artifact bytes. Binary diff monitoring." Target: none
 * for prod releases; development builds may differ. Alerts in prod, or in no
 * named environment. Zero is a finding only where something was released.
 */
async function binaryDiffAlerts(ledger: Reader, { from, to }: MetricOptions): Promise<Metric> {
  let alerts = 0;
  let elsewhere = 0;
  for await (const { environment } of ledger.each({ kinds: ["diff-alert"], from, to })) {
    if (environment === undefined || environment === PROD) alerts++;
    else elsewhere++;
  }
  const releases = await count(ledger.each({ kinds: ["promote", "deploy"], environment: PROD, ok: true, to }));
  const value = alerts === 0 && releases.all === 0 ? undefined : alerts;
  return metric(
    "M6",
    "binary-diff alerts",
    "count",
    value,
    { is: "<=", value: 0 },
    {
      numerator: value,
      samples: releases.all,
      notes: [
        value === undefined && "no release in prod recorded yet",
        elsewhere > 0 && `${elsewhere} alerts outside prod not counted`,
      ],
    },
  );
}

/** M7 "Time to verify artifact prior to deploy. Median verification time." Of all verifications, whatever they decided. */
async function verificationLatency(ledger: Reader, { from, to }: MetricOptions): Promise<Metric> {
  const seconds: number[] = [];
  for await (const { milliseconds, data } of ledger.each({ kinds: ["verify"], from, to })) {
    const took = milliseconds ?? data["milliseconds"];
    if (typeof took === "number" && took >= 0) seconds.push(took / 1_000);
  }
  return median("M7", "verification latency", "seconds", seconds, { is: "<", value: 120 }, [
    seconds.length === 0 && "no timed verification recorded yet",
  ]);
}

/** From the best to the worst that one build can come to. */
const VERDICTS: readonly Json[] = ["reproducible", "differs", "fails-in-adversarial", "failed"];

/**
 * M8 "CI jobs failing due to nondeterminism. Nondeterministic failures /
 * builds." Canonical builds of the same source and the same recipe that came to
 * a worse verdict than another build of just these; of all canonical builds. A
 * build that always differs counts in M1: it is not flaky, it is wrong.
 */
async function flakinessRate(ledger: Reader, { from, to }: MetricOptions): Promise<Metric> {
  const groups = new Map<string, number[]>();
  let builds = 0;
  for await (const { data } of ledger.each({ kinds: ["verdict"], from, to })) {
    const rank = VERDICTS.indexOf(data["verdict"] ?? null);
    if (data["canonical"] !== true || rank === -1) continue;
    builds++;
    if (data["source"] === undefined || data["recipe"] === undefined) continue;
    const inputs = JSON.stringify([data["source"], data["recipe"]]);
    const counts = groups.get(inputs) ?? VERDICTS.map(() => 0);
    counts[rank] = (counts[rank] ?? 0) + 1;
    groups.set(inputs, counts);
  }
  let flaky = 0;
  let repeated = 0;
  for (const counts of groups.values()) {
    const all = counts.reduce((sum, n) => sum + n, 0);
    flaky += all - (counts.find((n) => n > 0) ?? 0);
    if (all > 1) repeated += all;
  }
  return rate("M8", "build flakiness rate", flaky, builds, { is: "<", value: 2 }, [
    builds === 0 && "no verdict of a canonical build recorded yet",
    builds > 0 && repeated === 0 && "no source was built twice with one recipe: flakiness could not show",
  ]);
}

/**
 * M9 "Percent of keys within rotation policy. Keys rotated / keys due." Keys in
 * use at `now` that were created or rotated within the policy's days (those that
 * the key-ring gives the key's role, as the event tells, or else the option's);
 * of all keys in use. `rotate` renews its key, or puts it in the place of the
 * key that `data.replaces` names; `retire` and `revoke` end a key. All key
 * events until `now` count.
 */
async function keyRotationCompliance(ledger: Reader, options: MetricOptions): Promise<Metric> {
  const days = options.rotationDays ?? 365;
  const since = new Map<string, { at: number; days: number }>();
  for await (const { at, data } of ledger.each({ kinds: ["key"], ok: true, to: options.now + 1 })) {
    const { keyId, action, replaces, maxAgeDays } = data;
    if (typeof keyId !== "string") continue;
    if (action === "revoke" || action === "retire") since.delete(keyId);
    else if (action === "create" || action === "rotate") {
      since.set(keyId, { at, days: typeof maxAgeDays === "number" ? maxAgeDays : days });
    }
    if (action === "rotate" && typeof replaces === "string" && replaces !== keyId) since.delete(replaces);
  }
  const within = [...since.values()].filter((key) => options.now - key.at <= key.days * DAY).length;
  const policies = [...new Set([...since.values()].map((key) => key.days))].sort((a, b) => a - b).join(" or ");
  return rate("M9", "key rotation compliance", within, since.size, { is: ">=", value: 100 }, [
    since.size === 0 && "no key recorded yet",
    within < since.size && `${since.size - within} keys older than ${policies} days`,
  ]);
}

/**
 * M10 "Percent of production artifacts with provenance. Provenance attached /
 * prod artifacts." Artifacts promoted or deployed into prod; those of which a
 * SLSA provenance statement was attested, at any time before `to`. An
 * attestation that names no artifact is for all outputs of its build.
 */
async function provenanceCoverage(ledger: Reader, { from, to }: MetricOptions): Promise<Metric> {
  const released = new Set<Digest>();
  for await (const event of ledger.each({ kinds: ["promote", "deploy"], environment: PROD, ok: true, from, to })) {
    addAll(released, subjectsOf(event));
  }
  const attested = new Set<Digest>();
  for await (const event of ledger.each({ kinds: ["attest"], ok: true, to })) {
    const { predicateType } = event.data;
    if (typeof predicateType !== "string" || !predicateType.startsWith("https://slsa.dev/provenance/")) continue;
    addAll(attested, await subjectsOrOutputs(ledger, event));
  }
  const covered = [...released].filter((artifact) => attested.has(artifact)).length;
  return rate("M10", "provenance coverage", covered, released.size, { is: ">=", value: 100 }, [
    released.size === 0 && "no artifact in prod recorded yet",
  ]);
}

async function subjectsOrOutputs(ledger: Reader, event: LedgerEvent): Promise<Digest[]> {
  const subjects = subjectsOf(event);
  if (subjects.length > 0 || event.build === undefined) return subjects;
  const outputs = new Set<Digest>();
  for await (const told of ledger.each({ kinds: ["build", "verdict"], build: event.build })) {
    addAll(outputs, subjectsOf(told));
  }
  return [...outputs];
}

async function count(events: AsyncIterable<RecordedEvent>): Promise<{ ok: number; all: number }> {
  let ok = 0;
  let all = 0;
  for await (const event of events) {
    all++;
    if (event.ok) ok++;
  }
  return { ok, all };
}

function addAll<T>(set: Set<T>, items: readonly T[]): void {
  for (const item of items) set.add(item);
}

type Notes = readonly (string | false)[];

function rate(
  id: MetricId,
  name: string,
  numerator: number,
  denominator: number,
  target: Metric["target"],
  notes: Notes,
): Metric {
  const value = denominator === 0 ? undefined : (100 * numerator) / denominator;
  return metric(id, name, "percent", value, target, { numerator, denominator, samples: denominator, notes });
}

function median(
  id: MetricId,
  name: string,
  unit: Unit,
  values: readonly number[],
  target: Metric["target"],
  notes: Notes,
): Metric {
  const sorted = [...values].sort((a, b) => a - b);
  const value = sorted[Math.ceil(sorted.length / 2) - 1];
  return metric(id, name, unit, value, target, { samples: values.length, notes });
}

function metric(
  id: MetricId,
  name: string,
  unit: Unit,
  value: number | undefined,
  target: Metric["target"],
  counted: { numerator?: number | undefined; denominator?: number; samples: number; notes: Notes },
): Metric {
  return {
    id,
    name,
    value,
    unit,
    numerator: counted.numerator,
    denominator: counted.denominator,
    target,
    meets: value === undefined ? undefined : meets(value, target),
    samples: counted.samples,
    note: counted.notes.filter((note) => note !== false).join("; "),
  };
}

function meets(value: number, target: Metric["target"]): boolean {
  switch (target.is) {
    case ">=":
      return value >= target.value;
    case "<=":
      return value <= target.value;
    case "<":
      return value < target.value;
  }
}
