/**
 * Keys in a PKCS#11 token: `pkcs11:token=T;object=L;id=%01?module-path=PATH`
 * (RFC 7512). The module may also be named by COSIGN_PKCS11_MODULE_PATH. The
 * PIN is in BITFORBIT_PKCS11_PIN or COSIGN_PKCS11_PIN, or in the file that
 * `pin-source` names; a URI with the PIN in it is refused, since URIs are kept.
 */
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { readFile } from "node:fs/promises";
import { concat, equalBytes, fromHex, hex, utf8 } from "../bytes.ts";
import { compiledOnce } from "../compiled.ts";
import { sha256 } from "../digest.ts";
import { BitforbitError } from "../errors.ts";
import { ED25519_HEAD, P256_HEAD, spkiPem } from "../format/spki.ts";
import { PKCS11_SOURCE } from "./pkcs11-source.ts";
import { required, type ServiceOptions } from "./bounded-request.ts";
import type { KeyService } from "./services.ts";
import { derOfP1363 } from "./signature-form.ts";
import { type PublicKey, parsePublicKey } from "./verifier.ts";

const MAX_LINE = 1 << 16;
/** Sessions that a token that was pulled, or a helper that died, is asked for again. */
const ATTEMPTS = 3;

interface TokenKey {
  uri: string;
  module: string;
  token: Uint8Array | undefined;
  label: Uint8Array | undefined;
  id: Uint8Array | undefined;
  pinSource: string | undefined;
}

export async function openPkcs11Key(uri: string, options: ServiceOptions = {}): Promise<KeyService> {
  const environment = options.environment ?? process.env;
  const key = parsePkcs11Uri(uri, environment);
  if (options.cache === undefined) throw new BitforbitError("usage", `${uri}: nowhere to keep what is compiled for it`);
  const program = await compiledOnce(options.cache, {
    name: "pkcs11",
    source: PKCS11_SOURCE,
    options: ["-O2", "-Wl,--no-as-needed", "-ldl"],
    works: async () => true,
  });
  if (program === undefined) {
    throw new BitforbitError("lacking", `${uri}: the program that speaks to the token cannot be compiled here`, {
      hint: "apt-get install gcc libc6-dev",
    });
  }
  const session = new TokenSession(program, key, await pinOf(key, environment), options.timeoutMilliseconds ?? 30_000);
  return {
    publicKey: async () => publicKeyOf(await session.point(), uri),
    sign: async (bytes, { algorithm }) => {
      if (algorithm === "ecdsa-p256") return derOfP1363(await session.ask(`sign ${hex(sha256(bytes))}`), uri);
      return await session.ask(`edsign ${hex(bytes)}`);
    },
  };
}

/** Throws `input` for a URI that is malformed, has what we do not know, or has a PIN in it. */
export function parsePkcs11Uri(uri: string, environment: Readonly<Record<string, string | undefined>>): TokenKey {
  const wrong = (problem: string): BitforbitError =>
    new BitforbitError("input", `${uri.replace(/pin-value=[^&;]*/g, "pin-value=…").slice(0, 200)}: ${problem}`, {
      hint: "pkcs11:token=T;object=LABEL?module-path=/usr/lib/…/module.so",
    });
  const [path = "", query = ""] = uri.slice("pkcs11:".length).split("?");
  const fields = new Map<string, Uint8Array>();
  for (const pair of [...path.split(";"), ...query.split("&")].filter((one) => one !== "")) {
    const [name = "", value = ""] = pair.split("=");
    if (fields.has(name)) throw wrong(`${name} stands in it twice`);
    fields.set(name, percentDecoded(value, wrong));
  }
  if (fields.has("pin-value")) throw wrong("the PIN does not belong into the URI; set BITFORBIT_PKCS11_PIN");
  const known = ["token", "object", "id", "type", "module-path", "pin-source"];
  const unknown = [...fields.keys()].find((name) => !known.includes(name));
  if (unknown !== undefined) throw wrong(`${JSON.stringify(unknown)} is not known here`);
  const type = fields.get("type");
  if (type !== undefined && !equalBytes(type, utf8("private"))) throw wrong("its type is not private");
  if (!fields.has("object") && !fields.has("id")) throw wrong("it names neither an object nor an id");
  const textOf = (name: string): string | undefined => {
    const bytes = fields.get(name);
    return bytes === undefined ? undefined : Buffer.from(bytes).toString("utf8");
  };
  const module = textOf("module-path") ?? required(environment, "COSIGN_PKCS11_MODULE_PATH", uri);
  // Without a slash the linker would look for it wherever it is told to look.
  if (!module.startsWith("/")) throw wrong(`the module ${JSON.stringify(module)} is not an absolute path`);
  const [token, label, id] = [fields.get("token"), fields.get("object"), fields.get("id")];
  return { uri, module, token, label, id, pinSource: textOf("pin-source") };
}

function percentDecoded(text: string, wrong: (problem: string) => BitforbitError): Uint8Array {
  if (!/^(?:%[0-9A-Fa-f]{2}|[^%\s])*$/.test(text) || text.length > 4096) throw wrong("it is not percent-encoded");
  const bytes = text.replace(/%([0-9A-Fa-f]{2})|(.)/gsu, (_, code: string | undefined, plain: string | undefined) =>
    code === undefined ? hex(utf8(plain ?? "")) : code.toLowerCase(),
  );
  return fromHex(bytes);
}

async function pinOf(
  { pinSource, uri }: TokenKey,
  environment: Readonly<Record<string, string | undefined>>,
): Promise<string | undefined> {
  const given = environment["BITFORBIT_PKCS11_PIN"] ?? environment["COSIGN_PKCS11_PIN"];
  if (given !== undefined && given !== "") return given;
  if (pinSource === undefined) return undefined;
  const path = pinSource.replace(/^file:(?:\/\/)?/, "");
  try {
    return (await readFile(path, "utf8")).replace(/\r?\n$/, "");
  } catch (error) {
    throw new BitforbitError("input", `${uri}: cannot read the PIN's file ${path}`, { cause: error });
  }
}

/** The point or key as CKA_EC_POINT has it: in an OCTET STRING, or (some modules) without. */
function publicKeyOf(point: Uint8Array, uri: string): PublicKey {
  const inner = point[0] === 0x04 && point[1] === point.length - 2 ? point.subarray(2) : point;
  if (inner.length === 65) return parsePublicKey(spkiPem(concat([P256_HEAD, inner])), uri);
  if (inner.length === 32) return parsePublicKey(spkiPem(concat([ED25519_HEAD, inner])), uri);
  throw new BitforbitError("input", `${uri} is neither a P-256 nor an Ed25519 key`);
}

/** A word of the helper's request. */
const word = (bytes: Uint8Array | undefined): string => (bytes === undefined ? "-" : hex(bytes));

class TokenSession {
  readonly #program: string;
  readonly #key: TokenKey;
  readonly #pin: string | undefined;
  readonly #timeout: number;
  #helper: Helper | undefined;
  #point: Uint8Array | undefined;
  /** One request at a time: the helper answers in order. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(program: string, key: TokenKey, pin: string | undefined, timeout: number) {
    this.#program = program;
    this.#key = key;
    this.#pin = pin;
    this.#timeout = timeout;
  }

  async point(): Promise<Uint8Array> {
    if (this.#point === undefined) await this.#next(async () => void (await this.#opened()));
    return this.#point ?? new Uint8Array();
  }

  async ask(line: string): Promise<Uint8Array> {
    return await this.#next(async () => {
      for (let attempt = 1; ; attempt++) {
        try {
          return read(await (await this.#opened()).ask(line, this.#timeout), this.#key.uri);
        } catch (error) {
          this.#close();
          if (!(error instanceof TokenGone) || attempt === ATTEMPTS) throw error;
        }
      }
    });
  }

  async #next<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.#turn.then(work);
    this.#turn = mine.catch(() => undefined);
    return await mine;
  }

  async #opened(): Promise<Helper> {
    if (this.#helper !== undefined) return this.#helper;
    const { module, token, label, id, uri } = this.#key;
    const helper = new Helper(this.#program, uri);
    this.#helper = helper;
    const pin = this.#pin === undefined ? undefined : utf8(this.#pin);
    const line = `open ${hex(utf8(module))} ${word(token)} ${word(label)} ${word(id)} ${word(pin)}`;
    try {
      this.#point = read(await helper.ask(line, this.#timeout), uri);
    } catch (error) {
      this.#close();
      throw error;
    }
    return helper;
  }

  #close(): void {
    this.#helper?.end();
    this.#helper = undefined;
  }
}

/** What another session may mend: the token was pulled, the helper died. A wrong PIN is never tried again: it would lock the token. */
class TokenGone extends BitforbitError {}

/** Cryptoki's codes for what a new session may mend. */
const PASSING = new Set(["5", "30", "32", "b0", "b3", "e0", "e1"]);
const WORDS: Readonly<Record<string, string>> = {
  a0: "the PIN is wrong",
  a4: "the PIN is locked",
  101: "the PIN is needed: set BITFORBIT_PKCS11_PIN",
  e0: "there is no such token",
  30: "the device failed",
  32: "the device was removed",
  31: "the device has no memory left",
  ffff0000: "there is no such key in the token, or the PIN is needed to see it",
  ffff0002: "more than one key in the token is named so",
};

function read(line: string, uri: string): Uint8Array {
  if (/^ok (?:[0-9a-f]{2})*$/.test(line)) return fromHex(line.slice(3));
  const [, step = "", code = ""] = line.split(" ");
  const told = step === "load" ? "the module cannot be loaded" : (WORDS[code] ?? `${step} failed with 0x${code}`);
  const kind = PASSING.has(code) ? TokenGone : BitforbitError;
  throw new kind("outside", `${uri}: ${told}`, {
    hint: "nothing was signed: 'pkcs11-tool --list-objects' shows what the token has",
  });
}

/** The helper process. It keeps nothing alive while it has nothing to do, and ends with us. */
class Helper {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #what: string;
  #received = "";
  #waiting: { resolve(line: string): void; reject(error: Error): void } | undefined;

  constructor(program: string, what: string) {
    this.#what = what;
    this.#child = spawn(program, [], { stdio: ["pipe", "pipe", "pipe"] });
    this.#child.stderr.resume(); // modules talk; nobody must wait for a full pipe
    this.#child.stdin.on("error", () => undefined); // told by "close"
    this.#child.on("error", () => this.#fail("the program that speaks to the token cannot be started"));
    this.#child.on("close", () => this.#fail("the program that speaks to the token ended"));
    this.#child.stdout.setEncoding("latin1");
    this.#child.stdout.on("data", (text: string) => this.#take(text));
    this.#keepAlive(false);
  }

  async ask(line: string, timeoutMilliseconds: number): Promise<string> {
    this.#keepAlive(true);
    const timer = setTimeout(() => {
      this.#fail("the token gave no answer in time");
      this.end();
    }, timeoutMilliseconds);
    try {
      return await new Promise<string>((resolve, reject) => {
        this.#waiting = { resolve, reject };
        this.#child.stdin.write(`${line}\n`);
        if (this.#child.exitCode !== null || this.#child.signalCode !== null) this.#fail("the program ended");
      });
    } finally {
      clearTimeout(timer);
      this.#keepAlive(false);
    }
  }

  end(): void {
    this.#child.kill("SIGKILL");
  }

  #take(text: string): void {
    this.#received += text;
    if (this.#received.length > MAX_LINE) this.#fail("the token's answer is too long");
    const end = this.#received.indexOf("\n");
    if (end < 0) return;
    const line = this.#received.slice(0, end);
    this.#received = this.#received.slice(end + 1);
    this.#waiting?.resolve(line);
    this.#waiting = undefined;
  }

  #fail(problem: string): void {
    this.#waiting?.reject(new TokenGone("outside", `${this.#what}: ${problem}`));
    this.#waiting = undefined;
  }

  #keepAlive(alive: boolean): void {
    const { stdin, stdout, stderr } = this.#child;
    for (const one of [this.#child, stdin, stdout, stderr] as { ref?(): void; unref?(): void }[]) {
      if (alive) one.ref?.();
      else one.unref?.();
    }
  }
}
