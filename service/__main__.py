"""``python -m service`` is ``skillrank``."""

from service.cli import main

main()
