"""Gives the workers of a Functions host another clock than the host: every Python process imports this as it starts.

libfaketime must be loaded before the process begins, so the worker starts itself again with it.
"""

import os
import sys

if "local.functions_host.worker_main" in sys.orig_argv and "LD_PRELOAD" not in os.environ:
    preloaded = {**os.environ, "LD_PRELOAD": os.environ["CLOCK_LIBRARY"], "FAKETIME": os.environ["CLOCK_OFFSET"]}
    os.execve(sys.executable, sys.orig_argv, preloaded)
