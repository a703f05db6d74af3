"""What this process has once: whether it shuts down, and what waits out the outages of its services."""

from engine.process.outage_waiter import OutageWaiter
from engine.process.shutdown import Shutdown

shutdown = Shutdown()
"""The shutdown of this process."""

outages = OutageWaiter(shutdown.wait, shutdown_wait=shutdown.wait_through_shutdown)
"""The outage waiter of this process; it stops waiting when the process shuts down."""
