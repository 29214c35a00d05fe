"""NVIDIA Triton from the `nvidia-pytriton` wheel, as one child process.

The wheel has the server and its Python backend, which is all that a release exported with
`--target onnx-cpu` needs. What a container image would arrange is arranged here: the backend's
stub beside its library, run bits, library paths, free ports, and an end for every process.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import grpc
from tritonclient.grpc import service_pb2, service_pb2_grpc

from gateway.domain.errors import StartupProblem
from gateway.local import platform_check

START_TIMEOUT_S = 120.0
STOP_TIMEOUT_S = 20.0
_PR_SET_PDEATHSIG = 1  # prctl(2)


@dataclass(frozen=True, slots=True)
class TritonOptions:
    """`models` are loaded at start; others of the repository can be loaded later by its API.

    `grpc_port` 0 takes a free one. `log_file` is overwritten at start. `cache_bytes` sizes
    Triton's response cache; 0 leaves it out. `arguments` are further flags of the server's own,
    which come last and so win.
    """

    repository: Path
    models: Sequence[str]
    log_file: Path
    grpc_port: int = 0
    cache_bytes: int = 0
    arguments: Sequence[str] = ()


class TritonServer:
    """A running server: `with TritonServer(options) as server: server.endpoint`."""

    def __init__(self, options: TritonOptions) -> None:
        self._options = options
        self._port = options.grpc_port or _free_port()
        self._folder: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def endpoint(self) -> str:
        """Where gRPC answers: `host:port`."""
        return f"127.0.0.1:{self._port}"

    @property
    def pid(self) -> int:
        """The server's process id; StartupProblem before it runs."""
        if self._process is None:
            raise StartupProblem("Triton has not been started.")
        return self._process.pid

    def __enter__(self) -> TritonServer:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Starts the server and returns when it is ready to infer.

        Raises StartupProblem, with Triton's own words, when it does not get there.
        """
        sentence = platform_check.problem()
        if sentence is not None:
            raise StartupProblem(sentence)
        wheel = _wheel()
        self._folder = Path(tempfile.mkdtemp(prefix="lookalike-triton-"))
        backends = _assemble_backends(wheel, self._folder)
        self._options.log_file.parent.mkdir(parents=True, exist_ok=True)
        with self._options.log_file.open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603 - the wheel's own binary
                self._command(wheel, backends),
                stdout=log,
                stderr=subprocess.STDOUT,
                env=_environment(wheel),
                start_new_session=True,  # Ctrl-C goes to the demo, which then stops the server
                preexec_fn=_die_with_parent,  # noqa: PLW1509 - only a prctl between fork and exec
            )
        try:
            self._wait_until_ready()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Ends the server and all that it started; does nothing when it is not running."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            # The server takes its backends with it, unless it crashed or had to be killed.
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process = None
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def kill(self) -> None:
        """Ends the server and all that it started as a machine's death would, without a word."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
        self.stop()

    def _command(self, wheel: Path, backends: Path) -> list[str]:
        options = self._options
        command = [
            str(wheel / "bin" / "tritonserver"),
            f"--model-repository={options.repository.resolve()}",
            f"--backend-directory={backends}",
            # Shared memory blocks of two servers on one machine must not share names.
            f"--backend-config=python,shm-region-prefix-name=lookalike-{self._port}-",
            "--model-control-mode=explicit",
            # Python models that started side by side were seen to end Triton 2.51 (a lock error).
            "--model-load-thread-count=1",
            *(f"--load-model={model}" for model in options.models),
            "--disable-auto-complete-config",
            "--allow-http=false",
            "--allow-metrics=false",
            "--grpc-address=127.0.0.1",
            f"--grpc-port={self._port}",
            # These let the gateway's keepalive pings through; see adapters/triton.py.
            "--grpc-http2-min-recv-ping-interval-without-data=5000",
            "--grpc-keepalive-permit-without-calls=1",
            "--exit-timeout-secs=10",
        ]
        if options.cache_bytes:
            command += [
                f"--cache-config=local,size={options.cache_bytes}",
                f"--cache-directory={wheel / 'caches'}",
            ]
        return [*command, *options.arguments]

    def _wait_until_ready(self) -> None:
        assert self._process is not None
        give_up_at = time.monotonic() + START_TIMEOUT_S
        with grpc.insecure_channel(self.endpoint) as channel:
            stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
            while time.monotonic() < give_up_at:
                if self._process.poll() is not None:
                    raise StartupProblem(f"Triton stopped while starting: {self._last_words()}")
                if _ready(stub):
                    return
                time.sleep(0.05)  # Triton has no event to wait for
        raise StartupProblem(
            f"Triton was not ready after {START_TIMEOUT_S:.0f} s: {self._last_words()}"
        )

    def _last_words(self) -> str:
        """The most telling line of the log, and where the rest is."""
        lines = self._options.log_file.read_text(errors="replace").splitlines()
        errors = [line for line in lines if line.startswith("E")]
        last = (errors or lines or ["it printed nothing"])[-1]
        # Triton's lines begin with level, time, thread and place.
        words = last.split("] ", 1)[-1].strip().strip('"')
        return f"{words} (all of it: {self._options.log_file})"


def _ready(stub: service_pb2_grpc.GRPCInferenceServiceStub) -> bool:
    try:
        return bool(stub.ServerReady(service_pb2.ServerReadyRequest(), timeout=1.0).ready)
    except grpc.RpcError:
        return False


def _wheel() -> Path:
    """The folder of the server in the installed wheel."""
    spec = importlib.util.find_spec("pytriton")
    if spec is None or spec.origin is None:
        raise StartupProblem(
            "Triton's wheel is not installed. Install it with `pip install 'lookalike[local]'`."
        )
    return Path(spec.origin).parent / "tritonserver"


def _assemble_backends(wheel: Path, folder: Path) -> Path:
    """The Python backend with this Python's stub beside its library, both runnable."""
    target = folder / "backends" / "python"
    shutil.copytree(wheel / "backends" / "python", target)
    stub = f"{sys.version_info.major}.{sys.version_info.minor}"
    shutil.copy(wheel / "python_backend_stubs" / stub / "triton_python_backend_stub", target)
    for name in ("triton_python_backend_stub", "libtriton_python.so"):
        (target / name).chmod(0o755)
    server = wheel / "bin" / "tritonserver"
    if not os.access(server, os.X_OK):
        server.chmod(0o755)
    return target.parent


def _environment(wheel: Path) -> dict[str, str]:
    """The child's environment: the wheel's libraries, this Python, this environment's packages."""
    libraries = [str(wheel.parents[1] / "nvidia_pytriton.libs")]
    if folder := platform_check.libpython():
        libraries.append(folder)
    if inherited := os.environ.get("LD_LIBRARY_PATH"):
        libraries.append(inherited)
    return os.environ | {
        "LD_LIBRARY_PATH": ":".join(libraries),
        "PYTHONHOME": sys.base_prefix,
        "PYTHONPATH": sysconfig.get_paths()["purelib"],
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def _die_with_parent() -> None:
    """Asks Linux to end the server when the process that started it is gone, even by SIGKILL."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
