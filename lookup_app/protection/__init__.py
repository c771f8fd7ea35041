"""Who may read, how much at a time, and what one kind of request may take from another. docs/lookup-security.md."""
