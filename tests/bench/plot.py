"""placeholder"""
from pathlib import Path
from tests.bench.samples import Samples
def draw_growth(samples: Samples, image: Path) -> bool: return False
