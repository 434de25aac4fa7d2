import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { run } from "../child.ts";
import { BitforbitError, messageOf, systemCode } from "../errors.ts";
import { isObject, type JsonObject, parseJson } from "../json.ts";

/** What opens a registry: a name and a password, or a token that stands for both. */
export type Credentials = { type: "basic"; user: string; password: string } | { type: "identity"; token: string };

/** Finds the credentials for a registry's domain, as references write it; undefined when there are none. */
export type FindCredentials = (domain: string) => Promise<Credentials | undefined>;

/** Names under which the registry that docker.io stands for is kept. */
const DOCKER_KEYS = ["https://index.docker.io/v1/", "index.docker.io", "docker.io"];

/**
 * Credentials as `docker login`, `podman login` and `skopeo login` leave them:
 * `auths`, `credHelpers` and `credsStore` of the first of these files that
 * knows the registry: $REGISTRY_AUTH_FILE, $DOCKER_CONFIG/config.json or
 * ~/.docker/config.json, $XDG_RUNTIME_DIR/containers/auth.json. Credential
 * helpers are run. Throws `input` for a broken file, `lacking` for a helper
 * that is not installed.
 */
export function credentialsOfClients(
  environment: Readonly<Record<string, string | undefined>> = process.env,
): FindCredentials {
  const runtime = environment["XDG_RUNTIME_DIR"];
  const files = [
    environment["REGISTRY_AUTH_FILE"],
    join(environment["DOCKER_CONFIG"] ?? join(environment["HOME"] ?? homedir(), ".docker"), "config.json"),
    runtime === undefined ? undefined : join(runtime, "containers", "auth.json"),
  ];
  return async (domain) => {
    for (const file of files) {
      if (file === undefined) continue;
      const config = await readConfig(file);
      const found = config === undefined ? undefined : await lookUp(config, domain, file);
      if (found !== undefined) return found;
    }
    return undefined;
  };
}

async function readConfig(path: string): Promise<JsonObject | undefined> {
  let bytes: Uint8Array;
  try {
    bytes = new Uint8Array(await readFile(path));
  } catch (error) {
    if (["ENOENT", "ENOTDIR"].includes(systemCode(error) ?? "")) return undefined;
    throw new BitforbitError("input", `cannot read ${path}: ${messageOf(error)}`, { cause: error });
  }
  try {
    const config = parseJson(bytes, path);
    if (isObject(config)) return config;
  } catch {
    // Not its words: they quote the file, which holds secrets.
  }
  throw new BitforbitError("input", `${path} is not a JSON object`, { hint: "log in again, which writes it anew" });
}

async function lookUp(config: JsonObject, domain: string, file: string): Promise<Credentials | undefined> {
  const keys = domain === "docker.io" ? DOCKER_KEYS : [domain, `https://${domain}`, `https://${domain}/`];
  const helpers = isObject(config["credHelpers"]) ? config["credHelpers"] : {};
  for (const key of keys) {
    const helper = helpers[key];
    if (typeof helper === "string") return await askHelper(helper, key);
  }
  const auths = isObject(config["auths"]) ? config["auths"] : {};
  for (const key of keys) {
    const entry = auths[key];
    const found = isObject(entry) ? fromEntry(entry, `${file}: auths[${JSON.stringify(key)}]`) : undefined;
    if (found !== undefined) return found;
  }
  const store = config["credsStore"];
  return typeof store === "string" ? await askHelper(store, keys[0] ?? domain) : undefined;
}

function fromEntry(entry: JsonObject, what: string): Credentials | undefined {
  const { identitytoken, auth, username, password } = entry;
  if (typeof identitytoken === "string" && identitytoken !== "") return { type: "identity", token: identitytoken };
  if (typeof auth === "string" && auth !== "") {
    const text = Buffer.from(auth, "base64").toString("utf8");
    const colon = text.indexOf(":");
    if (colon < 1) throw new BitforbitError("input", `${what}.auth is not the base64 of name:password`);
    // Docker pads with NULs what it wrote in old versions.
    return { type: "basic", user: text.slice(0, colon), password: text.slice(colon + 1).replace(/\0+$/, "") };
  }
  if (typeof username === "string" && typeof password === "string" && username !== "") {
    return { type: "basic", user: username, password };
  }
  return undefined;
}

/** docker-credential-helpers, "Development": `get` takes the server on stdin and answers in JSON. */
async function askHelper(helper: string, server: string): Promise<Credentials | undefined> {
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(helper)) {
    throw new BitforbitError("input", `not the name of a credential helper: ${JSON.stringify(helper.slice(0, 100))}`);
  }
  const program = `docker-credential-${helper}`;
  const ran = await run(program, ["get"], { input: server, timeoutMilliseconds: 30_000, maxBytes: 1 << 20 });
  const said = Buffer.from(ran.stdout).toString();
  if (ran.exitCode !== 0) {
    if (/credentials not found/i.test(said + ran.stderr)) return undefined;
    throw new BitforbitError("outside", `${program} failed for ${server}: ${(said + ran.stderr).trim().slice(0, 200)}`);
  }
  const answer = answerOf(ran.stdout);
  const { Username: user, Secret: secret } = answer;
  if (typeof user !== "string" || typeof secret !== "string") {
    throw new BitforbitError("outside", `${program} gave no name and secret for ${server}`);
  }
  return user === "<token>" ? { type: "identity", token: secret } : { type: "basic", user, password: secret };
}

function answerOf(bytes: Uint8Array): JsonObject {
  try {
    const answer = parseJson(bytes, "answer");
    return isObject(answer) ? answer : {};
  } catch {
    return {};
  }
}
