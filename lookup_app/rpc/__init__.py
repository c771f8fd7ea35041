"""The lookup service over gRPC: the same answers as REST, from the same objects. docs/grpc.md says how it is used."""
