"""Settings: defaults, the environment, and clear words for nonsense."""

from __future__ import annotations

import pytest

from personal import settings
from personal.errors import SettingsError


def test_an_empty_environment_gives_the_defaults():
    assert settings.load({}) == settings.Settings()
    assert settings.load({}).model == settings.TINY


def test_the_environment_is_read_and_an_empty_value_means_the_default():
    knobs = settings.load({"PERSONAL_TOP_K": "7", "PERSONAL_THRESHOLD": " 0.5 ", "PERSONAL_MODEL": ""})
    assert (knobs.top_k, knobs.threshold, knobs.model) == (7, 0.5, settings.TINY)


def test_the_environment_wins_over_the_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PERSONAL_ENV_FILE", ".env")
    (tmp_path / ".env").write_text("PERSONAL_TOP_K=2\nPERSONAL_MAX_SIDE=256\n")
    monkeypatch.setenv("PERSONAL_TOP_K", "3")
    knobs = settings.load()
    assert (knobs.top_k, knobs.max_side) == (3, 256)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PERSONAL_TOP_K", "0"),
        ("PERSONAL_TOP_K", "many"),
        ("PERSONAL_THRESHOLD", "1.5"),
        ("PERSONAL_THRESHOLD", "nan"),
        ("PERSONAL_QUANTIZATION", "3bit"),
        ("PERSONAL_DEVICE", "abacus"),
        ("PERSONAL_LOG", "loud"),
        ("PERSONAL_MODEL", "x" * 501),
        ("GRADIO_SERVER_NAME", "no such host"),
        ("GRADIO_SERVER_NAME", "http://127.0.0.1"),
        ("GRADIO_SERVER_NAME", "127.0.0.1:7860"),
        ("GRADIO_SERVER_NAME", "a..b"),
        ("GRADIO_SERVER_NAME", "x" * 64),
        ("PERSONAL_MAX_PIXELS", "-5"),
        ("PERSONAL_MAX_NEW_TOKENS", "1e3"),
        ("GRADIO_SERVER_PORT", "99999"),
        ("PERSONAL_CHROMA_URL", "127.0.0.1:8000"),
        ("PERSONAL_CHROMA_URL", "http://127.0.0.1:chroma"),
        ("PERSONAL_LLM_URL", "127.0.0.1:8000"),
        ("PERSONAL_LLM_URL", "http://127.0.0.1:99999"),
        ("PERSONAL_LLM_URL", "https://models.example/v1?key=1"),
        ("PERSONAL_LLM_URL", "https://bo:fetch@models.example/v1"),
        ("PERSONAL_LLM_KEY", "two words"),
        ("PERSONAL_LLM_KEY", "line\nbreak"),
        ("PERSONAL_LLM_TIMEOUT_S", "0"),
        ("PERSONAL_LLM_IMAGE_BYTES", "-1"),
    ],
)
def test_a_value_that_makes_no_sense_is_named_with_what_it_takes(variable, value):
    with pytest.raises(SettingsError, match=variable) as refused:
        settings.load({variable: value})
    assert "it takes" in str(refused.value)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PERSONAL_DATA_DIR", "~nobody-of-this-name/concepts"),
        ("PERSONAL_CACHE_DIR", "/" + "a" * 300),
        ("PERSONAL_TOP_K", "9" * 5000),
    ],
)
def test_a_value_that_the_system_cannot_even_look_at_is_said_in_one_short_line(variable, value):
    with pytest.raises(SettingsError, match=variable) as raised:
        settings.load({variable: value})
    assert len(str(raised.value)) < 300


@pytest.mark.parametrize("name", ["127.0.0.1", "0.0.0.0", "::", "::1", "localhost", "my-host.example.org", "dog_house"])
def test_a_host_is_a_name_or_an_address(name):
    assert settings.load({"GRADIO_SERVER_NAME": name}).host == name


@pytest.mark.parametrize(
    "name", ["GRADIO_NUM_PORTS", "GRADIO_DEBUG", "GRADIO_ANALYTICS_MAX_EVENTS", "GRADIO_SERVER_PORT"]
)
def test_a_number_that_gradio_reads_by_itself_is_checked_before_it_does(name):
    with pytest.raises(SettingsError, match=f"{name}='abc' cannot be used: it takes a whole number"):
        settings.prepare_gradio({name: "abc"})
    environment = {name: " ", "GRADIO_NUM_WORKERS": "abc"}
    settings.prepare_gradio(environment)
    assert environment == {}


def test_a_servers_key_is_never_shown():
    knobs = settings.load({"PERSONAL_LLM_URL": "http://127.0.0.1:8000", "PERSONAL_LLM_KEY": "sk-secret"})
    assert knobs.llm_key == "sk-secret"
    assert "secret" not in repr(knobs)
    for variable, value in (("PERSONAL_LLM_KEY", "sk secret"), ("PERSONAL_LLM_URL", "http://bo:secret@127.0.0.1")):
        with pytest.raises(SettingsError) as refused:
            settings.load({variable: value})
        assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("environment", "shared"),
    [
        ({}, False),
        ({"GRADIO_SERVER_NAME": "localhost"}, False),
        ({"GRADIO_SERVER_NAME": "127.0.0.1"}, False),
        ({"GRADIO_SERVER_NAME": "0.0.0.0"}, True),
        ({"GRADIO_SERVER_NAME": "192.168.0.7"}, True),
        ({"SPACE_ID": "someone/personal"}, True),
    ],
)
def test_anything_but_loopback_is_shared(environment, shared):
    assert settings.load(environment).shared is shared


def test_another_file_of_settings_can_be_named(tmp_path, monkeypatch):
    (tmp_path / "lab.env").write_text("PERSONAL_TOP_K=5\n")
    monkeypatch.setenv("PERSONAL_ENV_FILE", str(tmp_path / "lab.env"))
    assert settings.load().top_k == 5
