import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envguard.images.config import CONFIG_LIMIT, History, ImageConfig, Runtime
from envguard.images.descriptor import Descriptor, ImagePlatform
from envguard.images.image import (
    DOCKER_CONFIG,
    DOCKER_MANIFEST,
    MANIFEST_LIMIT,
    OCI_CONFIG,
    OCI_INDEX,
    OCI_MANIFEST,
    Manifest,
    new_image,
)
from envguard.images.index import Index, choose
from envguard.model.digest import Digest
from envguard.model.errors import LimitError, UnreadableError, UsageError
from tests.support.images import LINUX

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
TABLES = st.dictionaries(TEXTS, TEXTS, max_size=3)
DIGESTS = st.binary(max_size=4).map(Digest.of)
PLATFORMS = st.builds(ImagePlatform, os=TEXTS, architecture=TEXTS, variant=st.none() | TEXTS)
DESCRIPTORS = st.builds(
    Descriptor,
    media_type=TEXTS,
    digest=DIGESTS,
    size=st.integers(0, 2**62),
    annotations=TABLES,
    platform=st.none() | PLATFORMS,
    artifact_type=st.none() | TEXTS,
)
MANIFESTS = st.builds(
    Manifest,
    config=DESCRIPTORS,
    layers=st.lists(DESCRIPTORS, max_size=3).map(tuple),
    media_type=st.sampled_from([OCI_MANIFEST, DOCKER_MANIFEST]),
    annotations=TABLES,
    subject=st.none() | DESCRIPTORS,
    artifact_type=st.none() | TEXTS,
)
RUNTIMES = st.builds(
    Runtime,
    env=st.lists(TEXTS, max_size=3).map(tuple),
    entrypoint=st.lists(TEXTS, max_size=3).map(tuple),
    command=st.lists(TEXTS, max_size=3).map(tuple),
    working_folder=st.none() | TEXTS,
    user=st.none() | TEXTS,
    labels=TABLES,
    others=st.sampled_from([{}, {"ExposedPorts": {"80/tcp": {}}, "StopSignal": "SIGINT"}]),
)
CONFIGS = st.builds(
    ImageConfig,
    platform=PLATFORMS,
    diff_ids=st.lists(DIGESTS, min_size=3, max_size=4).map(tuple),
    runtime=RUNTIMES,
    history=st.lists(
        st.builds(
            History,
            created=st.none() | TEXTS,
            created_by=st.none() | TEXTS,
            comment=st.none() | TEXTS,
            author=st.none() | TEXTS,
            empty_layer=st.booleans(),
        ),
        max_size=3,
    ).map(tuple),
    created=st.none() | TEXTS,
    others=st.sampled_from([{}, {"author": "someone"}]),
)


@given(manifest=MANIFESTS)
def test_manifests_round_trip(manifest: Manifest) -> None:
    data = manifest.encode()
    assert Manifest.parse(data, source="test") == manifest
    assert manifest.descriptor.digest == Digest.of(data)
    assert json.dumps(json.loads(data), sort_keys=True, separators=(",", ":")) == (
        json.dumps(json.loads(data), separators=(",", ":"))
    )


@given(config=CONFIGS)
def test_configurations_round_trip(config: ImageConfig) -> None:
    assert ImageConfig.parse(config.encode(), source="test") == config


@given(manifests=st.lists(DESCRIPTORS, max_size=3).map(tuple), annotations=TABLES)
def test_indexes_round_trip(manifests: tuple[Descriptor, ...], annotations: dict[str, str]) -> None:
    index = Index(manifests=manifests, annotations=annotations)
    assert Index.parse(index.encode(), source="test") == index


@given(data=st.binary(max_size=200) | TEXTS.map(str.encode))
def test_what_is_no_document_is_unreadable(data: bytes) -> None:
    for parse in (Manifest.parse, ImageConfig.parse, Index.parse):
        with pytest.raises(UnreadableError):
            parse(data, source="test")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=5,
)


@given(manifest=MANIFESTS, data=st.data())
def test_a_changed_field_is_read_or_refused(manifest: Manifest, data: st.DataObject) -> None:
    document = json.loads(manifest.encode())
    document[data.draw(st.sampled_from(sorted(document)))] = data.draw(JSON)
    try:
        Manifest.parse(json.dumps(document).encode(), source="test")
    except UnreadableError as error:
        assert error.where == "test"


def layer(number: int = 1) -> dict[str, object]:
    return {"mediaType": "a/b", "digest": str(Digest.of(b"%d" % number)), "size": number}


def manifest_with(**changes: object) -> bytes:
    document = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": layer(),
        "layers": [layer(2)],
        **changes,
    }
    return json.dumps({k: v for k, v in document.items() if v is not ...}).encode()


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"manifests": [layer()]}, "manifests does not belong"),
        ({"manifests": []}, "manifests does not belong"),
        ({"fsLayers": []}, "fsLayers does not belong"),
        ({"Layers": [layer(3)]}, "Layers looks like layers"),
        ({"layers": ...}, "layers is missing"),
        ({"config": ...}, "config is missing"),
        ({"schemaVersion": 1}, "schemaVersion must be 2"),
        ({"schemaVersion": True}, "schemaVersion must be"),
        ({"mediaType": OCI_INDEX}, "mediaType must be"),
        ({"layers": [{**layer(), "digest": "sha256:../../etc/passwd"}]}, r"layers\[0\].digest"),
        ({"layers": [{**layer(), "digest": "md5:" + "0" * 32}]}, r"layers\[0\].digest"),
        ({"layers": [{**layer(), "size": -1}]}, r"layers\[0\].size"),
        ({"layers": {}}, "layers must be a list"),
        ({"layers": [1]}, "layers must be a list of objects"),
        ({"annotations": {"a": 1}}, "annotations must have strings"),
    ],
)
def test_ambiguous_or_broken_manifests_are_refused(
    changes: dict[str, object], problem: str
) -> None:
    assert Manifest.parse(manifest_with(), source="test")
    with pytest.raises(UnreadableError, match=problem):
        Manifest.parse(manifest_with(**changes), source="test")


def test_all_problems_are_named_at_once() -> None:
    with pytest.raises(UnreadableError) as caught:
        Manifest.parse(manifest_with(schemaVersion=3, layers=[{}]), source="test")
    for part in ("schemaVersion", "layers[0].mediaType", "layers[0].digest", "layers[0].size"):
        assert part in caught.value.message


def test_the_media_type_that_the_descriptor_states_wins() -> None:
    with pytest.raises(UnreadableError, match="mediaType"):
        Manifest.parse(manifest_with(), source="test", media_type=DOCKER_MANIFEST)
    read = Manifest.parse(manifest_with(mediaType=...), source="t", media_type=DOCKER_MANIFEST)
    assert read.media_type == DOCKER_MANIFEST


def test_duplicate_keys_are_refused() -> None:
    twice = manifest_with().replace(b'{"schemaVersion": 2', b'{"layers": [], "schemaVersion": 2')
    with pytest.raises(UnreadableError, match="layers is there twice"):
        Manifest.parse(twice, source="test")


@pytest.mark.parametrize("nested", [b"[" * 100_000, b'{"a":' * 100_000])
def test_deep_documents_are_refused(nested: bytes) -> None:
    with pytest.raises(UnreadableError):
        Manifest.parse(nested, source="test")


def test_large_documents_are_refused() -> None:
    with pytest.raises(LimitError):
        Manifest.parse(bytes(MANIFEST_LIMIT + 1), source="test")
    with pytest.raises(LimitError):
        ImageConfig.parse(bytes(CONFIG_LIMIT + 1), source="test")


def test_docker_schema_2_is_read() -> None:
    config = {**layer(), "mediaType": DOCKER_CONFIG}
    read = Manifest.parse(manifest_with(mediaType=DOCKER_MANIFEST, config=config), source="test")
    assert (read.media_type, read.config.media_type) == (DOCKER_MANIFEST, DOCKER_CONFIG)


def test_a_configuration_needs_a_diff_id_for_each_layer() -> None:
    config = ImageConfig(platform=LINUX, diff_ids=(Digest.of(b"1"),))
    with pytest.raises(UnreadableError, match="not that of these layers"):
        new_image(config, [], lambda digest: pytest.fail("not opened"))


def test_the_last_variable_of_a_name_wins() -> None:
    assert Runtime(env=("A=1", "B=x=y", "A=2")).variables == {"A": "2", "B": "x=y"}


def of(data: bytes, media_type: str, architecture: str | None = None) -> Descriptor:
    platform = ImagePlatform(os="linux", architecture=architecture) if architecture else None
    return Descriptor(
        media_type=media_type, digest=Digest.of(data), size=len(data), platform=platform
    )


def manifest(number: int) -> bytes:
    digest = Digest.of(b"%d" % number)
    return Manifest(
        config=Descriptor(media_type=OCI_CONFIG, digest=digest, size=1), layers=()
    ).encode()


def test_a_platform_chooses_among_several_images() -> None:
    blobs = [manifest(1), manifest(2), manifest(3)]
    amd64, arm64 = of(blobs[0], OCI_MANIFEST, "amd64"), of(blobs[1], OCI_MANIFEST, "arm64")
    attached = Descriptor(
        media_type=OCI_MANIFEST,
        digest=Digest.of(blobs[2]),
        size=len(blobs[2]),
        annotations={"vnd.docker.reference.type": "attestation-manifest"},
    )
    inner = Index(manifests=(amd64, arm64, attached)).encode()
    known = {Digest.of(data): data for data in (*blobs, inner)}

    def load(descriptor: Descriptor, limit: int) -> bytes:
        return known[descriptor.digest]

    top = [of(inner, OCI_INDEX)]
    assert choose(top, load, source="t", platform=LINUX)[0] == amd64
    with pytest.raises(UsageError, match="several images") as several:
        choose(top, load, source="t")
    for item in (amd64, arm64):
        assert str(item.digest) in str(several.value.found)
    assert str(attached.digest) not in str(several.value.found)
    with pytest.raises(UsageError, match="no image for linux/riscv64"):
        choose(top, load, source="t", platform=ImagePlatform(os="linux", architecture="riscv64"))


def test_cycles_and_depth_of_indexes_are_refused() -> None:
    item = of(b"index", OCI_INDEX)
    with pytest.raises(UnreadableError, match="contains itself"):
        choose([item], lambda d, limit: Index(manifests=(item,)).encode(), source="t")

    def deeper(descriptor: Descriptor, limit: int) -> bytes:
        return Index(manifests=(of(str(descriptor.digest).encode(), OCI_INDEX),)).encode()

    with pytest.raises(LimitError, match="too large"):
        choose([item], deeper, source="t")
    many = [of(b"%d" % number, OCI_MANIFEST) for number in range(1001)]
    with pytest.raises(LimitError, match="too large"):
        choose(many, deeper, source="t")
