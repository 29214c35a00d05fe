"""A release is put into the repository wholly or not at all."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path

import pytest

from export.errors import ExportRefused
from export.release_writer import Destination, staged

FILES = ("v1-image/1/model.onnx", "v1-text/1/model.onnx", "v1.golden.npz", "v1.release.json")


def fill(folder: Path, content: str) -> None:
    """A release's files, each with the same content."""
    for name in FILES:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


def contents(repository: Path) -> dict[str, str]:
    """Every file below a folder, by its path."""
    files = (path for path in repository.rglob("*") if path.is_file())
    return {path.relative_to(repository).as_posix(): path.read_text() for path in files}


def everything_below(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


def fail_on_the_way(destination: Destination, error: BaseException) -> None:
    with staged(destination) as folder:
        fill(folder, "new")
        raise error


@pytest.fixture(name="destination")
def a_destination(tmp_path: Path) -> Destination:
    return Destination(tmp_path / "repository", "v1")


@pytest.fixture(name="published")
def a_published_release(destination: Destination) -> Destination:
    with staged(destination) as folder:
        fill(folder, "old")
    return destination


def test_a_release_is_put_into_place_and_nothing_else_is_left(
    destination: Destination, tmp_path: Path
) -> None:
    with staged(destination) as folder:
        fill(folder, "new")
        assert contents(destination.repository) == {}
    assert contents(destination.repository) == dict.fromkeys(FILES, "new")
    assert {entry.name for entry in tmp_path.iterdir()} == {"repository"}
    assert folder.name not in everything_below(tmp_path)


def test_the_release_is_built_where_a_starting_triton_does_not_look(
    destination: Destination,
) -> None:
    """It takes every folder of the repository for a model, hidden ones too."""
    with staged(destination) as folder:
        assert folder.parent == destination.repository.parent
        fill(folder, "new")


def test_a_failed_export_leaves_nothing_behind(destination: Destination, tmp_path: Path) -> None:
    with pytest.raises(KeyError):
        fail_on_the_way(destination, KeyError("on the way"))
    assert everything_below(tmp_path) == set()


def test_a_failed_export_leaves_other_releases_alone(
    published: Destination, tmp_path: Path
) -> None:
    before = everything_below(tmp_path)
    other = Destination(published.repository, "v2")
    with pytest.raises(KeyboardInterrupt):
        fail_on_the_way(other, KeyboardInterrupt())
    assert everything_below(tmp_path) == before


def test_a_release_that_exists_is_refused_before_any_work(published: Destination) -> None:
    with pytest.raises(ExportRefused, match="--force"), staged(published):
        pytest.fail("the body was run")
    assert contents(published.repository) == dict.fromkeys(FILES, "old")


def test_a_release_that_appeared_meanwhile_is_refused(destination: Destination) -> None:
    export = staged(destination)
    fill(export.__enter__(), "new")
    fill(destination.repository, "somebody else's")
    with pytest.raises(ExportRefused, match="already has a release v1"):
        export.__exit__(None, None, None)
    assert contents(destination.repository) == dict.fromkeys(FILES, "somebody else's")


def test_a_release_is_replaced_when_asked_for(published: Destination, tmp_path: Path) -> None:
    with staged(Destination(published.repository, "v1", replace=True)) as folder:
        fill(folder, "new")
        (folder / "v1-image/1/extra").write_text("new")
        assert contents(published.repository) == dict.fromkeys(FILES, "old")
    assert contents(published.repository) == dict.fromkeys([*FILES, "v1-image/1/extra"], "new")
    assert {entry.name for entry in tmp_path.iterdir()} == {"repository"}


def test_a_move_that_fails_puts_the_old_release_back(
    published: Destination, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = Path.rename

    def breaks_at_the_new_manifest(source: Path, target: Path) -> Path:
        if source.name == "v1.release.json" and target.parent == published.repository:
            if source.parent.name.startswith("replaced-"):
                return rename(source, target)
            raise OSError(28, "No space left on device")
        return rename(source, target)

    monkeypatch.setattr(Path, "rename", breaks_at_the_new_manifest)
    replacing = Destination(published.repository, "v1", replace=True)
    with pytest.raises(ExportRefused, match="No space left"), staged(replacing) as folder:
        fill(folder, "new")
    assert contents(published.repository) == dict.fromkeys(FILES, "old")


@pytest.mark.parametrize("name", ["", "V1", "-v1", ".v1", "v 1", "v1/x", "../v1", "v1+", "vé"])
def test_a_name_that_cannot_be_a_file_and_a_collection_is_refused(
    tmp_path: Path, name: str
) -> None:
    with (
        pytest.raises(ExportRefused, match="cannot name a release"),
        staged(Destination(tmp_path / "repository", name)),
    ):
        pytest.fail("the body was run")


@pytest.mark.parametrize("name", ["v1", "0", "shoes-v2.1_b", "v1-b"])
def test_other_names_do(tmp_path: Path, name: str) -> None:
    with staged(Destination(tmp_path / "repository", name)) as folder:
        (folder / f"{name}.release.json").write_text("new")
    assert contents(tmp_path / "repository") == {f"{name}.release.json": "new"}


@pytest.fixture(name="running")
def an_export_in_another_process(destination: Destination) -> Iterator[SpawnProcess]:
    """It is at work until it is killed."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_export_for_ever, args=(destination, there))
    process.start()
    assert here.recv() == "at work"
    yield process
    process.kill()
    process.join()


def _export_for_ever(destination: Destination, pipe: Connection) -> None:
    with staged(destination) as folder:
        fill(folder, "half done")
        pipe.send("at work")
        pipe.recv()


def test_two_exports_of_one_release_at_once_are_refused(
    destination: Destination, running: SpawnProcess
) -> None:
    assert running.is_alive()
    with pytest.raises(ExportRefused, match="Another export"), staged(destination):
        pytest.fail("the body was run")


def test_an_export_of_another_release_may_go_on_at_once(
    destination: Destination, running: SpawnProcess
) -> None:
    assert running.is_alive()
    with staged(Destination(destination.repository, "v1-b")) as folder:
        (folder / "v1-b.release.json").write_text("new")
    assert contents(destination.repository) == {"v1-b.release.json": "new"}


def test_what_a_killed_export_left_is_swept_by_the_next(
    destination: Destination, running: SpawnProcess, tmp_path: Path
) -> None:
    running.kill()
    running.join()
    assert len(list(tmp_path.iterdir())) == 2
    with staged(destination) as folder:
        fill(folder, "new")
    assert contents(destination.repository) == dict.fromkeys(FILES, "new")
    assert {entry.name for entry in tmp_path.iterdir()} == {"repository"}
