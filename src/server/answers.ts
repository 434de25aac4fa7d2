/** How answers are sent: headers, caching, and what is said when something is refused. */
import type { Context } from "hono";
import { HTTPException } from "hono/http-exception";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import { digestOf, hexOf } from "../digest.ts";
import { BitforbitError } from "../errors.ts";
import type { Evidence } from "./evidence.ts";
import { CONTENT_SECURITY_POLICY, problemPage } from "./layout.ts";
import { PROBLEM_TYPE, problemOf } from "./problem.ts";

/** On every answer, whatever it is. */
export const SECURITY_HEADERS: Readonly<Record<string, string>> = {
  "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
  "X-Content-Type-Options": "nosniff",
  "X-Frame-Options": "DENY",
  "Referrer-Policy": "no-referrer",
  "Cross-Origin-Resource-Policy": "same-origin",
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cache-Control": "no-store",
};

export function pageAnswer(context: Context, content: string, status: ContentfulStatusCode = 200): Response {
  context.header("Content-Security-Policy", CONTENT_SECURITY_POLICY);
  return context.html(content, status);
}

/** Bytes that never change under their address: kept for a year, compared by their own digest. */
export function immutableAnswer(context: Context, bytes: Uint8Array, type: string): Response {
  const etag = `"${hexOf(digestOf(bytes))}"`;
  context.header("ETag", etag);
  context.header("Cache-Control", "public, max-age=31536000, immutable");
  const known = (context.req.header("If-None-Match") ?? "").split(",").map((tag) => tag.trim().replace(/^W\//, ""));
  if (known.includes(etag) || known.includes("*")) return context.body(null, 304);
  context.header("Content-Type", type);
  return context.body(new Uint8Array(bytes));
}

/** A refusal or a fault, as a page for people who look at pages and as problem+json for all others. */
export function problemAnswer(context: Context, error: unknown, evidence: Evidence): Response {
  const { status, detail, hint } = explained(error);
  if (status >= 500) evidence.report(error);
  const problem = problemOf(status, detail, hint);
  context.header("Cache-Control", "no-store");
  if (isPage(context.req.path)) {
    const frame = { version: evidence.version, now: evidence.clock.now() };
    return pageAnswer(context, problemPage(problem, frame), status);
  }
  context.header("Content-Type", PROBLEM_TYPE);
  return context.body(JSON.stringify(problem), status);
}

/** What was not foreseen is not shown: its message may hold paths of the machine. */
function explained(error: unknown): { status: ContentfulStatusCode; detail: string; hint: string } {
  if (!(error instanceof HTTPException)) {
    return { status: 500, detail: "the server failed to answer", hint: "its own output says why" };
  }
  const hint = error.cause instanceof BitforbitError ? error.cause.hint : undefined;
  return { status: error.status as ContentfulStatusCode, detail: error.message, hint: hint ?? "see /openapi.json" };
}

const isPage = (path: string): boolean => path === "/" || /^\/(?:builds|artifacts)\//.test(path);
