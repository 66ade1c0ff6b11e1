"""All figures that a study can have, and how to save them."""

import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib
from matplotlib import font_manager
from matplotlib.figure import Figure
from matplotlib.text import Text

from analysis.figures.accuracy import draw_accuracy
from analysis.figures.by_class import draw_classes, draw_confusion
from analysis.figures.curves import draw_curves, draw_degradation, draw_gradient_ratio
from analysis.figures.grid import draw_grid
from analysis.figures.inside.branches import draw_branches
from analysis.figures.inside.cosines import draw_cosines
from analysis.figures.inside.curvature import draw_curvature
from analysis.figures.inside.gradients import draw_untrained_gradients
from analysis.figures.inside.lesions import draw_lesions
from analysis.figures.inside.panels import NotMeasured
from analysis.figures.layers import draw_gradients, draw_responses
from analysis.figures.roles import PlotOptions
from analysis.figures.style import WIDTH, NoData
from analysis.frames.find import BadRequest, warn
from analysis.frames.study import Study

# The same data always give the same bytes; text in an SVG stays text.
STYLE: dict[Any, Any] = {"svg.fonttype": "none", "svg.hashsalt": "", "pdf.fonttype": 42, "axes.spines.top": False}
STYLE |= {"axes.spines.right": False, "font.size": 10, "axes.labelsize": 10}
UNDATED = {"png": {}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}
EAST_ASIAN = re.compile(r"[\u1100-\u11ff\u2e80-\ud7ff\uf900-\ufaff\uff00-\uffef]")
EAST_ASIAN_FONTS = ("Noto Sans CJK KR", "Noto Sans CJK JP", "NanumGothic", "Apple SD Gothic Neo", "Malgun Gothic")
DOTS_PER_INCH = 160
DEFAULT = PlotOptions()


@dataclass(frozen=True)
class Plot:
    """A kind of figure: its file name, the function that draws it, and a caption.

    A `fixed` one is drawn from the study alone, others also follow the axes that were asked for. Those in PLOTS need
    trainings. `wide` ones have many panels side by side.
    """

    name: str
    draw: Callable[..., Figure]
    caption: str
    wide: bool = False
    fixed: bool = False


PLOTS = (
    Plot(
        "accuracy",
        draw_accuracy,
        "Accuracy of the last epoch. With several seeds: the mean and, from three seeds on, its 95 % interval (an "
        "arrowhead if it extends beyond the axis), and each seed as a dot beside it. Points that would hide one "
        "another are side by side; published ones are to the right of their depth.",
    ),
    Plot(
        "grid",
        draw_grid,
        "Accuracy of the last epoch over two numeric axes, mean over seeds: validation accuracy, if there is any.",
    ),
    Plot(
        "curves",
        draw_curves,
        "Loss and accuracy by epoch; with several seeds, the mean, and a band from the lowest to the highest. Training "
        "is measured during the epoch, with any augmentation; validation after it, without.",
    ),
    Plot(
        "degradation",
        draw_degradation,
        "Training error by epoch, residual networks beside plain ones; with several seeds, the mean, and a band from "
        "the lowest to the highest.",
        fixed=True,
    ),
    Plot(
        "gradient_ratio",
        draw_gradient_ratio,
        "Gradient norm of the first tenth of the 3x3 layers over that of the last tenth by epoch; with several seeds, "
        "the geometric mean, and a band from the lowest to the highest.",
    ),
    Plot(
        "gradients",
        draw_gradients,
        "Norm of the gradient of each 3x3 layer's weights by epoch, on a logarithmic scale; grey if it is zero. Norms "
        "before training that are above all others have the highest colour.",
        wide=True,
    ),
    Plot(
        "responses",
        draw_responses,
        "Standard deviation of each 3x3 layer's response at the last epoch probed, after the normalisation, before "
        "addition and nonlinearity; below, the means sorted by size. With several seeds: the mean, and above, a band "
        "from the lowest to the highest.",
    ),
    Plot("classes", draw_classes, "Test accuracy of each class, one mark per configuration, the hardest class first."),
    Plot(
        "confusion",
        draw_confusion,
        "The classes predicted for the images of each class, in per cent (blank below 0.5). One panel per shortcut: "
        "the configuration best by validation, or the first if nothing was validated; of several shortcuts, at the "
        "largest depth that all have, if there is one.",
        wide=True,
        fixed=True,
    ),
)

INSIDE = (
    Plot(
        "untrained_gradients",
        draw_untrained_gradients,
        "Norm of the gradient of each 3x3 layer's weights before training; the geometric mean over seeds, and a band "
        "from the lowest to the highest.",
        fixed=True,
    ),
    Plot(
        "cosines",
        draw_cosines,
        "Cosine between the gradients of the first logit with respect to the input at two points of the line between "
        "two images, by their distance, before training (Balduzzi et al. 2017): the mean over seeds, and a band from "
        "the lowest to the highest.",
        fixed=True,
    ),
    Plot(
        "curvature",
        draw_curvature,
        "Largest eigenvalue of the Hessian of the loss on 64 images before training, with 95 % intervals over seeds "
        "(from three on), and the bound 2 (1 + momentum) / rate below which full-batch gradient descent with momentum "
        "is stable (Cohen et al. 2021).",
        fixed=True,
    ),
    Plot(
        "lesions",
        draw_lesions,
        "Accuracy on held-out images without each block, counted from 0 at the input, or with two neighbours swapped "
        "(Veit et al. 2016); with several seeds, the mean, and a line from the lowest to the highest. A removed "
        "residual block leaves its shortcut; a plain one at which the shape changes leaves nothing and cannot be "
        "removed. Nothing is retrained, and any batch norm keeps the statistics of the intact network. For each "
        "depth and shortcut that the heading names, the configuration best by validation, or the first if nothing was "
        "validated.",
        wide=True,
        fixed=True,
    ),
    Plot(
        "branches",
        draw_branches,
        "Norm of each residual branch's response over that of what its shortcut carries; with several seeds, the "
        "geometric mean, and a band from the lowest to the highest. For each depth and shortcut that the heading "
        "names, the configuration best by validation, or the first if nothing was validated.",
        fixed=True,
    ),
)
EVERY = {plot.name: plot for plot in (*PLOTS, *INSIDE)}


def draw(study: Study, name: str, options: PlotOptions = DEFAULT, narrow: float = WIDTH) -> Figure:
    """Return one figure of a study by its name in PLOTS or INSIDE: `accuracy`, `curves`, `gradients` …

    `options` say which axes go where, in figures that are not `fixed`. A figure is at most `narrow` inches wide, a
    `wide` one at most WIDTH. Raises BadRequest for an unknown name, and NoData if the study lacks what the figure
    shows.
    """
    plot = EVERY.get(name)
    if plot is None:
        raise BadRequest(f"{name}: no such figure; there are {', '.join(EVERY)}")
    size: dict[Any, Any] = {"figure.figsize": (WIDTH if plot.wide else narrow, WIDTH)}
    with own_style(STYLE | size):
        return plot.draw(study) if plot.fixed else plot.draw(study, options)


def draw_all(
    study: Study, options: PlotOptions = DEFAULT, narrow: float = WIDTH
) -> Iterator[tuple[Plot, Figure | str]]:
    """Yield each plot of a study with its figure from `draw`, or with the reason why there is none.

    Figures of measurements that the study did not take are silently left out. Raises BadRequest.
    """
    for plot in EVERY.values() if len(study.runs) else INSIDE:
        try:
            figure = draw(study, plot.name, options, narrow)
        except NotMeasured:
            continue
        except NoData as reason:
            yield plot, str(reason)
        else:
            yield plot, figure


@contextmanager
def own_style(settings: Mapping[Any, Any]) -> Iterator[None]:
    """Draw with these settings alone, whatever the user's matplotlibrc says."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(settings)
        yield


def save(figure: Figure, target: Any, form: str) -> None:
    """Write a figure to a file or buffer, `form` being png, svg or pdf.

    Texts in Chinese, Japanese or Korean, such as names of classes, get a font that has their characters, if one of
    EAST_ASIAN_FONTS is installed. A warning says if a PNG or PDF lacks characters; in an SVG, text stays text.
    """
    fonts = [name for name in EAST_ASIAN_FONTS if name in font_manager.get_font_names()]
    for text in figure.findobj(Text):
        if EAST_ASIAN.search(text.get_text()):
            text.set_fontfamily([*fonts, "sans-serif"])
    with own_style(STYLE), warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        figure.savefig(target, format=form, dpi=DOTS_PER_INCH, metadata=UNDATED[form])
    lacking = [warning for warning in said if re.match("Glyph .* missing", str(warning.message))]
    if lacking and form != "svg":
        warn(f"a figure lacks {len(lacking)} characters that no installed font has; install one, such as Noto Sans CJK")
    for warning in said:
        if warning not in lacking:
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
