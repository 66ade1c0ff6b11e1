"""What makes two runs differ: the keys of their identities.

config.yaml holds a run's whole configuration and, as `identity`, the keys that define a run and differ from their
defaults. Two runs differ in a key if it is in either identity and its values differ. If a run does not have a key,
because a later version added it, the key has its default there.

Runs of versions that wrote no identity are compared with others by every one of their keys that varies among them.
"""

import json
from collections.abc import Iterable, Iterator
from typing import Any

Settings = dict[str, Any]  # by dotted key
Row = dict[Any, Any]  # of a frame, by column

DEFAULT = "default"  # the value of a key that none of the configurations states
OWN_COLUMNS = ("seed", "study")  # columns of a run's row, so not settings


def flatten(mapping: Settings, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the values of nested dictionaries, each with its dotted key."""
    for key, value in mapping.items():
        if isinstance(value, dict):
            yield from flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def split_config(file: dict[str, Any]) -> tuple[Settings, Settings | None, Settings]:
    """Return the whole configuration, the identity (None in older runs) and the choices of a config.yaml."""
    whole = {key: value for key, value in file.items() if key not in ("identity", "choices", *OWN_COLUMNS)}
    identity = dict(flatten(file["identity"])) if "identity" in file else None
    config = dict(flatten(whole)) | (identity or {})
    if config.get("epochs.count") is not None:
        config.pop("epochs.steps", None)  # the count takes precedence
    return config, identity, file.get("choices") or {}


def unequal_keys(one: Settings, other: Settings) -> list[str]:
    """Return the keys whose values differ; a missing value counts as a value of its own."""
    return [key for key in dict.fromkeys([*one, *other]) if one.get(key, DEFAULT) != other.get(key, DEFAULT)]


def contradicting_keys(a: Row, b: Row) -> list[str]:
    """Return the keys in which two rows' identities differ; none if one of the two has no identity."""
    if a["identity"] is None or b["identity"] is None:
        return []
    keys = {*a["identity"], *b["identity"]}
    return [key for key in unequal_keys(a["config"], b["config"]) if key in keys]


def telling_settings(configs: Iterable[Settings], identities: Iterable[Settings | None]) -> list[Settings]:
    """Return each run's values of the keys that can tell these runs apart.

    These are the keys of all identities and, for runs without one, the keys that vary among them. A key that a run does
    not state has the value it has in runs with its default, if there are any, and is missing otherwise.
    """
    rows = list(zip(configs, identities))
    keys = {key for _, identity in rows for key in identity or ()}
    old = varied_settings(config for config, identity in rows if identity is None)
    keys |= {key for varied in old for key in varied}
    order = dict.fromkeys(key for config, _ in rows for key in config if key in keys)
    defaults: Settings = {}
    for config, identity in rows:
        if identity is not None:
            for key in keys & config.keys() - identity.keys():
                defaults.setdefault(key, config[key])
    return [{key: both[key] for key in order if key in both} for both in (defaults | config for config, _ in rows)]


def varied_settings(settings: Iterable[Settings]) -> list[Settings]:
    """Return, for each, the settings that not all share, in the order in which the keys first appear."""
    settings = list(settings)
    keys = dict.fromkeys(key for row in settings for key in row)
    varied = [key for key in keys if len({as_text(row.get(key, DEFAULT)) for row in settings}) > 1]
    return [{key: row[key] for key in varied if key in row} for row in settings]


def as_text(value: Any) -> str:
    """Return a value as it is typed on the command line."""
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"), default=str)


def as_assignments(settings: Settings) -> str:
    """Return settings as `optimizer.lr=0.01, batch_size=128`."""
    return ", ".join(f"{key}={as_text(value)}" for key, value in settings.items())
