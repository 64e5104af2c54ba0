"""`python -m labctl.cli`."""

from labctl.cli.entry import main

main()
