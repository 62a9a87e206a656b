"""`python -m service` is `reelhook`."""

import sys

from service.cli import main

sys.exit(main())
