/** What tests of keyless signing share: a Sigstore on loopback, and our own log server as its Rekor. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { base64 } from "../src/bytes.ts";
import { parseSpki } from "../src/format/spki.ts";
import { type Log, openLog } from "../src/log/writer.ts";
import { createLogServer } from "../src/server/log-server.ts";
import type { TrustedRootJson } from "./authority.ts";
import { scratchFolder } from "./command.ts";
import { type Fault, type Loopback, loopbackSigstore } from "./fulcio.ts";
import { signerOf } from "./logs.ts";

export interface KeylessParts extends Loopback {
  folder: string;
  log: Log;
  /** trusted_root.json of authority, timestamps and log; signing_config.json of the same. */
  trustedRoot: string;
  signingConfig: string;
  rekor: string;
  /** For the command line. */
  args: string[];
}

const service = (url: string, majorApiVersion: number): object => ({
  url,
  majorApiVersion,
  validFor: { start: "2025-01-01T00:00:00Z" },
  operator: "example",
});

export async function keylessParts(
  t: TestContext,
  fault: Fault = {},
  edit: (root: TrustedRootJson) => void = () => {},
): Promise<KeylessParts> {
  const folder = scratchFolder(t);
  const loopback = await loopbackSigstore(t, fault);
  const log = await openLog(join(folder, "rekor"), signerOf("keyless"), { origin: "log.example" });
  const server = await createLogServer(log, {
    host: "127.0.0.1",
    port: 0,
    ratePerSecond: 100_000,
    maxUnderWay: 1000,
    report: (error) => t.diagnostic(String(error)),
  });
  t.after(() => server.close());
  const trustedRoot = join(folder, "trusted_root.json");
  const { keyHash, publicKeyPem } = log.identity;
  const root = loopback.authority.trustedRoot((made) => {
    made.tlogs.push({
      baseUrl: "https://log.example",
      hashAlgorithm: "SHA2_256",
      publicKey: {
        rawBytes: base64(parseSpki(publicKeyPem, "the log's key").der),
        keyDetails: "PKIX_ED25519",
        validFor: { start: "2025-01-01T00:00:00Z" },
      },
      logId: { keyId: base64(keyHash) },
    });
    edit(made);
  });
  writeFileSync(trustedRoot, root);
  const signingConfig = join(folder, "signing_config.json");
  writeFileSync(
    signingConfig,
    JSON.stringify({
      mediaType: "application/vnd.dev.sigstore.signingconfig.v0.2+json",
      caUrls: [service(loopback.url, 1)],
      oidcUrls: [],
      rekorTlogUrls: [service(server.url, 2)],
      tsaUrls: [service(`${loopback.url}/stamp`, 1)],
      rekorTlogConfig: { selector: "ANY" },
      tsaConfig: { selector: "ANY" },
    }),
  );
  const args = ["--keyless", "--trusted-root", trustedRoot, "--signing-config", signingConfig];
  return { ...loopback, folder, log, trustedRoot, signingConfig, rekor: server.url, args };
}
