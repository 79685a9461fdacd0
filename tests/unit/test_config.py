"""Settings are checked when they are made."""

from __future__ import annotations

import dataclasses
import pickle
from typing import Any

import pytest

from s3po.config import MAX_OBJECT_SIZE, Config, GiB, MiB, check_part_size
from s3po.errors import ConfigError


def test_defaults() -> None:
    config = Config()
    assert (config.max_attempts, config.max_concurrency) == (3, 4)
    assert (config.multipart_threshold, config.part_size) == (8 * MiB, 8 * MiB)
    assert config.verify is None
    assert config.addressing_style == "auto"


def test_a_config_is_a_value() -> None:
    config = Config(max_attempts=7)
    assert config == Config(max_attempts=7)
    assert pickle.loads(pickle.dumps(config)) == config
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.max_attempts = 1  # type: ignore[misc]
    with pytest.raises(TypeError):
        Config(7)  # type: ignore[call-arg]
    assert "max_attempts" in Config.option_names()


@pytest.mark.parametrize(
    "settings",
    [
        {"max_attempts": 1},
        {"max_concurrency": 1},
        {"retry_base": 0},
        {"retry_max": 0.0},
        {"retry_mode": "adaptive"},
        {"connect_patience": 0},
        {"on_retry": print},
        {"on_request": print},
        {"connect_timeout": 0.001},
        {"read_timeout": 2_000_000},
        {"part_size": 5 * MiB},
        {"part_size": 5 * GiB},
        {"multipart_threshold": 1},
        {"multipart_threshold": 5 * GiB},
        {"addressing_style": "virtual"},
        {"use_fips_endpoint": True},
        {"use_dualstack_endpoint": False},
        {"use_accelerate_endpoint": None},
        {"us_east_1_regional_endpoint": "legacy"},
        {"provider": "r2"},
        {"user_agent_extra": "app/1.0 (it is mine)"},
    ],
    ids=str,
)
def test_what_may_be_set(settings: dict[str, Any]) -> None:
    [(name, value)] = settings.items()
    assert getattr(Config(**settings), name) == value


@pytest.mark.parametrize(
    "settings",
    [
        *({name: value} for name in ("max_attempts", "max_concurrency") for value in (0, -1, 1.5)),
        {"max_attempts": "3"},
        {"max_attempts": True},
        {"max_attempts": None},
        *({name: -0.1} for name in ("retry_base", "retry_max", "retry_base_throttled")),
        {"connect_patience": -1},
        {"retry_mode": "legacy"},
        {"on_retry": "print"},
        {"on_request": "print"},
        {"retry_base": "1"},
        {"retry_base": float("inf")},
        *(
            {name: value}
            for name in ("connect_timeout", "read_timeout", "max_idle")
            for value in (0, -1, None, float("nan"), float("inf"), True, "5", 2_000_001, 10**400)
        ),
        {"min_rate": 10**400},
        *({"part_size": value} for value in (0, 5 * MiB - 1, 5 * GiB + 1, 8.0 * MiB, "8MiB", True)),
        *({"multipart_threshold": value} for value in (0, -1, 5 * GiB + 1, 1.5, None)),
        {"addressing_style": "host"},
        {"addressing_style": None},
        *(
            {name: value}
            for name in ("use_fips_endpoint", "use_dualstack_endpoint", "use_accelerate_endpoint")
            for value in (1, "true")
        ),
        {"us_east_1_regional_endpoint": "global"},
        {"provider": "nobody"},
        {"user_agent_extra": "a\r\nHost: evil"},
        {"user_agent_extra": "gr\u00fc\u00dfe"},
    ],
    ids=str,
)
def test_what_may_not(settings: dict[str, Any]) -> None:
    [name] = settings
    with pytest.raises(ConfigError, match=name):
        Config(**settings)
    with pytest.raises(ValueError, match=name):
        Config(**settings)


def test_the_largest_object() -> None:
    assert round(MAX_OBJECT_SIZE / 1024**4, 1) == 48.8
    check_part_size(5 * GiB)
