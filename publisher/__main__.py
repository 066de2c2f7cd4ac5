"""``python -m publisher``."""

import sys

from publisher.cli.main import main

sys.exit(main())
