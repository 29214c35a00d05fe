"""The images, as far as that can be told without a container engine."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import sysconfig
import tomllib
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.deploy.images import DOCKERFILES, ROOT, pinned, stages
from tests.integration.processes import serving

MOST_BYTES = 250 * 10**6


@pytest.mark.parametrize("path", DOCKERFILES)
def test_hadolint_has_no_complaint(path: str) -> None:
    hadolint = Path(sysconfig.get_path("scripts")) / "hadolint"
    said = subprocess.run([hadolint, ROOT / path], capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stdout


@pytest.mark.parametrize("path", DOCKERFILES)
def test_an_image_is_pinned_not_root_and_says_how_its_health_is_known(path: str) -> None:
    *_, final = built = stages(path)
    assert all(pinned(stage.base) for stage in built)
    user = final.last("USER")
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user), user  # numbers: Kubernetes must know them
    assert final.last("HEALTHCHECK")
    assert final.last("ENTRYPOINT").startswith("[")  # no shell before it would swallow SIGTERM


def test_the_gateway_s_image_takes_what_was_installed_and_nothing_that_installs() -> None:
    build, final = stages("Dockerfile")
    assert final.base == build.base  # the same Python, or the environment would not fit
    assert "-slim-" in final.base
    assert not [value for name, value in final.instructions if name in ("RUN", "ADD")]
    installs = [value for name, value in build.instructions if name == "RUN" and "install" in value]
    assert "--only-binary=:all:" in installs[0]  # nothing is compiled, so no compiler is needed


def test_what_the_image_copies_is_in_the_build_context() -> None:
    allowed = {
        line.removeprefix("!")
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line.startswith("!")
    }
    for path in DOCKERFILES:
        for stage in stages(path):
            for name, value in stage.instructions:
                if name == "COPY" and "--from=" not in value:
                    sources = set(value.split()[:-1])
                    assert sources <= allowed
                    assert all((ROOT / source).exists() for source in sources)


def test_the_health_check_knows_a_gateway_that_lives(tmp_path: Path) -> None:
    command = json.loads(stages("Dockerfile")[-1].last("HEALTHCHECK").partition("CMD ")[2])
    settings = {"model_repository": str(ROOT / "model_repository"), "edge_folder": str(tmp_path)}

    def healthy(port: str) -> bool:
        environment = os.environ | {"LOOKALIKE_PORT": port}
        asked = [sys.executable, *command[1:]]
        done = subprocess.run(asked, env=environment, capture_output=True, check=False)
        return done.returncode == 0

    with serving(settings) as (_, url):  # without Triton and without an index: alive, not ready
        assert healthy(url.rpartition(":")[2])
    assert not healthy(url.rpartition(":")[2])


def _removed() -> set[str]:
    """The packages that the Dockerfile takes out again."""
    told = " ".join(value for _, value in stages("Dockerfile")[0].instructions)
    found = re.search(r"uninstall --yes ((?:[\w-]+ )+)", told)
    assert found is not None
    return set(found[1].split())


def _needed() -> set[str]:
    """The gateway's packages and all that they need, as installed here."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    todo = [Requirement(text) for text in project["dependencies"]]
    seen: set[tuple[str, str]] = set()
    while todo:
        wanted = todo.pop()
        for extra in ("", *wanted.extras):
            key = canonicalize_name(wanted.name), extra
            if key in seen:
                continue
            seen.add(key)
            for text in distribution(wanted.name).requires or []:
                needed = Requirement(text)
                if needed.marker is None or needed.marker.evaluate({"extra": extra}):
                    todo.append(needed)
    return {name for name, _ in seen}


def _bytes(name: str) -> int:
    """What a package's wheel unpacks to, less the tests in it, which the image leaves out."""
    files = [
        Path(str(file.locate()))
        for file in distribution(name).files or []
        if file.suffix != ".pyc" and "tests" not in file.parts
    ]
    return sum(file.stat().st_size for file in files if file.is_file())


def test_the_gateway_s_packages_stay_under_250_mb_without_torch() -> None:
    installed = _needed() - _removed()
    assert not installed & {"torch", "onnx", "onnxruntime", "transformers", "open-clip-torch"}
    sizes = {name: _bytes(name) for name in installed}
    largest = sorted(sizes.items(), key=lambda item: -item[1])[:5]
    assert 100e6 < sum(sizes.values()) < MOST_BYTES, largest


def test_nothing_that_the_image_leaves_out_is_imported() -> None:
    """The whole gateway, its commands and a release, without the packages that were taken out."""
    modules = {name.replace("-", "_") for name in _removed()}
    program = f"""
import sys
sys.modules.update(dict.fromkeys({sorted(modules)!r}))  # importing one is an ImportError
import gateway.cli, gateway.adapters.qdrant_cluster
from gateway.adapters.release_files import load_release
from pathlib import Path
load_release(Path("model_repository"), "sample-v1").tokenizer
left_out = [name for name in sys.modules if ".tests" in name]
assert not left_out, left_out
assert not {{"torch", "onnx", "onnxruntime"}} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)
