/** Composes what the server shows out of the home's own ledger, store, log and verifier. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "../clock.ts";
import { hex, utf8 } from "../bytes.ts";
import { type Digest, digestOf } from "../digest.ts";
import { systemCode } from "../errors.ts";
import { gatherBundles } from "../flow/evidence.ts";
import type { Home } from "../flow/home.ts";
import { rulesFor } from "../flow/trust.ts";
import { isObject, type Json } from "../json.ts";
import type { RecordedEvent } from "../ledger/event.ts";
import type { Ledger } from "../ledger/ledger.ts";
import type { BuildSummary, Promotion as LedgerPromotion } from "../ledger/story.ts";
import { type Metric, metrics } from "../observe/metrics.ts";
import { prometheus } from "../observe/prometheus.ts";
import { verify } from "../policy/verify.ts";
import type {
  BuildRecord,
  Evidence,
  FoundCause,
  LedgerView,
  LogView,
  Promotion,
  StoryEvent,
  StoreView,
  Verdict,
} from "../server/evidence.ts";
import type { Metric as ShownMetric } from "../server/evidence.ts";
import { openStore } from "../store/store.ts";
import { VERSION } from "../version.ts";
import type { CauseName } from "../world.ts";

const DAY = 86_400_000;
const METRIC_DAYS = 30;
const MOST_BUILDS = 10_000;

export function evidenceOf(home: Home, ledger: Ledger, clock: Clock, report: (error: unknown) => void): Evidence {
  const computed = async (): Promise<Metric[]> => {
    const now = clock.now();
    return await metrics(ledger, { from: now - METRIC_DAYS * DAY, to: now + 1, now });
  };
  return {
    clock,
    version: VERSION,
    report,
    ledger: ledgerView(ledger),
    store: storeView(home),
    log: logView(home),
    metrics: async () => (await computed()).map(shownMetric),
    metricsText: async () => prometheus(await computed()),
    verify: async (digest) => {
      const rules = await rulesFor(home, undefined);
      const bundles = await gatherBundles(home, { digest, name: digest, path: undefined }, []);
      return verify({ artifact: { digest }, bundles, policy: rules.policy, trust: rules.trust, now: clock.now() });
    },
  };
}

function ledgerView(ledger: Ledger): LedgerView {
  return {
    builds: async (limit, before) => {
      const all = await ledger.builds({ limit: before === undefined ? limit : MOST_BUILDS });
      const start = before === undefined ? 0 : all.findIndex(({ build }) => build === before) + 1;
      return before !== undefined && start === 0 ? [] : all.slice(start, start + limit).map(buildRecord);
    },
    build: async (id) => {
      const story = await ledger.build(id);
      return story && { build: buildRecord(story), events: story.events.map(storyEvent) };
    },
    artifact: async (digest) => {
      const story = await ledger.artifact(digest);
      if (story === undefined) return undefined;
      const builds = await Promise.all(story.builds.map(async (id) => ledger.build(id)));
      return {
        builds: builds
          .filter((build) => build !== undefined)
          .map(buildRecord)
          .toReversed(),
        events: [
          ...story.verifications,
          ...story.events.filter(({ kind }) => ["promote", "deploy", "diff-alert"].includes(kind)),
        ]
          .sort((a, b) => a.id - b.id)
          .map(storyEvent),
      };
    },
    promotions: async (limit) => (await ledger.promotions()).slice(0, limit).flatMap(promotionOf),
  };
}

function promotionOf(promotion: LedgerPromotion): Promotion[] {
  const { artifact, environment } = promotion;
  if (artifact === undefined || environment === undefined) return [];
  const denied = promotion.reasons.filter(isObject).find((reason) => reason["ok"] === false)?.["message"];
  return [
    {
      at: promotion.at,
      artifact,
      environment,
      project: promotion.project,
      ok: promotion.ok,
      reason: typeof denied === "string" ? denied : undefined,
    },
  ];
}

function storyEvent(event: RecordedEvent): StoryEvent {
  const { at, kind, ok, milliseconds, artifact, environment, data } = event;
  return { at, kind, ok, milliseconds, artifact, environment, data };
}

const VERDICTS: readonly string[] = ["reproducible", "differs", "failed", "fails-in-adversarial"] satisfies Verdict[];

function buildRecord(summary: BuildSummary): BuildRecord {
  const source = sourceOf(summary.source);
  return {
    id: summary.build,
    at: summary.startedAt,
    milliseconds: Math.max(0, summary.endedAt - summary.startedAt),
    project: summary.project ?? "unnamed",
    source,
    canonical: summary.canonical === true,
    verdict: VERDICTS.includes(summary.verdict ?? "") ? (summary.verdict as Verdict) : undefined,
    causes: summary.causes.flatMap(causeOf),
    outputs: summary.outputs.map(({ path, digest, size }) => ({ path, digest, size: size ?? 0 })),
    lacks: summary.lacks
      .filter(isObject)
      .map((lack) => ({ what: textIn(lack["what"]), remedy: textIn(lack["remedy"]) })),
    environment: summary.environment ?? "not recorded",
  };
}

/** The ledger keeps the source as canonical JSON. */
function sourceOf(text: string | undefined): BuildRecord["source"] {
  if (text === undefined || !text.startsWith("{")) return { uri: text };
  const parsed = JSON.parse(text) as Json;
  if (!isObject(parsed)) return {};
  const field = (name: string): string | undefined => (typeof parsed[name] === "string" ? parsed[name] : undefined);
  return { uri: field("uri"), commit: field("commit"), tag: field("tag"), tree: field("tree") };
}

const CONFIDENCE: Readonly<Record<string, number>> = { certain: 1, likely: 0.7, possible: 0.3 };

function causeOf(cause: Json): FoundCause[] {
  if (!isObject(cause)) return [];
  const evidence = isObject(cause["evidence"]) ? cause["evidence"] : {};
  const [a, b] = [textIn(evidence["a"]), textIn(evidence["b"])];
  const offset = typeof cause["offset"] === "number" ? cause["offset"] : 0;
  return [
    {
      name: textIn(cause["name"]) as CauseName,
      artifact: textIn(cause["artifact"]),
      path: Array.isArray(cause["leaf"]) ? cause["leaf"].map(textIn).join(" › ") : "",
      evidence: { text: `${a} ≠ ${b}`, a: { offset, hex: hex(utf8(a)) }, b: { offset, hex: hex(utf8(b)) } },
      confidence: CONFIDENCE[textIn(cause["confidence"])] ?? 0,
      remedy: textIn(cause["remedy"]),
    },
  ];
}

const textIn = (value: Json | undefined): string => (typeof value === "string" ? value : "");

function storeView(home: Home): StoreView {
  return {
    artifact: async (digest) => {
      const found = await (await openStore(home.store)).artifact(digest);
      return (
        found && {
          digest,
          name: found.name,
          size: found.size,
          mediaType: "application/octet-stream",
          manifest: found.manifest,
        }
      );
    },
    referrers: async (digest) => await referrersOf(home, digest),
  };
}

async function referrersOf(home: Home, digest: Digest): ReturnType<StoreView["referrers"]> {
  const referrers = await (await openStore(home.store)).referrers(digest);
  return await Promise.all(
    referrers.map(async ({ predicateType, bundle }) => ({ digest: digestOf(await bundle()), predicateType, bundle })),
  );
}

function logView(home: Home): LogView {
  const read = async (path: string): Promise<Uint8Array | undefined> => {
    try {
      return new Uint8Array(await readFile(join(home.root, "log", path)));
    } catch (error) {
      if (systemCode(error) === "ENOENT") return undefined;
      throw error;
    }
  };
  return { checkpoint: async () => await read("checkpoint"), tile: read };
}

function shownMetric({ id, name, value, unit, target, meets, note, samples }: Metric): ShownMetric {
  const sign = target.is === ">=" ? "≥" : target.is === "<=" ? "≤" : "<";
  const suffix = unit === "percent" ? " %" : unit === "seconds" ? " s" : unit === "minutes" ? " min" : "";
  return { id, name, value, unit, target: `${sign} ${target.value}${suffix}`, meets, note, samples };
}
