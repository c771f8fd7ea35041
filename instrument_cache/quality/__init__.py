"""Data quality: what the contract expects of the data, held against the cache, the source and the backups.

`service.Quality` is the way in. Great Expectations takes seconds to import, so only `expectations`, `judging` and
`data_docs` import it, and they are imported when a check begins.
"""
