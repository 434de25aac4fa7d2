import { readFile, stat } from "node:fs/promises";
import { resolve } from "node:path";
import type { Statement } from "../../attest/statement.ts";
import { systemClock } from "../../clock.ts";
import { writeDurable } from "../../durable.ts";
import { BitforbitError, type ExitCode, systemCode } from "../../errors.ts";
import { PREDICATE_TYPES, signAndAttach, statementOf } from "../../flow/attest.ts";
import { type Artifact, gatherBundles, readBundles, resolveArtifact } from "../../flow/evidence.ts";
import type { Home } from "../../flow/home.ts";
import { summaryOf } from "../../flow/summary.ts";
import { rulesFor } from "../../flow/trust.ts";
import { isObject, type JsonObject, parseJson } from "../../json.ts";
import { type Options, texts } from "../program.ts";
import { keylessSigner } from "../keyless.ts";
import { nearestHome, passphrase, text } from "../project.ts";
import type { Terminal } from "../terminal.ts";

/** `bitforbit attest ARTIFACT --type TYPE [--predicate FILE]`: signs, logs and attaches a statement. */
export async function attest(args: readonly string[], options: Options, terminal: Terminal): Promise<ExitCode> {
  const [named] = args;
  const type = text(options, "type");
  if (named === undefined || type === undefined) {
    throw new BitforbitError("usage", "attest takes a file or a digest, and --type", {
      hint: `--type is one of ${Object.keys(PREDICATE_TYPES).join(", ")}`,
    });
  }
  const artifact = await resolveArtifact(named);
  const home = await nearestHome(".", options);
  const keyless = await keylessSigner(options, terminal);
  const predicate = text(options, "predicate");
  let made: Statement;
  if (predicate === undefined && type === "vsa") made = await summary(home, artifact, options, terminal);
  else {
    if (predicate === undefined) throw new BitforbitError("usage", `--type ${type} needs --predicate FILE`);
    made = statementOf(artifact, type, await readPredicate(predicate));
  }
  const word = passphrase();
  const attested = await signAndAttach(home, artifact, made, {
    ...(keyless === undefined ? {} : { keyless }),
    ...(word === undefined ? {} : { passphrase: word }),
  });
  const output = text(options, "output");
  if (output !== undefined) await writeDurable(resolve(output), attested.bundle);
  const { predicateType, digest, keyId, identity, log, referrer } = attested;
  terminal.document({
    artifact: { digest: artifact.digest, name: artifact.name },
    predicateType,
    digest,
    keyId,
    ...(identity === undefined ? {} : { identity }),
    log,
    ...(referrer === undefined ? {} : { referrer }),
    ...(output === undefined ? {} : { written: resolve(output) }),
  });
  terminal.line(`attested ${artifact.name}: ${predicateType}`);
  if (identity !== undefined) terminal.line(`  signed by ${identity.subject}, vouched for by ${identity.issuer}`);
  terminal.line(`  in the log ${log.origin} at index ${log.index}`);
  if (referrer !== undefined) terminal.line(`  attached in the store as ${referrer}`);
  else if (output === undefined)
    terminal.warn("the artifact is not in the store: nothing holds this statement but the log");
  if (output !== undefined) terminal.line(`  wrote ${output}`);
  return 0;
}

async function summary(home: Home, artifact: Artifact, options: Options, terminal: Terminal): Promise<Statement> {
  const bundles = await gatherBundles(home, artifact, await readBundles(texts(options, "bundle")));
  const rules = await rulesFor(home, text(options, "policy"));
  const { made, decision } = summaryOf(artifact, bundles, rules, systemClock.now());
  const denied = decision.reasons.find(({ ok }) => !ok);
  if (denied !== undefined) terminal.warn(`the summary says FAILED: ${denied.check}: ${denied.message}`);
  return made;
}

const MOST_BYTES = 32 << 20;

async function readPredicate(path: string): Promise<JsonObject> {
  try {
    const stats = await stat(path);
    if (!stats.isFile()) throw new BitforbitError("input", `${path} is not a regular file`);
    if (stats.size > MOST_BYTES) throw new BitforbitError("limit", `${path} is larger than ${MOST_BYTES} bytes`);
    const predicate = parseJson(new Uint8Array(await readFile(path)), path);
    if (isObject(predicate)) return predicate;
    throw new BitforbitError("input", `${path} is not a JSON object`);
  } catch (error) {
    const code = systemCode(error);
    if (code === undefined) throw error;
    throw new BitforbitError("input", `cannot read ${path}: ${code}`, { cause: error });
  }
}
