"""What a model needs of an environment."""

from envguard.compare import policy
from envguard.compare.environments import compare
from envguard.compare.needs import needed_packages
from envguard.model.artifact import Artifact, Loads, Need, Where, WrittenBy
from envguard.model.digest import Digest
from envguard.model.findings import Area, Gap, Severity
from tests.support.packages import environment, package

HERE = Where(path="model.pkl", offset=12)


def model(*needs: Need, gaps: tuple[Gap, ...] = ()) -> Artifact:
    return Artifact(
        name="model", digest=Digest.of(b""), manifest=(), kinds=("pickle",), needs=needs, gaps=gaps
    )


def loads(module: str) -> Loads:
    return Loads(module=module, name="x", where=HERE)


def test_the_provider_of_a_loaded_module_and_what_it_requires_are_needed() -> None:
    here = environment(
        package(
            "scikit-learn", modules=("sklearn",), requires=("numpy>=1.20", "scipy; os_name == 'x'")
        ),
        package("numpy"),
        package("scipy", requires=("numpy",)),
        package("pandas"),
    )
    needed = needed_packages(model(loads("sklearn.svm._classes")), here)
    assert needed == frozenset({"scikit-learn", "numpy", "scipy"})


def test_extras_count_where_they_are_asked_for() -> None:
    here = environment(
        package("a", requires=("b[fast]", "c; extra == 'dev'")),
        package("b", requires=("d; extra == 'fast'", "e; extra == 'slow'")),
        *map(package, "cde"),
    )
    assert needed_packages(model(loads("a")), here) == frozenset({"a", "b", "d"})


def test_the_stated_writer_is_needed() -> None:
    written = WrittenBy(distribution="xgboost", version="3.1.1", where=HERE)
    assert needed_packages(model(written), environment(package("xgboost"))) == frozenset(
        {"xgboost"}
    )


def test_a_model_that_was_not_understood_needs_nobody_knows_what() -> None:
    unread = Gap(area=Area.ARTIFACT, subject="weights.bin", reason="not understood")
    assert (
        needed_packages(model(loads("numpy"), gaps=(unread,)), environment(package("numpy")))
        is None
    )


def test_an_environment_that_names_no_modules_tells_nothing() -> None:
    assert needed_packages(model(loads("numpy")), environment(package("numpy", modules=()))) is None


def test_what_the_model_does_not_need_is_lowered_one_step() -> None:
    before = environment(package("numpy"), package("pandas"))
    after = environment(package("numpy", "2.0"), package("pandas", "2.0"))
    judged = {
        finding.subject: policy.judged_for_model(finding, frozenset({"numpy"}))
        for finding in compare(before, after).findings
    }
    assert (judged["numpy"].needed, judged["numpy"].severity) == (True, Severity.ERROR)
    assert (judged["pandas"].needed, judged["pandas"].severity) == (False, Severity.WARNING)
