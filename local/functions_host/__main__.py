import sys

from local.functions_host.cli import main

sys.exit(main())
