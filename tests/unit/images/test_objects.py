import sys
from pathlib import Path
from typing import Any

import numpy
import pytest

from envguard.images.elf import Elf, PackageObject, read_elf
from envguard.images.gzip_members import Compression
from envguard.images.host import host_base
from envguard.images.host_files import HostFiles
from envguard.images.loader import Loader
from envguard.images.objects import ObjectProblem, check_objects
from envguard.images.tree import ImageFiles
from tests.support.images import image_of_layers

_PROGRAM = str(Path(sys.executable).resolve())
_SITE = Path(numpy.__file__).parent.parent


@pytest.fixture(scope="module")
def loader() -> Loader:
    return Loader(HostFiles(), _PROGRAM)


def _object(
    loader: Loader, package: str = "a", path: str = "a/_a.so", **facts: Any
) -> PackageObject:
    stated: dict[str, Any] = {
        "machine": loader.process.machine,
        "bits": loader.process.bits,
        "requires": {},
    }
    elf = Elf(**(stated | facts))
    return PackageObject(package=package, path=path, elf=elf)


def _numpy() -> list[PackageObject]:
    found = []
    for path in sorted(_SITE.glob("numpy*/**/*.so*")):
        with path.open("rb") as stream:
            elf = read_elf(stream, str(path))
        assert elf is not None
        found.append(PackageObject(package="numpy", path=str(path), elf=elf))
    return found


def test_a_real_wheel_lacks_nothing(loader):
    assert check_objects(_numpy(), loader) == ()


def test_a_wheel_without_its_own_libraries_lacks_them(loader):
    objects = [item for item in _numpy() if "numpy.libs" not in item.path]
    assert any("openblas" in problem.library for problem in check_objects(objects, loader))


def test_a_missing_library_is_named_with_its_package(loader):
    lacking = _object(loader, "opencv", "cv2/cv2.so", needed=("libGL-none.so.1", "libc.so.6"))
    (problem,) = check_objects([lacking], loader)
    assert problem == ObjectProblem(package="opencv", path="cv2/cv2.so", library="libGL-none.so.1")
    assert str(problem) == (
        "opencv: cv2/cv2.so needs libGL-none.so.1, which neither the base nor a wheel has"
    )


@pytest.mark.parametrize("facts", [{"path": "b.libs/libb.so"}, {"soname": "libb.so"}])
def test_another_wheel_may_bring_the_library(loader, facts):
    other = _object(loader, "b", **facts)
    assert check_objects([_object(loader, needed=("libb.so",)), other], loader) == ()


def test_a_symbol_version_that_is_too_new_is_named(loader):
    libc = loader.read(loader.find("libc.so.6") or "")
    assert libc is not None
    item = _object(
        loader,
        needed=("libc.so.6",),
        requires={"libc.so.6": ("GLIBC_2.17", "GLIBC_2.99", "GLIBC_PRIVATE")},
    )
    (problem,) = check_objects([item], loader)
    assert problem.version == "GLIBC_2.99"
    assert problem.available in libc.provides
    assert f"{problem.version}, and the base's libc.so.6 has {problem.available}" in str(problem)


def test_a_version_of_another_library_is_the_other_librarys_matter(loader):
    other = _object(loader, "b", path="libb.so")
    item = _object(loader, needed=("libb.so",), requires={"libb.so": ("B_1",)})
    assert check_objects([item, other], loader) == ()


def test_an_object_for_another_machine_is_left_out(loader):
    assert check_objects([_object(loader, machine="sparc", needed=("libx.so",))], loader) == ()


def test_the_driver_of_a_device_is_not_asked_for(loader):
    assert check_objects([_object(loader, needed=("libcuda.so.1",))], loader) == ()


def test_what_the_program_has_loaded_is_there(loader):
    loaded = [Path(path).name for path in loader.closure(()).libraries]
    assert check_objects([_object(loader, needed=tuple(loaded))], loader) == ()


def test_an_image_of_the_machine_gives_the_same_answers(loader):
    base = host_base(prefix="opt/venv", objects=_numpy())
    image = image_of_layers(base.entries, compression=Compression.PLAIN)
    inside = Loader(ImageFiles(image, cached=False), base.facts.python)
    objects = [*_numpy(), _object(loader, needed=("libnowhere.so", "libm.so.6"))]
    problems = check_objects(objects, inside)
    assert problems == check_objects(objects, loader)
    assert [problem.library for problem in problems] == ["libnowhere.so"]
