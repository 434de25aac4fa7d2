/** Logs with keys of their own, and a static web server over a folder, for tests. */
import { createHash, createPrivateKey, createPublicKey, sign } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { utf8 } from "../src/bytes.ts";
import type { CheckpointSigner } from "../src/log/writer.ts";

/** An Ed25519 key that follows from `seed`. */
export function signerOf(seed: string): CheckpointSigner & { privatePem: string; raw: Uint8Array } {
  const head = Buffer.from("302e020100300506032b657004220420", "hex");
  const der = Buffer.concat([head, createHash("sha256").update(seed).digest()]);
  const key = createPrivateKey({ key: der, format: "der", type: "pkcs8" });
  const publicKey = createPublicKey(key);
  return {
    publicKeyPem: publicKey.export({ format: "pem", type: "spki" }).toString(),
    privatePem: key.export({ format: "pem", type: "pkcs8" }).toString(),
    raw: new Uint8Array(publicKey.export({ format: "der", type: "spki" }).subarray(-32)),
    sign: async (bytes) => new Uint8Array(sign(null, bytes, key)),
  };
}

export function leavesOf(count: number, what = "leaf"): Uint8Array[] {
  return Array.from({ length: count }, (_, at) => utf8(`${what} ${at}`));
}

export function scratch(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "log-test-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

export interface Served {
  url: string;
  /** Paths that were asked for, in order. */
  asked: string[];
}

/** A static web server over `folder`; `before` may answer itself by returning true. */
export async function serveFolder(
  t: TestContext,
  folder: () => string,
  before: (request: IncomingMessage, response: ServerResponse) => boolean = () => false,
): Promise<Served> {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(request.url ?? "");
    if (before(request, response)) return;
    try {
      response.end(readFileSync(join(folder(), request.url ?? "")));
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked };
}
