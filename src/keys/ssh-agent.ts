/**
 * Keys that an SSH agent holds: `ssh-agent:SHA256:FINGERPRINT`, as `ssh-add -l`
 * prints it, or `ssh-agent:COMMENT`. The protocol is that of
 * draft-ietf-sshm-ssh-agent; the agent is found by SSH_AUTH_SOCK. An agent
 * signs the bytes themselves with ECDSA over SHA-256 or Ed25519, which is what
 * we need; its r and s are made into DER.
 */
import { createConnection } from "node:net";
import { base64, concat, utf8, utf8Text } from "../bytes.ts";
import { sha256 } from "../digest.ts";
import { BitforbitError } from "../errors.ts";
import { ED25519_HEAD, P256_HEAD, spkiPem } from "../format/spki.ts";
import { required, type ServiceOptions } from "./bounded-request.ts";
import type { KeyService } from "./services.ts";
import { derOfIntegers } from "./signature-form.ts";
import { type PublicKey, parsePublicKey } from "./verifier.ts";

const REQUEST_IDENTITIES = 11;
const IDENTITIES_ANSWER = 12;
const SIGN_REQUEST = 13;
const SIGN_RESPONSE = 14;
const MAX_ANSWER = 256 << 10;
const MAX_IDENTITIES = 2048;

interface Identity {
  blob: Uint8Array;
  comment: string;
}

export function openAgentKey(uri: string, options: ServiceOptions = {}): KeyService {
  const named = uri.slice("ssh-agent:".length);
  if (named === "" || named.length > 256) {
    throw new BitforbitError("input", `not the URI of an SSH agent's key: ${JSON.stringify(uri.slice(0, 100))}`, {
      hint: "ssh-agent:SHA256:…, a fingerprint that 'ssh-add -l' prints, or ssh-agent:COMMENT",
    });
  }
  const socket = (): string => required(options.environment ?? process.env, "SSH_AUTH_SOCK", uri);
  const ask = async (type: number, ...parts: Uint8Array[]): Promise<Answer> =>
    await askAgent(socket(), uri, concat([Uint8Array.of(type), ...parts]), options.timeoutMilliseconds ?? 60_000);
  const identity = async (): Promise<Identity> => chosen(await identities(ask, uri), named, uri);
  return {
    publicKey: async () => publicKeyOf((await identity()).blob, uri),
    sign: async (bytes, key) => {
      const { blob } = await identity();
      if (publicKeyOf(blob, uri).keyId !== key.keyId) {
        throw new BitforbitError("outside", `${uri} is another key than ${key.keyId} now`, {
          hint: "add the right key to the agent, or name it by its fingerprint",
        });
      }
      const answer = await ask(SIGN_REQUEST, sshString(blob), sshString(bytes), uint32(0));
      answer.expect(SIGN_RESPONSE, "the agent refused to sign");
      return signatureOf(answer.string(), key, uri);
    },
  };
}

async function identities(ask: (type: number) => Promise<Answer>, uri: string): Promise<Identity[]> {
  const answer = await ask(REQUEST_IDENTITIES);
  answer.expect(IDENTITIES_ANSWER, "the agent refused to list its keys");
  const count = answer.uint32();
  if (count > MAX_IDENTITIES) throw new BitforbitError("limit", `${uri}: the agent has ${count} keys`);
  return Array.from({ length: count }, () => ({
    blob: answer.string(),
    comment: utf8Text(answer.string()) ?? "",
  }));
}

function chosen(all: readonly Identity[], named: string, uri: string): Identity {
  const found = all.filter(({ blob, comment }) => fingerprint(blob) === named || comment === named);
  const [one] = found;
  if (one !== undefined && found.length === 1) return one;
  throw new BitforbitError(
    "outside",
    found.length === 0
      ? `${uri}: the agent has no such key`
      : `${uri}: the agent has ${found.length} keys of that name`,
    { hint: "'ssh-add -l' lists them; 'ssh-add FILE' adds one" },
  );
}

/** As `ssh-add -l` prints it. */
function fingerprint(blob: Uint8Array): string {
  return `SHA256:${base64(sha256(blob)).replace(/=+$/, "")}`;
}

function publicKeyOf(blob: Uint8Array, uri: string): PublicKey {
  const fields = new Answer(blob, uri);
  const kind = utf8Text(fields.string());
  if (kind === "ssh-ed25519") return parsePublicKey(spkiPem(concat([ED25519_HEAD, fields.string()])), uri);
  if (kind === "ecdsa-sha2-nistp256") {
    fields.string(); // the curve's name again
    return parsePublicKey(spkiPem(concat([P256_HEAD, fields.string()])), uri);
  }
  throw new BitforbitError(
    "input",
    `${uri} is an SSH key of type ${kind ?? "?"}, not ecdsa-sha2-nistp256 or ssh-ed25519`,
  );
}

function signatureOf(blob: Uint8Array, key: PublicKey, uri: string): Uint8Array {
  const fields = new Answer(blob, uri);
  const kind = utf8Text(fields.string());
  const wanted = key.algorithm === "ecdsa-p256" ? "ecdsa-sha2-nistp256" : "ssh-ed25519";
  if (kind !== wanted) throw new BitforbitError("outside", `${uri}: the agent gave a signature of type ${kind ?? "?"}`);
  const signature = fields.string();
  if (key.algorithm !== "ecdsa-p256") return signature;
  const numbers = new Answer(signature, uri);
  return derOfIntegers(numbers.string(), numbers.string());
}

/** Reads the fields of a message from the agent, which is not to be trusted with our memory. */
class Answer {
  readonly #bytes: Uint8Array;
  readonly #what: string;
  #at = 0;

  constructor(bytes: Uint8Array, what: string) {
    this.#bytes = bytes;
    this.#what = what;
  }

  expect(type: number, otherwise: string): void {
    if (this.#take(1)[0] === type) return;
    throw new BitforbitError("outside", `${this.#what}: ${otherwise}`, {
      hint: "nothing was signed: the agent may be locked, or ask for a confirmation that was not given",
    });
  }

  uint32(): number {
    const bytes = this.#take(4);
    return new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0);
  }

  string(): Uint8Array {
    return this.#take(this.uint32());
  }

  #take(length: number): Uint8Array {
    const taken = this.#bytes.subarray(this.#at, this.#at + length);
    if (taken.length < length) throw new BitforbitError("outside", `${this.#what}: the agent's answer was cut off`);
    this.#at += length;
    return taken;
  }
}

function uint32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value);
  return bytes;
}

const sshString = (bytes: Uint8Array): Uint8Array => concat([uint32(bytes.length), bytes]);

/** One message and its answer, over a connection of its own. A person may have to confirm: hence the long time. */
async function askAgent(
  socket: string,
  uri: string,
  message: Uint8Array,
  timeoutMilliseconds: number,
): Promise<Answer> {
  return await new Promise((resolve, reject) => {
    const fail = (problem: string, cause?: unknown): void => {
      connection.destroy();
      const hint = "is the agent running? 'ssh-add -l' must list the key";
      reject(new BitforbitError("outside", `${uri}: ${problem}`, cause === undefined ? { hint } : { hint, cause }));
    };
    const connection = createConnection(socket);
    let received: Uint8Array = utf8("");
    connection.setTimeout(timeoutMilliseconds, () => fail("the agent gave no answer in time"));
    connection.on("error", (error) => fail(`the agent at ${socket} cannot be reached`, error));
    connection.on("close", () => fail("the agent ended without an answer"));
    connection.on("data", (chunk) => {
      received = concat([received, chunk]);
      if (received.length < 4) return;
      const length = new DataView(received.buffer, received.byteOffset, 4).getUint32(0);
      if (length > MAX_ANSWER) return void fail(`the agent answers with ${length} bytes`);
      if (received.length < 4 + length) return;
      resolve(new Answer(received.subarray(4, 4 + length), uri));
      connection.destroy();
    });
    connection.write(concat([uint32(message.length), message]));
  });
}
