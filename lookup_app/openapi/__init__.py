"""The API's description (OpenAPI 3.1), made of the contracts, the answers' types and one table of operations."""
