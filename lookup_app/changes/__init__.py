"""The change stream: what the cache has applied, as Server-Sent Events. docs/change-stream.md says how it is used."""
