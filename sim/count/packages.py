"""Kernels and an emulator from the Debian archive that this host's apt knows: fetched and unpacked, never installed."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sim.config.errors import ConfigError
from sim.host.programs import cache_folder

#: Releases in which kernels are looked for, besides the host's own; a package that is only unpacked may be of any.
KERNEL_RELEASES = ("bullseye", "bookworm", "bookworm-backports", "trixie", "trixie-backports")
KERNEL_SECURITY = ("bullseye-security", "bookworm-security", "trixie-security")
_KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
EMULATOR = ("qemu-system-x86", "qemu-system-common", "qemu-system-data", "seabios")
#: Since this version an image is a package without files: the kernel and its modules lie in two others.
SPLIT_SINCE = (7, 2)
TOOLS = ("apt-get", "apt-cache", "dpkg-deb")
#: Lists of packages that are older are fetched again.
_LISTS_LAST_S = 24 * 3600


def run_tool(command: Sequence[str | Path], **options: Any) -> bytes:
    """Run a tool and return what it printed; ConfigError with its last words when it fails or is not there."""
    name = Path(command[0]).name
    try:
        done = subprocess.run(command, check=False, stderr=subprocess.PIPE, **{"stdout": subprocess.PIPE, **options})
    except OSError as error:
        raise ConfigError(f"{name} failed: {error.strerror}") from None
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines() or [f"exit code {done.returncode}"]
        raise ConfigError(f"{name} failed: {said[-1]}")
    return bytes(done.stdout or b"")


@dataclass(frozen=True)
class KernelPackage:
    """One build of a kernel: its release as `uname -r` says it, and the version of its source.

    Debian builds a version more than once: 6.1.192-1 is `6.1.0-55-amd64`, 6.1.192-2 `6.1.0-56-amd64`.
    """

    release: str
    version: str

    @property
    def names(self) -> tuple[str, ...]:
        """The packages that hold it: an image, and since 7.2 its modules apart."""
        parts = ("binary", "modules") if _order(self.version) >= SPLIT_SINCE else ("image",)
        return tuple(f"linux-{part}-{self.release}" for part in parts)


@dataclass(frozen=True)
class Archive:
    """Debian's archive as apt sees it with lists and a cache of its own.

    Parameters
    ----------
    folder
        Where its lists, packages and unpacked trees lie.
    """

    folder: Path

    @classmethod
    def of_this_host(cls) -> Archive:
        """Return the archive in the cache; ConfigError on a host without apt."""
        missing = [tool for tool in TOOLS if shutil.which(tool) is None]
        if missing:
            raise ConfigError(f"kernels and QEMU come from Debian's archive, which needs {', '.join(missing)}")
        return cls(cache_folder() / "debian")

    def fetch_emulator(self) -> Path:
        """Return the folder of an unpacked QEMU of the host's own release or its backports, with what it needs."""
        place = self.folder / "qemu"
        if not (place / "usr/bin/qemu-system-x86_64").exists():
            own = _codename()
            lists = self._update("host", [own, f"{own}-updates", f"{own}-backports"], [f"{own}-security"])
            chosen = [f"{name}/{own}-backports" if self._has(lists, name, own) else name for name in EMULATOR]
            self._download(lists, "install", "-d", "-y", "-oAPT::Install-Recommends=0", *chosen, "cpio")
            self._unpack(self.folder / "host" / "cache" / "archives", place)
        return place

    def fetch_kernel(self, package: KernelPackage) -> Path:
        """Return the folder of an unpacked kernel package."""
        place = self.folder / "kernels" / package.release
        if not place.exists():
            lists = self._kernel_lists()
            fetched = self.folder / "fetched" / package.release
            fetched.mkdir(parents=True, exist_ok=True)
            self._download(lists, "download", *package.names, cwd=fetched)
            self._unpack(fetched, place)
            shutil.rmtree(fetched)
        return place

    def kernel(self, wanted: str) -> KernelPackage:
        """Return the package of a kernel by version or by the release of one build.

        Parameters
        ----------
        wanted
            A version (`6.1.192`) or the beginning of one (`6.1`: the newest of it); of several builds of it, the first
            by name. Or the release of a build, as `uname -r` says it (`6.1.0-56-amd64`).

        Raises
        ------
        ConfigError
            The archive has none.
        """
        kernels = self._kernels()
        exact = [kernel for kernel in kernels if kernel.release == wanted]
        fitting = exact or [kernel for kernel in kernels if _begins(kernel.version, wanted)]
        if not fitting:
            versions = sorted({".".join(kernel.version.split(".")[:2]) for kernel in kernels}, key=_order)
            alike = [kernel.release for kernel in kernels if wanted.split("-")[0] == kernel.release.split("-")[0]]
            raise ConfigError(f"the archive has no kernel {wanted}; it has {', '.join(alike or versions)}")
        return max(fitting, key=lambda kernel: _order(kernel.version))  # the first of those with equal versions

    def _kernels(self) -> list[KernelPackage]:
        """Return every build of a kernel, by name."""
        lists = self._kernel_lists()
        shown = self._run("apt-cache", lists, "show", "-oAPT::Cache::AllVersions=0", *self._images(lists))
        described = [dict(re.findall(r"^(Package|Version): (\S+)", text, re.MULTILINE)) for text in shown.split("\n\n")]
        kernels = [
            KernelPackage(fields["Package"].removeprefix("linux-image-"), re.split(r"[-~+]", fields["Version"])[0])
            for fields in described
            if fields
        ]
        return sorted(kernels, key=lambda kernel: kernel.release)

    def _images(self, lists: Path) -> list[str]:
        names = self._run("apt-cache", lists, "pkgnames", "linux-image-").split()
        return sorted(name for name in names if re.fullmatch(r"linux-image-\d+\.\d+\.\d+[^-]*(-\d+)?-amd64", name))

    def _kernel_lists(self) -> Path:
        return self._update("kernels-of", KERNEL_RELEASES, KERNEL_SECURITY)

    def _has(self, lists: Path, name: str, codename: str) -> bool:
        return f"{codename}-backports/" in self._run("apt-cache", lists, "policy", name)

    def _update(self, name: str, releases: Sequence[str], security: Sequence[str]) -> Path:
        """Return the folder of the lists of some releases, fetched unless they are new; old ones where that fails."""
        folder = self.folder / name
        sources = folder / "sources.list"
        known = sources.exists()
        if known and time.time() - sources.stat().st_mtime < _LISTS_LAST_S:
            return folder
        try:
            self._fetch_lists(folder, releases, security)
        except ConfigError:
            if not known:
                raise
        return folder

    def _fetch_lists(self, folder: Path, releases: Sequence[str], security: Sequence[str]) -> None:
        """Write sources, at the places that the host's apt has them from, and fetch their lists."""
        for part in ("lists/partial", "cache/archives/partial"):
            (folder / part).mkdir(parents=True, exist_ok=True)
        main, secure = _places()
        written = folder / "sources.new"
        entries = [*((main, release) for release in releases), *((secure, release) for release in security)]
        written.write_text("".join(f"deb {_signature()}{place} {release} main\n" for place, release in entries))
        self._run("apt-get", folder, "update", "-q", sources=written)
        written.rename(folder / "sources.list")

    def _download(self, lists: Path, *words: str, cwd: Path | None = None) -> None:
        """Fetch packages; where that fails, the lists may name what is gone, and are fetched anew the next time."""
        try:
            self._run("apt-get", lists, *words, cwd=cwd)
        except ConfigError as error:
            sources = lists / "sources.list"
            fetched = time.strftime("%Y-%m-%d %H:%M", time.gmtime(sources.stat().st_mtime))
            os.utime(sources, (0, 0))
            raise ConfigError(
                f"{error}; the archive's lists are of {fetched} UTC and will be fetched anew: run it again"
            ) from None

    def _run(self, command: str, lists: Path, *words: str, cwd: Path | None = None, sources: Path | None = None) -> str:
        options = {
            "Dir::Etc::sourcelist": sources or lists / "sources.list",
            "Dir::Etc::sourceparts": "/dev/null",
            "Dir::State::lists": lists / "lists",
            "Dir::Cache": lists / "cache",
            "Debug::NoLocking": 1,
        }
        line = [command, *(f"-o{name}={value}" for name, value in options.items()), *words]
        done = subprocess.run(
            line, capture_output=True, text=True, cwd=cwd, check=False, env=os.environ | {"LC_ALL": "C"}
        )
        if done.returncode:
            said = [text for text in done.stderr.splitlines() if text.startswith("E: ")] or [done.stderr.strip()[-200:]]
            raise ConfigError(f"{command} {words[0]} failed: {said[0].removeprefix('E: ')}")
        return done.stdout

    def _unpack(self, packages: Path, place: Path) -> None:
        """Unpack packages beside their place and move the tree in when it is whole."""
        partial = place.with_name(f".{place.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        for package in sorted(packages.glob("*.deb")):
            run_tool(["dpkg-deb", "-x", package, partial])
        partial.rename(place)


def _signature() -> str:
    """Return what says in a line of sources which keys its lists are signed with; nothing where those are not here."""
    return f"[signed-by={_KEYRING}] " if Path(_KEYRING).exists() else ""


def _codename() -> str:
    """Return the codename of the Debian release that runs here; ConfigError on another system."""
    about = platform.freedesktop_os_release()
    if about.get("ID") != "debian" or "VERSION_CODENAME" not in about:
        raise ConfigError(f"QEMU is fetched on Debian only (this is {about.get('PRETTY_NAME', 'unknown')}); install it")
    return about["VERSION_CODENAME"]


def _places() -> tuple[str, str]:
    """Return where the host's apt has Debian's packages from, and their security updates."""
    shown = subprocess.run(["apt-get", "indextargets"], capture_output=True, text=True, check=False).stdout
    targets = (dict(re.findall(r"^([\w-]+): (.*)$", text, re.MULTILINE)) for text in shown.split("\n\n"))
    places = [(target["Repo-URI"], target["Release"]) for target in targets if target.get("Origin") == "Debian"]
    main = next((place for place, release in places if "-" not in release), None)
    secure = next((place for place, release in places if release.endswith("-security")), main)
    if main is None or secure is None:
        raise ConfigError("apt knows no archive of Debian; run `apt-get update` once")
    return main, secure


def _begins(version: str, wanted: str) -> bool:
    return version == wanted or version.startswith(f"{wanted}.")


def _order(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
