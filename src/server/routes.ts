import { Hono } from "hono";
import { timeout } from "hono/timeout";
import type { Digest } from "../digest.ts";
import { immutableAnswer, pageAnswer, problemAnswer, SECURITY_HEADERS } from "./answers.ts";
import { artifactPage } from "./artifact-page.ts";
import { buildPage } from "./build-page.ts";
import { buildsPage } from "./builds-page.ts";
import type { BuildRecord, Decision, Evidence, Story } from "./evidence.ts";
import { openapi } from "./openapi.ts";
import {
  beforeParameter,
  buildIdParameter,
  checkQuery,
  digestParameter,
  limitParameter,
  named,
  refusal,
  tileParameter,
} from "./parameters.ts";

const BUNDLE_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json";
const LIMIT = { otherwise: 50, most: 200 };

/** Every route of the server, over evidence that it can only read. */
export function routes(evidence: Evidence, timeoutMilliseconds: number): Hono {
  const app = new Hono();
  app.use(async (context, next) => {
    for (const [name, value] of Object.entries(SECURITY_HEADERS)) context.header(name, value);
    await next();
  });
  app.use(timeout(timeoutMilliseconds, () => refusal(503, "the answer took too long", "try again, or ask for less")));
  app.onError((error, context) => problemAnswer(context, error, evidence));
  app.notFound((context) => {
    const error = refusal(404, `there is nothing at ${named(context.req.path)}`, "/openapi.json lists what there is");
    return problemAnswer(context, error, evidence);
  });
  // One decision at a time for an artifact, however many ask for it.
  const verify = sharing((digest: Digest) => evidence.verify(digest));
  addOperations(app, evidence);
  addBuilds(app, evidence);
  addArtifacts(app, evidence, verify);
  addLog(app, evidence);
  addPages(app, evidence, verify);
  return app;
}

function addOperations(app: Hono, evidence: Evidence): void {
  app.get("/healthz", async (context) => {
    checkQuery(context.req.url, []);
    await evidence.ledger.builds(1);
    return context.json({ status: "ok", version: evidence.version });
  });
  app.get("/metrics", async (context) => {
    const text = await evidence.metricsText();
    return context.body(text, 200, { "Content-Type": "text/plain; version=0.0.4; charset=utf-8" });
  });
  app.get("/openapi.json", (context) => context.json(openapi(evidence.version)));
  app.get("/api/v1/metrics", async (context) => {
    checkQuery(context.req.url, []);
    return context.json({ metrics: await evidence.metrics() });
  });
  app.get("/api/v1/promotions", async (context) => {
    checkQuery(context.req.url, ["limit"]);
    const limit = limitParameter(context.req.query("limit"), LIMIT);
    return context.json({ promotions: await evidence.ledger.promotions(limit) });
  });
}

function addBuilds(app: Hono, evidence: Evidence): void {
  app.get("/api/v1/builds", async (context) => {
    checkQuery(context.req.url, ["limit", "before"]);
    const limit = limitParameter(context.req.query("limit"), LIMIT);
    return context.json(await pageOfBuilds(evidence, limit, beforeParameter(context.req.query("before"))));
  });
  app.get("/api/v1/builds/:id", async (context) => {
    checkQuery(context.req.url, []);
    return context.json(await storyOf(evidence, context.req.param("id")));
  });
}

async function pageOfBuilds(
  evidence: Evidence,
  limit: number,
  before: string | undefined,
): Promise<{ builds: readonly BuildRecord[]; next?: string }> {
  // One more than asked for tells whether there are older ones.
  const found = await evidence.ledger.builds(limit + 1, before);
  const builds = found.slice(0, limit);
  const last = builds.at(-1);
  return found.length > limit && last !== undefined ? { builds, next: last.id } : { builds };
}

async function storyOf(evidence: Evidence, id: string): Promise<Story> {
  const story = await evidence.ledger.build(buildIdParameter(id));
  if (story === undefined) throw refusal(404, `no build ${named(id)}`, "/api/v1/builds lists what there is");
  return story;
}

type Verify = (digest: Digest) => Promise<Decision>;

/** Calls that ask the same thing at the same time share one answer. */
function sharing(ask: Verify): Verify {
  const asked = new Map<Digest, Promise<Decision>>();
  return async (digest) => {
    const already = asked.get(digest);
    if (already !== undefined) return await already;
    const answer = ask(digest).finally(() => asked.delete(digest));
    asked.set(digest, answer);
    return await answer;
  };
}

/** What the ledger and the store know of an artifact. Refuses with 404 when neither knows it. */
async function knownArtifact(evidence: Evidence, parameter: string) {
  const digest = digestParameter(parameter);
  const [stored, record] = await Promise.all([evidence.store.artifact(digest), evidence.ledger.artifact(digest)]);
  if (stored === undefined && record === undefined) {
    throw refusal(404, `no artifact ${digest}`, "compare the digest with what 'sha256sum' prints for the file");
  }
  return { digest, stored, record };
}

function addArtifacts(app: Hono, evidence: Evidence, verify: Verify): void {
  app.get("/api/v1/artifacts/:digest", async (context) => {
    checkQuery(context.req.url, []);
    const { digest, stored, record } = await knownArtifact(evidence, context.req.param("digest"));
    return context.json({ digest, stored: stored ?? null, builds: record?.builds ?? [], events: record?.events ?? [] });
  });
  app.get("/api/v1/artifacts/:digest/decision", async (context) => {
    checkQuery(context.req.url, []);
    const { digest } = await knownArtifact(evidence, context.req.param("digest"));
    return context.json({ digest, at: evidence.clock.now(), ...(await verify(digest)) });
  });
  app.get("/api/v1/artifacts/:digest/attestations", async (context) => {
    checkQuery(context.req.url, []);
    const { digest } = await knownArtifact(evidence, context.req.param("digest"));
    const attestations = (await evidence.store.referrers(digest)).map((one) => ({
      digest: one.digest,
      predicateType: one.predicateType,
      url: `/api/v1/artifacts/${digest}/attestations/${one.digest}`,
    }));
    return context.json({ digest, attestations });
  });
  app.get("/api/v1/artifacts/:digest/attestations/:bundle", async (context) => {
    checkQuery(context.req.url, []);
    const { digest } = await knownArtifact(evidence, context.req.param("digest"));
    const wanted = digestParameter(context.req.param("bundle"));
    const found = (await evidence.store.referrers(digest)).find((one) => one.digest === wanted);
    if (found === undefined) {
      throw refusal(404, `no attestation ${wanted}`, `/api/v1/artifacts/${digest}/attestations lists what there is`);
    }
    return immutableAnswer(context, await found.bundle(), BUNDLE_TYPE);
  });
}

/** C2SP tlog-tiles, below the prefix `/log`. */
function addLog(app: Hono, evidence: Evidence): void {
  app.get("/log/checkpoint", async (context) => {
    const checkpoint = await evidence.log.checkpoint();
    if (checkpoint === undefined)
      throw refusal(404, "the log is empty", "run 'bitforbit build' to make its first entry");
    return context.body(new Uint8Array(checkpoint), 200, { "Content-Type": "text/plain; charset=utf-8" });
  });
  app.get("/log/tile/*", async (context) => {
    const path = tileParameter(context.req.path.slice("/log/".length));
    const tile = await evidence.log.tile(path);
    if (tile === undefined) {
      throw refusal(404, `no tile ${path}`, "the tree's size in /log/checkpoint says which tiles there are");
    }
    return immutableAnswer(context, tile, "application/octet-stream");
  });
}

function addPages(app: Hono, evidence: Evidence, verify: Verify): void {
  const frame = () => ({ version: evidence.version, now: evidence.clock.now() });
  app.get("/", async (context) => {
    checkQuery(context.req.url, ["limit", "before"]);
    const limit = limitParameter(context.req.query("limit"), LIMIT);
    const before = beforeParameter(context.req.query("before"));
    const [{ builds, next }, metrics] = await Promise.all([pageOfBuilds(evidence, limit, before), evidence.metrics()]);
    return pageAnswer(context, buildsPage({ builds, next, newest: before === undefined, metrics, ...frame() }));
  });
  app.get("/builds/:id", async (context) => {
    checkQuery(context.req.url, []);
    return pageAnswer(context, buildPage(await storyOf(evidence, context.req.param("id")), frame()));
  });
  app.get("/artifacts/:digest", async (context) => {
    checkQuery(context.req.url, []);
    const known = await knownArtifact(evidence, context.req.param("digest"));
    // A verifier that fails must not hide the rest of what is known.
    const undecided = (error: unknown) => void evidence.report(error);
    const [attestations, decision] = await Promise.all([
      evidence.store.referrers(known.digest),
      verify(known.digest).catch(undecided),
    ]);
    return pageAnswer(context, artifactPage({ ...known, attestations, decision: decision ?? undefined, ...frame() }));
  });
}
