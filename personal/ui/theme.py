"""How it looks: a warm neutral ground, one accent, system fonts (a page that loads fonts tells where it is opened)."""

from __future__ import annotations

from pathlib import Path

import gradio as gr

SANS = ("ui-sans-serif", "system-ui", "Segoe UI", "Noto Sans", "sans-serif")
SCRIPTS = ("app.js", "chat.js")
MONO = ("ui-monospace", "Cascadia Mono", "Noto Sans Mono", "monospace")


def theme() -> gr.themes.Base:
    """The theme: Gradio's variables set from the palette of `assets/app.css`."""
    return gr.themes.Base(
        primary_hue=gr.themes.colors.orange, neutral_hue=gr.themes.colors.stone, font=SANS, font_mono=MONO
    ).set(
        body_background_fill="var(--ground)",
        body_background_fill_dark="var(--ground)",
        body_text_color="var(--ink)",
        body_text_color_dark="var(--ink)",
        body_text_color_subdued="var(--faint)",
        body_text_color_subdued_dark="var(--faint)",
        background_fill_primary="var(--paper)",
        background_fill_primary_dark="var(--paper)",
        background_fill_secondary="var(--ground)",
        background_fill_secondary_dark="var(--ground)",
        block_background_fill="var(--paper)",
        block_background_fill_dark="var(--paper)",
        block_border_color="var(--line)",
        block_border_color_dark="var(--line)",
        block_label_text_color="var(--faint)",
        block_label_text_color_dark="var(--faint)",
        block_title_text_color="var(--ink)",
        block_title_text_color_dark="var(--ink)",
        block_info_text_color="var(--faint)",
        block_info_text_color_dark="var(--faint)",
        border_color_primary="var(--line)",
        border_color_primary_dark="var(--line)",
        border_color_accent="var(--accent)",
        border_color_accent_dark="var(--accent)",
        color_accent="var(--accent)",
        input_background_fill="var(--paper)",
        input_background_fill_dark="var(--paper)",
        input_border_width="1px",
        input_border_color="var(--line)",
        input_border_color_dark="var(--line)",
        input_border_color_focus="var(--accent)",
        input_border_color_focus_dark="var(--accent)",
        input_placeholder_color="var(--faint)",
        input_placeholder_color_dark="var(--faint)",
        button_primary_background_fill="var(--accent)",
        button_primary_background_fill_dark="var(--accent)",
        button_primary_background_fill_hover="var(--accent-deep)",
        button_primary_background_fill_hover_dark="var(--accent-deep)",
        button_primary_text_color="var(--on-accent)",
        button_primary_text_color_dark="var(--on-accent)",
        button_secondary_background_fill="var(--raised)",
        button_secondary_background_fill_dark="var(--raised)",
        button_secondary_background_fill_hover="var(--line)",
        button_secondary_background_fill_hover_dark="var(--line)",
        button_secondary_text_color="var(--ink)",
        button_secondary_text_color_dark="var(--ink)",
        button_cancel_background_fill="transparent",
        button_cancel_background_fill_dark="transparent",
        button_cancel_text_color="var(--danger)",
        button_cancel_text_color_dark="var(--danger)",
        button_cancel_border_color="var(--danger)",
        button_cancel_border_color_dark="var(--danger)",
        slider_color="var(--accent)",
        slider_color_dark="var(--accent)",
        block_radius="14px",
        input_radius="10px",
        button_large_radius="10px",
        button_medium_radius="10px",
        button_small_radius="9px",
        block_shadow="none",
        block_shadow_dark="none",
    )


def head(assets: Path) -> str:
    """What stands in the page's head: its scripts."""
    return "".join(f"<script>{(assets / name).read_text(encoding='utf-8')}</script>" for name in SCRIPTS)
