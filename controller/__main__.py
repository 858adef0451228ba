"""`python -m controller` is `imagectl`."""

from controller.cli.main import main

main()
