"""Errors as Kubernetes tells them: a Status object with a code, a reason and, for 422, the fields at fault."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from starlette.responses import JSONResponse

Json = dict[str, Any]


class Cause(NamedTuple):
    """One field that breaks a rule."""

    field: str  # path such as spec.containers[0].image
    message: str
    reason: str = "FieldValueInvalid"


class ApiError(Exception):
    """An answer other than success; `code` is the HTTP status, `reason` Kubernetes' word for it."""

    def __init__(self, code: int, reason: str, message: str, details: Json | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details or {}

    def body(self) -> Json:
        """Return the Status object."""
        return {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
            "details": self.details,
            "code": self.code,
        }

    def response(self, headers: Mapping[str, str] | None = None) -> JSONResponse:
        """Return the Status object as an HTTP response."""
        return JSONResponse(self.body(), status_code=self.code, headers=headers)


def bad_request(message: str) -> ApiError:
    """400: the request itself cannot be understood."""
    return ApiError(400, "BadRequest", message)


def not_found(kind: str, name: str) -> ApiError:
    """404: no object `name` of this kind (plural, lower case)."""
    return ApiError(404, "NotFound", f'{kind} "{name}" not found', {"name": name, "kind": kind})


def already_exists(name: str) -> ApiError:
    """409: the pod's name is taken."""
    return ApiError(409, "AlreadyExists", f'pods "{name}" already exists', {"name": name, "kind": "pods"})


def conflict(name: str, message: str) -> ApiError:
    """409: the object is not the one, or not in the version, that the caller means."""
    text = f'Operation cannot be fulfilled on pods "{name}": {message}'
    return ApiError(409, "Conflict", text, {"name": name, "kind": "pods"})


def invalid(name: str, causes: Sequence[Cause]) -> ApiError:
    """422: fields break rules; every one is named."""
    faults = ", ".join(f"{cause.field}: {cause.message}" for cause in causes)
    details = {"name": name, "kind": "Pod", "causes": [cause._asdict() for cause in causes]}
    return ApiError(422, "Invalid", f'Pod "{name}" is invalid: {faults}', details)
