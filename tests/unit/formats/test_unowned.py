"""Files that no package owns: every way to add code to an environment, and clean ones with none."""

import importlib.util
import os
import py_compile
import subprocess
import sys
from pathlib import Path

import pytest

from envguard.formats.site_packages import read_environment
from envguard.model.environment import Environment, UnownedFile, UnownedKind
from envguard.model.files import Files
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
HOOK, SHADOW, MODULE = UnownedKind.HOOK, UnownedKind.SHADOW, UnownedKind.MODULE
BYTECODE, MAKER, OTHER = UnownedKind.BYTECODE, UnownedKind.MAKER, UnownedKind.OTHER


def read(prefix: Path) -> Environment:
    where = str(prefix).lstrip("/")
    return read_environment(Folder(Path("/")), where, source="x", os="linux", machine="x86_64")


def unowned(prefix: Path) -> dict[str, tuple[UnownedKind, str]]:
    return {file.path: (file.kind, file.why) for file in read(prefix).unowned}


@pytest.fixture
def prefix(tmp_path: Path) -> Path:
    """An environment with a package ``joblib`` and a module ``six``, and their bytecode."""
    made = venv(tmp_path / "v")
    joblib = {"joblib/__init__.py": b"", "joblib/parallel.py": b"", "joblib/data.bin": b"1"}
    archives = [
        wheel(tmp_path, "joblib", files=joblib),
        wheel(tmp_path, "six", files={"six.py": b""}),
    ]
    install_with_uv(made, *map(str, archives))
    for source in ("joblib/__init__.py", "joblib/parallel.py", "six.py"):
        py_compile.compile(str(site_packages(made) / source), doraise=True)
    return made


def put(prefix: Path, name: str, data: bytes = b"print('hello')\n") -> Path:
    path = site_packages(prefix) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def test_a_clean_environment_has_none(prefix: Path) -> None:
    assert read(prefix).unowned == ()


def test_python_s_own_venv_has_none(tmp_path: Path) -> None:
    made = tmp_path / "v"
    subprocess.run([sys.executable, "-m", "venv", str(made)], check=True)
    install_with_pip(made, str(wheel(tmp_path)))
    assert (site_packages(made) / "pip").is_dir()
    assert read(made).unowned == ()


@pytest.mark.parametrize("install", [install_with_uv, install_with_pip])
@pytest.mark.parametrize("backend", ["hatchling.build", "setuptools.build_meta"])
def test_editable_installs_have_none(tmp_path: Path, install, backend) -> None:
    source = tmp_path / "source"
    (source / "src/mine").mkdir(parents=True)
    (source / "src/mine/__init__.py").write_text("")
    (source / "src/tool.py").write_text("")
    (source / "pyproject.toml").write_text(
        f'[build-system]\nrequires = []\nbuild-backend = "{backend}"\n'
        '[project]\nname = "mine"\nversion = "1"\nscripts = { mine = "mine:main" }\n'
        '[tool.hatch.build.targets.wheel]\npackages = ["src/mine"]\n'
    )
    prefix = venv(tmp_path / "v")
    links = _see_build_backend(prefix)
    install(prefix, "-e", str(source))
    for link in links:
        link.unlink()
    assert read(prefix).unowned == ()


def _see_build_backend(prefix: Path) -> list[Path]:
    """Let builds without isolation import the backends of the running interpreter."""
    names = ("hatchling", "packaging", "pathspec", "pluggy", "editables", "trove_classifiers",
             "setuptools", "wheel", "pkg_resources", "_distutils_hack")  # fmt: skip
    links: list[Path] = []
    for name in names:
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.origin is not None:
            package = Path(spec.origin).parent
            for path in (package, *package.parent.glob(f"{name}-*.dist-info")):
                link = site_packages(prefix) / path.name
                link.symlink_to(path)
                links.append(link)
    return links


@pytest.mark.parametrize(
    ("name", "kind", "why"),
    [
        ("joblib/evil.py", MODULE, "module among those of joblib"),
        ("joblib/parallel.cpython-311-x86_64-linux-gnu.so", SHADOW, "shadows the module of joblib"),
        ("joblib/notes.txt", OTHER, "belongs to no package"),
        ("sklearn.py", MODULE, "module"),
        ("six.cpython-311-x86_64-linux-gnu.so", SHADOW, "shadows the module of six"),
        ("six.abi3.so", SHADOW, "shadows the module of six"),
        ("joblib.py", SHADOW, "shadows the module of joblib"),
        ("sitecustomize.py", HOOK, "start-up hook"),
        ("usercustomize.pyc", HOOK, "start-up hook"),
        ("README.py", MODULE, "module"),
        ("foo.pyc", BYTECODE, "bytecode without source"),
        ("joblib/foo.pyc", BYTECODE, "bytecode without source"),
        ("__pycache__/gone.cpython-311.pyc", BYTECODE, "bytecode without source"),
    ],
)
def test_a_stray_file_is_named_with_its_kind(prefix: Path, name, kind, why) -> None:
    put(prefix, name)
    assert unowned(prefix) == {f"lib/{name}": (kind, why)}


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("six/__init__.py", SHADOW),
        ("joblib/parallel/__init__.py", SHADOW),
        ("sitecustomize/__init__.py", HOOK),
        ("evil/deep/er.py", MODULE),
        ("evil/data.txt", OTHER),
        ("evil/__init__.pyc", BYTECODE),
    ],
)
def test_a_folder_in_which_nothing_is_owned_is_one_item(prefix: Path, name, kind) -> None:
    put(prefix, name)
    put(prefix, f"{Path(name).parent}/other.txt")
    folder = "joblib/parallel" if name.startswith("joblib") else name.partition("/")[0]
    assert {path: found[0] for path, found in unowned(prefix).items()} == {f"lib/{folder}": kind}


def test_the_digest_tells_other_bytes(prefix: Path) -> None:
    digests = set()
    for data in (b"1", b"2"):
        put(prefix, "evil/deep.py", data)
        put(prefix, "evil.py", data)
        digests |= {file.digest for file in read(prefix).unowned}
    assert len(digests) == 4
    assert None not in digests


def test_bytecode_of_a_stray_folder_does_not_count(prefix: Path) -> None:
    module = put(prefix, "evil/__init__.py")
    before = read(prefix).unowned
    py_compile.compile(str(module), doraise=True)
    assert read(prefix).unowned == before


@pytest.mark.parametrize("mode", list(py_compile.PycInvalidationMode))
def test_bytecode_that_is_never_checked_is_told(prefix: Path, mode) -> None:
    py_compile.compile(str(site_packages(prefix) / "six.py"), doraise=True, invalidation_mode=mode)
    unchecked = mode is py_compile.PycInvalidationMode.UNCHECKED_HASH
    assert [kind for kind, _ in unowned(prefix).values()] == [BYTECODE] * unchecked


def test_bytecode_with_tags_of_tools_has_its_source(prefix: Path) -> None:
    for tag in ("opt-1", "opt-2", "pytest-8.1"):
        put(prefix, f"__pycache__/six.cpython-311.{tag}.pyc", b"\0" * 16)
        put(prefix, f"__pycache__/six.cpython-311-{tag}.pyc", b"\0" * 16)
    assert unowned(prefix) == {}


@pytest.mark.parametrize("line", ["import os", "import\tos", "\ufeffimport os", "# x\nimport os"])
def test_a_pth_that_runs_code_is_a_hook(prefix: Path, line: str) -> None:
    put(prefix, "evil.pth", line.encode())
    assert unowned(prefix) == {"lib/evil.pth": (HOOK, "start-up hook")}


def test_a_pth_that_adds_nothing_is_none(prefix: Path) -> None:
    put(prefix, "empty.pth", b"# nothing\n\n")
    put(prefix, "own.pth", b"./joblib\n")
    assert unowned(prefix) == {}


def test_modules_in_an_added_folder_are_seen(prefix: Path, tmp_path: Path) -> None:
    extra = tmp_path / "extra"
    (extra / "pack").mkdir(parents=True)
    for folder in (".git", "docs"):
        (extra / folder).mkdir()
    names = ("six.py", "tool.py", "pack/__init__.py", "sitecustomize.py", "LICENSE", "x.toml")
    for name in (*names, ".git/hook.py", "docs/index.md"):
        (extra / name).write_text("")
    put(prefix, "extra.pth", f"{extra}\n".encode())
    assert unowned(prefix) == {
        "lib/extra.pth": (MODULE, "adds folders to the import path"),
        f"{extra}/six.py": (SHADOW, "shadows the module of six"),
        f"{extra}/tool.py": (MODULE, "module"),
        f"{extra}/pack": (MODULE, "module"),
        f"{extra}/sitecustomize.py": (HOOK, "start-up hook"),
    }


def test_an_added_folder_in_the_site_is_an_import_root(prefix: Path) -> None:
    put(prefix, "extra/six.py")
    put(prefix, "extra.pth", b"./extra\n")
    assert unowned(prefix)["lib/extra/six.py"] == (SHADOW, "shadows the module of six")


def test_an_egg_link_is_told_unless_its_package_is_seen(prefix: Path, tmp_path: Path) -> None:
    put(prefix, "foo.egg-link", b"/gone\n.")
    assert unowned(prefix) == {
        "lib/foo.egg-link": (MODULE, "names a source tree that is no package here")
    }
    source = tmp_path / "source"
    (source / "foo.egg-info").mkdir(parents=True)
    (source / "foo.egg-info/PKG-INFO").write_text("Name: foo\nVersion: 1\n")
    (source / "foo.py").write_text("")
    put(prefix, "foo.egg-link", f"{source}\n.".encode())
    put(prefix, "easy-install.pth", f"{source}\n".encode())
    assert unowned(prefix) == {}


def test_virtualenv_s_own_files(prefix: Path) -> None:
    put(prefix, "_virtualenv.pth", b"import _virtualenv")
    put(prefix, "_virtualenv.py", b"changed")
    assert unowned(prefix) == {"lib/_virtualenv.py": (MAKER, "written by virtualenv or uv")}
    put(prefix, "_virtualenv.pth", b"import _virtualenv; import os")
    assert unowned(prefix)["lib/_virtualenv.pth"] == (HOOK, "start-up hook")


def test_what_installers_leave_behind_is_none(prefix: Path) -> None:
    put(prefix, "README.txt")
    put(prefix, "~oblib/__init__.py")
    put(prefix, "six-1.0.dist-info/uv_cache.json")
    (site_packages(prefix) / "empty/folder").mkdir(parents=True)
    assert unowned(prefix) == {}


def test_links_are_strays_too(prefix: Path, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/__init__.py").write_text("")
    (site_packages(prefix) / "six").symlink_to(tmp_path / "outside")
    (site_packages(prefix) / "gone.py").symlink_to("/nowhere")
    (site_packages(prefix) / "loop").symlink_to(site_packages(prefix) / "loop")
    found = unowned(prefix)
    assert found["lib/six"][0] is SHADOW
    assert found["lib/gone.py"][0] is MODULE
    assert found["lib/loop"][0] is OTHER


def test_a_python_that_is_a_script_is_a_hook(prefix: Path) -> None:
    python = prefix / "bin/python"
    target = os.path.realpath(python)
    python.unlink()
    python.write_text(f"#!/bin/sh\nexec {target} -c pass\n")
    assert unowned(prefix) == {"scripts/python": (HOOK, "bin/python is a script")}
    python.rename(prefix / "bin/wrapper")
    python.symlink_to("wrapper")
    assert unowned(prefix) == {"scripts/python": (HOOK, "bin/python is a script")}


def look(content: dict[str, bytes]) -> tuple[UnownedFile, ...]:
    base = {"v/pyvenv.cfg": b"home = /gone/bin\nversion = 3.11.2\n"}
    files: Files = MemoryFiles(base | content)
    return read_environment(files, "v", source="x", os="linux", machine="x86_64").unowned


def test_packages_without_record_own_their_modules() -> None:
    content = {
        f"{_SITE}/old-1.0.egg-info/PKG-INFO": b"Name: old\nVersion: 1.0\n",
        f"{_SITE}/old-1.0.egg-info/top_level.txt": b"old\n_old\n",
        f"{_SITE}/old/__init__.py": b"",
        f"{_SITE}/_old.so": b"",
        f"{_SITE}/odd_er-1.egg-info": b"Name: odd-er\nVersion: 1\n",
        f"{_SITE}/odd_er.py": b"",
        f"{_SITE}/stray.py": b"",
    }
    assert [file.path for file in look(content)] == ["lib/stray.py"]


def test_what_dpkg_lists_is_owned() -> None:
    packages = "usr/lib/python3/dist-packages"
    content = {
        "usr/lib/python3.11/os.py": b"",
        "usr/bin/python3": b"\x7fELF",
        f"{packages}/apt_pkg.so": b"",
        f"{packages}/apt/__init__.py": b"",
        f"{packages}/evil.py": b"",
        "var/lib/dpkg/info/python3-apt.list": (
            f"/.\n/usr\n/{packages}\n/{packages}/apt\n/{packages}/apt/__init__.py\n"
            f"/{packages}/apt_pkg.so\n".encode()
        ),
    }
    files = MemoryFiles(content)
    found = read_environment(files, "usr", source="x", os="linux", machine="x86_64").unowned
    assert [(file.path, file.kind) for file in found] == [("lib/evil.py", MODULE)]


def test_a_package_hidden_by_another_of_its_name_owns_its_files() -> None:
    def installed(site: str, version: str, module: str) -> dict[str, bytes]:
        folder = f"{site}/demo-{version}.dist-info"
        return {
            f"{folder}/METADATA": f"Name: demo\nVersion: {version}\n".encode(),
            f"{folder}/RECORD": f"{module},,\n".encode(),
            f"{site}/{module}": b"",
        }

    base = {
        "v/pyvenv.cfg": b"home = /base/bin\ninclude-system-site-packages = true\n",
        "base/lib/python3.11/os.py": b"",
        "base/bin/python3": b"\x7fELF",
    }
    system = installed("base/lib/python3.11/site-packages", "1", "older.py")
    assert look(base | installed(_SITE, "2", "newer.py") | system) == ()


def test_a_flood_is_a_bounded_number_of_items() -> None:
    flood = {f"{_SITE}/m{number}.py": b"" for number in range(1500)}
    one, two = look(flood), look(flood | {f"{_SITE}/m999.py": b"x"})
    assert len(one) == 1000
    assert one[-1].why == "501 more that belong to no package"
    assert one[-1].digest != two[-1].digest
