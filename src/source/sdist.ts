import { BitforbitError } from "../errors.ts";
import type { Purl } from "../format/purl.ts";
import { runClient } from "./client.ts";

/**
 * Finds and downloads an sdist through pip's own session, so with its index,
 * proxies, certificates and credentials. `pip download` itself would run the
 * package's metadata hook, which is the package's code; this reads the index
 * (PEP 691, or PEP 503 where the index is older) and takes the file.
 */
const PROGRAM = `
import hashlib, html, os, re, sys
from urllib.parse import urljoin, unquote, urldefrag
from pip._internal.commands import create_command
name, version, into = sys.argv[1:4]
command = create_command("download")
options, _ = command.parse_args([])
normal = lambda text: re.sub(r"[-_.]+", "-", text).lower()
with command.main_context():
    session = command._build_session(options)
    index = options.index_url.rstrip("/") + "/" + normal(name) + "/"
    answer = session.get(index, headers={"Accept": "application/vnd.pypi.simple.v1+json, text/html;q=0.1"})
    if answer.status_code != 200:
        sys.exit("error: the index answers %d for %s" % (answer.status_code, name))
    found = []
    if "json" in answer.headers.get("Content-Type", ""):
        for item in answer.json()["files"]:
            found.append((item["filename"], urljoin(answer.url, item["url"]), item.get("hashes", {}).get("sha256")))
    else:
        for href in re.findall(r'href="([^"]+)"', answer.text):
            url, fragment = urldefrag(urljoin(answer.url, html.unescape(href)))
            found.append((unquote(url.rsplit("/", 1)[1]), url, fragment[7:] if fragment.startswith("sha256=") else None))
    for ending in (".tar.gz", ".zip", ".tar.bz2", ".tgz"):
        for filename, url, sha256 in found:
            stem = filename[: -len(ending)]
            if not filename.endswith(ending) or "-" not in stem or "/" in filename:
                continue
            project, number = stem.rsplit("-", 1)
            if normal(project) != normal(name) or number != version:
                continue
            hasher, size = hashlib.sha256(), 0
            with session.get(url, stream=True, headers={"Accept-Encoding": "identity"}) as body:
                body.raise_for_status()
                with open(os.path.join(into, filename), "xb") as out:
                    for chunk in body.raw.stream(1 << 16, decode_content=False):
                        size += len(chunk)
                        if size > 4 << 30:
                            sys.exit("the sdist is larger than 4 GiB")
                        hasher.update(chunk)
                        out.write(chunk)
            if sha256 is not None and hasher.hexdigest() != sha256:
                sys.exit("error: " + filename + " is not the file that the index describes")
            sys.exit(0)
sys.exit("error: the index has no sdist of " + name + " " + version)
`;

/** `pkg:pypi/name@version`: its source distribution. */
export async function fetchSdist(purl: Purl & { version: string }, into: string): Promise<void> {
  if (purl.namespace !== undefined) throw new BitforbitError("input", "a pypi package URL has no namespace");
  const about = `${purl.name} ${purl.version}`;
  await runClient("python3", ["-I", "-c", PROGRAM, purl.name, purl.version, into], { cwd: into, about });
}
