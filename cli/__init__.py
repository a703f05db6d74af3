"""The command `lockstep`: submits jobs and watches them, over the client."""
