"""The page for people, at `/`: type an id, see what is known of it and how fresh that is, and watch it change."""
