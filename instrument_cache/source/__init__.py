"""The source interface: where instruments come from, as a snapshot followed by live changes without a gap."""
