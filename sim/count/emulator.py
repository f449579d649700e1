"""A machine under QEMU without acceleration: a kernel, the modules of vhost_net, programs run one after the other, and
the plugin that counts."""

from __future__ import annotations

import ctypes
import gzip
import lzma
import os
import re
import shutil
import signal
import subprocess
import tempfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Timer
from typing import IO

from sim.config.errors import ConfigError
from sim.count.packages import Archive, run_tool
from sim.host.programs import compiled, compiled_from

SOURCES = Path(__file__).resolve().parent
#: In the order in which they are loaded; what a kernel has built in has no file.
MODULES = ("vhost_iotlb", "vhost", "tun", "tap", "vhost_net")
#: What runs need that have something behind their TAP, behind those, in the order in which they are loaded.
NETWORK_MODULES = (
    *("dummy", "veth", "llc", "stp", "bridge", "macvlan", "macvtap"),
    *("sch_ingress", "cls_matchall", "act_gact", "act_mirred"),
    *("crc32c_generic", "libcrc32c", "nf_defrag_ipv4", "nf_defrag_ipv6", "nf_conntrack", "nf_nat", "nf_conncount"),
    *("nsh", "psample", "openvswitch", "pps_core", "ptp", "dca", "i2c-algo-bit", "igb"),
)
#: The NIC of a machine whose runs have one behind their TAP: an 82576, whose frames nobody takes from the wire.
NIC = ("-device", "igb")
#: What is counted: the handlers of vhost_net, which its worker is called by, and system calls of a process that writes,
#: sends, reads or asks whether a socket is ready.
HANDLERS = (
    *("handle_tx_kick", "handle_tx_net", "handle_rx_kick", "handle_rx_net"),
    *("ksys_write", "__sys_sendto", "__sys_recvfrom", "__x64_sys_select"),
)
#: A Sapphire Rapids with SMAP, ERMS and FSRM, as far as the emulator has them.
CPU = "max,la57=off,vendor=GenuineIntel,family=6,model=143,stepping=8"
#: The worker alone on the second CPU, no tick there; addresses as the symbols have them; plain returns and calls.
COMMAND_LINE = (
    "console=ttyS0 nokaslr isolcpus=1 nohz_full=1 rcu_nocbs=1 ipv6.disable=1 nowatchdog panic=-1 loglevel=4 "
    "mitigations=off"
)
#: The first version of QEMU whose plugins read registers and memory.
OLDEST_QEMU = (9, 2)
#: A machine that prints nothing for so long hangs.
LONGEST_SILENCE_S = 300
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class ProgramRun:
    """One run of a program.

    Attributes
    ----------
    command
        The program and its arguments.
    status
        Its exit code.
    said
        The lines that it printed.
    counts
        Files of what its stretches executed, by number.
    trace
        File of its first invocations; it exists when a handler was entered.
    """

    command: tuple[str, ...]
    status: int
    said: tuple[str, ...]
    counts: tuple[Path, Path]
    trace: Path


@dataclass(frozen=True)
class Boot:
    """What a machine did: the kernel's own name and version, the symbols it had, and every run in order."""

    kernel: str
    symbols: Path
    runs: tuple[ProgramRun, ...]


def find_files(kernel: Path, modules: Path, wanted: Sequence[str] = MODULES) -> dict[str, Path]:
    """Return the files of the modules below a folder by name; ConfigError when the kernel or vhost_net is missing."""
    if not kernel.is_file():
        raise ConfigError("is no file; a bootable kernel (vmlinuz) is needed", file=kernel)
    if not modules.is_dir():
        raise ConfigError("is no folder", file=modules)
    files: dict[str, Path] = {}
    for name in wanted:
        matching = sorted(file for pattern in (f"{name}.ko", f"{name}.ko.*") for file in modules.rglob(pattern))
        if matching:
            files[name] = matching[0]
    for name in ("vhost", "vhost_net"):
        if name not in files:
            raise ConfigError(f"has no module {name}.ko", file=modules)
    return files


def find_emulator() -> list[str]:
    """Return the command of a QEMU whose plugins read registers: the host's own, or one from the archive."""
    own = shutil.which("qemu-system-x86_64")
    if own is not None and _version(own) >= OLDEST_QEMU:
        return [own]
    place = Archive.of_this_host().fetch_emulator()
    libraries = ":".join(str(place / folder) for folder in ("usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu"))
    firmware = [word for name in ("qemu", "seabios") for word in ("-L", str(place / "usr/share" / name))]
    return ["env", f"LD_LIBRARY_PATH={libraries}", str(place / "usr/bin/qemu-system-x86_64"), *firmware]


def _version(emulator: str) -> tuple[int, ...]:
    said = subprocess.run([emulator, "--version"], capture_output=True, text=True, check=False).stdout
    numbers = re.search(r"version (\d+)\.(\d+)", said)
    return tuple(int(number) for number in numbers.groups()) if numbers else (0,)


def boot(
    kernel: Path,
    modules: Path,
    runs: Sequence[Sequence[str]],
    folder: Path,
    report: Callable[[int, str], None] = lambda done, line: None,
    words: str = "",
) -> Boot:
    """Boot a kernel and run programs of the experiment one after the other, counted.

    Parameters
    ----------
    kernel, modules
        A bootable kernel, and a folder that holds its modules.
    runs
        The program of each run (`sim.host.programs.PROGRAMS`) and its arguments.
    folder
        Where files go that the plugin writes.
    report
        Called with how many runs are done, and with each line that the machine prints.
    words
        Further words of the kernel's command line.

    Returns
    -------
    Boot
        What the machine did.

    Raises
    ------
    ConfigError
        A file is missing, the emulator cannot be had, or the machine stopped early.
    """
    networked = any(word.startswith("behind=") for run in runs for word in run)
    files = find_files(kernel, modules, MODULES + NETWORK_MODULES if networked else MODULES)
    emulator = find_emulator()
    plugin = compiled_from("count-plugin", [SOURCES / "plugin.c"], ("-O2", "-shared", "-fPIC", "-fvisibility=hidden"))
    folder.mkdir(parents=True, exist_ok=True)
    console, symbols, initrd = folder / "console", folder / "symbols", folder / "initrd"
    symbols.unlink(missing_ok=True)
    _write_initrd(initrd, files, runs)
    line = [
        *(*emulator, "-accel", "tcg,thread=multi", "-machine", "q35", "-cpu", CPU, "-smp", "2", "-m", "1024"),
        *("-kernel", str(kernel), "-initrd", str(initrd), "-append", f"{COMMAND_LINE} {words} -- {' '.join(HANDLERS)}"),
        *(NIC if networked else ()),
        *("-nodefaults", "-display", "none", "-no-reboot", "-serial", "stdio", "-plugin", f"{plugin},out={folder}"),
    ]
    said = _watch(line, console, report)
    return Boot(_kernel_name(said, console), symbols, _runs(said, folder, [tuple(run) for run in runs]))


def _watch(line: Sequence[str], console: Path, report: Callable[[int, str], None]) -> list[str]:
    """Run the machine until it is off; return what it printed, and keep it in a file. It dies with this process."""
    said: list[str] = []
    done = 0
    silent = False
    with console.open("w", encoding="utf-8") as kept, tempfile.TemporaryFile("w+", errors="replace") as complaints:
        with _started(line, complaints) as machine:

            def stop() -> None:
                nonlocal silent
                silent = True
                machine.kill()

            assert machine.stdout is not None
            patience = Timer(LONGEST_SILENCE_S, stop)
            patience.start()
            try:
                for text in machine.stdout:
                    patience.cancel()
                    kept.write(text)
                    said.append(text.strip())
                    done += text.startswith("exit ")
                    report(done, said[-1])
                    patience = Timer(LONGEST_SILENCE_S, stop)
                    patience.start()
            except BaseException:
                machine.kill()
                raise
            finally:
                patience.cancel()
        if silent:
            last = said[-1] if said else "it said nothing"
            raise ConfigError(f"the machine hangs: nothing for {LONGEST_SILENCE_S} s behind: {last}")
        if machine.returncode > 0:
            complaints.seek(0)
            reasons = complaints.read().strip().splitlines() or [f"exit code {machine.returncode}"]
            raise ConfigError(f"the emulator stopped: {reasons[-1]}")
    return said


def _started(line: Sequence[str], complaints: IO[str]) -> subprocess.Popen[str]:
    try:
        return subprocess.Popen(
            line,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=complaints,
            text=True,
            errors="replace",
            preexec_fn=partial(_die_with_parent, os.getpid()),
        )
    except OSError as error:
        raise ConfigError(f"the emulator does not run: {error.strerror}") from None


def _die_with_parent(parent: int) -> None:
    """Let the kernel kill this process when the one that started it is gone, however that ended, or ends now."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def _kernel_name(said: Sequence[str], console: Path) -> str:
    """Return the kernel's release and version, if it came to its end; else raise ConfigError with its last words."""
    name = next((line.removeprefix("kernel ") for line in said if line.startswith("kernel ")), None)
    if name is None or "done" not in said:
        failed = [line for line in said if line.startswith("init: ") or "Kernel panic" in line]
        raise ConfigError(
            f"the machine did not come to its end: {(failed or said or ['it said nothing'])[-1]}", file=console
        )
    return name


def _runs(said: Sequence[str], folder: Path, runs: Sequence[tuple[str, ...]]) -> tuple[ProgramRun, ...]:
    """Cut what a machine printed into runs."""
    ended: list[ProgramRun] = []
    lines: list[str] = []
    for line in said:
        words = line.split()
        if words[:1] == ["run"]:
            lines = []
        elif words[:1] == ["exit"] and len(words) == 3:
            number = int(words[1])
            counts = folder / f"{number}.0.counts", folder / f"{number}.1.counts"
            ended.append(ProgramRun(runs[number], int(words[2]), tuple(lines), counts, folder / f"{number}.trace"))
        else:
            lines.append(line)
    return tuple(ended)


def _write_initrd(place: Path, modules: Mapping[str, Path], runs: Sequence[Sequence[str]]) -> None:
    """Write the memory disk that a machine starts from: its first process, modules, the program and the runs."""
    cpio = shutil.which("cpio")
    if cpio is None:
        unpacked = Archive.of_this_host().fetch_emulator()
        cpio = next((str(file) for name in ("usr/bin", "bin") if (file := unpacked / name / "cpio").exists()), "cpio")
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        (root / "modules").mkdir()
        shutil.copy(compiled_from("count-init", [SOURCES / "init.c"], ("-O2", "-static")), root / "init")
        for program in sorted({run[0] for run in runs}):
            shutil.copy(compiled(program, static=True), root / program)
        for module, file in modules.items():
            (root / "modules" / f"{module}.ko").write_bytes(_unpacked(file))
        (root / "modules" / "order").write_text(
            "".join(f"{'?' if module in NETWORK_MODULES else ''}{module}.ko\n" for module in modules)
        )
        (root / "runs").write_text("".join(f"/{' '.join(run)}\n" for run in runs))
        listed = "".join(f"{file.relative_to(root)}\n" for file in sorted(root.rglob("*")))
        with place.open("wb") as disk:
            run_tool([cpio, "-o", "-H", "newc"], input=listed.encode(), stdout=disk, cwd=root)


def _unpacked(module: Path) -> bytes:
    """Return a module's bytes, unpacked by its suffix; ConfigError for a form that nothing here unpacks."""
    data = module.read_bytes()
    try:
        match module.suffix:
            case ".ko":
                return data
            case ".xz":
                return lzma.decompress(data)
            case ".gz":
                return gzip.decompress(data)
            case ".zst" if tool := shutil.which("zstd"):
                return run_tool([tool, "-dcq"], input=data)
    except (lzma.LZMAError, zlib.error, OSError, EOFError) as error:
        raise ConfigError(f"cannot be unpacked: {error}", file=module) from None
    raise ConfigError("cannot be unpacked (.zst needs zstd)", file=module)
