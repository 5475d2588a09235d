"""The table as a type: its columns are checked when the workflow is wired, its values when it runs."""

import pandas as pd
import pandera.pandas as pa

LABEL = "malignant"


class Tumours(pa.DataFrameModel):
    """A row per tumour: what was measured of its cells' nuclei, and what the biopsy found."""

    mean_radius: float = pa.Field(gt=0)
    mean_texture: float = pa.Field(gt=0)
    mean_concavity: float = pa.Field(ge=0)
    worst_area: float = pa.Field(gt=0)
    worst_smoothness: float = pa.Field(gt=0, lt=1)
    worst_concave_points: float = pa.Field(ge=0)
    malignant: bool


MEASURED = [name for name in Tumours.to_schema().columns if name != LABEL]


def tidy(raw: pd.DataFrame) -> pd.DataFrame:
    """The columns of `Tumours`, under their names; the source calls malignant 0 and benign 1."""
    named = raw.rename(columns=lambda name: name.replace(" ", "_"))
    return named[MEASURED].assign(**{LABEL: raw["target"] == 0})
