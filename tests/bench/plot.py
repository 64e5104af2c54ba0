"""`up` against the number of nodes, as SVG: one curve for each way of starting. Drawn by gnuplot(1), if it is there."""

import shutil
import subprocess
from pathlib import Path

from tests.bench.figures import SIZES, WAYS, growth
from tests.bench.samples import LABCTL, Samples

COLOURS = {"checkpoint": "#0072b2", "clone": "#d55e00", "cold": "#666666"}  # told apart by the colour-blind too
WORDS = {"checkpoint": "from the checkpoint (a known lab)", "clone": "cloned from warm images", "cold": "booted"}
SCRIPT = """\
set terminal svg size 720,420 font "sans-serif,14" background "#ffffff"
set xlabel "nodes"
set ylabel "up, seconds"
set xrange [0:31]
set yrange [0:*]
set xtics ({tics})
set grid ytics linecolor "#dddddd"
set border 3
set tics nomirror
set key below reverse Left width 2
{data}
plot {curves}
"""


def render_script(samples: Samples) -> str:
    """What gnuplot is told: medians as points with a line, the range of the samples as a bar."""
    data, curves = [], []
    for way in WAYS:
        sizes = [nodes for nodes in SIZES if samples.of(LABCTL, growth(way, nodes))]
        if sizes:
            data.append(f"${way} << END\n" + "\n".join(_point(samples, way, nodes) for nodes in sizes) + "\nEND")
            style = f'linecolor "{COLOURS[way]}"'
            curves.append(f"${way} using 1:2:3:4 with yerrorbars pointtype -1 linewidth 1 {style} notitle")
            curves.append(f"${way} using 1:2 with linespoints pointtype 7 pointsize 0.5 linewidth 2 {style} title '{WORDS[way]}'")
    return SCRIPT.format(tics=", ".join(map(str, SIZES)), data="\n".join(data), curves=", ".join(curves)) if curves else ""


def _point(samples: Samples, way: str, nodes: int) -> str:
    values = samples.of(LABCTL, growth(way, nodes))
    return f"{nodes} {samples.median(LABCTL, growth(way, nodes))} {min(values)} {max(values)}"


def can_draw() -> bool:
    return shutil.which("gnuplot") is not None


def draw_growth(samples: Samples, image: Path) -> bool:
    """Write the plot; whether there were samples to draw, and gnuplot to draw them with."""
    script = render_script(samples)
    if not script or not can_draw():
        return False
    drawn = subprocess.run(("gnuplot",), input=script, capture_output=True, text=True, timeout=60, check=True).stdout
    image.parent.mkdir(parents=True, exist_ok=True)
    image.write_text(drawn)
    return True
