"""`python -m engine.cli`: the command `schoolbell` without its script."""

from engine.cli.main import main

main()
