"""The report: one HTML file with its chart inside, which any browser shows without a network."""

from dataclasses import dataclass
from html import escape

SIZE = 320  # pixels, of the chart's sides


@dataclass
class Curve:
    """A ROC curve: at each threshold, the share of false alarms and the share of malignant tumours found."""

    false_alarms: list[float]
    found: list[float]


def render(title: str, figures: dict[str, float], curve: Curve) -> str:
    """The whole page."""
    rows = "".join(f"<tr><th>{escape(name)}<td>{figure:.3f}" for name, figure in figures.items())
    return f"""<!doctype html>
<html lang="en"><meta charset="utf-8"><title>{escape(title)}</title>
<style>
  body {{ font: 16px/1.5 system-ui, sans-serif; margin: 3rem auto; padding: 0 2rem; max-width: 42rem; color: #222 }}
  main {{ display: flex; flex-wrap: wrap; gap: 3rem; align-items: center }}
  th {{ text-align: left; font-weight: normal; padding-right: 2rem }} td {{ font-variant-numeric: tabular-nums }}
  svg {{ overflow: visible }} text {{ font-size: 12px; fill: #666 }}
</style>
<h1>{escape(title)}</h1>
<main>{chart(curve)}<table>{rows}</table></main>
</html>
"""


def chart(curve: Curve) -> str:
    """The curve as inline SVG, above the diagonal that guessing would give."""
    points = " ".join(
        f"{x * SIZE:.1f},{(1 - y) * SIZE:.1f}" for x, y in zip(curve.false_alarms, curve.found, strict=True)
    )
    return f"""<svg width="{SIZE}" height="{SIZE}" role="img" aria-label="ROC curve">
  <rect width="{SIZE}" height="{SIZE}" fill="none" stroke="#ddd"/>
  <path d="M0 {SIZE}L{SIZE} 0" stroke="#bbb" stroke-dasharray="4"/>
  <polyline points="{points}" fill="none" stroke="#0b6bcb" stroke-width="2"/>
  <text x="{SIZE / 2}" y="{SIZE + 20}" text-anchor="middle">false alarms</text>
  <text transform="translate(-10 {SIZE / 2}) rotate(-90)" text-anchor="middle">malignant tumours found</text>
</svg>"""
