"""Settings with which an app does not take a busy machine for an outage."""

PATIENT_DATABASE = {"DATABASE_LOCK_TIMEOUT_SECONDS": "120", "DATABASE_STATEMENT_TIMEOUT_SECONDS": "120"}
"""An app gives a statement 20 s by default, and a lock 5 s. A process of the server may be held up for longer."""
