"""The files of the web page, in memory, with the headers that browsers need of them."""

import gzip
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path, PurePosixPath

STATIC = Path(__file__).parent / "static"

# What is served, and nothing else; text is UTF-8, says litestar.
TYPES = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".svg": "image/svg+xml",
    ".txt": "text/plain",
}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "referrer-policy": "no-referrer",
    "vary": "accept-encoding",
}
FOR_EVER = "public, max-age=31536000, immutable"
ASK_AGAIN = "no-cache"  # it may be kept, but is asked for again: 304 by its ETag


@dataclass(frozen=True)
class File:
    body: bytes
    media_type: str

    @cached_property
    def etag(self) -> str:
        return f'"{digest_of(self.body)}"'

    @cached_property
    def zipped(self) -> bytes:
        return gzip.compress(self.body, mtime=0)


def digest_of(body: bytes) -> str:
    return sha256(body).hexdigest()[:16]


class Page:
    """All files below a folder, read once.

    The page asks for them below a name that is made of their content, and keeps them for ever: when one
    changes, all have another name, for modules import each other by relative ones.
    """

    def __init__(self, folder: Path = STATIC) -> None:
        self._files = {
            path.relative_to(folder).as_posix(): File(path.read_bytes(), TYPES[path.suffix])
            for path in sorted(folder.rglob("*"))
            if path.suffix in TYPES and path.is_file()
        }
        told = "".join(f"{name} {file.etag}\n" for name, file in self._files.items())
        self.digest = digest_of(told.encode())
        index = self._files["index.html"]
        body = index.body.replace(b'="assets/', f'="assets/{self.digest}/'.encode())
        self.index = File(body, index.media_type)

    def find(self, path: str) -> tuple[File, str] | None:
        """A file, and how long it may be kept: below the digest, or as it is called."""
        first, _, rest = PurePosixPath(path).as_posix().lstrip("/").partition("/")
        name, keep = (rest, FOR_EVER) if first == self.digest else (f"{first}/{rest}", ASK_AGAIN)
        file = self._files.get(name)
        return (file, keep) if file else None
