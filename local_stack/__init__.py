"""The laptop: every part of the product on one machine."""
