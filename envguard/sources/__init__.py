"""Locator text -> place + reader -> a model value: where places and formats meet."""
