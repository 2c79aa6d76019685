"""Fetches what a vendor.json lists from npm's registry into the folder vendor/ beside it.

No other project's code is committed: a list says name, version, licence, and the tarball's integrity,
which is checked.

    python vendor.py app/static/vendor.json

setup.py does it when a wheel is built, and for an editable install. $NPM_CONFIG_REGISTRY: another registry.
"""

import base64
import hashlib
import io
import json
import os
import sys
import tarfile
import urllib.request
from pathlib import Path

REGISTRY = "https://registry.npmjs.org"


def fetch(listing: Path) -> list[Path]:
    """The listed files, in vendor/ beside the list; fetched unless they are of this list already."""
    text = listing.read_text()
    packages = json.loads(text)
    folder = listing.parent / "vendor"
    stamp = folder / "fetched.json"
    targets = [folder / Path(package["file"]).name for package in packages]
    if len(set(targets)) < len(targets):
        raise SystemExit(f"{listing}: two files of one name")
    current = stamp.exists() and stamp.read_text() == text
    if not packages or (current and all(target.exists() for target in targets)):
        return targets

    folder.mkdir(exist_ok=True)
    for package, target in zip(packages, targets, strict=True):
        write(target, unpack(package, download(package)))
    write(stamp, text.encode())
    return targets


def download(package: dict[str, str]) -> bytes:
    """The tarball, if it is the one that was meant."""
    name, version = package["name"], package["version"]
    registry = os.environ.get("NPM_CONFIG_REGISTRY", REGISTRY).rstrip("/")
    url = f"{registry}/{name}/-/{name.rsplit('/', 1)[-1]}-{version}.tgz"
    with urllib.request.urlopen(url, timeout=60) as response:
        tarball: bytes = response.read()
    found = "sha512-" + base64.b64encode(hashlib.sha512(tarball).digest()).decode()
    if found != package["integrity"]:
        raise SystemExit(f"{url}: integrity is {found}, expected {package['integrity']}")
    return tarball


def unpack(package: dict[str, str], tarball: bytes) -> bytes:
    with tarfile.open(fileobj=io.BytesIO(tarball)) as archive:
        member = archive.extractfile(f"package/{package['file']}")
        if member is None:
            raise SystemExit(f"{package['name']}: {package['file']} is no file")
        return member.read()


def write(path: Path, content: bytes) -> None:
    """Whole or not at all: others may be reading, or fetching too."""
    part = path.with_name(f"{path.name}.{os.getpid()}")
    part.write_bytes(content)
    part.replace(path)


if __name__ == "__main__":
    for listing in sys.argv[1:]:
        for path in fetch(Path(listing)):
            print(path)
