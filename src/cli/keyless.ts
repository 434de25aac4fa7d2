/** The options of `build` and `attest` that have them sign for a CI job's identity. */
import { systemClock } from "../clock.ts";
import { BitforbitError } from "../errors.ts";
import type { Keyless } from "../flow/keyless.ts";
import type { Options } from "./program.ts";
import { text } from "./project.ts";
import type { Terminal } from "./terminal.ts";

/** `--trusted-root` is the verifier's, too, but no verb has both. */
const NEEDS_KEYLESS = {
  trustedRoot: "trusted-root",
  signingConfig: "signing-config",
  fulcio: "fulcio",
  timestampAuthority: "timestamp-authority",
  rekor: "rekor",
  identityToken: "identity-token",
  audience: "audience",
} as const;

/** The signer that was asked for, or undefined; who will be asked for what is said before anybody is. */
export async function keylessSigner(options: Options, terminal: Terminal): Promise<Keyless | undefined> {
  if (options["keyless"] !== true) {
    for (const [name, flag] of Object.entries(NEEDS_KEYLESS)) {
      if (options[name] !== undefined) throw new BitforbitError("usage", `--${flag} needs --keyless`);
    }
    return undefined;
  }
  const trustedRoot = text(options, "trustedRoot");
  if (trustedRoot === undefined) {
    throw new BitforbitError("usage", "--keyless needs --trusted-root: by what the services' answers are checked", {
      hint: "the trusted_root.json of the Sigstore that signs, as 'cosign trusted-root create' or a TUF client writes it",
    });
  }
  // Loaded when it is asked for.
  const { keylessWords, openKeyless } = await import("../flow/keyless.ts");
  const keyless = await openKeyless(
    {
      trustedRoot,
      signingConfig: text(options, "signingConfig"),
      authority: text(options, "fulcio"),
      timestampAuthority: text(options, "timestampAuthority"),
      log: text(options, "rekor"),
      identityToken: text(options, "identityToken"),
      audience: text(options, "audience"),
    },
    { now: () => systemClock.now() },
  );
  terminal.say(keylessWords(keyless));
  return keyless;
}
