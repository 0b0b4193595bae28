"""Whole environments: real ones by uv and pip, and trees that lie."""

import os
import sys
from pathlib import Path

import pytest

from envguard.formats.record import record_hash
from envguard.formats.site_packages import installed_files, read_environment
from envguard.model.digest import Digest
from envguard.model.environment import Coverage, Environment
from envguard.model.errors import UnreadableError
from envguard.model.files import Files
from envguard.model.lock import wheel_build
from envguard.model.package import DirectUrl, LocalFolder, Package
from envguard.places.folder import Folder
from tests.support.environments import (
    install_with_pip,
    install_with_uv,
    site_packages,
    venv,
    wheel,
)
from tests.support.memory_files import MemoryFiles

_SITE = "v/lib/python3.11/site-packages"


def read(prefix: Path, *, verify: bool = True) -> Environment:
    where = str(prefix).lstrip("/")
    return read_environment(
        Folder(Path("/")), where, source="x", os="linux", machine="x86_64", verify=verify
    )


def packages(environment: Environment) -> dict[str, Package]:
    return {package.name: package for package in environment.packages.value or ()}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """A wheel, and environments with it installed by uv and by pip."""
    folder = tmp_path_factory.mktemp("made")
    data = "demo-1.0.data"
    archive = wheel(
        folder,
        files={
            "demo/__init__.py": b"def main(): pass\n",
            "demo/data.bin": bytes(range(256)) * 1000,
            "demo_single.py": b"",
            f"{data}/scripts/demo-tool": b"#!python\nprint(1)\n",
            f"{data}/scripts/demo-binary": b"\x7fELF",
            f"{data}/data/share/demo.txt": b"shared",
            f"{data}/headers/demo.h": b"//",
        },
        tags=["py3-none-any", "py2-none-any"],
        metadata="Requires-Dist: other>=1; extra == 'x'\n",
    )
    by_uv, by_pip = venv(folder / "by-uv"), venv(folder / "by-pip")
    install_with_uv(by_uv, str(archive))
    install_with_pip(by_pip, str(archive))
    return archive, by_uv, by_pip


def test_uv_and_pip_install_the_same_content(made: tuple[Path, Path, Path]) -> None:
    archive, by_uv, by_pip = made
    one, two = read(by_uv), read(by_pip)
    assert packages(one)["demo"].content == packages(two)["demo"].content
    demo = packages(one)["demo"]
    assert demo.content is not None
    assert demo.build == wheel_build(archive.name) == "py2.py3-none-any"
    assert demo.requires == ("other>=1; extra == 'x'",)
    assert demo.modules == ("demo", "demo_single")
    assert isinstance(demo.origin, DirectUrl)
    assert not demo.modified
    assert not one.gaps
    assert not two.gaps


def test_believing_record_gives_the_same_content(made: tuple[Path, Path, Path]) -> None:
    _, by_uv, by_pip = made
    for prefix in (by_uv, by_pip):
        assert packages(read(prefix, verify=False)) == packages(read(prefix))


def test_interpreter_is_the_running_one(made: tuple[Path, Path, Path]) -> None:
    interpreter = read(made[1]).interpreter
    assert interpreter.coverage is Coverage.ALL
    assert interpreter.value is not None
    assert interpreter.value.version == sys.version.split()[0]


def test_names_exactly_the_file_that_changed(tmp_path: Path) -> None:
    prefix = venv(tmp_path / "v")
    install_with_uv(prefix, str(wheel(tmp_path)))
    before = packages(read(prefix))["demo"]
    module = site_packages(prefix) / "demo/__init__.py"
    module.write_bytes(module.read_bytes().replace(b"1", b"2"))
    after = packages(read(prefix))["demo"]
    assert after.modified == ("lib/demo/__init__.py",)
    assert after.content != before.content
    believed = packages(read(prefix, verify=False))["demo"]
    assert believed.content == before.content


def test_names_missing_files_and_changed_scripts(tmp_path: Path) -> None:
    prefix = venv(tmp_path / "v")
    install_with_uv(prefix, str(wheel(tmp_path)))
    content = packages(read(prefix))["demo"].content
    with (prefix / "bin/demo-run").open("a") as script:
        script.write("# changed")
    changed = packages(read(prefix))["demo"]
    assert changed.modified == ("scripts/demo-run",)
    assert changed.content == content
    (site_packages(prefix) / "demo/__init__.py").unlink()
    assert packages(read(prefix))["demo"].modified == ("lib/demo/__init__.py", "scripts/demo-run")


def test_installed_files_name_what_counts(made: tuple[Path, Path, Path]) -> None:
    _, by_uv, by_pip = made
    files = Folder(Path("/"))
    one = installed_files(files, str(by_uv)[1:], "demo")
    assert one == installed_files(files, str(by_pip)[1:], "demo")
    assert {file.path for file in one} >= {
        "lib/demo/__init__.py",
        "scripts/demo-binary",
        "data/share/demo.txt",
        "headers/demo.h",
    }
    assert "scripts/demo-tool" not in {file.path for file in one}
    assert installed_files(files, str(by_uv)[1:], "absent") == ()


@pytest.mark.parametrize("install", [install_with_uv, install_with_pip])
def test_editable_is_a_gap_and_still_tells_its_modules(tmp_path: Path, install) -> None:
    source = tmp_path / "source"
    (source / "src/mine").mkdir(parents=True)
    (source / "src/mine/__init__.py").write_text("")
    (source / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
        '[project]\nname = "mine"\nversion = "1"\n'
        '[tool.hatch.build.targets.wheel]\npackages = ["src/mine"]\n'
    )
    prefix = venv(tmp_path / "v")
    _see_build_backend(prefix)
    install(prefix, "-e", str(source))
    environment = read(prefix)
    mine = packages(environment)["mine"]
    assert mine.origin == LocalFolder(url=source.as_uri(), editable=True)
    assert mine.content is None
    assert mine.modules == ("mine",)
    assert [(gap.subject, "editable" in gap.reason) for gap in environment.gaps] == [("mine", True)]


def _see_build_backend(prefix: Path) -> None:
    """Let builds without isolation import the backend of the running interpreter."""
    import hatchling

    own = Path(hatchling.__file__).parent.parent
    for name in ("hatchling", "packaging", "pathspec", "pluggy", "editables", "trove_classifiers"):
        (site_packages(prefix) / name).symlink_to(own / name)


def dist_info(name: str, version: str, record: str | None, **more: bytes) -> dict[str, bytes]:
    folder = f"{_SITE}/{name}-{version}.dist-info"
    files = {f"{folder}/METADATA": f"Name: {name}\nVersion: {version}\n".encode()}
    if record is not None:
        files[f"{folder}/RECORD"] = record.encode()
    return files | {f"{folder}/{key}": data for key, data in more.items()}


def look(content: dict[str, bytes], **options) -> Environment:
    base = {"v/pyvenv.cfg": b"home = /gone/bin\nversion = 3.11.2\n", f"{_SITE}/x": b""}
    files: Files = MemoryFiles(base | content, **options)
    return read_environment(files, "v", source="x", os="linux", machine="x86_64")


def row(path: str, data: bytes) -> str:
    return f"{path},{record_hash(Digest.of(data))},{len(data)}\n"


@pytest.mark.parametrize(
    "path",
    [
        "../../../../outside",
        "/etc/passwd",
        "../../../../../../../../etc/passwd",
        "a\0b",
        "x/../../../../../y",
    ],
)
def test_rows_that_leave_the_prefix_are_gaps_and_not_opened(path: str) -> None:
    content = {"outside": b"s", "etc/passwd": b"s", "y": b"s"}
    environment = look(content | dist_info("demo", "1", row(path, b"s")))
    demo = packages(environment)["demo"]
    assert demo.content is None
    assert demo.modified == ()
    assert any("leads out of the environment" in gap.reason for gap in environment.gaps)


def test_absolute_rows_inside_the_prefix_are_fine() -> None:
    content = {f"{_SITE}/a.py": b"1"} | dist_info("demo", "1", row(f"/{_SITE}/a.py", b"1"))
    assert packages(look(content))["demo"].modules == ("a",)


def test_a_million_bad_rows_are_a_few_words() -> None:
    record = "".join(f"../../../../../{number},,\n" for number in range(2000))
    environment = look(dist_info("demo", "1", record))
    assert len(environment.gaps) == 6
    assert environment.gaps[-1].reason == "and 1995 more problems"


def test_a_row_stated_twice_and_differently_is_a_gap() -> None:
    record = row("a.py", b"1") + row("./a.py", b"2")
    environment = look({f"{_SITE}/a.py": b"1"} | dist_info("demo", "1", record))
    assert packages(environment)["demo"].content is None
    assert "twice" in environment.gaps[0].reason


def test_stronger_hashes_are_checked_too() -> None:
    import base64
    import hashlib

    encoded = base64.urlsafe_b64encode(hashlib.sha512(b"1").digest()).decode().rstrip("=")
    record = f"a.py,sha512={encoded},1\n"
    good = look({f"{_SITE}/a.py": b"1"} | dist_info("demo", "1", record))
    bad = look({f"{_SITE}/a.py": b"2"} | dist_info("demo", "1", record))
    assert packages(good)["demo"].modified == ()
    assert packages(bad)["demo"].modified == ("lib/a.py",)


def test_no_record_is_a_gap() -> None:
    environment = look(dist_info("demo", "1", None))
    assert packages(environment)["demo"].content is None
    assert [gap.reason for gap in environment.gaps] == ["has no RECORD"]


def test_metadata_that_cannot_be_read_is_a_gap_and_the_folder_names_it() -> None:
    environment = look({f"{_SITE}/de_mo-1.5.dist-info/RECORD": b""})
    assert packages(environment)["de-mo"].version == "1.5"
    assert "metadata" in environment.gaps[0].reason


def test_two_of_one_name_in_one_folder_are_a_gap_naming_both() -> None:
    environment = look(dist_info("demo", "1", "") | dist_info("demo", "2", ""))
    (gap,) = environment.gaps
    assert "demo-1.dist-info and demo-2.dist-info" in gap.reason


def test_egg_info_folder_and_file() -> None:
    content = {
        f"{_SITE}/old-1.0.egg-info/PKG-INFO": b"Name: old\nVersion: 1.0\n",
        f"{_SITE}/old-1.0.egg-info/top_level.txt": b"old\n_old\n",
        f"{_SITE}/older.egg-info": b"Name: older\nVersion: 0.1\n",
    }
    environment = look(content)
    assert packages(environment)["old"].modules == ("_old", "old")
    assert packages(environment)["older"].version == "0.1"
    assert [gap.subject for gap in environment.gaps] == ["old", "older"]


def test_develop_installs_are_found_through_their_pth() -> None:
    content = {
        f"{_SITE}/easy-install.pth": b"import sys\n# no\n/src/mine\n./egg-1.egg\n",
        "src/mine/mine.egg-info/PKG-INFO": b"Name: mine\nVersion: 2\n",
        f"{_SITE}/egg-1.egg/EGG-INFO/PKG-INFO": b"Name: egg\nVersion: 1\n",
    }
    found = packages(look(content))
    assert found["mine"].origin == LocalFolder(url="file:///src/mine", editable=True)
    assert found["egg"].version == "1"


def test_leftovers_of_pip_are_no_packages() -> None:
    content = {f"{_SITE}/~emo-1.dist-info/METADATA": b"Name: demo\nVersion: 1\n"}
    assert packages(look(content)) == {}


def test_base_that_is_not_there_is_said() -> None:
    interpreter = look({}).interpreter
    assert interpreter.coverage is Coverage.PART
    assert interpreter.reason is not None
    assert "/gone/bin" in interpreter.reason


def test_venv_of_another_python_than_its_base_is_a_gap() -> None:
    base = {"gone/lib/python3.12/os.py": b"", "gone/bin/python3": b""}
    environment = look(base)
    assert [gap.subject for gap in environment.gaps] == ["pyvenv.cfg"]
    assert environment.interpreter.value is not None
    assert environment.interpreter.value.version == "3.12"


def test_system_site_packages_are_seen_behind_the_own_ones() -> None:
    base = {
        "v/pyvenv.cfg": b"home = /usr/bin\ninclude-system-site-packages = true\n",
        "usr/lib/python3.11/os.py": b"",
        "usr/bin/python3": b"",
        "usr/lib/python3/dist-packages/both-1.egg-info": b"Name: both\nVersion: 1\n",
        "usr/lib/python3/dist-packages/system-1.egg-info": b"Name: system\nVersion: 1\n",
    }
    found = packages(look(base | dist_info("both", "2", "")))
    assert (found["both"].version, found["system"].version) == ("2", "1")


def test_lib64_of_its_own_is_platlib() -> None:
    record = row("../../../lib64/python3.11/site-packages/fast.abi3.so", b"1")
    content = {"v/lib64/python3.11/site-packages/fast.abi3.so": b"1"}
    assert packages(look(content | dist_info("demo", "1", record)))["demo"].modules == ("fast",)


def test_nothing_there_is_an_error() -> None:
    with pytest.raises(UnreadableError, match="holds no Python"):
        read_environment(MemoryFiles({"a": b""}), "v", source="x", os="linux", machine="x86_64")


def test_a_file_that_cannot_be_read_is_a_gap_and_not_missing(tmp_path: Path) -> None:
    prefix = venv(tmp_path / "v")
    install_with_uv(prefix, str(wheel(tmp_path)))
    module = site_packages(prefix) / "demo/__init__.py"
    module.unlink()
    os.mkfifo(module)
    environment = read(prefix)
    assert packages(environment)["demo"].content is None
    assert "lib/demo/__init__.py cannot be read" in environment.gaps[0].reason


@pytest.mark.network
def test_real_packages_by_uv_and_pip(tmp_path: Path) -> None:
    from tests.support.environments import from_index

    one, two = venv(tmp_path / "one"), venv(tmp_path / "two")
    from_index(one, "numpy", "scikit-learn", "six", by="uv")
    versions = [f"{name}=={p.version}" for name, p in packages(read(one, verify=False)).items()]
    from_index(two, *versions, by="pip")
    found, again = packages(read(one)), packages(read(two))
    assert {n: (p.content, p.build) for n, p in found.items()} == {
        n: (p.content, p.build) for n, p in again.items()
    }
    assert all(package.content and not package.modified for package in found.values())
