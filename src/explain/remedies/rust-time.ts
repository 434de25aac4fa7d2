import { codeEdits } from "./code.ts";
import type { Remedy } from "./remedy.ts";

const epoch = (otherwise: string): string =>
  `std::env::var("SOURCE_DATE_EPOCH").ok().and_then(|epoch| epoch.parse().ok()).map(|epoch| std::time::UNIX_EPOCH + std::time::Duration::from_secs(epoch)).unwrap_or_else(${otherwise})`;

export const rustTime: Remedy = {
  name: "rust-time",
  causes: ["clock", "timezone"],
  intrusion: "patch",
  says: "build.rs takes the time from SOURCE_DATE_EPOCH where it is set",
  propose: (project) =>
    codeEdits(
      project,
      "rust",
      /(?<![\w.])((?:std::time::)?SystemTime::now|(?:chrono::)?(?:Utc|Local)::now)\(/,
      ({ inside, match }) => {
        const [, call = ""] = match;
        if (inside.trim() !== "") return undefined;
        if (call.endsWith("SystemTime::now")) return epoch(call);
        return `chrono::DateTime::<chrono::Utc>::from(${epoch("std::time::SystemTime::now")})`;
      },
    ),
};
