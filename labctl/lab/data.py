"""Where labctl's data lies: shipped labs, and templates with the shipped roles among them.

In a wheel they travel as `labctl/_data/`; in a checkout they stand at the top level. Owns only the paths: reading what is
there is the business of whoever needs it.
"""

from pathlib import Path


def data_directory() -> Path:
    """The directory that holds `labs/` and `templates/`: the wheel's, else the checkout's root."""
    package = Path(__file__).resolve().parent.parent
    packed = package / "_data"
    return packed if packed.is_dir() else package.parent


LABS = data_directory() / "labs"
TEMPLATES = data_directory() / "templates"
ROLES = TEMPLATES / "roles"
