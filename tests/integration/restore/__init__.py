"""A package, so that pytest ends the servers of this folder with its last test (fixtures of the scope `package`)."""
