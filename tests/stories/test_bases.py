"""``envguard build --base``: an image as the base, as a layout, an archive and in the engine."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from envguard.images.archive import write_archive
from envguard.images.config import ImageConfig, Runtime
from envguard.images.descriptor import Descriptor, ImagePlatform
from envguard.images.host import host_base
from envguard.images.image import NewImage, new_image
from envguard.images.layer import write_layer
from envguard.images.layout import write_layout
from tests.support.images import image_of_tars, link, member, tar_of

FINGERPRINT = "lockfiles/churn.fingerprint.json"


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> NewImage:
    """An image with this machine's Python and nothing else."""
    made = host_base(prefix="opt/venv")
    blob = tmp_path_factory.mktemp("base") / "layer"
    with blob.open("wb") as sink:
        layer = write_layer(made.entries, sink)
    path = made.facts.environment["PATH"]
    config = ImageConfig(
        platform=ImagePlatform(os="linux", architecture="amd64"),
        diff_ids=(layer.diff_id,),
        runtime=Runtime(env=(f"PATH={path}",), user="65532"),
    )
    descriptor = Descriptor(media_type=layer.media_type, digest=layer.digest, size=layer.size)
    return new_image(config, [descriptor], lambda digest: blob.open("rb"))


def test_a_layout(fingerprinted, base) -> None:
    write_layout(fingerprinted.folder / "base", base)
    told = fingerprinted.run("build", FINGERPRINT, "--base", "base", "--prove", "--output", "image")
    assert told.code == 0, told
    assert fingerprinted.run("diff", FINGERPRINT, "image").code == 0
    assert fingerprinted.run("diff", "training", "image").code == 0


def test_an_archive_gives_the_same_image(fingerprinted, base) -> None:
    write_layout(fingerprinted.folder / "base", base)
    with (fingerprinted.folder / "base.tar").open("wb") as sink:
        write_archive(base, sink)
    first = fingerprinted.run("build", FINGERPRINT, "--base", "base", "-o", "one", "-f", "json")
    second = fingerprinted.run(
        "build", FINGERPRINT, "--base", "base.tar", "-o", "two", "-f", "json"
    )
    assert (first.code, second.code) == (0, 0)
    assert first.stdout.replace('"one"', '"two"') == second.stdout


def test_another_architecture_is_refused(fingerprinted, base, snapshot) -> None:
    config = replace(base.config, platform=ImagePlatform(os="linux", architecture="arm64"))
    other = new_image(config, base.manifest.layers, base.open_layer)
    write_layout(fingerprinted.folder / "base", other)
    told = fingerprinted.run("build", FINGERPRINT, "--base", "base", "--output", "image")
    assert str(told) == snapshot
    assert not (fingerprinted.folder / "image").exists()


def test_another_python_is_refused(fingerprinted, snapshot) -> None:
    program, data = member("usr/bin/python3.9", Path(sys.executable).resolve().read_bytes()[:4096])
    program.mode = 0o755
    stated = b'#define PY_VERSION "3.9.2"\n'
    tar = tar_of(
        [
            (program, data),
            link("usr/bin/python3", "python3.9"),
            member("usr/lib/python3.9/os.py"),
            member("usr/include/python3.9/patchlevel.h", stated),
        ]
    )
    write_layout(fingerprinted.folder / "base", image_of_tars(tar))
    told = fingerprinted.run("build", FINGERPRINT, "--base", "base", "--output", "image")
    assert str(told) == snapshot
    assert not (fingerprinted.folder / "image").exists()


def test_no_base_at_all(fingerprinted, snapshot) -> None:
    told = fingerprinted.run("build", FINGERPRINT, "--base", "training", "--output", "image")
    assert str(told) == snapshot


@pytest.mark.docker
def test_an_image_of_the_engine(fingerprinted, base) -> None:
    from envguard.images.daemon import load_image

    tag = "envguard-story-base:latest"
    load_image(base, reference=tag)
    try:
        build = ("build", FINGERPRINT, "--base", f"docker:{tag}", "--output", "image")
        told = fingerprinted.run(*build)
        assert told.code == 0, told
        assert fingerprinted.run("diff", FINGERPRINT, "image").code == 0
    finally:
        subprocess.run(["docker", "rmi", "-f", tag], capture_output=True)
