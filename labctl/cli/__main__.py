"""`python -m labctl.cli`."""

from labctl.cli.main import main

main()
