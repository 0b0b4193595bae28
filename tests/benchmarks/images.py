"""What image benchmarks stand on: one Debian base with Python, one lock, one build context."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.measure import command
from tests.benchmarks.peers import ENVGUARD
from tests.benchmarks.scratch import (
    Scratch,
    cache_at,
    digest_of,
    discard,
    quietly,
    real_wheels,
)
from tests.support import environments

BASE, BASE_WITH_UV = "envguard-bench-base:1", "envguard-bench-base-uv:1"
VENV = "/opt/venv"
_SUITE = "bookworm"
_PACKAGES = "python3,python3-venv,ca-certificates"
_INSTALLERS = {
    "pip": f"{VENV}/bin/pip install -q --no-index --no-deps --no-cache-dir --no-compile",
    "uv": f"uv pip install -q --python {VENV} --offline --no-index --no-deps --no-cache",
}
_MODEL_SIZE = 50 << 20
_MARK = "dev.envguard.benchmark=1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A building site: *context* is what Docker gets, *project* what envguard does, *base* an
    archive of the base image; both sides use the same wheels and the same model.
    """

    context: Path
    project: Path
    base: Path
    cache: Path

    @property
    def model(self) -> Path:
        """The model: 50 MiB."""
        return self.context / "model" / "model.bin"

    def change_model(self) -> None:
        """Other bytes in the model."""
        self.model.write_bytes(os.urandom(_MODEL_SIZE))

    def forget_layers(self) -> None:
        """Make envguard forget every layer, but not the wheels."""
        discard(self.cache / "layers")

    def envguard(self, *outputs: str | Path, base: str | Path) -> Callable[[], None]:
        """A build by envguard to *outputs*."""
        return command(
            *ENVGUARD, "build", "-q", "--offline", self.project / "pylock.toml",
            "--base", base, "--model", self.model, *outputs, variables=cache_at(self.cache),
        )  # fmt: skip

    def docker(self, installer: str, tag: str, *options: str) -> Callable[[], None]:
        """A build by the engine's classic builder, which every engine has, with *installer*."""
        return command(
            "docker", "build", "-q", "--network", "none", "--force-rm", "--label", _MARK, *options,
            "--file", self.context / f"{installer}.dockerfile", "--tag", tag, self.context,
            variables={"DOCKER_BUILDKIT": "0"},
        )  # fmt: skip


def missing() -> Iterator[str]:
    """What an image benchmark needs and this machine lacks."""
    if shutil.which("docker") is None or not _engine_answers():
        yield "a Docker engine"
    if shutil.which("debootstrap", path=_PATH) is None or os.geteuid() != 0:
        yield "debootstrap and root, to make the base image"


@contextmanager
def building_site(scratch: Scratch, *tags: str) -> Iterator[Site]:
    """A site whose base images are in the engine; they and *tags* leave it at the end."""
    wheels = real_wheels(scratch)
    root = scratch.made("debian", _debian)
    folder = scratch.fresh("build")
    site = Site(
        context=folder / "context",
        project=folder / "project",
        base=folder / "base.tar",
        cache=folder / "cache",
    )
    try:
        _write_context(site.context, wheels)
        _write_lock(site.project, wheels)
        _import(root, site.base)
        site.change_model()
        yield site
    finally:
        marks = [_MARK, *(mark for tag in tags for mark in _lock_label(tag))]
        remove(*tags, BASE_WITH_UV, BASE)
        for mark in marks:
            subprocess.run([*_PRUNE, f"label={mark}"], capture_output=True)
        discard(folder)


def remove(*tags: str) -> None:
    """Remove images from the engine, and their untagged parents with them."""
    subprocess.run(["docker", "image", "rm", "--force", *tags], capture_output=True)


_PRUNE = ("docker", "image", "prune", "--force", "--filter")
"""Builds that changed the model took the tag from the images before them."""


def _lock_label(tag: str) -> Iterator[str]:
    """The label that images have which envguard built from the same lock as *tag*."""
    name = "dev.envguard.lock"
    asked = [
        "docker",
        "image",
        "inspect",
        "--format",
        f'{{{{index .Config.Labels "{name}"}}}}',
        tag,
    ]
    value = subprocess.run(asked, capture_output=True, text=True).stdout.strip()
    if value.startswith("sha256:"):
        yield f"{name}={value}"


def _engine_answers() -> bool:
    return subprocess.run(["docker", "info"], capture_output=True).returncode == 0


_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"


def _debian(folder: Path) -> None:
    quietly(
        shutil.which("debootstrap", path=_PATH) or "debootstrap",
        "--variant=minbase", f"--include={_PACKAGES}", _SUITE, folder,
    )  # fmt: skip
    for path in (*folder.glob("var/cache/apt/archives/*.deb"), *folder.glob("dev/*")):
        discard(path)


def _write_context(context: Path, wheels: Path) -> None:
    (context / "model").mkdir(parents=True)
    shutil.copytree(wheels, context / "wheels")
    for name, install in _INSTALLERS.items():
        base = BASE_WITH_UV if name == "uv" else BASE
        lines = [
            f"FROM {base}",
            "COPY wheels /wheels",
            f"ENV VIRTUAL_ENV={VENV} PATH={VENV}/bin:/usr/local/bin:/usr/bin:/bin",
            f"RUN {_make_venv(name)} && {install} /wheels/*.whl",
            "COPY model /opt/model",
        ]
        (context / f"{name}.dockerfile").write_text("\n".join(lines) + "\n")


def _make_venv(installer: str) -> str:
    return f"uv venv -q {VENV}" if installer == "uv" else f"python3 -m venv {VENV}"


def _write_lock(project: Path, wheels: Path) -> None:
    """A lock of the wheels as they lie there, so that no index is needed."""
    project.mkdir()
    lines = ['lock-version = "1.0"', 'created-by = "benchmarks"']
    for wheel in sorted(wheels.glob("*.whl")):
        name, version, *_ = wheel.name.split("-")
        lines += [
            "[[packages]]",
            f'name = "{name.replace("_", "-").lower()}"',
            f'version = "{version}"',
            "[[packages.wheels]]",
            f'path = "{os.path.relpath(wheel, project)}"',
            f"size = {wheel.stat().st_size}",
            f'hashes = {{sha256 = "{digest_of(wheel)}"}}',
        ]
    (project / "pylock.toml").write_text("\n".join(lines) + "\n")


def _import(root: Path, archive: Path) -> None:
    """The Debian folder as an image, as the same with uv, and as an archive."""
    tar = ["tar", "--directory", str(root), "--create", "--numeric-owner", "."]
    with subprocess.Popen(tar, stdout=subprocess.PIPE) as packing:
        words: Sequence[str] = ["docker", "import", "-", BASE]
        done = subprocess.run(words, stdin=packing.stdout, capture_output=True, text=True)
    if done.returncode or packing.returncode:
        raise RuntimeError(f"docker import: {done.stderr}")
    quietly("docker", "save", "--output", archive, BASE)
    with_uv = archive.parent / "with-uv"
    with_uv.mkdir()
    shutil.copy2(environments.uv(), with_uv / "uv")
    (with_uv / "Dockerfile").write_text(f"FROM {BASE}\nCOPY uv /usr/local/bin/uv\n")
    subprocess.run(
        ["docker", "build", "-q", "--tag", BASE_WITH_UV, str(with_uv)],
        env={**os.environ, "DOCKER_BUILDKIT": "0"}, stdout=sys.stderr, check=True,
    )  # fmt: skip
