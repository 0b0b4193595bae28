"""What a build made, for people."""

from envguard.model.built import Built, BuiltLayer
from envguard.reports.text import Screen, clean, pairs, plural, size


def render(image: Built, screen: Screen) -> list[str]:
    """The lines that describe *image*."""
    rows = [
        ("image", str(image.digest)),
        ("image ID", str(image.image_id)),
        ("platform", image.platform),
        ("size", f"{size(image.size)} in layers, {plural(len(image.layers), 'layer')} added"),
    ]
    if image.proved:
        rows.append(("proved", "built again by another process: the same to the last bit"))
    layers = [(layer.digest.short, _title(layer)) for layer in image.layers]
    places = [("written", place) for place in image.written]
    notes = [line for note in image.notes for line in screen.wrap(f"note: {clean(note)}", 0)]
    return [*pairs(rows, gap=1), *pairs(layers, indent=2), *pairs(places), *notes]


def _title(layer: BuiltLayer) -> str:
    title = clean(layer.title)
    shown = title if len(title) <= 48 else f"{title[:45]}..."
    return f"{size(layer.size):>10}  {shown}"
