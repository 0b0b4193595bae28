import json
import subprocess
import sys
import textwrap
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.utils import canonicalize_name

from envguard.formats import requirements as module
from envguard.formats.requirements import Requirements, parse
from envguard.formats.requirements_model import Direct, Named, Setting
from envguard.model.digest import Digest
from envguard.model.errors import LimitError, UnreadableError

A, B = Digest.of(b"a"), Digest.of(b"b")


def read(files: Mapping[str, str | bytes], start: str = "requirements.txt", **more) -> Requirements:
    def reader(path: str) -> bytes:
        if path not in files:
            raise UnreadableError("No such file or directory", where=path)
        data = files[path]
        return data.encode() if isinstance(data, str) else data

    return parse(start, reader, **more)


def one(text: str, **more) -> Named | Direct | Setting:
    (line,) = read({"requirements.txt": text}, **more).lines
    return line


def test_a_named_requirement_with_everything():
    line = one(
        "Scikit.Learn[b,A] >=1.4, <2 ; python_version<'3.13' "
        f"--hash={B} --hash={A} --config-settings k=v # why"
    )
    assert isinstance(line, Named)
    assert (line.name, line.specifier, line.extras) == ("scikit-learn", "<2,>=1.4", ("A", "b"))
    assert line.marker == 'python_version < "3.13"'
    assert line.digests == tuple(sorted((A, B)))
    assert [option.value for option in line.build_options] == ["k=v"]
    assert str(line.place) == "requirements.txt:1"


@pytest.mark.parametrize(
    ("text", "url", "name", "version", "editable"),
    [
        ("-e ./proj[x]", "./proj", None, None, True),
        ("-e .", ".", None, None, True),
        ("./proj", "./proj", None, None, False),
        ("wheels/a_b-1.0-py3-none-any.whl", None, "a-b", "1.0", False),
        ("a-1.0.tar.gz", None, "a", "1.0", False),
        ("https://index.example/a-1.0.zip#egg=a[x]", None, "a", "1.0", False),
        ("https://index.example/x.zip#egg=a[x]&subdirectory=s", None, "a", None, False),
        ("a[x] @ https://index.example/y.zip", "https://index.example/y.zip", "a", None, False),
        ("a@git+https://code.example/a@main", "git+https://code.example/a@main", "a", None, False),
        (
            "-e git+ssh://git@code.example/a.git@v1#egg=a",
            "git+ssh://git@code.example/a.git@v1#egg=a",
            "a",
            None,
            True,
        ),
        ("file:///srv/a-1.0-py3-none-any.whl", None, "a", "1.0", False),
    ],
)
def test_direct_references(text, url, name, version, editable):
    line = one(text)
    assert isinstance(line, Direct)
    assert line.url == (url or text)
    assert (line.name, line.version, line.editable) == (name, version, editable)


def test_a_hash_in_a_fragment_counts():
    line = one(f"https://index.example/a-1.0.zip#sha256={A.hex}&md5=0")
    assert isinstance(line, Direct)
    assert line.digests == (A,)


def test_a_marker_behind_a_url_needs_a_space():
    line = one("a @ https://index.example/a-1.zip ; os_name=='posix'")
    assert isinstance(line, Direct)
    assert line.marker == 'os_name == "posix"'


def test_global_options():
    text = """
        --index-url https://u:secret@index.example/simple --no-index
        -f ./wheels
        --extra-index-url=https://index.example/two
        --find-links https://index.example/?token=secret
        --pre
        --no-binary :all:
        --only-binary=numpy
        --prefer-binary
        --require-hashes
        --trusted-host index.example
        --use-feature fast-deps
    """
    settings_ = read({"requirements.txt": text}).lines
    assert all(isinstance(line, Setting) for line in settings_)
    assert [(line.name, line.value) for line in settings_ if isinstance(line, Setting)] == [
        ("--index-url", "https://index.example/simple"),
        ("--no-index", None),
        ("--find-links", "./wheels"),
        ("--extra-index-url", "https://index.example/two"),
        ("--find-links", "https://index.example/"),
        ("--pre", None),
        ("--no-binary", ":all:"),
        ("--only-binary", "numpy"),
        ("--prefer-binary", None),
        ("--require-hashes", None),
        ("--trusted-host", "index.example"),
        ("--use-feature", "fast-deps"),
    ]
    assert "secret" not in repr(settings_)


def test_includes_are_relative_to_the_including_file():
    requirements = read(
        {
            "requirements.txt": "-r sub/a.txt\n-c sub/c.txt\nx",
            "sub/a.txt": "-r ../b.txt\na",
            "b.txt": "b",
            "sub/c.txt": "c==1\n-r d.txt",
            "sub/d.txt": "d",
        }
    )
    named = [line for line in requirements.lines if isinstance(line, Named)]
    assert [(n.name, str(n.place), n.is_constraint) for n in named] == [
        ("b", "b.txt:1", False),
        ("a", "sub/a.txt:2", False),
        ("c", "sub/c.txt:1", True),
        ("d", "sub/d.txt:1", False),
        ("x", "requirements.txt:3", False),
    ]
    assert requirements.files == (
        "requirements.txt",
        "sub/a.txt",
        "b.txt",
        "sub/c.txt",
        "sub/d.txt",
    )
    assert [n.name for n in requirements.named] == ["b", "a", "d", "x"]


def test_the_same_file_may_be_included_twice_but_not_by_itself():
    assert len(read({"requirements.txt": "-r a\n-r a", "a": "x"}).lines) == 2
    with pytest.raises(UnreadableError, match=r"sub/b:1: a includes itself"):
        read({"a": "-r sub/b", "sub/b": "-r ../a"}, "./a")


def test_all_problems_are_named_at_once():
    with pytest.raises(UnreadableError) as caught:
        read(
            {
                "requirements.txt": "ok\nnumpy=1\n-r gone.txt\n--hash=sha256:00\n-r bad.txt\n"
                "a --pre\na ; os=='x'\na --hash=sha256:xyz\n-e https://index.example/a.zip\n"
                "-e a -e b\n-r x --pre\n1.0-x.whl\nb @ https://index.example/a-1.0.zip\nx\x0cy",
                "bad.txt": b"\xff",
            }
        )
    for place in (2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14):
        assert f"requirements.txt:{place}: " in caught.value.message
    assert "requirements.txt:1:" not in caught.value.message
    assert caught.value.where == "requirements.txt"


def test_long_lists_of_problems_are_counted():
    with pytest.raises(UnreadableError, match=r"\.\.\. and 80 more"):
        read({"requirements.txt": "=\n" * 100})


def test_variables_are_expanded_but_never_shown():
    text = "a @ https://${USER}:${TOKEN}@index.example/${TOKEN}/a.zip\n${PACKAGE}==1\n-e ${FOLDER}"
    variables = {"TOKEN": "s3cret", "USER": "me", "PACKAGE": "numpy", "FOLDER": "./p"}
    direct, named, editable = read({"requirements.txt": text}, variables=variables).lines
    assert isinstance(direct, Direct) and direct.url == "https://index.example/${TOKEN}/a.zip"
    assert isinstance(named, Named) and named.name == "numpy"
    assert isinstance(editable, Direct) and editable.url == "${FOLDER}"
    assert "s3cret" not in repr(direct)


SECRETS = [
    "a @ https://me:s3cret@index.example/a-1.zip bad",
    "https://me:s3cret@index.example/x-.whl",
    "--index-url https://me:s3cret@index.example/ numpy",
    "-r https://me:s3cret@index.example/more.txt",
    "numpy @@ https://me:s3cret@index.example/",
    "a ; os == 'https://me:s3cret@index.example/'",
    "-e https://index.example/?token=s3cret",
    "'https://me:s3cret@index.example",
    "--trusted https://me:s3cret@index.example x",
]


@pytest.mark.parametrize("text", SECRETS)
def test_no_error_shows_a_secret(text: str):
    with pytest.raises(UnreadableError) as caught:
        read({"requirements.txt": text})
    shown = f"{caught.value} {caught.value.hint} {caught.value.found} {caught.value.__cause__}"
    assert "s3cret" not in shown


def test_limits(monkeypatch: pytest.MonkeyPatch):
    deep = {f"f{i}": f"-r f{i + 1}" for i in range(200)}
    with pytest.raises(LimitError, match="deeper"):
        read(deep, "f0")
    wide = {"a": "-r b\n" * 40, "b": "-r c\n" * 40, "c": "x"}
    with pytest.raises(LimitError, match="files"):
        read(wide, "a")
    monkeypatch.setattr(module, "MAX_BYTES", 10)
    with pytest.raises(LimitError, match="bytes"):
        read({"a": "numpy\nscipy\n"}, "a")


@pytest.mark.parametrize(
    "text",
    [
        "x" * 200_000,
        "x ; " + "(" * 100_000,
        "x" + "[" * 200_000,
        "x @ " + "a;" * 100_000,
        "x==" + "1." * 100_000 + "0",
        "--index-url " + "https://a@" * 20_000,
        "https://index.example/" + "%" * 200_000,
        "x " + "--hash=sha256:" + "0" * 200_000,
        "#egg=" * 40_000,
        "a" + "\\\n" * 100_000,
    ],
)
def test_hostile_lines_end_soon(text: str):
    try:
        read({"requirements.txt": text})
    except UnreadableError as error:
        assert len(error.message) < 2000


NAMES = st.from_regex(r"[A-Za-z][A-Za-z0-9._-]{0,8}[a-z0-9]", fullmatch=True)
VERSIONS = st.from_regex(r"[0-9]{1,2}(\.[0-9]{1,2}){0,2}((a|b|rc)[0-9])?", fullmatch=True)
MARKERS = st.sampled_from(
    ["", " ; python_version < '3.12'", "; sys_platform == 'linux' and extra == 'a'"]
)
HASHES = st.lists(st.binary(max_size=2).map(lambda data: f" --hash={Digest.of(data)}"), max_size=3)
SPACES = st.sampled_from(["", " ", "  ", " \\\n  "])
COMMENTS = st.sampled_from(["", " # why", "\t#x"])


@st.composite
def requirement_lines(draw: st.DrawFn) -> str:
    name, version, space = draw(NAMES), draw(VERSIONS), draw(SPACES)
    operator = draw(st.sampled_from(["==", ">=", "~=1.", "!=", "==="]))
    version += "+cu126" if operator == "==" and draw(st.booleans()) else ""
    extras = draw(st.sampled_from(["", "[a]", "[b, a]"]))
    hashes = (" \\\n   " if draw(st.booleans()) else "").join(["", *draw(HASHES)])
    return f"{name}{extras}{space}{operator}{version}{draw(MARKERS)}{hashes}{draw(COMMENTS)}"


FILES = st.lists(
    requirement_lines()
    | st.sampled_from(
        [
            "",
            "# comment \\",
            "--pre",
            "-i https://index.example/simple",
            "--no-index",
            "a @ https://index.example/a-1.0.zip",
            "-e git+https://code.example/a@v1#egg=a",
            "https://index.example/b-1.0-py3-none-any.whl ; os_name == 'posix'",
            "c[x] @ git+https://code.example/c.git@main#subdirectory=s",
        ]
    ),
    max_size=8,
).map("\n".join)


@given(FILES)
def test_every_line_says_the_same_when_it_is_written_again(text: str):
    first = read({"requirements.txt": text})
    again = read({"requirements.txt": "\n".join(line.text for line in first.lines)})
    assert [facts(line) for line in again.lines] == [facts(line) for line in first.lines]


@given(st.text("ab=<>!~;,@[]()'\"-#\\ \n.$/{}:érc01", max_size=120))
def test_any_text_is_read_or_refused(text: str):
    with suppress(UnreadableError):
        read({"requirements.txt": text})


def facts(line: Named | Direct | Setting) -> tuple[object, ...]:
    match line:
        case Named():
            return line.name, line.specifier, line.extras, line.marker, line.digests
        case Direct():
            return line.name, line.url, line.extras, line.marker, line.digests, line.editable
        case Setting():
            return line.name, line.value


PIP = textwrap.dedent(
    """
    import json, sys
    from pip._internal.network.session import PipSession
    from pip._internal.req.constructors import install_req_from_parsed_requirement
    from pip._internal.req.req_file import parse_requirements
    found, session = [], PipSession()
    for path in json.load(sys.stdin):
        try:
            rows = []
            for parsed in parse_requirements(path, session=session):
                made = install_req_from_parsed_requirement(parsed)
                hashes = {f"{a}:{h}" for a, hs in made.hash_options.items() for h in hs}
                rows.append([made.name, str(made.specifier) if made.req else "",
                             sorted(made.extras), str(made.markers) if made.markers else None,
                             sorted(hashes), made.editable, made.link.url if made.link else None])
            found.append(rows)
        except Exception as error:
            found.append(f"{type(error).__name__}: {error}")
    json.dump(found, sys.stdout)
    """
)


def ours(path: Path) -> list[list[object]] | None:
    from packaging.utils import canonicalize_name

    try:
        requirements = parse(str(path), lambda name: Path(name).read_bytes())
    except UnreadableError:
        return None
    rows: list[list[object]] = []
    for line in requirements.lines:
        if isinstance(line, Setting):
            continue
        specifier = line.specifier if isinstance(line, Named) else ""
        url = line.url if isinstance(line, Direct) else None
        rows.append(
            [
                line.name and canonicalize_name(line.name),
                specifier,
                sorted(line.extras),
                line.marker,
                sorted(map(str, line.digests)),
                isinstance(line, Direct) and line.editable,
                url,
            ]
        )
    return rows


def test_pip_reads_the_same(tmp_path: Path):
    """Differential: what pip's own parser finds in many drawn files, in one pip process."""
    texts: list[str] = []

    @settings(max_examples=150, database=None, derandomize=True)
    @given(FILES)
    def draw(text: str) -> None:
        texts.append(text)

    draw()
    paths = [tmp_path / f"{number}.txt" for number in range(len(texts))]
    for path, text in zip(paths, texts, strict=True):
        path.write_text(text)
    said = subprocess.run(
        [sys.executable, "-c", PIP],
        input=json.dumps([str(path) for path in paths]),
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for path, theirs in zip(paths, json.loads(said), strict=True):
        mine = ours(path)
        if isinstance(theirs, str):
            assert mine is None, (path.read_text(), theirs)
            continue
        assert mine is not None, path.read_text()
        assert len(mine) == len(theirs)
        for my_row, their_row in zip(mine, theirs, strict=True):
            name, specifier, extras, marker, hashes, editable, url = their_row
            wheel = bool(url) and url.endswith(".whl")
            assert my_row[0] == (name and canonicalize_name(name))
            assert wheel or my_row[1] == specifier
            assert my_row[2:6] == [extras, marker, hashes, editable]
            assert (my_row[6] is None) == (url is None)
